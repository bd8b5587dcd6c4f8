"""What the detector says about a subject, and how sure it is."""

from dataclasses import dataclass
from enum import StrEnum

from forestall.model.sample import ProcessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who is judged: a process of a host, with the service it belongs to where that is known."""

    host: str
    name: str
    process: ProcessKey | None = None
    unit: str | None = None
    cgroup: str | None = None

    @property
    def service(self) -> str:
        """The name a person knows it by: its unit, else its process name."""
        return self.unit or self.name


class VerdictKind(StrEnum):
    """STEADY < GROWING < LEAKING < EXHAUSTING; UNDECIDED stands outside the order."""

    STEADY = "STEADY"
    GROWING = "GROWING"
    LEAKING = "LEAKING"
    EXHAUSTING = "EXHAUSTING"
    UNDECIDED = "UNDECIDED"


class LimitKind(StrEnum):
    """Whose limit it is."""

    CGROUP = "cgroup"
    HOST = "host"
    GIVEN = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What the subject runs into: `limit_bytes` in all, `headroom_bytes` of it left now.

    `source` names where it was read, for example `/system.slice/feed-sync.service memory.max`.
    """

    kind: LimitKind
    limit_bytes: int
    headroom_bytes: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A range, not a number: rates with an interval, and the time to exhaustion they give.

    `exhaustion_low_seconds` is the soonest (from the highest rate). None = not within sight.
    """

    limit: Limit
    rate_bytes_per_second: float
    rate_low_bytes_per_second: float
    rate_high_bytes_per_second: float
    exhaustion_seconds: float | None
    exhaustion_low_seconds: float | None
    exhaustion_high_seconds: float | None
    window_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judgement at one time. `reasons` are whole sentences; `onset_at` is when growth began."""

    SCHEMA = "forestall/verdict/1"

    subject: Subject
    kind: VerdictKind
    at: float
    memory_bytes: int
    reasons: tuple[str, ...]
    forecast: Forecast | None = None
    onset_at: float | None = None
