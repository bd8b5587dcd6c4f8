"""What happened after a plan, as the events of the spool tell it."""

import pytest
from tests.fakes.guard import ALLOWED, BOOT_ID, state_of, verdict_of

from forestall.cli.guard_next import After, next_of
from forestall.guard.decision import decide
from forestall.guard.history import History, Past
from forestall.model.action import Mode, Outcome, OutcomeState
from forestall.model.codec import to_document
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Subject, VerdictKind
from forestall.units import HOUR, MIB

AT = 1_700_000_000.0


def subject(pid=10):
    key = ProcessKey(boot_id=BOOT_ID, pid=pid, start_ticks=1)
    return Subject(host="h", name="feed-sync", process=key)


def event(kind, after, *, pid=10, headroom=400 * MIB, verdict=VerdictKind.LEAKING):
    told = verdict_of(subject(pid), verdict, at=AT + after, headroom=headroom)
    return TimelineEvent(
        id=f"{kind}-{after}",
        at=AT + after,
        kind=kind,
        key="h/feed-sync",
        source="agent",
        text="It was told.",
        data=to_document(told),
    )


def past(mode=Mode.OBSERVE, state=OutcomeState.WOULD):
    plan = decide(verdict_of(subject()), state_of(AT, mode), ALLOWED, History())
    outcomes = tuple(
        Outcome(
            plan_id=plan.id,
            action_id=action.id,
            kind=action.kind,
            subject=action.subject,
            state=state,
            at=AT,
            took_seconds=0.0,
            detail="So it was.",
        )
        for action in plan.actions
    )
    return Past(plan=plan, outcomes=outcomes)


@pytest.mark.parametrize(
    ("events", "after", "at"),
    [
        ([], After.OPEN, None),
        ([event(EventKind.RECOVERED, HOUR)], After.RECOVERED, HOUR),
        ([event(EventKind.EXHAUSTED, HOUR)], After.KILLED, HOUR),
        ([event(EventKind.VERDICT, HOUR, headroom=MIB)], After.EXHAUSTED, HOUR),
        ([event(EventKind.VERDICT, HOUR)], After.OPEN, HOUR),
        (
            [event(EventKind.VERDICT, HOUR, headroom=0), event(EventKind.EXHAUSTED, 2 * HOUR)],
            After.KILLED,
            2 * HOUR,
        ),
        ([event(EventKind.EXHAUSTED, -HOUR)], After.OPEN, None),
        ([event(EventKind.EXHAUSTED, HOUR, pid=11)], After.OPEN, None),
    ],
)
def test_a_would_have_is_followed_to_its_end(events, after, at):
    """Recovered by itself, ran out, killed by the kernel, or still open; only of that process."""
    found = next_of(past(), events)
    assert found.after is after
    assert found.at == (None if at is None else AT + at)


def test_what_was_recycled_did_not_recover_by_itself():
    """The end of the trouble after a restart is the restart's."""
    done = past(Mode.ACT, OutcomeState.DONE)
    assert next_of(done, []).after is After.RECYCLED
    assert next_of(done, [event(EventKind.RECOVERED, 30)]).after is After.RECYCLED


def test_the_sentence_says_how_long_it_took():
    """For a person who decides whether to let guard act."""
    found = next_of(past(), [event(EventKind.EXHAUSTED, HOUR)])
    assert found.sentence(AT) == "OOM-killed 1 h later. It was told."
