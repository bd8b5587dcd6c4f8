"""An incident as the fold of its timeline."""

from dataclasses import dataclass
from enum import StrEnum

from forestall.model.event import TimelineEvent


class IncidentStatus(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """State derived from `timeline`, never stored beside it. Times in seconds since the epoch."""

    SCHEMA = "forestall/incident/1"

    number: str
    key: str
    status: IncidentStatus
    zone: str
    timeline: tuple[TimelineEvent, ...]
    onset_at: float | None = None
    detected_at: float | None = None
    responded_at: float | None = None
    resolved_at: float | None = None
    evidence: tuple[str, ...] = ()
