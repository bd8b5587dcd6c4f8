"""The executor as a playbook: what is recorded, what is done, and in which order."""

import dataclasses

import pytest
from tests.fakes.fleet import Fleet, containment_of, host_verdict
from tests.fakes.guard import ALLOWED, OWN_PID, Stage, state_of, verdict_of

from forestall.errors import ForestallError
from forestall.guard.decision import decide
from forestall.guard.history import History, fold
from forestall.guard.ownership import Ownership
from forestall.guard.recheck import Recheck
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import ActionKind, Mode, OutcomeState, Plan
from forestall.model.verdict import VerdictKind
from forestall.units import HOUR, MINUTE

ALL_WENT_WELL = [
    "record plan",
    "do capture 4711",
    "record capture done",
    "do restart 4711",
    "record restart done",
    "do notify 4711",
    "record notify done",
]


def plan_for(subject, mode=Mode.ACT, **options):
    low = options.pop("low", 40 * MINUTE)
    return decide(verdict_of(subject, low=low), state_of(mode=mode, **options), ALLOWED, History())


def test_the_plan_is_recorded_before_anything_is_done_and_each_outcome_after():
    """Record, do, record: a crash at any point leaves on disk what may have been done."""
    stage = Stage()
    outcomes = stage.executor.execute(plan_for(stage.service()))
    assert stage.played == ALL_WENT_WELL
    assert [outcome.state for outcome in outcomes] == [OutcomeState.DONE] * 3
    assert outcomes[0].evidence == "b" * 64
    assert [outcome.took_seconds for outcome in outcomes] == [1.5] * 3
    assert outcomes[1].detail == "The restart was done."


def test_observe_touches_nothing():
    """Observe records what would have been done, and calls no handler."""
    stage = Stage()
    stage.executor.execute(plan_for(stage.service(), Mode.OBSERVE))
    assert stage.played == [
        "record plan",
        "record capture would",
        "record restart would",
        "record notify would",
    ]


def test_advise_tells_and_does_no_more():
    """Advise carries the notify out; the rest is recorded as would-have."""
    stage = Stage()
    stage.executor.execute(plan_for(stage.service(), Mode.ADVISE))
    assert stage.played == [
        "record plan",
        "record capture would",
        "record restart would",
        "do notify 4711",
        "record notify done",
    ]


def test_observe_says_when_it_would_have_been_refused():
    """A would-have that act mode would refuse is not shown as a would-have."""
    stage = Stage()
    plan = plan_for(stage.service(), Mode.OBSERVE)
    stage.processes.end(4711)
    outcomes = stage.executor.execute(plan)
    assert [outcome.state.value for outcome in outcomes] == ["would", "refused", "would"]
    assert outcomes[1].detail == "Process 4711 has ended by itself."


def test_a_plan_is_never_carried_out_twice():
    """The same plan again is a no-op, also for an executor that only read of it."""
    stage = Stage()
    plan = plan_for(stage.service())
    stage.executor.execute(plan)
    assert stage.executor.execute(plan) == ()
    assert stage.played == ALL_WENT_WELL
    other = Stage(history=fold([plan]))
    other.service()
    assert other.executor.execute(plan) == ()
    assert other.played == []


def test_an_idle_plan_leaves_no_trace():
    """Waiting is not worth a record."""
    stage = Stage()
    idle = plan_for(stage.service(), troubled_since=1_700_000_000.0)
    assert idle.idle
    assert stage.executor.execute(idle) == ()
    assert stage.played == []


@pytest.mark.parametrize("how", ["fault", "os", "verify", "precondition"])
def test_without_evidence_nothing_is_taken_down(how):
    """A capture that fails in any way stops the plan, and people are told."""
    stage = Stage()
    handler = stage.handlers[ActionKind.CAPTURE]
    if how == "fault":
        handler.fault = ForestallError("no room", help="free some")
    elif how == "os":
        handler.fault = OSError(28, "No space left on device", "evidence")
    elif how == "verify":
        handler.problem = "A byte is wrong."
    else:
        handler.reason = "Not here."
    outcomes = stage.executor.execute(plan_for(stage.service()))
    state, said = "failed", "failed"
    if how == "precondition":
        state, said = "refused", "was refused"
    assert [outcome.state.value for outcome in outcomes] == [state, "skipped", "done"]
    assert "do restart 4711" not in stage.played
    assert outcomes[1].detail == f"Not done, because the capture {said}."
    details = {
        "fault": "no room; free some.",
        "os": "evidence: No space left on device.",
        "verify": "The capture was done. A byte is wrong.",
        "precondition": "Not here.",
    }
    assert outcomes[0].detail == details[how]


def test_evidence_that_does_not_verify_is_still_named():
    """A bundle that was made is kept, whatever came after."""
    stage = Stage()
    stage.handlers[ActionKind.CAPTURE].problem = "A byte is wrong."
    assert stage.executor.execute(plan_for(stage.service()))[0].evidence == "b" * 64


def test_when_exhaustion_is_imminent_a_failed_capture_is_recorded_and_gone_past():
    """The reason why not is on disk before the restart."""
    stage = Stage()
    stage.handlers[ActionKind.CAPTURE].fault = ForestallError("no room")
    outcomes = stage.executor.execute(plan_for(stage.service(), low=5 * MINUTE))
    assert [outcome.state.value for outcome in outcomes] == ["failed", "done", "done"]
    assert stage.played.index("record capture failed") < stage.played.index("do restart 4711")


def test_a_failed_restart_is_recorded_and_told():
    """Half-failed: nothing more is done, the evidence stays, people are told."""
    stage = Stage()
    stage.handlers[ActionKind.RESTART].problem = "No new process came."
    outcomes = stage.executor.execute(plan_for(stage.service()))
    assert [outcome.state.value for outcome in outcomes] == ["done", "failed", "done"]
    assert outcomes[1].detail == "The restart was done. No new process came."


def test_a_failed_notify_is_recorded_and_undoes_nothing():
    """People who could not be told are a FAILED outcome, not the end of the guard."""
    stage = Stage()
    stage.handlers[ActionKind.NOTIFY].fault = ForestallError("webhook: no answer")
    outcomes = stage.executor.execute(plan_for(stage.service()))
    assert [outcome.state.value for outcome in outcomes] == ["done", "done", "failed"]


def refused_by(stage, plan):
    outcome = stage.executor.execute(plan)[1]
    assert outcome.state is OutcomeState.REFUSED
    assert "do restart 4711" not in stage.played
    return outcome.detail


def test_a_pid_that_was_given_away_is_refused():
    """Same pid, other start time: another process, which nobody judged."""
    stage = Stage()
    plan = plan_for(stage.service())
    stage.processes.start(4711, "feed-sync")
    assert refused_by(stage, plan) == (
        "Process 4711 is another one now, feed-sync: it started at tick 1002, and the judged "
        "one at tick 1001."
    )


def test_another_boot_is_refused():
    """Same pid and start time on another boot: another process."""
    stage = Stage()
    plan = plan_for(stage.service())
    live = stage.processes.table[4711]
    other = dataclasses.replace(live.key, boot_id="another")
    stage.processes.table[4711] = dataclasses.replace(live, key=other)
    assert "is another one now" in refused_by(stage, plan)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("postgres", {}, "never touches postgres."),
        ("feed-sync", {"words": ("postgres: checkpointer",)}, "postgres: checkpointer"),
        ("python3", {"words": ("/usr/bin/python3", "-I", "/usr/bin/patroni")}, "patroni"),
        ("feed-sync", {"unit": "redis-server.service"}, "redis-server.service"),
        ("feed-sync", {"kernel_thread": True}, "thread of the kernel"),
        ("sshd-session", {}, "sshd"),
        ("systemd-journal", {}, "systemd-"),
        ("forestall", {}, "forestall"),
    ],
)
def test_the_executor_refuses_who_turns_out_to_be_protected(name, options, words):
    """Policy judged by the name it was given; the live process tells who it is."""
    stage = Stage()
    subject = stage.service()
    plan = plan_for(subject)
    live = stage.processes.start(4711, name, **options)
    # The very process that was judged, seen closer.
    stage.processes.table[4711] = dataclasses.replace(
        stage.processes.table[4711], key=subject.process
    )
    assert live != subject.process
    assert words in refused_by(stage, plan)


def test_the_executor_protects_itself_and_what_runs_it():
    """Own pids are refused even where the policy's state did not name them."""
    stage = Stage(own_pids=frozenset({OWN_PID, 4711}))
    plan = plan_for(stage.service(), own_pids=frozenset())
    assert "forestall itself" in refused_by(stage, plan)


def test_an_action_on_another_process_than_the_judged_one_is_refused():
    """A plan that was tampered with takes nobody else down."""
    stage = Stage()
    plan = plan_for(stage.service())
    other = stage.service(pid=5000, name="billing")
    actions = list(plan.actions)
    actions[1] = dataclasses.replace(actions[1], subject=other)
    outcomes = stage.executor.execute(dataclasses.replace(plan, actions=tuple(actions)))
    assert outcomes[1].state is OutcomeState.REFUSED
    assert outcomes[1].detail == "The plan judged feed-sync, not billing."
    assert not [line for line in stage.played if line.startswith("do restart")]


def test_a_plan_without_capture_takes_nothing_down():
    """The order is the executor's law, not only policy's habit."""
    stage = Stage()
    plan = plan_for(stage.service(), low=5 * MINUTE)
    for actions in (plan.actions[1:], (plan.actions[1], plan.actions[0], plan.actions[2])):
        broken = dataclasses.replace(plan, id=f"plan-{len(actions)}", actions=actions)
        outcome = stage.executor.execute(broken)[0]
        assert outcome.state is OutcomeState.REFUSED
        assert "keeps no evidence first" in outcome.detail


def test_a_plan_that_refuses_itself_takes_nothing_down():
    """Refusals and actions in one plan: the refusals win."""
    stage = Stage()
    plan = dataclasses.replace(plan_for(stage.service()), refusals=("Hold and page: enough.",))
    outcomes = stage.executor.execute(plan)
    assert [outcome.state.value for outcome in outcomes] == ["refused", "skipped", "done"]


def test_the_last_look_refuses_a_plan_that_refuses_itself():
    """The recheck alone would not let it pass, whoever calls it."""
    stage = Stage()
    plan = plan_for(stage.service())
    refusing = dataclasses.replace(plan, refusals=("Hold and page: enough.",))
    recheck = Recheck(processes=stage.processes, own_pids=frozenset())
    assert recheck.why_not(plan, plan.actions[1]) is None
    assert recheck.why_not(refusing, plan.actions[1]) == (
        "The plan itself refuses: Hold and page: enough."
    )


def test_only_the_action_itself_may_go_without_evidence():
    """The reason why not belongs to the action that takes the process down, to no other."""
    stage = Stage()
    stage.handlers[ActionKind.CAPTURE].fault = ForestallError("no room")
    plan = plan_for(stage.service())
    notify = dataclasses.replace(plan.actions[2], parameters={"without_evidence": "because"})
    plan = dataclasses.replace(plan, actions=(*plan.actions[:2], notify))
    outcomes = stage.executor.execute(plan)
    assert outcomes[1].state is OutcomeState.REFUSED
    assert outcomes[1].detail == "Its evidence was not kept: no room."


def systemd_plan(stage, **options):
    subject = stage.service(unit="feed-sync.service", **options)
    recipe = Recipe(method=Method.SYSTEMD, unit="feed-sync.service")
    return plan_for(subject, recipe=recipe)


def test_a_unit_is_restarted_when_all_in_it_may_be():
    """Workers of the same service do not stand in the way."""
    stage = Stage()
    plan = systemd_plan(stage)
    stage.processes.start(4712, "feed-sync", unit="feed-sync.service")
    assert stage.executor.execute(plan)[1].state is OutcomeState.DONE


@pytest.mark.parametrize(
    ("pid", "name", "unit", "user_unit", "words"),
    [
        (4712, "postgres", "feed-sync.service", False, "It runs in feed-sync.service too."),
        (OWN_PID, "python3", "feed-sync.service", False, "It runs in feed-sync.service too."),
        (4711, "feed-sync", "other.service", False, "runs in the unit other.service"),
        (4711, "feed-sync", None, False, "runs in the unit None"),
        (4711, "feed-sync", "feed-sync.service", True, "runs in a user's own unit"),
    ],
)
def test_a_unit_is_not_restarted_over_others(pid, name, unit, user_unit, words):
    """A unit goes down as a whole: with a protected process in it, or as another, it does not."""
    stage = Stage()
    plan = systemd_plan(stage)
    stage.processes.start(pid, name, unit=unit, user_unit=user_unit)
    if pid == 4711:
        key = plan.subject.process
        stage.processes.table[pid] = dataclasses.replace(stage.processes.table[pid], key=key)
    assert words in refused_by(stage, plan)


@pytest.mark.parametrize("low", [40 * MINUTE, 5 * MINUTE])
def test_what_cannot_be_recorded_is_not_done(low):
    """No plan on disk, no action, be it ever so urgent; people are still told, and told once."""
    stage = Stage()
    subject = stage.service()
    stage.ledger.fails = 1
    outcomes = stage.executor.execute(plan_for(subject, low=low))
    assert [outcome.state.value for outcome in outcomes] == ["skipped", "skipped", "done"]
    assert outcomes[0].detail == (
        "Not done, because the plan could not be recorded: ledger.journal: no space left on device."
    )
    again = decide(verdict_of(subject), state_of(1_700_000_060.0), ALLOWED, stage.ledger.history)
    assert again.idle


def test_an_outcome_that_cannot_be_recorded_stops_the_plan():
    """The evidence was kept, but its outcome is not on disk: nothing is taken down."""
    stage = Stage()
    plan = plan_for(stage.service())

    def fill_the_disk(step):
        stage.ledger.fails = 1

    stage.handlers[ActionKind.CAPTURE].effect = fill_the_disk
    outcomes = stage.executor.execute(plan)
    assert [outcome.state.value for outcome in outcomes] == ["done", "skipped", "done"]
    assert "an outcome could not be recorded" in outcomes[1].detail


def test_a_handler_that_breaks_leaves_a_half_done_plan_on_record():
    """A fault nobody foresaw is raised, after the plan was closed and people were told."""
    stage = Stage()
    stage.handlers[ActionKind.RESTART].fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        stage.executor.execute(plan_for(stage.service()))
    assert stage.played == [
        *ALL_WENT_WELL[:4],
        "record restart failed",
        "do notify 4711",
        "record notify done",
    ]
    assert not stage.ledger.history.past[0].unanswered
    assert "2-restart broke (ZeroDivisionError)" in stage.ledger.records[2].detail


@pytest.mark.parametrize("kind", [ActionKind.CAPTURE, ActionKind.NOTIFY])
def test_whatever_breaks_every_action_gets_an_outcome(kind):
    """No plan stays open because a handler, even the notifying one, is broken."""
    stage = Stage()
    stage.handlers[kind].fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        stage.executor.execute(plan_for(stage.service()))
    assert not stage.ledger.history.past[0].unanswered
    assert "do restart 4711" not in stage.played or kind is ActionKind.NOTIFY


@pytest.mark.parametrize(
    ("count", "closed"),
    [
        (0, ["capture failed", "restart skipped", "notify done"]),
        (1, ["restart failed", "notify done"]),
        (2, ["notify done"]),
        (3, []),
    ],
)
def test_a_plan_that_a_crash_left_half_done_is_closed_and_told_never_repeated(count, closed):
    """At the start: record what is not known, tell people, and do nothing of it again."""
    first = Stage()
    plan = plan_for(first.service())
    first.executor.execute(plan)
    stage = Stage(history=fold(first.ledger.records[: count + 1]))
    outcomes = stage.executor.recover()
    assert [f"{o.kind.value} {o.state.value}" for o in outcomes] == closed
    assert [line for line in stage.played if line.startswith("do")] == (
        ["do notify 4711"] if closed else []
    )
    assert stage.executor.recover() == ()
    assert stage.executor.execute(plan) == ()
    if count < 2:
        assert outcomes[0].detail == (
            "Whether it was done is not known: forestall ended while the plan was under way. "
            "It is not repeated."
        )


def test_a_half_done_plan_of_observe_mode_did_nothing():
    """What observe left open was not done, and that is known."""
    first = Stage()
    plan = plan_for(first.service(), Mode.OBSERVE)
    stage = Stage(history=fold([plan]))
    outcomes = stage.executor.recover()
    assert [outcome.state.value for outcome in outcomes] == ["would", "would", "would"]
    assert stage.played == [
        "record capture would",
        "record restart would",
        "record notify would",
    ]


def test_a_half_done_plan_counts_for_the_cooldown():
    """After a crash in the middle, guard does not plan for the same service at once."""
    first = Stage()
    subject = first.service()
    history = fold([plan_for(subject)])
    stage = Stage(history=history)
    stage.executor.recover()
    again = decide(verdict_of(subject), state_of(1_700_000_060.0), ALLOWED, stage.ledger.history)
    assert again.idle
    later = decide(
        verdict_of(subject), state_of(1_700_000_000.0 + HOUR), ALLOWED, stage.ledger.history
    )
    assert isinstance(later, Plan)
    assert later.actions


def test_a_kind_without_a_handler_is_refused():
    """An executor that was given no way to capture captures nothing, and so restarts nothing."""
    stage = Stage()
    del stage.handlers[ActionKind.CAPTURE]
    outcomes = stage.executor.execute(plan_for(stage.service()))
    assert [outcome.state.value for outcome in outcomes] == ["refused", "skipped", "done"]


class FakeLease:
    """A lease that answers what the test set, and notes what was asked of it."""

    def __init__(self, reason=None, *, lost_after=99):
        self.reason = reason
        self.lost_after = lost_after
        self.asked = []

    def acquire(self, plan_id):
        self.asked.append("acquire")
        if isinstance(self.reason, Exception):
            raise self.reason
        return self.reason

    def held(self):
        self.asked.append("held")
        return self.asked.count("held") < self.lost_after

    def release(self):
        self.asked.append("release")


def full_stage(lease=None):
    """A host with all stages, and the plan for it."""
    stage = Stage(lease=lease)
    subject = stage.service(unit="feed-sync.service")
    made = decide(
        host_verdict(subject, VerdictKind.LEAKING, at=1_700_000_000.0, low=40 * MINUTE),
        state_of(
            ownership=Ownership(
                alone=False, window_seconds=600.0, growth_bytes=9, whole_growth_bytes=10
            ),
            containment=containment_of(stage.processes.table[4711]),
            database=Fleet(("db1", "db2"), ALLOWED).look("db1"),
        ),
        ALLOWED,
        History(),
    )
    return stage, made


def states_of(outcomes):
    return [f"{o.action_id} {o.state.value}" for o in outcomes]


def test_after_a_verified_restart_the_limit_is_taken_off():
    """Contain, move, keep, recycle; then the containment is undone, and people are told last."""
    stage, made = full_stage()
    assert states_of(stage.executor.execute(made)) == [
        "1-contain done",
        "2-switchover done",
        "3-capture done",
        "4-restart done",
        "1-contain-undo undone",
        "5-notify done",
    ]
    assert stage.played[-4:] == [
        "undo contain",
        "record contain undone",
        "do notify 4711",
        "record notify done",
    ]
    assert not stage.executor.owing


@pytest.mark.parametrize("kind", [ActionKind.CONTAIN, ActionKind.SWITCHOVER])
def test_a_failed_containment_or_switchover_stops_nothing_and_is_taken_back(kind):
    """Each later stage helps by itself; what failed half-way is undone before people are told."""
    stage, made = full_stage()
    stage.handlers[kind].fault = ForestallError("it failed")
    shown = states_of(stage.executor.execute(made))
    assert "3-capture done" in shown
    assert "4-restart done" in shown
    number = 1 if kind is ActionKind.CONTAIN else 2
    assert f"{number}-{kind.value} failed" in shown
    assert f"{number}-{kind.value}-undo undone" in shown


def test_after_a_failed_restart_the_limit_stays():
    """A service that was not recycled is held: the containment is what protects the host now."""
    stage, made = full_stage()
    stage.handlers[ActionKind.RESTART].problem = "No new process came."
    shown = states_of(stage.executor.execute(made))
    assert not [each for each in shown if "undo" in each]
    assert not stage.executor.owing


def ends_contained(stage, again, kills=1):
    """Lets the service end at its limit while its evidence is kept; `again` = it comes back."""

    def end(step):
        stage.processes.end(4711)
        stage.processes.oom_kills["/system.slice/feed-sync.service"] = kills
        if again:
            stage.processes.start(5000, "feed-sync", unit="feed-sync.service")

    stage.handlers[ActionKind.CAPTURE].effect = end


def test_a_service_that_ends_at_its_limit_and_comes_back_counts_as_recycled():
    """Nothing is restarted, the outcome says what happened, and the limit is taken off again."""
    stage, made = full_stage()
    ends_contained(stage, again=True)
    outcomes = stage.executor.execute(made)
    assert "do restart 4711" not in stage.played
    assert states_of(outcomes)[3:] == ["4-restart done", "1-contain-undo undone", "5-notify done"]
    assert outcomes[3].detail == (
        "Process 4711 ended at the limit it was contained by, before guard came to it: the kernel "
        "counted 1 out-of-memory kill in its cgroup. Its supervisor started it again, as process "
        "5000."
    )
    (past,) = stage.ledger.history.past
    assert past.acted
    assert not past.stopped_short


def test_a_service_that_ends_at_its_limit_and_stays_away_is_a_failed_restart():
    """People are told that it is down; the limit stays, for whoever starts it meets the leak."""
    stage, made = full_stage()
    ends_contained(stage, again=False, kills=0)
    outcomes = stage.executor.execute(made)
    assert states_of(outcomes)[3:] == ["4-restart failed", "5-notify done"]
    assert outcomes[3].detail == (
        "Process 4711 ended by itself before guard came to it. No new process of "
        "feed-sync.service came within 45 s."
    )


def test_a_limit_that_stayed_is_taken_off_once_a_later_plan_recycles_the_service():
    """Else guard's own limit would stay for good on a service that is well again."""
    stage, made = full_stage()
    stage.handlers[ActionKind.RESTART].problem = "No new process came."
    stage.executor.execute(made)
    stage.handlers[ActionKind.RESTART].problem = None
    later = dataclasses.replace(made, id="plan-later", actions=made.actions[2:])
    stage.executor.execute(later)
    assert stage.executor.owing
    assert states_of(stage.executor.settle()) == ["1-contain-undo undone"]
    assert stage.executor.settle() == ()


def test_an_undo_that_fails_is_said_once_and_tried_until_it_works():
    """A pooler that does not answer now is asked again, and its clients are not forgotten."""
    stage, made = full_stage()
    handler = stage.handlers[ActionKind.SWITCHOVER]
    handler.fault, handler.undo_fault = ForestallError("no"), ForestallError("pooler: no answer")
    outcomes = stage.executor.execute(made)
    (failed,) = [o for o in outcomes if o.action_id == "2-switchover-undo"]
    assert failed.state is OutcomeState.FAILED
    assert failed.detail == "Not taken back: pooler: no answer."
    assert stage.executor.settle() == ()
    assert stage.executor.owing
    handler.undo_fault = None
    assert states_of(stage.executor.settle()) == ["2-switchover-undo-2 undone"]
    assert not stage.executor.owing


@pytest.mark.parametrize(
    "lease", [FakeLease("db2 is in action."), FakeLease(ForestallError("etcd: no answer"))]
)
def test_without_the_lease_only_containing_and_evidence_are_done(lease):
    """Another host is in action, or nobody can tell: nothing disruptive, and people are told."""
    stage, made = full_stage(lease)
    outcomes = stage.executor.execute(made)
    assert states_of(outcomes) == [
        "1-contain done",
        "2-switchover refused",
        "3-capture done",
        "4-restart refused",
        "5-notify done",
    ]
    assert outcomes[1].detail.startswith("No lease: ")
    assert "release" not in lease.asked


def test_a_lease_that_is_lost_on_the_way_stops_what_needs_it():
    """It is asked for again before each step, and given back whatever happens."""
    lease = FakeLease(lost_after=1)
    stage, made = full_stage(lease)
    shown = states_of(stage.executor.execute(made))
    assert shown[1] == "2-switchover done"
    assert shown[3] == "4-restart refused"
    assert lease.asked == ["acquire", "held", "release"]


def test_the_lease_is_given_back_by_a_plan_that_breaks():
    """A fault nobody foresaw does not keep the whole fleet from acting."""
    lease = FakeLease()
    stage, made = full_stage(lease)
    stage.handlers[ActionKind.RESTART].fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        stage.executor.execute(made)
    assert lease.asked[-1] == "release"


@pytest.mark.parametrize(
    ("count", "undone"),
    [
        (0, ["undo contain"]),
        (1, ["undo switchover"]),
        (2, []),
        (3, []),
        (4, ["undo contain"]),
        (5, []),
    ],
)
def test_what_a_killed_guard_left_half_done_is_taken_back_at_the_next_start(count, undone):
    """From the plan in the ledger alone: no pooler stays paused, no half-set limit stays."""
    first, made = full_stage()
    first.executor.execute(made)
    stage = Stage(history=fold(first.ledger.records[: count + 1]))
    stage.executor.recover()
    assert [line for line in stage.played if line.startswith("undo")] == undone
    told = [line for line in stage.played if line.startswith("do")]
    assert told == ["do notify 4711"]


@pytest.mark.parametrize(
    ("recipe", "undone"),
    [
        (Recipe(method=Method.SUPERVISORD, program="feed-sync"), ["undo restart"]),
        (Recipe(method=Method.SIGNAL), []),
    ],
)
def test_a_restart_that_was_cut_short_between_stop_and_start_is_completed(recipe, undone):
    """supervisord leaves down what it was told to stop; what others supervise comes by itself."""
    stage = Stage()
    made = plan_for(stage.service(), recipe=recipe)
    stage.executor.execute(made)
    assert made.actions[1].kind is ActionKind.RESTART
    # The plan and its evidence are on record, and forestall died in the restart.
    killed = Stage(history=fold(stage.ledger.records[:2]))
    killed.executor.recover()
    assert [line for line in killed.played if line.startswith("undo")] == undone
    assert not killed.executor.owing


def test_evidence_that_only_fits_contained_is_not_waited_for_without():
    """The time was counted on the containment; where that failed, there is none."""
    stage, made = full_stage()
    capture = dataclasses.replace(made.actions[2], parameters={"only_contained": "yes"})
    restart = made.actions[3]
    restart = dataclasses.replace(
        restart, parameters={**restart.parameters, "without_evidence": "no time"}
    )
    made = dataclasses.replace(made, actions=(*made.actions[:2], capture, restart, made.actions[4]))
    stage.handlers[ActionKind.CONTAIN].reason = "It cannot be contained."
    shown = states_of(stage.executor.execute(made))
    assert shown[2:4] == ["3-capture refused", "4-restart done"]


@pytest.mark.parametrize(
    ("pid", "name", "cgroup", "words"),
    [
        (4712, "postgres", "/system.slice/feed-sync.service/db", "It lies in"),
        (OWN_PID, "python3", "/system.slice/feed-sync.service", "It lies in"),
        (4711, "feed-sync", "/elsewhere", "lies in /elsewhere now"),
    ],
)
def test_a_cgroup_is_not_limited_over_others(pid, name, cgroup, words):
    """The last look: with a protected process in it, or as another, a cgroup is left alone."""
    stage, made = full_stage()
    stage.processes.start(pid, name, unit="feed-sync.service", cgroup=cgroup)
    if pid == 4711:
        live = stage.processes.table[pid]
        key = made.subject.process
        stage.processes.table[pid] = dataclasses.replace(live, key=key)
    outcome = stage.executor.execute(made)[0]
    assert outcome.state is OutcomeState.REFUSED
    assert words in outcome.detail


def test_a_rehearsal_does_nothing_and_says_what_stands_in_the_way():
    """For a person who asks: the same looks as before acting, without acting or recording."""
    stage, made = full_stage(FakeLease("db2 is in action."))
    stage.handlers[ActionKind.SWITCHOVER].reason = "The peer does not answer."
    shown = states_of(stage.executor.rehearse(made))
    assert shown == [
        "1-contain would",
        "2-switchover refused",
        "3-capture would",
        "4-restart would",
        "5-notify would",
    ]
    assert stage.played == []
