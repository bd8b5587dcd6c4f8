"""What this host is part of: its database cluster and its fleet, reached as configured.

Nothing of it is loaded, connected to or waited for on a host that has neither.
"""

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from forestall.agent.config import AgentConfig, FleetConfig
from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.handler import ActionHandler
from forestall.guard.lease import Lease

if TYPE_CHECKING:
    from forestall.guard.database import Cluster
    from forestall.guard.fleet import FleetForecasts
    from forestall.guard.wire.etcd import Etcd
    from forestall.model.database import Database

PUBLISH_SECONDS = 15.0
FOLLOW_SECONDS = 10.0
FRESH_SECONDS = 30.0


class Around:
    """The cluster and the fleet of one host. `host_clock` is the host's own: servers wait in real
    seconds. `lag_bytes_max` is policy's.
    """

    def __init__(
        self, config: AgentConfig, *, hostname: str, host_clock: Clock, lag_bytes_max: int
    ) -> None:
        self._clock = host_clock
        self.access = config.database
        self._fleet = config.fleet
        self._hostname = hostname
        self._cluster: Cluster | None = None
        self._readers: FleetForecasts | None = None
        self._publisher: _Publisher | None = None
        self._follower: _Follower | None = None
        self._config = config
        if self.access is not None:
            from dataclasses import replace

            self.access = replace(self.access, lag_bytes_max=lag_bytes_max)
        self.lease: Lease | None = None
        if self._fleet is not None:
            from forestall.guard.fleet import FleetLease

            fleet = self._fleet
            self.lease = FleetLease(
                lambda: etcd_of(fleet), scope=fleet.scope, host=hostname, clock=host_clock
            )

    @property
    def via(self) -> str:
        """How the database's clients are held while the primary moves."""
        return "patroni" if self.access is None else self.access.via

    @property
    def has_fleet(self) -> bool:
        return self._fleet is not None

    def look(self) -> "Database | None":
        """The cluster now, with what its hosts forecast; None where none is configured.

        As `follow` saw it lately, if it did: a peer that does not answer must not hold a decision
        up. What acts looks again before it acts.
        """
        if self.access is None:
            return None
        if self._follower is not None:
            latest = self._follower.latest
            if latest is not None and self._clock.now() - latest.at <= FRESH_SECONDS:
                return latest
        if self._cluster is None:
            from forestall.guard.database import Cluster

            self._cluster = Cluster(self.access)
        return self._cluster.look(self._clock, forecasts=self._forecasts())

    def follow(self) -> None:
        """Look at the cluster every FOLLOW_SECONDS from now on, in a thread of its own."""
        if self.access is not None and self._follower is None:
            self._follower = _Follower(
                Around(
                    self._config,
                    hostname=self._hostname,
                    host_clock=self._clock,
                    lag_bytes_max=self.access.lag_bytes_max,
                )
            )

    def switchover(self) -> ActionHandler | None:
        """What moves the primary; None where no database is configured."""
        if self.access is None:
            return None
        from forestall.guard.actions.switchover import SwitchoverHandler

        return SwitchoverHandler(self.access, clock=self._clock)

    def traffic_problems(self) -> Iterator[tuple[str, str | None]]:
        """Each pooler and proxy by name, with what is wrong with it, or None."""
        if self.access is None:
            return
        from forestall.guard.links import Links

        links = Links(self.access)
        try:
            for pooler in links.poolers:
                try:
                    yield pooler.name, pooler.problem()
                except ForestallError as error:
                    yield pooler.name, error.message
            for proxy in links.proxies:
                try:
                    yield proxy.name, proxy.unusable(drains=self.access.via == "haproxy")
                except ForestallError as error:
                    yield proxy.name, error.message
        finally:
            links.close()

    def publish(self, exhaustion_seconds: float | None) -> None:
        """Tell the fleet, soon and from another thread, how long this host still lasts."""
        if self._fleet is None:
            return
        if self._publisher is None:
            self._publisher = _Publisher(self._fleet, self._fleet.member or self._hostname)
        self._publisher.value = exhaustion_seconds

    def close(self) -> None:
        """Let go of what is open."""
        if self._publisher is not None:
            self._publisher.stop()
        if self._follower is not None:
            self._follower.stop()
        if self._cluster is not None:
            self._cluster.close()

    def _forecasts(self) -> Mapping[str, float | None]:
        if self._fleet is None:
            return {}
        if self._readers is None:
            self._readers = _forecasts(self._fleet, self._fleet.member or self._hostname)
        try:
            return self._readers.forecasts()
        except ForestallError:
            # Whether a candidate may itself run out is then not known, and the plan says so.
            return {}


class _Follower:
    """Keeps the `latest` look at the cluster, by connections of its own."""

    def __init__(self, around: Around) -> None:
        self.latest: Database | None = None
        self._around = around
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="database look", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while True:
            self.latest = self._around.look()
            if self._stopped.wait(FOLLOW_SECONDS):
                self._around.close()
                return


class _Publisher:
    """Publishes `value` every PUBLISH_SECONDS until stopped; etcd may be away for any time."""

    def __init__(self, fleet: FleetConfig, member: str) -> None:
        self.value: float | None = None
        self._fleet = fleet
        self._member = member
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="fleet forecast", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        forecasts = _forecasts(self._fleet, self._member)
        # A moment first, so that the first tick's forecast is what is told.
        wait = 1.0
        while not self._stopped.wait(wait):
            try:
                forecasts.publish(self.value)
            except ForestallError:
                # Then this host counts as not known, which is what it is.
                pass
            wait = PUBLISH_SECONDS


def _forecasts(fleet: FleetConfig, member: str) -> "FleetForecasts":
    from forestall.guard.fleet import FleetForecasts

    return FleetForecasts(etcd_of(fleet), scope=fleet.scope, member=member)


def etcd_of(fleet: FleetConfig) -> "Etcd":
    """A client of the fleet's etcd, not connected yet."""
    from forestall.guard.wire.etcd import Etcd

    return Etcd(fleet.etcd, tls=fleet.tls, user=fleet.user, password_file=fleet.password_file)
