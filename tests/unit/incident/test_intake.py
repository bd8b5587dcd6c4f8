"""The spool becomes incidents, the same ones however often it is read."""

import pytest
from tests.fakes import leak, state
from tests.fakes.clock import FakeClock

from forestall.errors import JournalError
from forestall.incident import intake, timeline
from forestall.incident.site import Site
from forestall.journal import Damage, Journal, read
from forestall.model import codec
from forestall.model.action import ActionKind
from forestall.model.event import EventKind
from forestall.model.incident import IncidentStatus

AT = leak.DETECTED_AT
CHICAGO = Site(zone="America/Chicago")


def collect(folder, site=CHICAGO, **options):
    return intake.collect(str(folder), site, FakeClock(), **options)


def test_nothing_spooled_is_nothing(tmp_path):
    """A host without trouble has no incidents, and asking for them is no error."""
    assert collect(tmp_path) == []
    assert intake.listed(str(tmp_path / "elsewhere")) == []


def test_a_story_is_one_incident(tmp_path):
    """Every event of the trouble is in its timeline, and the number has the local day."""
    state.spool(tmp_path, leak.events())
    (found,) = collect(tmp_path)
    assert found.number == "INC-20260314-001"
    assert found.timeline == leak.incident().timeline
    assert found.status is IncidentStatus.RESOLVED


def test_reading_twice_changes_no_byte(tmp_path):
    """Idempotent: the second reading finds nothing to add."""
    state.spool(tmp_path, leak.events())
    first = collect(tmp_path)
    path = timeline.journal_path(str(tmp_path / "incidents"), first[0].number)
    with open(path, "rb") as file:
        before = file.read()
    assert collect(tmp_path) == first
    with open(path, "rb") as file:
        assert file.read() == before


def test_events_that_come_later_extend_it(tmp_path):
    """An incident read while it was open goes on where it stood."""
    story = leak.events()
    state.spool(tmp_path, story[:3])
    (found,) = collect(tmp_path)
    assert found.status is IncidentStatus.OPEN
    state.spool(tmp_path, story[3:])
    (found,) = collect(tmp_path)
    assert found.timeline == leak.incident().timeline


@pytest.mark.parametrize("cut", range(8))
def test_killed_between_two_records(tmp_path, cut):
    """Whatever part of a timeline was written, the next reading completes it without doubles."""
    state.spool(tmp_path, leak.events())
    whole = collect(tmp_path)
    path = timeline.journal_path(str(tmp_path / "incidents"), whole[0].number)
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    with open(path, "wb") as file:
        file.writelines(lines[:cut])
    assert collect(tmp_path) == whole


def test_two_troubles_of_one_service_are_two_incidents(tmp_path):
    """After its end the same trouble opens a new number; another service has its own."""
    again = [
        leak.event(EventKind.ONSET, AT + 7_000),
        leak.event(EventKind.DETECTED, AT + 8_000),
        leak.event(EventKind.DETECTED, AT + 8_100, key=f"{leak.HOST}/other", id="other"),
    ]
    state.spool(tmp_path, [*leak.events(), *again])
    found = collect(tmp_path)
    assert [(one.number[-3:], one.service) for one in found] == [
        ("001", leak.UNIT),
        ("002", leak.UNIT),
        ("003", "other"),
    ]
    assert found[1].onset_at == AT + 7_000


def test_an_onset_belongs_to_one_incident():
    """A second trouble whose onset nobody noticed does not begin with that of the first."""
    again = leak.event(EventKind.DETECTED, AT + 8_000)
    first, second = intake.group([*leak.events(), again])
    assert first.events[0].kind is EventKind.ONSET
    assert second.events == [again]


def test_growth_that_came_back_opens_nothing(tmp_path):
    """An onset that recovered before detection belongs to no later incident."""
    story = [
        leak.event(EventKind.ONSET, AT - 900),
        leak.event(EventKind.RECOVERED, AT - 600),
        leak.event(EventKind.DETECTED, AT),
    ]
    state.spool(tmp_path, story)
    (found,) = collect(tmp_path)
    assert found.onset_at is None


def test_an_outcome_after_the_end_belongs_to_its_plan(tmp_path):
    """A notice that was sent late is part of the incident it was about, and reopens nothing."""
    late = leak.event(
        EventKind.OUTCOME, AT + 500, leak.outcome(ActionKind.NOTIFY, AT + 500, 1, "x")
    )
    foreign = leak.event(
        EventKind.OUTCOME, AT + 501, leak.outcome(ActionKind.NOTIFY, AT + 501, 1, "x", plan="p9")
    )
    state.spool(tmp_path, [*leak.events(), late, foreign])
    (found,) = collect(tmp_path)
    assert found.timeline[-1] == late
    assert found.status is IncidentStatus.RESOLVED


def test_a_spool_that_forgot_the_beginning(tmp_path):
    """Events of an open incident are taken although its opening has left the spool."""
    story = leak.events()
    state.spool(tmp_path, story[:2])
    collect(tmp_path)
    (tmp_path / "spool.journal").unlink()
    state.spool(tmp_path, story[2:])
    (found,) = collect(tmp_path)
    assert found.timeline == leak.incident().timeline


def test_verdicts_beyond_the_limit_stay_in_the_spool():
    """A flapping verdict cannot fill a timeline; what matters is still taken."""
    story = [leak.event(EventKind.DETECTED, AT)]
    limit = intake.EVENTS_PER_INCIDENT_MAX
    story += [leak.event(EventKind.VERDICT, AT + n, id=f"v{n}") for n in range(limit + 50)]
    story.append(leak.event(EventKind.RECOVERED, AT + 9_999))
    (one,) = intake.group(story)
    assert len(one.events) == limit + 1
    assert one.events[-1].kind is EventKind.RECOVERED


def test_damage_is_told_and_costs_nothing_else(tmp_path):
    """A damaged record of the spool is reported; the incident stands on the others."""
    state.spool(tmp_path, leak.events())
    path = tmp_path / "spool.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"plan", b"plam", 1)
    path.write_bytes(b"".join(lines))
    damaged: list[Damage] = []
    (found,) = collect(tmp_path, damaged=damaged)
    assert EventKind.PLAN not in [event.kind for event in found.timeline]
    assert [one.path for one in damaged] == [str(path)]


def test_an_event_of_another_version_costs_itself_alone(tmp_path):
    """What an agent of another version wrote is reported, and the incident stands."""
    story = leak.events()
    state.spool(tmp_path, story[:2])
    path = tmp_path / "spool.journal"
    with Journal(path) as journal:
        journal.append({**codec.to_document(story[2]), "kind": "unheard-of"})
    state.spool(tmp_path, story[2:])
    damaged: list[Damage] = []
    (found,) = collect(tmp_path, damaged=damaged)
    assert len(found.timeline) == len(story)
    assert [one.path for one in damaged] == [str(path)]
    assert "record 3 is no event: unknown value 'unheard-of' at /kind" in damaged[0].reason


def test_an_incident_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    """A foreign timeline is reported, and the rest is listed."""
    state.spool(tmp_path, leak.events())
    collect(tmp_path)
    foreign = timeline.journal_path(str(tmp_path / "incidents"), "INC-20260314-002")
    with Journal(foreign) as journal:
        journal.append({"schema": "something/else"})
    damaged: list[Damage] = []
    (found,) = collect(tmp_path, damaged=damaged)
    assert found.number == "INC-20260314-001"
    assert [one.path for one in damaged] == [foreign]


def test_a_journal_in_use_is_one_clear_line(tmp_path):
    """A timeline that somebody else writes is an error that says so."""
    story = leak.events()
    state.spool(tmp_path, story[:2])
    (found,) = collect(tmp_path)
    state.spool(tmp_path, story[2:])
    path = timeline.journal_path(str(tmp_path / "incidents"), found.number)
    with Journal(path), pytest.raises(JournalError):
        collect(tmp_path)
    assert len(list(read(path))) == 3
