"""decide and the executor together, while everything around them fails at random."""

from collections import Counter
from dataclasses import replace
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.fakes.clock import FakeClock
from tests.fakes.guard import BOOT_ID, HASTY, OWN_PID, FakeProcesses, state_of, verdict_of

from forestall.errors import ForestallError, JournalError
from forestall.guard.decision import decide
from forestall.guard.executor import Executor
from forestall.guard.handler import Done
from forestall.guard.history import DISRUPTIVE, fold
from forestall.guard.policy import Allowance, Remedy, imminent
from forestall.guard.recheck import Recheck
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import ActionKind, Mode, OutcomeState, Plan
from forestall.model.verdict import Subject, VerdictKind
from forestall.units import HOUR, MINUTE

POLICY = replace(
    HASTY, allow=(Allowance(service="feed-*"), Allowance(service="billing", remedy=Remedy.STOP))
)
NAMES = ("feed-sync", "feed-in", "billing", "stranger", "postgres", "sshd")
PIDS = (OWN_PID, 40, 41, 42, 43)
PROTECTED = ("postgres", "sshd")
MOMENTS = tuple(
    f"{when} {what}"
    for when in ("before", "after")
    for what in ("a record", *(kind.value for kind in ActionKind))
)


class Killed(BaseException):
    """forestall itself was killed: from now on nothing of it runs or writes."""


class World:
    """The host, its disk, and a log of what was really done there."""

    def __init__(self):
        self.clock = FakeClock()
        self.processes = FakeProcesses()
        self.disk = []
        self.disk_full = False
        self.dead = False
        self.kill_at = None
        self.failing = {}
        self.done = []
        self.told = set()

    def tick(self, where):
        """A moment at which forestall may be killed."""
        if self.dead or where == self.kill_at:
            self.dead = True
            raise Killed

    @property
    def durable(self):
        return fold(self.disk)


class Ledger:
    """Durable records in the world, and the history of one life of forestall."""

    def __init__(self, world):
        self.world = world
        self.history = world.durable

    def record(self, noun):
        self.world.tick("before a record")
        self.history = fold((noun,), self.history)
        if self.world.disk_full:
            raise JournalError("ledger.journal: no space left on device")
        self.world.disk.append(noun)
        self.world.tick("after a record")


class Handler:
    """Does it in the world, unless the world lets it fail."""

    def __init__(self, world, kind):
        self.world = world
        self.kind = kind

    def precondition(self, step):
        return "Not here." if self.world.failing.get(self.kind) == "precondition" else None

    def do(self, step):
        world = self.world
        world.tick(f"before {self.kind.value}")
        if world.failing.get(self.kind) == "do":
            raise ForestallError("it failed")
        if world.failing.get(self.kind) == "break":
            raise ZeroDivisionError
        if self.kind is ActionKind.NOTIFY:
            world.told.add(step.plan.id)
        else:
            # What is true at this very moment is what the laws are about.
            process = step.action.subject.process
            live = world.processes.look(process.pid)
            world.done.append((world.clock.now(), self.kind, step, live, world.durable))
        if self.kind in DISRUPTIVE:
            world.processes.end(step.action.subject.process.pid)
        world.clock.sleep(2.0)
        world.tick(f"after {self.kind.value}")
        return Done(detail="Done.", evidence="e" * 64 if self.kind is ActionKind.CAPTURE else None)

    def verify(self, step, done):
        return "It did not work." if self.world.failing.get(self.kind) == "verify" else None

    def undo(self, step):
        return None


class Guarded(RuleBasedStateMachine):
    """Rules are what the world does; `seen` counts what the histories contained."""

    seen: ClassVar[Counter] = Counter()

    @initialize(capture=st.sampled_from((None, "precondition", "do", "verify")))
    def begin(self, capture):
        self.world = World()
        self.mode = Mode.ACT
        self.start_forestall()
        for pid, name in zip(PIDS[1:], NAMES, strict=False):
            self.world.processes.start(pid, name)
        # What needs many things at once comes first, so that no run of this test is without it.
        self.a_service_leaks(PIDS[1], VerdictKind.EXHAUSTING, 5 * MINUTE, False, capture)

    def start_forestall(self):
        world = self.world
        world.dead, world.kill_at = False, None
        self.ledger = Ledger(world)
        self.executor = Executor(
            {kind: Handler(world, kind) for kind in ActionKind},
            ledger=self.ledger,
            recheck=Recheck(processes=world.processes, own_pids=frozenset({OWN_PID})),
            clock=world.clock,
        )
        half = [past for past in world.durable.past if past.unanswered]
        try:
            self.executor.recover()
        except ZeroDivisionError:
            self.seen["broken while closing"] += 1
        else:
            if half:
                self.seen["closed after a crash"] += 1
                if not world.disk_full:
                    assert not [p for p in world.durable.past if p.unanswered]

    @rule(
        pid=st.sampled_from(PIDS),
        name=st.sampled_from(NAMES),
    )
    def another_process_gets_the_pid(self, pid, name):
        self.world.processes.start(pid, name)

    @rule(minutes=st.sampled_from((0.5, 3, 11, 25, 61)))
    def time_passes(self, minutes):
        self.world.clock.sleep(minutes * MINUTE)

    @rule(
        kind=st.sampled_from(ActionKind),
        how=st.sampled_from(("precondition", "do", "verify", "break")),
    )
    def an_action_begins_to_fail(self, kind, how):
        self.world.failing[kind] = how

    @rule(kind=st.sampled_from((ActionKind.CAPTURE, ActionKind.RESTART, ActionKind.NOTIFY)))
    def a_handler_has_a_fault_of_its_own(self, kind):
        self.world.failing = {kind: "break"}

    @rule()
    def everything_works_again(self):
        self.world.failing.clear()
        self.world.disk_full = False

    @rule()
    def the_disk_fills_up(self):
        self.world.disk_full = True

    @rule(mode=st.sampled_from((Mode.ACT, Mode.ACT, Mode.ADVISE, Mode.OBSERVE)))
    def the_owner_changes_the_mode(self, mode):
        self.mode = mode

    @rule(where=st.sampled_from(MOMENTS))
    def forestall_will_be_killed(self, where):
        self.world.kill_at = where

    @rule(
        pid=st.sampled_from(PIDS),
        kind=st.sampled_from((VerdictKind.LEAKING, VerdictKind.EXHAUSTING)),
        low=st.sampled_from((5 * MINUTE, 40 * MINUTE, HOUR)),
        changed=st.sampled_from((False, False, True)),
        capture=st.sampled_from((None, None, None, "precondition", "do", "verify")),
    )
    def a_service_leaks(self, pid, kind, low, changed, capture):
        world = self.world
        if capture is not None:
            world.failing[ActionKind.CAPTURE] = capture
        live = world.processes.look(pid)
        if live is None:
            return
        at = world.clock.now()
        subject = Subject(host="db1", name=live.name, process=live.key)
        state = state_of(at, self.mode, recipe=Recipe(method=Method.SIGNAL))
        verdict = verdict_of(subject, kind, at=at, low=low)
        plan = decide(verdict, state, POLICY, self.ledger.history)
        if changed:
            # Between the decision and the deed another process can get the pid.
            world.processes.start(pid, live.name)
        self.carry_out(plan)

    def carry_out(self, plan):
        world = self.world
        before = len(world.done)
        outcomes = None
        try:
            outcomes = self.executor.execute(plan)
        except Killed:
            self.seen["killed"] += 1
            self.check_laws(plan, world.done[before:], None)
            self.start_forestall()
            return
        except ZeroDivisionError:
            self.seen["broken handler"] += 1
        self.check_laws(plan, world.done[before:], outcomes)
        assert self.executor.execute(plan) == ()

    def check_laws(self, plan, done, outcomes):
        for at, kind, step, live, durable in done:
            assert plan.mode is Mode.ACT
            (past,) = [past for past in durable.past if past.plan.id == plan.id]
            assert past.plan == plan
            if kind not in DISRUPTIVE:
                continue
            self.seen["act"] += 1
            assert live is not None
            assert live.key == plan.subject.process == step.action.subject.process
            assert live.name not in PROTECTED
            assert live.key.pid != OWN_PID
            assert live.key.boot_id == BOOT_ID
            (capture,) = [o for o in past.outcomes if o.kind is ActionKind.CAPTURE]
            if capture.state is not OutcomeState.DONE:
                self.seen["act without evidence"] += 1
                assert step.action.parameters["without_evidence"]
            self.check_limits(at, plan)
        if outcomes is None:
            return
        states = [outcome.state for outcome in outcomes]
        if plan.refusals:
            self.seen["refusal"] += 1
            assert [outcome.kind for outcome in outcomes] == [ActionKind.NOTIFY]
        if OutcomeState.REFUSED in states:
            self.seen["refusal by the executor"] += 1
        if plan.mode is Mode.ACT and OutcomeState.SKIPPED in states:
            self.seen["half-failure"] += 1
        self.check_stop(plan, outcomes, done)

    def check_stop(self, plan, outcomes, done):
        """After the first failure nothing is taken down, and people are told."""
        bad = False
        for outcome in outcomes:
            if outcome.kind in DISRUPTIVE and bad:
                assert outcome.state in (OutcomeState.SKIPPED, OutcomeState.REFUSED)
            gone_past = any("without_evidence" in a.parameters for a in plan.actions)
            if outcome.state in (
                OutcomeState.FAILED,
                OutcomeState.SKIPPED,
                OutcomeState.REFUSED,
            ):
                bad = bad or not (outcome.kind is ActionKind.CAPTURE and gone_past)
        if plan.actions and plan.mode is not Mode.OBSERVE:
            failing = self.world.failing.get(ActionKind.NOTIFY)
            assert plan.id in self.world.told or failing in ("precondition", "do", "break")
        if plan.mode is Mode.OBSERVE and plan.actions:
            assert plan.id not in self.world.told
            assert not done
            self.seen["observed"] += 1

    def check_limits(self, at, plan):
        deeds = [
            (when, step.plan.subject.service)
            for when, kind, step, _, _ in self.world.done
            if kind in DISRUPTIVE
        ]
        assert all(isinstance(step.plan, Plan) for _, _, step, _, _ in self.world.done)
        own = [when for when, name in deeds if name == plan.subject.service]
        # A deed follows its plan by the seconds that the evidence takes.
        slack = 10.0
        if len(own) > 1 and not imminent(plan.verdict, POLICY):
            self.seen["after a cooldown"] += 1
            assert own[-1] - own[-2] > POLICY.cooldown_seconds - slack
        window = at - POLICY.window_seconds + slack
        assert len([when for when in own if when > window]) <= POLICY.service_actions_max
        assert len([d for d in deeds if d[0] > window]) <= POLICY.host_actions_max


def test_no_sequence_of_failures_breaks_the_laws_of_guard():
    """Never a protected process, never another than the judged one, evidence or a reason first,
    cooldowns and limits hold, observe never acts, a half-failed plan stops and tells, and no
    plan is repeated after a crash.

    The generated histories hold acts, refusals and half-failures.
    """
    seen = Guarded.seen
    seen.clear()
    run_state_machine_as_test(
        Guarded,
        settings=settings(max_examples=300, stateful_step_count=50, deadline=None),
    )
    wanted = (
        "act",
        "act without evidence",
        "refusal",
        "refusal by the executor",
        "half-failure",
        "killed",
        "closed after a crash",
        "broken handler",
        "observed",
    )
    assert all(seen[what] > 0 for what in wanted), seen
