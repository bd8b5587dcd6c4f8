"""One append-only journal per incident; what is known about an incident is its fold."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from forestall.clock import Clock
from forestall.errors import ForestallError, InputError
from forestall.incident import numbers
from forestall.journal import Damage, Journal, read, sync_folder
from forestall.model import codec
from forestall.model.action import ActionKind, OutcomeState
from forestall.model.codec import Json, Noun
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.incident import Incident, IncidentStatus, Opening

_LOCK_TRIES = 100
_LOCK_WAIT_SECONDS = 0.1

_RESPONSES = (
    ActionKind.CONTAIN,
    ActionKind.SWITCHOVER,
    ActionKind.CAPTURE,
    ActionKind.STOP,
    ActionKind.RESTART,
)
_ENDS = (EventKind.RECOVERED, EventKind.RESOLVED)
_STARTS = (EventKind.DETECTED, EventKind.EXHAUSTED)


def fold(opening: Opening, events: Iterable[TimelineEvent]) -> Incident:
    """The state of an incident. Pure; an event id counts once, in whatever order events come."""
    first: dict[str, TimelineEvent] = {}
    for event in events:
        first.setdefault(event.id, event)
    timeline = tuple(sorted(first.values(), key=lambda event: (event.at, event.id)))
    status, resolved_at = _status(timeline)
    return Incident(
        number=opening.number,
        key=opening.key,
        status=status,
        zone=opening.zone,
        timeline=timeline,
        onset_at=_onset(timeline),
        detected_at=_first(timeline, _STARTS),
        responded_at=_responded(timeline),
        exhausted_at=_first(timeline, (EventKind.EXHAUSTED,)),
        resolved_at=resolved_at,
        evidence=tuple(dict.fromkeys(one for event in timeline for one in event.evidence)),
    )


def _status(timeline: Iterable[TimelineEvent]) -> tuple[IncidentStatus, float | None]:
    status, resolved_at = IncidentStatus.OPEN, None
    for event in timeline:
        if event.kind in _ENDS:
            status, resolved_at = IncidentStatus.RESOLVED, event.at
        elif event.kind in _STARTS:
            status, resolved_at = IncidentStatus.OPEN, None
        elif event.kind is EventKind.ACKNOWLEDGED and status is IncidentStatus.OPEN:
            status = IncidentStatus.ACKNOWLEDGED
    return status, resolved_at


def _onset(timeline: Iterable[TimelineEvent]) -> float | None:
    """When growth began, as the verdict that detected it says; else when it was first noticed."""
    noticed = None
    for event in timeline:
        told = event.data.get("onset_at")
        if event.kind is EventKind.DETECTED and isinstance(told, int | float):
            return float(told)
        if event.kind is EventKind.ONSET and noticed is None:
            noticed = float(told) if isinstance(told, int | float) else event.at
    return noticed


def _first(timeline: Iterable[TimelineEvent], kinds: tuple[EventKind, ...]) -> float | None:
    return next((event.at for event in timeline if event.kind in kinds), None)


def is_response(event: TimelineEvent) -> bool:
    """Whether something was really done: a person took it, or guard acted and it succeeded."""
    if event.kind is EventKind.ACKNOWLEDGED:
        return True
    return (
        event.kind is EventKind.OUTCOME
        and event.data.get("kind") in _RESPONSES
        and event.data.get("state") == OutcomeState.DONE
    )


def _responded(timeline: Iterable[TimelineEvent]) -> float | None:
    return next((event.at for event in timeline if is_response(event)), None)


def journal_path(folder: str, number: str) -> str:
    """Where the timeline of `number` is kept under the folder of all incidents."""
    return os.path.join(folder, number, "timeline.journal")


@contextmanager
def exclusive(folder: str, clock: Clock) -> Iterator[None]:
    """One writer of incidents at a time: two would open the same trouble under two numbers.

    The kernel drops the lock when its holder dies. Raises ForestallError when another process
    keeps it for longer than reading a spool takes.
    """
    path = os.path.join(folder, ".lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                clock.sleep(_LOCK_WAIT_SECONDS)
        else:
            raise ForestallError(
                f"{path}: another forestall is reading the spool", help="try again in a moment"
            )
        yield
    finally:
        os.close(descriptor)


def start(folder: str, *, key: str, zone: str, opened_by: str, at: float) -> Opening:
    """Allocate the next number of that local day and write the opening record.

    The caller holds `exclusive(folder)`. Making the folder takes the number; a folder whose maker
    died before the opening record was safe is taken over, so numbers stay without gaps.
    """
    for number in numbers.candidates(at, zone):
        path = journal_path(folder, number)
        try:
            os.mkdir(os.path.dirname(path), 0o700)
            sync_folder(folder)
        except FileExistsError:
            # Only a journal that never began is free; a ruined one still holds this number.
            if os.path.exists(path) and os.path.getsize(path):
                continue
        opening = Opening(number=number, key=key, zone=zone, opened_by=opened_by, opened_at=at)
        with Journal(path) as journal:
            journal.append(codec.to_document(opening))
        return opening
    raise AssertionError("candidates() raises before it ends")


def load(
    folder: str, number: str, *, damaged: list[Damage] | None = None
) -> tuple[Opening, Incident] | None:
    """An incident as its journal tells it; None for a folder whose opening was never written.

    Damaged records are skipped and reported in `damaged`.
    Raises InputError for an unknown number, naming those that exist, and for a foreign record.
    """
    path = journal_path(folder, number)
    if not os.path.isdir(os.path.join(folder, number)):
        raise unknown(folder, number)
    records = [record.data for record in read(path, damaged=damaged)]
    if not records:
        return None
    opening = _decode(Opening, records[0], path, 1)
    events = [
        _decode(TimelineEvent, data, path, line) for line, data in enumerate(records[1:], start=2)
    ]
    return opening, fold(opening, events)


def _decode(cls: type[Noun], data: Json, path: str, record: int) -> Noun:
    try:
        return codec.from_document(cls, data)
    except InputError as error:
        raise InputError(f"{path}, record {record}: {error.message}", help=error.help) from None


def unknown(folder: str, number: str) -> InputError:
    """The error for a number nobody has given out, with the ones that exist."""
    known = numbers.listed(folder)
    if not known:
        return InputError(
            f"no incident {number}: {folder} holds none",
            help="`forestall watch` writes what it detects; `--state DIR` names another folder",
        )
    if number in known:
        return InputError(
            f"{journal_path(folder, number)}: no whole record",
            help="it was cut off by a crash before its first record, or is ruined",
        )
    shown = ", ".join(known[-10:])
    return InputError(f"no incident {number}", help=f"the latest {min(10, len(known))}: {shown}")
