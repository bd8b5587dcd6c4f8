"""What happened next, after a plan: folded from the events that the agent told of the service."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from forestall.errors import InputError
from forestall.guard.history import Past
from forestall.journal import read
from forestall.model.codec import from_document
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Verdict
from forestall.units import format_duration

EXHAUSTED_SHARE = 0.02
"""Less than this of a limit left is nothing left."""


class After(StrEnum):
    """What became of the judged process after the plan."""

    RECYCLED = "recycled"
    RECOVERED = "recovered by itself"
    EXHAUSTED = "exhausted"
    KILLED = "OOM-killed"
    OPEN = "still open"


class Next(NamedTuple):
    """`at` is when that was known; None where nothing was told since."""

    after: After
    at: float | None = None
    text: str = ""

    def sentence(self, plan_at: float) -> str:
        """For a person."""
        if self.at is None:
            return f"{self.after.value}: nothing was told of it since."
        later = format_duration(max(0.0, self.at - plan_at))
        return f"{self.after.value} {later} later. {self.text}".rstrip()


def read_events(path: str) -> Iterator[TimelineEvent]:
    """The events of a spool, oldest first; foreign records are passed over. JournalError."""
    for record in read(path):
        try:
            yield from_document(TimelineEvent, record.data)
        except InputError:
            continue  # Of another version; the incident side reports it.


def next_of(past: Past, events: Iterable[TimelineEvent]) -> Next:
    """What happened to the plan's process after it: the end of its trouble, else how it stands."""
    plan, found = past.plan, Next(After.OPEN)
    for event in events:
        if event.at < plan.at or _process_of(event) != plan.subject.process:
            continue
        if event.kind is EventKind.EXHAUSTED:
            return Next(After.KILLED, event.at, event.text)
        if event.kind is EventKind.RECOVERED:
            after = After.RECYCLED if past.recycled else After.RECOVERED
            if found.after is After.EXHAUSTED and not past.recycled:
                return found
            return Next(after, event.at, event.text)
        if event.kind is EventKind.VERDICT and _is_exhausted(event):
            found = Next(After.EXHAUSTED, event.at, event.text)
        elif event.kind is EventKind.VERDICT and found.after is After.OPEN:
            found = Next(After.OPEN, event.at, event.text)
    return Next(After.RECYCLED) if past.recycled and found.at is None else found


def _verdict_of(event: TimelineEvent) -> Verdict | None:
    try:
        return from_document(Verdict, dict(event.data))
    except InputError:
        return None


def _process_of(event: TimelineEvent) -> ProcessKey | None:
    verdict = _verdict_of(event)
    return verdict.subject.process if verdict is not None else None


def _is_exhausted(event: TimelineEvent) -> bool:
    verdict = _verdict_of(event)
    if verdict is None or verdict.forecast is None:
        return False
    limit = verdict.forecast.limit
    return limit.headroom_bytes <= EXHAUSTED_SHARE * limit.limit_bytes
