"""The agent's spool into incidents: idempotent, so it may be killed or run twice at any point."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from forestall.clock import Clock
from forestall.errors import InputError
from forestall.incident import numbers, timeline
from forestall.incident.site import Site
from forestall.journal import Damage, Journal, make_folder, read
from forestall.model import codec
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.incident import Incident, Opening

EVENTS_PER_INCIDENT_MAX = 5_000

_OPENING = (EventKind.DETECTED, EventKind.EXHAUSTED)
_CLOSING = (EventKind.RECOVERED, EventKind.RESOLVED)


@dataclass(slots=True, kw_only=True)
class Group:
    """The events of one incident, in the order of the spool, before it has a number."""

    opened_by: str
    key: str
    opened_at: float
    is_open: bool = True
    plan_ids: set[str] = field(default_factory=set)
    events: list[TimelineEvent] = field(default_factory=list)

    def take(self, event: TimelineEvent) -> None:
        """Add an event; verdicts are left in the spool once the incident has its share."""
        if len(self.events) >= EVENTS_PER_INCIDENT_MAX and event.kind is EventKind.VERDICT:
            return
        self.events.append(event)
        if event.kind is EventKind.PLAN:
            self.plan_ids.add(str(event.data.get("id")))
        if event.kind in _CLOSING:
            self.is_open = False


def group(events: Iterable[TimelineEvent], known: Iterable[Group] = ()) -> list[Group]:
    """Which events belong to which incident. Pure: the same spool always gives the same groups.

    `known` are incidents whose opening event is no longer in the spool. DETECTED or EXHAUSTED
    opens an incident when the key has none open, and takes the ONSET before it along; RECOVERED
    closes it. An outcome that comes after the end still belongs to the incident of its plan.
    """
    groups: list[Group] = []
    latest: dict[str, Group] = {}
    for one in known:
        groups.append(one)
        latest[one.key] = one
    onset: dict[str, TimelineEvent] = {}
    seen: set[str] = set()
    for event in events:
        if event.id in seen:
            continue
        seen.add(event.id)
        current = latest.get(event.key)
        if current is not None and current.is_open:
            current.take(event)
        elif event.kind in _OPENING:
            current = Group(opened_by=event.id, key=event.key, opened_at=event.at)
            before = onset.pop(event.key, None)
            for one_event in (before, event) if before else (event,):
                current.take(one_event)
            groups.append(current)
            latest[event.key] = current
        elif event.kind is EventKind.OUTCOME and current is not None:
            if str(event.data.get("plan_id")) in current.plan_ids:
                current.take(event)
        elif event.kind is EventKind.ONSET:
            onset[event.key] = event
        elif event.kind in _CLOSING:
            onset.pop(event.key, None)
    return groups


def collect(
    state_folder: str, site: Site, clock: Clock, *, damaged: list[Damage] | None = None
) -> list[Incident]:
    """Bring the incidents up to date with the spool, and return all of them by number.

    Crash-safe and idempotent. Records that are damaged, or no events, are skipped and reported
    in `damaged`.
    Raises ForestallError when another process is collecting and does not finish.
    """
    folder = os.path.join(state_folder, "incidents")
    events = list(_spool(os.path.join(state_folder, "spool.journal"), damaged))
    if not events and not os.path.isdir(folder):
        return []
    make_folder(folder)
    with timeline.exclusive(folder, clock):
        opened = _load_all(folder, damaged)
        by_event = {opening.opened_by: opening for opening, _ in opened}
        have = {opening.number: {e.id for e in one.timeline} for opening, one in opened}
        changed = False
        for one in group(events, _known(opened, {event.id for event in events})):
            opening = by_event.get(one.opened_by)
            changed |= _store(folder, one, opening, have, site)
        return [one for _, one in (_load_all(folder, None) if changed else opened)]


def listed(state_folder: str, *, damaged: list[Damage] | None = None) -> list[Incident]:
    """All incidents by number, as they are on disk; writes nothing."""
    folder = os.path.join(state_folder, "incidents")
    return [one for _, one in _load_all(folder, damaged)]


def _store(
    folder: str, one: Group, opening: Opening | None, have: dict[str, set[str]], site: Site
) -> bool:
    """Write what is missing of one group; whether anything was."""
    missing = one.events
    if opening is None:
        opening = timeline.start(
            folder,
            key=one.key,
            zone=site.zone_or_utc,
            opened_by=one.opened_by,
            at=one.opened_at,
        )
    else:
        missing = [event for event in missing if event.id not in have[opening.number]]
    if missing:
        with Journal(timeline.journal_path(folder, opening.number)) as journal:
            journal.append_all(codec.to_document(event) for event in missing)
    return bool(missing)


def _load_all(folder: str, damaged: list[Damage] | None) -> list[tuple[Opening, Incident]]:
    """All incidents by number; one that cannot be read must not hide the others."""
    loaded = []
    for number in numbers.listed(folder):
        try:
            one = timeline.load(folder, number, damaged=damaged)
        except InputError as error:
            if damaged is not None:
                path = timeline.journal_path(folder, number)
                damaged.append(Damage(path, 0, 0, error.message))
            continue
        if one is not None:
            loaded.append(one)
    return loaded


def _known(opened: list[tuple[Opening, Incident]], in_spool: set[str]) -> list[Group]:
    groups = []
    for opening, incident in opened:
        if opening.opened_by in in_spool:
            continue
        one = Group(opened_by=opening.opened_by, key=opening.key, opened_at=opening.opened_at)
        for event in incident.timeline:
            one.take(event)
        groups.append(one)
    return sorted(groups, key=lambda one: one.opened_at)


def _spool(path: str, damaged: list[Damage] | None) -> Iterator[TimelineEvent]:
    for record in read(path, damaged=damaged):
        try:
            yield codec.from_document(TimelineEvent, record.data)
        except InputError as error:
            # An agent of another version may write what this one does not know; its other events
            # still tell of the same troubles.
            if damaged is not None:
                reason = f"record {record.sequence} is no event: {error.message}"
                damaged.append(Damage(path, 0, 0, reason))
