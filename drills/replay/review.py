"""What a guard's own record says afterwards: whom it named, what it kept, and the review of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

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

SITE = Path(__file__).parents[1] / "two-hours-forty" / "site.toml"
EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the agent of a run left behind.

    named   wall seconds from the start until its record names the culprit; None: it never did
    bundle  id of the first bundle of evidence that verifies; None: there is none
    review  path of the drafted review, every fact of which its bundle backs; None: there is none
    """

    named: float | None = None
    bundle: str | None = None
    review: str | None = None
    incident: str | None = None
    unresolved: int | None = None
    events: tuple[tuple[float, str], ...] = ()
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


def record(state: Path, timeline: Timeline, ended: float) -> Record:
    """Read the state folder of an agent that has ended, and draft the review of its incident."""
    spool = state / SPOOL_FILE
    if not spool.exists():
        return Record(problem="the agent kept no record")
    events = [from_document(TimelineEvent, one.data) for one in read(str(spool))]
    started = timeline.started_at.timestamp()
    said = tuple(((event.at - started) / timeline.scale, event.text) for event in events)
    named = next(
        (at for (at, text), event in zip(said, events, strict=True) if _names(event, text)), None
    )
    bundle = _first_sound(state / EVIDENCE)
    try:
        number, review, unresolved = _review(state, timeline, timeline.at(ended).timestamp())
    except ForestallError as error:
        return Record(named=named, bundle=bundle, events=said, problem=error.message)
    return Record(
        named=named,
        bundle=bundle,
        review=review,
        incident=number,
        unresolved=unresolved,
        events=said,
    )


def _names(event: TimelineEvent, text: str) -> bool:
    return event.kind in (EventKind.DETECTED, EventKind.PLAN) and CULPRIT in text


def _first_sound(folder: Path) -> str | None:
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if not name.startswith(".") and not verify_bundle(str(folder / name)):
            return name
    return None


def _review(
    state: Path, timeline: Timeline, at: float
) -> tuple[str | None, str | None, int | None]:
    """Number, path and unresolved facts of the review; Nones where there was no incident."""
    shutil.copyfile(SITE, state / "site.toml")
    site, data = load(str(state / "site.toml"), str(state))
    clock = DraftClock(at)
    mine = [one for one in collect(str(state), site, clock) if CULPRIT in one.service]
    if not mine:
        return None, None, None
    drafted = draft(str(state), mine[0].number, site=data, clock=clock, clock_scale=timeline.scale)
    found = verify_review(drafted.text, drafted.bundle.path)
    return mine[0].number, drafted.path, len(found.unresolved) + len(found.damages)
