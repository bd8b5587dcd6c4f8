"""An incident as the fold of its timeline."""

from dataclasses import dataclass
from enum import StrEnum

from forestall.model.event import TimelineEvent


class IncidentStatus(StrEnum):
    """A resolved incident stays resolved: the same trouble later is a new incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The first record of a timeline: what the incident is called and what opened it.

    `opened_by` is the id of the event that opened it, so that opening twice is impossible;
    `zone` is the IANA zone whose local day is in the number.
    """

    SCHEMA = "forestall/incident-opening/1"

    number: str
    key: str
    zone: str
    opened_by: str
    opened_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """State derived from `timeline`, never stored beside it. Times in seconds since the epoch.

    `timeline` is in order of time. `responded_at` is when something was first done about it,
    by guard or by a person; `exhausted_at` is set only when a limit was really reached.
    """

    SCHEMA = "forestall/incident/1"

    number: str
    key: str
    status: IncidentStatus
    zone: str
    timeline: tuple[TimelineEvent, ...]
    onset_at: float | None = None
    detected_at: float | None = None
    responded_at: float | None = None
    exhausted_at: float | None = None
    resolved_at: float | None = None
    evidence: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return self.key.partition("/")[0]

    @property
    def service(self) -> str:
        return self.key.partition("/")[2]
