"""A database cluster as Patroni tells it, seen from one of its hosts."""

from dataclasses import dataclass, field
from enum import StrEnum

from forestall.model.codec import SIGNED


class Role(StrEnum):
    """Patroni's roles; REPLICA covers every member that is neither primary nor synchronous."""

    PRIMARY = "primary"
    SYNC_STANDBY = "sync_standby"
    REPLICA = "replica"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member. `url` is its REST API; `healthy`: it runs, and streams where it is no primary.

    `exhaustion_seconds` is what the forestall of that host forecasts for it; None = it runs out
    of nothing in sight, or it is not known, which `forecast_known` tells apart.
    """

    name: str
    role: Role
    state: str
    healthy: bool
    url: str
    timeline: int | None = None
    lag_bytes: int | None = field(default=None, metadata=SIGNED)
    exhaustion_seconds: float | None = None
    forecast_known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The cluster `scope`, of which `own` is the member on this host.

    `members` is empty where the REST API did not answer: `fault` then says why.
    """

    scope: str
    own: str | None
    at: float
    members: tuple[Member, ...] = ()
    paused: bool = False
    synchronous: bool = False
    switchover_pending: bool = False
    fault: str | None = None

    @property
    def primary(self) -> Member | None:
        return next((m for m in self.members if m.role is Role.PRIMARY), None)

    @property
    def primary_is_here(self) -> bool:
        return self.primary is not None and self.primary.name == self.own
