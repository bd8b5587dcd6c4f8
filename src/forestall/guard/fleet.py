"""The fleet's lease in etcd: at most one host of a cluster in disruptive action at a time.

An advisory lock of PostgreSQL would not do: its session dies in the switchover that it protects.
The key ends with its etcd lease, so a holder that dies gives it back by dying.
"""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.wire.etcd import Etcd, KeyValue
from forestall.guard.wire.http import said

LEASE_SECONDS = 30
FORECAST_SECONDS = 60
MARGIN_SECONDS = 5.0
"""How long before its end, as the server counts it, the lease counts as lost here."""

PREFIX = "/forestall"


class FleetLease:
    """This host's hold on the lease of the fleet `scope`, kept alive by a thread while it is held.

    `clock` is the host's own, whatever policy runs on: etcd counts in real seconds. `client` makes
    a client; the thread has one of its own.
    """

    def __init__(
        self,
        client: Callable[[], Etcd],
        *,
        scope: str,
        host: str,
        clock: Clock,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        assert lease_seconds > 2 * MARGIN_SECONDS
        self._make = client
        self._etcd = client()
        self._key = f"{PREFIX}/{scope}/lease"
        self._host = host
        self._clock = clock
        self._seconds = lease_seconds
        self._lease: int | None = None
        self._until = float("-inf")
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None

    def connect(self) -> None:
        """Open the connection ahead of time."""
        self._etcd.connect()

    def acquire(self, plan_id: str) -> str | None:
        """Why the lease is not ours, as a sentence; None = it is, until `release`.

        Raises ForestallError where etcd does not answer: then nobody knows who has it.
        """
        if self.held():
            return None
        self.release()
        asked = self._clock.monotonic()
        lease = self._etcd.grant(self._seconds)
        value = {"host": self._host, "plan": plan_id, "at": self._clock.now()}
        try:
            holder = self._etcd.create(self._key, json.dumps(value).encode(), lease)
        except ForestallError:
            # It may have been written all the same, and would keep every host out, us too.
            with suppress(ForestallError):
                self._etcd.revoke(lease)
            raise
        # A first try whose answer was lost has written our own key.
        if holder is not None and holder.lease != lease:
            self._etcd.revoke(lease)
            return f"The lease of the fleet is {_holder(holder, self._clock.now())}."
        self._lease, self._until = lease, asked + self._seconds - MARGIN_SECONDS
        self._stop = threading.Event()
        self._keeper = threading.Thread(
            target=self._keep, args=(lease, self._stop), name="fleet lease", daemon=True
        )
        self._keeper.start()
        return None

    def held(self) -> bool:
        """Whether it is ours for some seconds at least, by this host's own count."""
        return self._lease is not None and self._clock.monotonic() < self._until

    def renew(self) -> bool:
        """Keep it alive once; whether it is still ours. The thread does so by itself."""
        lease = self._lease
        return lease is not None and self._renewed(self._etcd, lease)

    def release(self) -> None:
        """Give it back; nothing where it is not ours."""
        lease, keeper = self._lease, self._keeper
        self._lease, self._keeper, self._until = None, None, float("-inf")
        self._stop.set()
        if lease is not None:
            self._etcd.revoke(lease)
        if keeper is not None:
            keeper.join(1.0)

    def close(self) -> None:
        """Let go of the connection; a lease that is held ends by itself."""
        self._stop.set()
        self._etcd.close()

    def _keep(self, lease: int, stop: threading.Event) -> None:
        etcd = self._make()
        try:
            while not stop.wait(self._seconds / 6):
                try:
                    if not self._renewed(etcd, lease):
                        return
                except ForestallError:
                    # etcd may answer again before the lease ends; `held` counts meanwhile.
                    continue
        finally:
            etcd.close()

    def _renewed(self, etcd: Etcd, lease: int) -> bool:
        asked = self._clock.monotonic()
        left = etcd.keep_alive(lease)
        if lease != self._lease:
            return False
        if left <= 0:
            self._until = float("-inf")
            return False
        self._until = asked + left - MARGIN_SECONDS
        return True


class FleetForecasts:
    """What the hosts of the fleet `scope` forecast for themselves, published in etcd.

    A host that stops publishing is forgotten after `seconds`: then its forecast is not known.
    """

    def __init__(
        self, etcd: Etcd, *, scope: str, member: str, seconds: int = FORECAST_SECONDS
    ) -> None:
        self._etcd = etcd
        self._prefix = f"{PREFIX}/{scope}/hosts/"
        self._member = member
        self._seconds = seconds
        self._lease: int | None = None

    def publish(self, exhaustion_seconds: float | None) -> None:
        """Tell the others; None = this host runs out of nothing in sight."""
        if self._lease is None or self._etcd.keep_alive(self._lease) <= 0:
            self._lease = self._etcd.grant(self._seconds)
        value = json.dumps({"exhaustion_seconds": exhaustion_seconds}).encode()
        self._etcd.put(self._prefix + self._member, value, self._lease)

    def forecasts(self) -> Mapping[str, float | None]:
        """Seconds to exhaustion of each host that published lately, by its member's name."""
        found: dict[str, float | None] = {}
        for pair in self._etcd.below(self._prefix):
            told = _document(pair)
            seconds = told.get("exhaustion_seconds", "")
            if seconds is None or (isinstance(seconds, int | float) and seconds >= 0):
                found[pair.key.removeprefix(self._prefix)] = seconds
        return found


def _holder(pair: KeyValue, now: float) -> str:
    told = _document(pair)
    host, plan, at = told.get("host"), told.get("plan"), told.get("at")
    words = f"held by {said(str(host).encode())} for {said(str(plan).encode())}"
    if not isinstance(at, int | float):
        return words
    from forestall.units import format_duration

    return f"{words} since {format_duration(max(0.0, now - at))}"


def _document(pair: KeyValue) -> dict[str, Any]:
    try:
        told = json.loads(pair.value)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
