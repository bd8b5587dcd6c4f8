"""What a guard's own record says afterwards: whom it named, what it kept, and the review of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drills.replay.guards import CULPRIT
from drills.replay.timeline import Timeline
from forestall.agent.spool import SPOOL_FILE
from forestall.errors import ForestallError
from forestall.evidence.verify import verify as verify_bundle
from forestall.incident.intake import collect
from forestall.incident.review.draft import draft
from forestall.incident.review.verify import verify as verify_review
from forestall.incident.site import load
from forestall.journal import read
from forestall.model.codec import from_document
from forestall.model.event import EventKind, TimelineEvent

if TYPE_CHECKING:
    from drills.replay.figures import Row

SITE = Path(__file__).parents[1] / "two-hours-forty" / "site.toml"
EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the agent of a run says it did.

    named   wall seconds from the start until its record names the culprit; None: it never did
    bundle  id of the first bundle of evidence that verifies; None: there is none
    events  when (wall seconds after the start) and what, in its own words
    """

    named: float | None = None
    bundle: str | None = None
    events: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """The review of a run: its path and how many of its facts nothing backs; or the problem."""

    number: str | None = None
    path: str | None = None
    unresolved: int | None = None
    problem: str | None = None


class DraftClock:
    """The drafting happens at the seed's time too."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        """The seed's time at which the drill ended."""
        return self._at

    def monotonic(self) -> float:
        """Never moves: a draft waits for nobody."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Returns at once."""


def record(state: Path, timeline: Timeline) -> Record:
    """Read the state folder of an agent that has ended."""
    spool = state / SPOOL_FILE
    if not spool.exists():
        return Record()
    events = [from_document(TimelineEvent, one.data) for one in read(str(spool))]
    started = timeline.started_at.timestamp()
    said = tuple(((event.at - started) / timeline.scale, event.text) for event in events)
    named = next(
        (at for (at, text), event in zip(said, events, strict=True) if _names(event, text)), None
    )
    return Record(named=named, bundle=_first_sound(state / EVIDENCE), events=said)


def _names(event: TimelineEvent, text: str) -> bool:
    return event.kind in (EventKind.DETECTED, EventKind.PLAN) and CULPRIT in text


def _first_sound(folder: Path) -> str | None:
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if not name.startswith(".") and not verify_bundle(str(folder / name)):
            return name
    return None


def draft_review(state: Path, timeline: Timeline, ended: float, row: Row) -> Drafted:
    """Draft the review of the first incident of the culprit, with what was measured in it."""
    (state / "site.toml").write_text(SITE.read_text(encoding="utf-8") + measured(row), "utf-8")
    clock = DraftClock(timeline.at(ended).timestamp())
    try:
        site, data = load(str(state / "site.toml"), str(state))
        mine = [one for one in collect(str(state), site, clock) if CULPRIT in one.service]
        if not mine:
            return Drafted(problem=f"no incident of {CULPRIT}")
        drafted = draft(
            str(state), mine[0].number, site=data, clock=clock, clock_scale=timeline.scale
        )
        found = verify_review(drafted.text, drafted.bundle.path)
    except ForestallError as error:
        return Drafted(problem=error.message)
    return Drafted(
        number=mine[0].number,
        path=drafted.path,
        unresolved=len(found.unresolved) + len(found.damages),
    )


def measured(row: Row) -> str:
    """The figures of a run as the site file's table of what was measured."""
    return f"""
[measured]
by = "the order log of the drill"
orders_acknowledged = {row.orders_acknowledged}
orders_failed = {row.orders_failed}
orders_lost = {row.orders_lost}
longest_write_gap_seconds = {row.longest_write_gap_seconds:.3f}
penalties = {row.penalties_usd:.2f}
currency = "USD"
"""
