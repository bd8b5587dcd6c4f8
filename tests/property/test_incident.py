"""Whatever the spool holds and whenever it is read, an event counts once, in one incident."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import leak

from forestall.incident import intake
from forestall.incident.intake import Group
from forestall.incident.timeline import fold
from forestall.model.action import ActionKind
from forestall.model.event import EventKind
from forestall.model.incident import IncidentStatus, Opening

KINDS = (
    EventKind.ONSET,
    EventKind.DETECTED,
    EventKind.VERDICT,
    EventKind.OUTCOME,
    EventKind.EXHAUSTED,
    EventKind.ACKNOWLEDGED,
    EventKind.RECOVERED,
    EventKind.NOTE,
)
BAD = (EventKind.DETECTED, EventKind.EXHAUSTED)


@st.composite
def spools(draw):
    """Up to 40 events of two services, some of them written twice."""
    drawn = draw(
        st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("ab"), st.integers(0, 9)))
    )
    events = []
    for number, (kind, service, delay) in enumerate(drawn[:40]):
        at = 1_000.0 + 10 * number + delay
        data = leak.outcome(ActionKind.NOTIFY, at, 1, "x") if kind is EventKind.OUTCOME else None
        events.append(leak.event(kind, at, data, key=f"h/{service}", id=f"e{number}"))
    twice = draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    return [*events, *twice]


@given(spools())
@settings(deadline=None)
def test_each_event_belongs_to_one_incident_at_most(events):
    """Grouping loses no event after an opening, takes none twice, and never mixes services."""
    groups = intake.group(events)
    taken = [event.id for one in groups for event in one.events]
    assert len(taken) == len(set(taken))
    for one in groups:
        assert {event.key for event in one.events} == {one.key}
        assert any(event.id == one.opened_by for event in one.events)
    bad = {event.id for event in events if event.kind in BAD}
    assert bad <= set(taken)


@given(spools(), st.data())
@settings(deadline=None)
def test_reading_in_parts_is_reading_at_once(events, data):
    """Read up to any point, forgotten up to any earlier one, and read on: the same incidents."""
    cut = data.draw(st.integers(0, len(events)))
    whole = {one.opened_by: [e.id for e in one.events] for one in intake.group(events)}
    before = intake.group(events[:cut])
    seen = {event.id for event in events[:cut]}
    rest = [event for event in events[cut:] if event.id not in seen]
    waiting = _onsets(events[:cut], before)
    known = [
        Group(
            opened_by=one.opened_by,
            key=one.key,
            opened_at=one.opened_at,
            is_open=one.is_open,
            plan_ids=set(one.plan_ids),
            events=list(one.events),
        )
        for one in before
    ]
    after = intake.group([*waiting, *rest], known)
    assert {one.opened_by: [e.id for e in one.events] for one in after} == whole


def _onsets(events, groups):
    """Onsets that no incident has taken: they still lie in the spool."""
    taken = {event.id for one in groups for event in one.events}
    kept = {}
    for event in events:
        if event.id in taken:
            continue
        if event.kind is EventKind.ONSET:
            kept[event.key] = event
        if event.kind is EventKind.RECOVERED:
            kept.pop(event.key, None)
    opened_later = {one.key: max(e.at for e in one.events) for one in groups}
    return [one for key, one in kept.items() if one.at > opened_later.get(key, 0)]


@given(spools(), st.randoms())
@settings(deadline=None)
def test_the_fold_does_not_depend_on_order_or_repetition(events, random):
    """The state follows from which events there are, not from how they came."""
    opening = Opening(number="INC-20260314-001", key="h/a", zone="UTC", opened_by="e", opened_at=0)
    shuffled = [*events, *events]
    random.shuffle(shuffled)
    found = fold(opening, shuffled)
    assert found == fold(opening, events)
    assert (found.status is IncidentStatus.RESOLVED) == (found.resolved_at is not None)
    times = [event.at for event in found.timeline]
    assert times == sorted(times)
