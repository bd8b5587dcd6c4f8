"""What a person is told: one notice, whoever carries it."""

from dataclasses import dataclass
from enum import StrEnum


class Urgency(StrEnum):
    """page: somebody is needed now. inform: it can be read in the morning."""

    PAGE = "page"
    INFORM = "inform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`title` is one line; `lines` are whole sentences; `evidence` are bundle ids."""

    SCHEMA = "forestall/notice/1"

    at: float
    host: str
    service: str
    urgency: Urgency
    title: str
    lines: tuple[str, ...]
    plan_id: str | None = None
    evidence: tuple[str, ...] = ()
