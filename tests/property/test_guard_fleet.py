"""Guards on several hosts with one database and one lease, while everything fails at random."""

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.fakes.fleet import DATABASE_PID, SERVICE_PID, Fleet, FleetLease, Killed

from forestall.guard.history import DISRUPTIVE
from forestall.guard.lease import NEEDS_LEASE
from forestall.guard.policy import Allowance, Policy
from forestall.model.action import ActionKind, Mode, OutcomeState
from forestall.model.verdict import VerdictKind
from forestall.units import DAY, HOUR, MIB, MINUTE

POLICY = Policy(allow=(Allowance(service="feed-sync*"),))
NODES = ("db1", "db2", "db3")
PRIMARY = "the primary"
MOMENTS = (
    *(f"{when} a record" for when in ("before", "after")),
    *(f"{when} {kind.value}" for when in ("before", "after") for kind in ActionKind),
    "in the middle of switchover",
    "before the end of switchover",
    "in undoing switchover",
    "in undoing contain",
)
HOWS = ("precondition", "do", "verify", "break")


class FleetMachine(RuleBasedStateMachine):
    """Rules are what the world does; `seen` counts what the histories contained."""

    totals: ClassVar[dict[str, int]] = {}

    @initialize(
        synchronous=st.booleans(),
        killed=st.none() | st.sampled_from(MOMENTS[-4:-1]),
        how=st.none() | st.sampled_from(HOWS),
    )
    def begin(self, synchronous, killed, how):
        self.world = Fleet(NODES, POLICY)
        self.world.synchronous = synchronous
        # What needs many things at once comes first, so that no run of this test is without it.
        self.leaks(
            "db1",
            VerdictKind.EXHAUSTING,
            5 * MINUTE,
            SERVICE_PID,
            0.9,
            False,
            None if how is None else (ActionKind.SWITCHOVER, how),
            killed,
        )

    def teardown(self):
        for what, count in self.world.seen.items():
            self.totals[what] = self.totals.get(what, 0) + count

    @rule(minutes=st.sampled_from((0.2, 1, 3, 11, 61)))
    def time_passes(self, minutes):
        self.world.clock.sleep(minutes * MINUTE)

    @rule(name=st.sampled_from(NODES), kind=st.sampled_from(ActionKind), how=st.sampled_from(HOWS))
    def an_action_begins_to_fail(self, name, kind, how):
        self.world.nodes[name].failing[kind] = how

    @rule(name=st.sampled_from(NODES))
    def everything_works_again(self, name):
        self.world.nodes[name].failing.clear()
        self.world.nodes[name].disk_full = False

    @rule(name=st.sampled_from(NODES))
    def the_disk_fills_up(self, name):
        self.world.nodes[name].disk_full = True

    @rule(name=st.sampled_from(NODES), mode=st.sampled_from((Mode.ACT, Mode.ACT, Mode.OBSERVE)))
    def the_owner_changes_the_mode(self, name, mode):
        self.world.nodes[name].mode = mode

    @rule(
        name=st.sampled_from(NODES),
        healthy=st.booleans(),
        lag=st.sampled_from((0, 1 * MIB, 64 * MIB)),
        runs_out=st.sampled_from((None, None, HOUR, 30 * DAY)),
    )
    def a_replica_changes(self, name, healthy, lag, runs_out):
        world = self.world
        if name != world.primary:
            world.healthy[name], world.lag[name] = healthy, lag
            world.runs_out_in[name] = runs_out

    @rule(paused=st.booleans(), etcd_down=st.booleans())
    def a_person_or_the_network_intervenes(self, paused, etcd_down):
        self.world.cluster_paused, self.world.etcd_down = paused, etcd_down

    @rule(name=st.sampled_from(NODES))
    def a_service_leaks_again_and_again(self, name):
        for _ in range(3):
            self.time_passes(11)
            self.leaks(name, VerdictKind.LEAKING, HOUR, SERVICE_PID, 0.9, False, None, None)

    @rule(
        name=st.sampled_from((*NODES, PRIMARY, PRIMARY)),
        kind=st.sampled_from((VerdictKind.LEAKING, VerdictKind.EXHAUSTING)),
        low=st.sampled_from((3.0, 20.0, 5 * MINUTE, HOUR)),
        pid=st.sampled_from((*[SERVICE_PID] * 7, DATABASE_PID)),
        share=st.sampled_from((*[0.9] * 7, 0.4)),
        elsewhere=st.sampled_from((False, False, True)),
        fault=st.none() | st.tuples(st.sampled_from(ActionKind), st.sampled_from(HOWS)),
        killed=st.none() | st.sampled_from(MOMENTS),
    )
    def leaks(self, name, kind, low, pid, share, elsewhere, fault, killed):
        world = self.world
        node = world.nodes[world.primary if name == PRIMARY else name]
        name = node.name
        node.kill_at = killed
        if fault is not None:
            node.failing = dict([fault])
        if elsewhere and not world.etcd_down:
            FleetLease("db4", world).acquire("plan-of-db4")
        plan = node.plan(kind, low, pid=pid, share=share)
        self.check_plan(node, plan, pid, share)
        before, holder = len(world.log), world.holder
        other = holder not in (None, name) and world.clock.now() < world.expires_at
        outcomes = None
        try:
            outcomes = node.executor.execute(plan)
            node.executor.settle()
        except Killed:
            world.seen["killed"] += 1
            # Its lease ends by itself; meanwhile the service manager starts it again.
            self.start_again(node)
        except ZeroDivisionError:
            world.seen["broken handler"] += 1
        node.kill_at = None
        # Every do has its verify.
        assert node.unverified is None
        self.check_deeds(node, plan, world.log[before:], other)
        if outcomes is not None:
            self.check_outcomes(node, plan, outcomes)
        if not plan.idle and not node.history.knows(plan.id):
            return  # Killed before it was on disk: nothing of it was done.
        # A repeat of the same plan is a no-op, whatever came of it.
        again = len(world.log)
        assert node.executor.execute(plan) == ()
        assert len(world.log) == again

    def start_again(self, node):
        world = self.world
        world.seen["paused when killed"] += world.pooler_paused
        try:
            node.start_guard()
        except ZeroDivisionError:
            # Its notifier is broken; what was half done is taken back before people are told.
            world.seen["broken while closing"] += 1
        assert not world.pooler_paused
        world.seen["recovered"] += 1

    def check_plan(self, node, plan, pid, share):
        """Laws of the decision."""
        world = self.world
        kinds = [action.kind for action in plan.actions]
        assert kinds == sorted(kinds, key=list(ActionKind).index)
        if pid == DATABASE_PID or share <= POLICY.growth_share_min:
            assert set(kinds) <= {ActionKind.NOTIFY}
            world.seen["refused"] += bool(plan.refusals)
        if plan.hold:
            world.seen["held"] += 1
            assert not set(kinds) & set(DISRUPTIVE)
        for action in plan.actions:
            if action.kind is ActionKind.SWITCHOVER:
                candidate = action.parameters["candidate"]
                assert node.name == world.primary == action.parameters["leader"]
                assert candidate != node.name
                assert world.healthy[candidate]
                assert world.lag[candidate] <= POLICY.lag_bytes_max
                assert not world.cluster_paused
                soonest = world.runs_out_in[candidate]
                assert soonest is None or soonest > POLICY.candidate_exhaustion_seconds_min
        if node.name == world.primary and set(kinds) & set(DISRUPTIVE):
            moved = ActionKind.SWITCHOVER in kinds
            assert moved or any(s.startswith("Switchover:") for s in plan.left_out)
            world.seen["switchover left out"] += not moved

    def check_deeds(self, node, plan, deeds, other_holds):
        """Laws of what was really done."""
        world = self.world
        for name, kind, step, held, _ in deeds:
            assert name == node.name
            assert plan.mode is Mode.ACT or kind is ActionKind.NOTIFY
            if kind in NEEDS_LEASE:
                # Never without the lease, which one host has at a time, so never on two at once.
                assert held
            if kind in (ActionKind.CONTAIN, *NEEDS_LEASE):
                assert step.action.subject.name == "feed-sync"
                world.seen[f"did {kind.value}"] += 1
        world.seen["waited for the lease"] += bool(other_holds and plan.actions)

    def check_outcomes(self, node, plan, outcomes):
        world = self.world
        assert world.holder != node.name
        assert not world.pooler_paused
        own = [o for o in outcomes if o.plan_id == plan.id]
        states = {o.kind: o.state for o in own if not o.action_id.count("undo")}
        recycled = any(states.get(kind) is OutcomeState.DONE for kind in DISRUPTIVE)
        if recycled:
            world.seen["recycled"] += 1
            assert not node.limited
            if states.get(ActionKind.SWITCHOVER) in (OutcomeState.FAILED, OutcomeState.REFUSED):
                world.seen["recycled in spite of the switchover"] += 1
        elif states.get(ActionKind.CONTAIN) is OutcomeState.DONE:
            world.seen["stays contained"] += 1
            assert node.limited
        if plan.mode is Mode.ACT and OutcomeState.FAILED in states.values():
            world.seen["half-failure"] += 1
        if OutcomeState.REFUSED in states.values():
            world.seen["refused by the executor"] += 1


def test_no_sequence_of_failures_breaks_the_laws_of_a_fleet():
    """Nothing disruptive without the lease, so never on two hosts; never a protected process; the
    primary only moves to a healthy member that may take it; every deed is verified; no pooler
    stays paused once a killed guard has recovered; a repeated plan is a no-op.

    The generated histories hold acts, refusals, half-failures and crashes within a switchover.
    """
    seen = FleetMachine.totals
    seen.clear()
    run_state_machine_as_test(
        FleetMachine, settings=settings(max_examples=200, stateful_step_count=30, deadline=None)
    )
    wanted = (
        "did contain",
        "did switchover",
        "did restart",
        "refused",
        "refused by the executor",
        "half-failure",
        "held",
        "killed",
        "paused when killed",
        "recovered",
        "broken handler",
        "recycled in spite of the switchover",
        "stays contained",
        "switchover undone",
        "contain undone",
        "switchover left out",
        "waited for the lease",
    )
    assert not [what for what in wanted if not seen.get(what)], seen
