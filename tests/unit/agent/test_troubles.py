import json
from dataclasses import replace

from forestall.agent.troubles import CONFIRM_SECONDS, SUCCESSOR_SECONDS, Troubles
from forestall.model.action import Action, ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.codec import dumps
from forestall.model.event import EventKind
from forestall.model.sample import ProcessKey, ProcessSample
from forestall.model.verdict import Subject, Verdict, VerdictKind

LEAKING, EXHAUSTING, STEADY, GROWING = (
    VerdictKind.LEAKING,
    VerdictKind.EXHAUSTING,
    VerdictKind.STEADY,
    VerdictKind.GROWING,
)


def key(pid=7, start=100) -> ProcessKey:
    return ProcessKey(boot_id="boot", pid=pid, start_ticks=start)


def verdict(kind, at, process=None, name="feed", unit=None) -> Verdict:
    subject = Subject(host="h", name=name, process=process or key(), unit=unit)
    return Verdict(
        subject=subject, kind=kind, at=at, memory_bytes=1 << 30, reasons=("Why.",), onset_at=1.0
    )


def kinds(events):
    return [event.kind for event in events]


def sample(process, name="feed", unit=None) -> ProcessSample:
    return ProcessSample(key=process, name=name, rss_bytes=1000, unit=unit)


def outcome(kind, state, plan_id="p") -> Outcome:
    return Outcome(
        plan_id=plan_id,
        action_id=f"1-{kind}",
        kind=kind,
        subject=verdict(LEAKING, 1.0).subject,
        state=state,
        at=50.0,
        took_seconds=1.0,
        detail="Done.",
        evidence="b" * 64 if kind is ActionKind.CAPTURE else None,
    )


def test_only_bad_verdicts_open_a_trouble():
    """Growth is no trouble, a leak is: its onset, then its detection."""
    troubles = Troubles("h")
    assert troubles.judged(verdict(GROWING, 10.0)) == []
    events = troubles.judged(verdict(LEAKING, 20.0))
    assert kinds(events) == [EventKind.ONSET, EventKind.DETECTED]
    assert [event.at for event in events] == [1.0, 20.0]
    assert troubles.of(key()).bad_since == 20.0


def test_the_same_verdict_again_says_nothing_and_another_kind_once():
    """Only changes are events."""
    troubles = Troubles("h")
    troubles.judged(verdict(LEAKING, 20.0))
    assert troubles.judged(verdict(LEAKING, 30.0)) == []
    assert kinds(troubles.judged(verdict(EXHAUSTING, 40.0))) == [EventKind.VERDICT]
    assert troubles.of(key()).bad_since == 20.0


def test_a_milder_verdict_breaks_the_time_it_lasts():
    """What guard counts as lasting starts anew after a break."""
    troubles = Troubles("h")
    troubles.judged(verdict(LEAKING, 20.0))
    troubles.judged(verdict(GROWING, 30.0))
    assert not troubles.of(key()).actionable
    troubles.judged(verdict(LEAKING, 40.0))
    assert troubles.of(key()).bad_since == 40.0
    assert troubles.of(key()).actionable


def test_steady_again_is_the_recovery():
    """After it, the same process may be in trouble again, as a new one."""
    troubles = Troubles("h")
    first = troubles.judged(verdict(LEAKING, 20.0))
    assert kinds(troubles.judged(verdict(STEADY, 30.0))) == [EventKind.RECOVERED]
    second = troubles.judged(verdict(LEAKING, 40.0))
    assert kinds(second) == [EventKind.ONSET, EventKind.DETECTED]
    assert first[1].id != second[1].id


def test_two_processes_of_one_service_recover_together():
    """The incident of a service ends with the last of its processes."""
    troubles = Troubles("h")
    for pid in (7, 8):
        troubles.judged(verdict(LEAKING, 20.0, key(pid), unit="feed.service"))
    assert troubles.judged(verdict(STEADY, 30.0, key(7), unit="feed.service")) == []
    events = troubles.judged(verdict(STEADY, 40.0, key(8), unit="feed.service"))
    assert kinds(events) == [EventKind.RECOVERED]
    assert events[0].key == "h/feed.service"


def test_a_process_that_renames_itself_stays_the_same_trouble():
    """A new name neither opens a second incident nor moves the events of the first."""
    troubles = Troubles("h")
    troubles.judged(verdict(LEAKING, 20.0))
    events = troubles.judged(verdict(EXHAUSTING, 30.0, name="innocent"))
    assert [event.key for event in events] == ["h/feed"]


def test_a_restart_recovers_when_the_successor_is_seen():
    """Gone is not recovered: the service is, once a younger process of it runs."""
    troubles = Troubles("h")
    troubles.judged(verdict(LEAKING, 20.0))
    troubles.ended(outcome(ActionKind.RESTART, OutcomeState.DONE))
    assert troubles.vanished(key(), 60.0, oom_kills=0) == []
    assert troubles.waiting
    others = (sample(key(9, 200), "other"), sample(key(6, 50)))
    assert troubles.seen(others, 61.0) == []
    events = troubles.seen((*others, sample(key(8, 200))), 62.0)
    assert kinds(events) == [EventKind.RECOVERED]
    assert "process 8" in events[0].text
    assert not troubles.waiting


def test_a_restart_that_failed_is_no_recovery():
    """The process is gone, the service did not come back: no recovery is told."""
    troubles = Troubles("h")
    troubles.judged(verdict(LEAKING, 20.0))
    troubles.ended(outcome(ActionKind.RESTART, OutcomeState.FAILED))
    assert troubles.vanished(key(), 60.0, oom_kills=0) == []
    assert troubles.seen((), 61.0) == []
    assert troubles.seen((), 62.0 + SUCCESSOR_SECONDS) == []
    assert troubles.open() == ()


def test_what_did_not_happen_changes_nothing():
    """A would-have is no act: when the process then ends, it ended by itself."""
    troubles = Troubles("h")
    troubles.judged(verdict(LEAKING, 20.0))
    troubles.ended(outcome(ActionKind.RESTART, OutcomeState.WOULD))
    (event,) = troubles.vanished(key(), 60.0, oom_kills=0)
    assert event.kind is EventKind.RECOVERED
    assert "no out-of-memory kill was counted" in event.text


def test_an_oom_kill_is_an_exhaustion_and_an_unknown_end_is_said_to_be_one():
    """The kernel's counter decides what is said, and its absence is said too."""
    troubles = Troubles("h")
    troubles.judged(verdict(LEAKING, 20.0))
    (event,) = troubles.vanished(key(), 60.0, oom_kills=2)
    assert event.kind is EventKind.EXHAUSTED
    assert "2 out-of-memory kills" in event.text
    other = Troubles("h")
    other.judged(verdict(LEAKING, 20.0))
    (event,) = other.vanished(key(), 60.0, oom_kills=None)
    assert "nobody saw why" in event.text


def test_a_secret_of_a_restart_command_is_not_told():
    """The spool goes into reviews, which travel."""
    found = verdict(LEAKING, 20.0)
    command = json.dumps(["/usr/bin/restarter", "--password=Fz8kQ2vTn4"])
    action = Action(
        id="2-restart",
        kind=ActionKind.RESTART,
        subject=found.subject,
        timeout_seconds=1.0,
        parameters={"method": "command", "command": command},
    )
    plan = Plan(id="p", at=30.0, mode=Mode.ACT, verdict=found, actions=(action,), because=("B.",))
    told = dumps(Troubles("h").planned(plan))
    assert "Fz8kQ2vTn4" not in told
    assert "/usr/bin/restarter" in told


def test_plans_and_outcomes_become_events_with_ids_of_their_own():
    """The id follows from the plan's, so that telling twice changes nothing; evidence is named."""
    troubles = Troubles("h")
    found = verdict(LEAKING, 20.0)
    action = Action(
        id="1-capture", kind=ActionKind.CAPTURE, subject=found.subject, timeout_seconds=1.0
    )
    plan = Plan(id="p", at=30.0, mode=Mode.ACT, verdict=found, actions=(action,), because=("B.",))
    event = troubles.planned(plan)
    assert (event.kind, event.key, event.data["id"]) == (EventKind.PLAN, "h/feed", "p")
    assert event == troubles.planned(plan)
    assert "would" in troubles.planned(replace(plan, mode=Mode.OBSERVE)).text
    told = troubles.ended(outcome(ActionKind.CAPTURE, OutcomeState.DONE))
    assert told.evidence == ("b" * 64,)
    assert told.id != event.id


def test_the_events_fold_back_into_the_same_troubles():
    """An agent that reads its spool knows what is open, since when, and what was done about it."""
    troubles, told = Troubles("h"), []
    told += troubles.judged(verdict(LEAKING, 20.0, key(1), name="a"))
    told += troubles.judged(verdict(LEAKING, 20.0, key(2), name="b"))
    told += troubles.judged(verdict(LEAKING, 20.0, key(7)))
    told += troubles.judged(verdict(EXHAUSTING, 30.0, key(7)))
    told += troubles.judged(verdict(STEADY, 30.0, key(2), name="b"))
    told.append(troubles.ended(outcome(ActionKind.RESTART, OutcomeState.DONE)))
    again = Troubles("h")
    for event in told:
        again.restore(event)
    assert {t.subject.process for t in again.open()} == {key(1), key(7)}
    for process in (key(1), key(7)):
        was, now = troubles.of(process), again.of(process)
        assert (was.key, was.verdict, was.bad_since, was.acted) == (
            now.key,
            now.verdict,
            now.bad_since,
            now.acted,
        )


def test_a_restored_trouble_waits_for_this_agents_own_judgement():
    """A judge that starts afresh is mild at first: no recovery, and nothing to act on either."""
    first = Troubles("h")
    told = first.judged(verdict(LEAKING, 20.0))
    again = Troubles("h")
    for event in told:
        again.restore(event)
    assert again.judged(verdict(STEADY, 100.0)) == []
    assert not again.of(key()).actionable
    assert again.judged(verdict(LEAKING, 200.0)) == []
    assert again.of(key()).actionable
    assert kinds(again.judged(verdict(STEADY, 300.0))) == [EventKind.RECOVERED]


def test_a_restored_trouble_does_not_wait_for_ever():
    """After its time the new judge is believed, whatever it says."""
    again = Troubles("h")
    for event in Troubles("h").judged(verdict(LEAKING, 20.0)):
        again.restore(event)
    again.judged(verdict(STEADY, 100.0))
    events = again.judged(verdict(STEADY, 100.0 + CONFIRM_SECONDS))
    assert kinds(events) == [EventKind.RECOVERED]
