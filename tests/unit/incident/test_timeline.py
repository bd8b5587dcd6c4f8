"""The state of an incident is the fold of its timeline."""

import pytest
from tests.fakes import leak
from tests.fakes.clock import FakeClock

from forestall.errors import ForestallError, InputError
from forestall.incident import timeline
from forestall.journal import Journal
from forestall.model.action import ActionKind, OutcomeState
from forestall.model.codec import to_document
from forestall.model.event import EventKind
from forestall.model.incident import IncidentStatus

AT = leak.DETECTED_AT


def test_the_whole_story():
    """Onset, detection, first response and recovery come from the events that say so."""
    found = leak.incident(leak.events(("a" * 64,)))
    assert found.status is IncidentStatus.RESOLVED
    assert found.onset_at == leak.ONSET_AT
    assert (found.detected_at, found.responded_at, found.resolved_at) == (AT, AT + 64, AT + 132)
    assert found.exhausted_at is None
    assert found.evidence == ("a" * 64,)
    assert (found.host, found.service) == (leak.HOST, leak.UNIT)


def test_open_until_it_recovers():
    """Without a recovery it is open, however much was done."""
    found = leak.incident(leak.events(resolved=False))
    assert (found.status, found.resolved_at) == (IncidentStatus.OPEN, None)


def test_acknowledged_by_a_person():
    """A person who takes it is a response, and a status of its own."""
    story = [*leak.events(resolved=False)[:3], leak.event(EventKind.ACKNOWLEDGED, AT + 65)]
    found = leak.incident(story)
    assert (found.status, found.responded_at) == (IncidentStatus.ACKNOWLEDGED, AT + 65)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (ActionKind.NOTIFY, OutcomeState.DONE),
        (ActionKind.RESTART, OutcomeState.WOULD),
        (ActionKind.RESTART, OutcomeState.FAILED),
        (ActionKind.CAPTURE, OutcomeState.REFUSED),
    ],
)
def test_telling_or_failing_is_no_response(kind, state):
    """Only what was really done about it is a response."""
    done = leak.event(EventKind.OUTCOME, AT + 9, leak.outcome(kind, AT + 9, 1, "x", state=state))
    assert leak.incident([*leak.events()[:2], done]).responded_at is None


def test_an_event_counts_once_and_order_does_not_matter():
    """Reading events twice, or backwards, gives the same incident."""
    story = leak.events(("a" * 64,))
    assert leak.incident([*story, *story]) == leak.incident(story)
    assert leak.incident(story[::-1]) == leak.incident(story)


def test_exhaustion_is_recorded_and_reopens():
    """A limit that was reached is kept, and the incident is open again after it."""
    story = [*leak.events(), leak.event(EventKind.EXHAUSTED, AT + 900)]
    found = leak.incident(story)
    assert (found.exhausted_at, found.status) == (AT + 900, IncidentStatus.OPEN)


def test_a_number_without_opening_is_used_again(tmp_path):
    """A maker that died between folder and record leaves no gap in the numbers."""
    folder = str(tmp_path)
    (tmp_path / "INC-20260314-001").mkdir()
    with timeline.exclusive(folder, FakeClock()):
        options = {"key": "h/s", "zone": "UTC", "at": AT}
        first = timeline.start(folder, opened_by="e1", **options)
        second = timeline.start(folder, opened_by="e2", **options)
    assert (first.number, second.number) == ("INC-20260314-001", "INC-20260314-002")


def test_one_writer_at_a_time(tmp_path):
    """A second one waits, and gives up with one clear line."""
    clock = FakeClock()
    with timeline.exclusive(str(tmp_path), clock):
        with (
            pytest.raises(ForestallError, match="another forestall"),
            timeline.exclusive(str(tmp_path), clock),
        ):
            pass
        assert sum(clock.slept) == pytest.approx(10.0)
    with timeline.exclusive(str(tmp_path), clock):
        pass


def test_an_unknown_number_names_those_that_exist(tmp_path):
    """A typo is answered with what there is."""
    with pytest.raises(InputError, match="holds none"):
        timeline.load(str(tmp_path), "INC-20260314-001")
    with timeline.exclusive(str(tmp_path), FakeClock()):
        timeline.start(str(tmp_path), key="h/s", zone="UTC", opened_by="e", at=AT)
    with pytest.raises(InputError) as caught:
        timeline.load(str(tmp_path), "INC-20260314-002")
    assert "INC-20260314-001" in caught.value.help


def test_a_foreign_record_is_named(tmp_path):
    """A journal that holds something else says which record, and of which file."""
    path = timeline.journal_path(str(tmp_path), "INC-20260314-001")
    with Journal(path) as journal:
        journal.append(to_document(leak.events()[0]))
    with pytest.raises(InputError, match=r"timeline\.journal, record 1: expected schema"):
        timeline.load(str(tmp_path), "INC-20260314-001")


def test_an_incident_without_a_whole_record_is_not_called_unknown(tmp_path):
    """Its number exists, so the answer is what is wrong with it, not a list with that number."""
    (tmp_path / "INC-20260314-001").mkdir()
    assert timeline.load(str(tmp_path), "INC-20260314-001") is None
    assert "no whole record" in timeline.unknown(str(tmp_path), "INC-20260314-001").message
