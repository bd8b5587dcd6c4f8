"""What happened, when, and who says so: the line of a timeline, and of the agent's spool."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from forestall.model.codec import Json


class EventKind(StrEnum):
    """The kinds a timeline knows. A person's note is NOTE; every other kind is measured."""

    ONSET = "onset"
    DETECTED = "detected"
    VERDICT = "verdict"
    PLAN = "plan"
    OUTCOME = "outcome"
    RECOVERED = "recovered"
    EXHAUSTED = "exhausted"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """One event. `id` is unique for ever, so that reading it twice changes nothing.

    `key` ties the events of one trouble together (host and service); `data` is the noun behind
    the sentence as a document; `evidence` are bundle ids.
    """

    SCHEMA = "forestall/event/1"

    id: str
    at: float
    kind: EventKind
    key: str
    source: str
    text: str
    data: Mapping[str, Json] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
