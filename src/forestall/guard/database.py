"""The database cluster of this host: how it is reached, and what its members say of it.

Patroni's REST interface is asked of the peers before it is asked of this host: on a host that
runs out of memory its own Patroni is the first that stops to answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.wire.endpoint import WireError
from forestall.guard.wire.patroni import Access, Patroni
from forestall.model.database import Database, Member, Role
from forestall.units import MIB

MEMBERS_MAX = 64
LAG_BYTES_MAX = 1 * MIB
LOOK_SECONDS = 6.0

_ROLES = {
    "leader": Role.PRIMARY,
    "master": Role.PRIMARY,
    "primary": Role.PRIMARY,
    "sync_standby": Role.SYNC_STANDBY,
    "quorum_standby": Role.SYNC_STANDBY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooler:
    """One pgbouncer that clients of the database go through.

    `address` is the path of its unix socket, or host:port; `user` one of its admin_users.
    `databases` are those that lead to the cluster; none named = all that it has.
    """

    address: str
    user: str = "pgbouncer"
    password_file: str | None = None
    databases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One HAProxy, whose `backend` leads to the primary.

    `address` is that of its runtime socket; `servers` names the server of each member where the
    two names differ.
    """

    address: str
    backend: str
    servers: Mapping[str, str] = field(default_factory=dict)

    def server(self, member: str) -> str:
        return self.servers.get(member, member)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAccess:
    """How guard reaches the cluster `scope`. Secrets are given as the paths of their files.

    `own` is the member on this host; where it is not given, Patroni at `url` is asked for it.
    `peers` are REST addresses of others; further ones are learned from whoever answers.
    """

    scope: str
    own: str | None = None
    url: str | None = None
    peers: tuple[str, ...] = ()
    rest: Access = field(default_factory=Access)
    poolers: tuple[Pooler, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    lag_bytes_max: int = LAG_BYTES_MAX

    @property
    def via(self) -> str:
        """How traffic is moved here: by what holds it best."""
        if self.poolers:
            return "pgbouncer"
        return "haproxy" if self.proxies else "patroni"


def look(
    access: DatabaseAccess, clock: Clock, *, forecasts: Mapping[str, float | None] | None = None
) -> Database:
    """The cluster as one look shows it; never raises: `fault` says why nothing is known.

    `forecasts` are seconds to exhaustion by member, as the hosts publish them.
    """
    return Cluster(access).look(clock, forecasts=forecasts)


class Cluster:
    """Looks at one cluster again and again, and remembers the members it has learned of."""

    def __init__(self, access: DatabaseAccess) -> None:
        self._access = access
        self._own = access.own
        self._clients: dict[str, Patroni] = {}
        self._learned: tuple[str, ...] = ()

    def look(
        self, clock: Clock, *, forecasts: Mapping[str, float | None] | None = None
    ) -> Database:
        """As the function of this name."""
        faults: list[str] = []
        until = clock.monotonic() + LOOK_SECONDS
        for url in self._urls():
            if faults and clock.monotonic() >= until:
                faults.append("the other members were not asked, for want of time")
                break
            try:
                client = self._client(url)
                found = database_of(client.cluster(), client.config(), at=clock.now())
                return self._completed(found, forecasts or {})
            except ForestallError as error:
                # A UsageError too: of an address that a member tells, and that is none.
                faults.append(error.message)
        fault = "; ".join(faults) or "no address of a member is configured"
        return Database(scope=self._access.scope, own=self._own, at=clock.now(), fault=fault)

    def close(self) -> None:
        """Let go of the connections."""
        for client in self._clients.values():
            client.close()

    def _urls(self) -> tuple[str, ...]:
        own = (self._access.url,) if self._access.url is not None else ()
        last = self._learned[:MEMBERS_MAX]
        return tuple(dict.fromkeys((*self._access.peers, *last, *own)))

    def _client(self, url: str) -> Patroni:
        if url not in self._clients:
            self._clients[url] = Patroni(url, self._access.rest)
        return self._clients[url]

    def _completed(self, found: Database, forecasts: Mapping[str, float | None]) -> Database:
        if found.scope not in ("", self._access.scope):
            raise WireError(
                f"Patroni answers for the cluster {found.scope}, not {self._access.scope}"
            )
        if self._own is None and self._access.url is not None:
            told = self._client(self._access.url).member().get("patroni")
            name = told.get("name") if isinstance(told, dict) else None
            self._own = name if isinstance(name, str) else None
        own_url = (self._access.url or "").rstrip("/")
        learned = [m.url for m in found.members if m.name != self._own and m.url != own_url]
        self._learned = tuple(filter(None, learned))
        return Database(
            scope=self._access.scope,
            own=self._own,
            at=found.at,
            members=tuple(_with_forecast(member, forecasts) for member in found.members),
            paused=found.paused,
            synchronous=found.synchronous,
            switchover_pending=found.switchover_pending,
        )


def database_of(cluster: Mapping[str, Any], config: Mapping[str, Any], *, at: float) -> Database:
    """The answers of GET /cluster and GET /config as a noun. Raises WireError for other forms."""
    members = cluster.get("members")
    if not isinstance(members, list) or len(members) > MEMBERS_MAX:
        raise WireError("Patroni: /cluster holds no list of members")
    mode = config.get("synchronous_mode")
    return Database(
        scope=str(cluster.get("scope", "")),
        own=None,
        at=at,
        members=tuple(_member(each) for each in members),
        paused=cluster.get("pause") is True,
        synchronous=mode not in (None, False, "off", "false"),
        switchover_pending="scheduled_switchover" in cluster,
    )


def _member(told: Any) -> Member:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise WireError("Patroni: /cluster holds a member without a name")
    role = _ROLES.get(str(told.get("role")), Role.REPLICA)
    state, tags = str(told.get("state", "unknown"))[:100], told.get("tags")
    # Patroni before 3.1 says of a replica that it runs, and nothing of whether it streams.
    healthy = state == ("running" if role is Role.PRIMARY else "streaming")
    if isinstance(tags, dict) and tags.get("nofailover"):
        healthy, state = False, f"{state}, tagged nofailover"
    return Member(
        name=told["name"][:255],
        role=role,
        state=state,
        healthy=healthy,
        url=str(told.get("api_url", ""))[:1000].removesuffix("/patroni"),
        timeline=_whole(told.get("timeline")),
        lag_bytes=None if role is Role.PRIMARY else _whole(told.get("lag")),
    )


def _with_forecast(member: Member, forecasts: Mapping[str, float | None]) -> Member:
    if member.name not in forecasts:
        return member
    from dataclasses import replace

    seconds = forecasts[member.name]
    return replace(member, exhaustion_seconds=seconds, forecast_known=True)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
