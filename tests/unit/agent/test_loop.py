import itertools
import json
from dataclasses import replace
from typing import ClassVar

import pytest
from tests.fakes.agent import STARTED_AT, FakeAgent
from tests.fakes.host import GIB, MIB

from forestall.agent.budget import Budget, OverBudgetError
from forestall.agent.config import AgentConfig, ServiceConfig
from forestall.agent.loop import FAULTS_IN_A_ROW_MAX
from forestall.errors import ForestallError
from forestall.guard.ledger import read_ledger
from forestall.model.action import Action, ActionKind, Mode, OutcomeState, Plan
from forestall.model.event import EventKind
from forestall.model.verdict import VerdictKind

LIMITED = AgentConfig(
    services=(ServiceConfig(name="feed", process="feed-sync", limit_bytes=512 * MIB),)
)


def leak(per_minute: int, start: int = 100 * MIB):
    return lambda second: start + second * per_minute // 60


@pytest.fixture
def agent(tmp_path):
    agent = FakeAgent(tmp_path / "host", tmp_path / "state", config=LIMITED)
    agent.process(10)
    agent.process(20, "steady")
    yield agent
    agent.watch.close()


def test_a_leak_is_detected_planned_and_told_once(agent):
    """Onset, detection, one plan and its outcomes reach the spool, and only for the leak."""
    agent.watch.start()
    agent.run(90, p10=leak(3 * MIB), p20=lambda second: 50 * MIB + second % 7 * MIB)
    kinds = [event.kind for event in agent.events()]
    assert kinds[:4] == [EventKind.ONSET, EventKind.DETECTED, EventKind.PLAN, EventKind.OUTCOME]
    assert kinds.count(EventKind.DETECTED) == 1
    assert {event.key for event in agent.events()} == {"fake.example/feed-sync"}
    assert len({event.id for event in agent.events()}) == len(kinds)
    detected = agent.events()[1]
    assert detected.data["forecast"]["limit"]["source"] == "the configuration of feed"
    plans = [noun for noun in read_ledger(agent.state / "ledger.journal") if type(noun) is Plan]
    assert next(plan.mode for plan in plans if plan.actions) is Mode.OBSERVE
    assert all(state is not OutcomeState.DONE for _, state in agent.watch.acting.counts)


def test_a_steady_process_is_no_event(agent):
    """A process that breathes for hours is judged steady, and nothing is spooled or planned."""
    agent.watch.start()
    agent.run(120, p10=lambda second: 100 * MIB + second * 37 % 11 * MIB)
    kinds = {key.pid: verdict.kind for key, verdict in agent.watch.judging.verdicts.items()}
    assert kinds == {10: VerdictKind.STEADY, 20: VerdictKind.STEADY}
    assert agent.events() == []
    assert agent.watch.acting.counts == {}


def test_a_suspect_gets_the_faster_tier(agent):
    """A growing process is asked for by the collector and judged at each tick; a steady one not."""
    agent.watch.start()
    agent.run(60, p10=leak(3 * MIB))
    assert {key.pid for key in agent.watch.collector.suspects} == {10}
    assert agent.watch.collector.suspects is agent.watch.judging.suspects


def test_a_restarted_agent_goes_on_where_the_killed_one_stopped(agent):
    """A second agent, without a close of the first, neither forgets the leak nor tells it twice."""
    grow = leak(3 * MIB)
    agent.watch.start()
    agent.run(70, p10=grow)
    before = agent.events()
    assert EventKind.PLAN in [event.kind for event in before]
    # Killed: its locks go, and nothing of it is written any more.
    agent.watch.spool.close()
    agent.watch.recall.close()
    agent.watch.acting.close()
    agent.make()
    agent.watch.start()
    agent.run(10, p10=lambda second: grow(70 * 60 + second))
    (verdict,) = [v for k, v in agent.watch.judging.verdicts.items() if k.pid == 10]
    assert verdict.kind in (VerdictKind.LEAKING, VerdictKind.EXHAUSTING)
    events = agent.events()
    assert events[: len(before)] == before
    assert [e.kind for e in events].count(EventKind.DETECTED) == 1
    assert len({event.id for event in events}) == len(events)
    assert [e.kind for e in events].count(EventKind.PLAN) == [e.kind for e in before].count(
        EventKind.PLAN
    )


def test_a_clock_that_is_set_back_does_not_blind_the_agent(agent):
    """A host that booted with a wrong clock is watched again within an hour, not within a day."""
    grow = leak(3 * MIB)
    agent.watch.start()
    agent.run(10, p10=grow)
    agent.clock.step(-86_400)
    agent.run(60, p10=lambda second: grow(10 * 60 + second))
    (verdict,) = [v for k, v in agent.watch.judging.verdicts.items() if k.pid == 10]
    assert verdict.kind is VerdictKind.LEAKING
    assert verdict.at < STARTED_AT


def test_what_a_crash_tore_is_said_and_the_rest_is_kept(agent):
    """A spool with a damaged record is read past it, and the log names the place."""
    agent.watch.start()
    agent.run(70, p10=leak(3 * MIB))
    count = len(agent.events())
    agent.watch.close()
    path = agent.state / "spool.journal"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    agent.make()
    agent.watch.start()
    assert len(agent.events()) == count - 1
    assert f"{path}: " in agent.said
    assert "are no record" in agent.said


def test_a_service_the_owner_protects_is_refused(tmp_path):
    """Guard's own list is extended by the configuration's, by name or unit."""
    config = replace(LIMITED, protected=("feed*",))
    agent = FakeAgent(tmp_path / "host", tmp_path / "state", config=config)
    agent.process(10)
    agent.watch.start()
    agent.run(70, p10=leak(3 * MIB))
    agent.watch.close()
    plans = [noun for noun in read_ledger(agent.state / "ledger.journal") if type(noun) is Plan]
    assert plans
    assert all("matches feed*" in " ".join(plan.refusals) for plan in plans)


def test_what_only_the_ledger_knows_is_told_after_a_restart(agent):
    """An agent that was killed between ledger and spool leaves no gap: its successor fills it."""
    agent.watch.start()
    agent.run(70, p10=leak(3 * MIB))
    whole = [e for e in agent.events() if e.kind in (EventKind.PLAN, EventKind.OUTCOME)]
    agent.watch.spool.close()
    agent.watch.recall.close()
    agent.watch.acting.close()
    spool = agent.state / "spool.journal"
    lines = spool.read_bytes().splitlines(keepends=True)
    spool.write_bytes(b"".join(lines[:2]))
    agent.make()
    agent.watch.start()
    told = [e for e in agent.events() if e.kind in (EventKind.PLAN, EventKind.OUTCOME)]
    assert [event.id for event in told] == [event.id for event in whole]
    assert [event.data for event in told] == [event.data for event in whole]


def test_a_process_that_was_killed_by_the_kernel_is_an_exhaustion(agent):
    """The leak ends with an OOM kill counted by the kernel, then its successor runs again."""
    agent.watch.start()
    agent.run(60, p10=leak(3 * MIB))
    agent.host.kill(10)
    agent.host.vmstat(oom_kill=1)
    agent.run(0.5)
    assert agent.events()[-1].kind is EventKind.EXHAUSTED
    assert "1 out-of-memory kill since" in agent.events()[-1].text
    agent.process(11, old=False)
    agent.run(0.5)
    assert agent.events()[-1].kind is EventKind.RECOVERED
    assert "runs again as process 11" in agent.events()[-1].text


def test_a_process_that_ended_by_itself_is_a_recovery(agent):
    """Gone without an OOM kill: the memory is back, and that is all that is said."""
    agent.watch.start()
    agent.run(60, p10=leak(3 * MIB))
    agent.host.kill(10)
    agent.run(0.5)
    last = agent.events()[-1]
    assert last.kind is EventKind.RECOVERED
    assert "no out-of-memory kill was counted" in last.text


def test_a_leak_without_any_limit_in_sight_is_judged_against_the_host(tmp_path):
    """Without a cgroup's or a given limit the host's available memory is the limit."""
    agent = FakeAgent(tmp_path / "host", None)
    agent.process(10)
    agent.host.meminfo(available=1 * GIB, swap_total=0, swap_free=0)
    agent.run(60, p10=leak(20 * MIB))
    (verdict,) = agent.watch.judging.verdicts.values()
    assert verdict.kind is VerdictKind.LEAKING
    assert verdict.forecast.limit.kind == "host"
    agent.watch.close()


def test_without_a_state_folder_nothing_is_planned(tmp_path):
    """One look writes nothing anywhere: no folder, no plan."""
    agent = FakeAgent(tmp_path / "host", None, config=LIMITED)
    agent.process(10)
    agent.run(60, p10=leak(3 * MIB))
    assert agent.watch.troubles.open()
    assert agent.watch.acting.counts == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["host"]
    agent.watch.close()


def test_a_faulty_tick_is_counted_and_survived_a_bounded_number_of_times(agent):
    """A fault says what and where; ticks go on; ten in a row end the agent with one clear error."""
    faults = iter([ZeroDivisionError("made by the test")] * (FAULTS_IN_A_ROW_MAX + 1))
    broken = False

    def on_tick(sample, verdicts):
        if broken:
            raise next(faults)

    agent.watch.close()
    agent.make(on_tick=on_tick)
    agent.watch.start()
    agent.run(0.5)
    broken = True
    agent.watch.tick_safely()
    assert agent.watch.failing
    assert "a tick failed: ZeroDivisionError: made by the test at test_loop.py:" in agent.said
    broken = False
    agent.watch.tick_safely()
    assert not agent.watch.failing
    assert agent.watch.fault_count == 1
    broken = True
    with pytest.raises(ForestallError, match="10 ticks failed one after the other"):
        agent.run(10)
    assert agent.watch.fault_count == 1 + FAULTS_IN_A_ROW_MAX


def test_run_keeps_its_pace_and_ends_when_asked(agent):
    """Ticks start an interval apart whatever they take; `stop` ends after the present one."""
    starts = []

    def on_tick(sample, verdicts):
        starts.append(sample.monotonic)
        agent.clock.sleep(0.3)
        if len(starts) == 5:
            agent.watch.stop()

    agent.watch.close()
    agent.make(on_tick=on_tick)
    agent.watch.start()
    agent.watch.run()
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == [pytest.approx(1.0)] * 4
    assert agent.watch.tick_count == 5


@pytest.mark.timeout(300)
def test_what_may_have_to_be_contained_is_opened_once_while_guard_waits(agent):
    """A leak of weeks is not acted on yet: the last stage opens its cgroup's files meanwhile."""

    class Armed:
        actions: ClassVar[list[Action]] = []

        def arm(self, action):
            self.actions.append(action)

    agent.host.cgroup("/system.slice/feed-sync.service", current=120 * MIB)
    agent.process(10, cgroup="/system.slice/feed-sync.service")
    agent.watch.acting._handlers = {**agent.watch.acting._handlers, ActionKind.CONTAIN: Armed()}
    agent.watch.start()
    agent.run(240, p10=leak(MIB // 2))
    (action,) = Armed.actions
    assert action.parameters["cgroup"] == "/system.slice/feed-sync.service"


@pytest.mark.parametrize(
    ("mib_per_second", "available", "gap"),
    [(0, 16 * GIB, 8.0), (0, 1 * GIB, 1.0), (8, 16 * GIB, 1.0)],
)
def test_a_slow_pace_is_kept_only_while_all_is_well(agent, mib_per_second, available, gap):
    """On a host without memory, or with a process that takes it fast, every tick counts."""
    starts = []

    def on_tick(sample, verdicts):
        starts.append(sample.monotonic)
        agent.host.meminfo(available=available, swap_total=0, swap_free=0)
        size = int(100 * MIB + (agent.clock.now() - STARTED_AT) * mib_per_second * MIB)
        agent.host.statm(10, size + 8 * MIB, size)

    budget = Budget(agent.clock, read_rss=lambda: 20 * MIB, read_cpu=lambda: 0.0)
    budget.slowdown = 8
    agent.watch.close()
    agent.make(budget=budget, on_tick=on_tick)
    agent.watch.start()
    agent.watch.run(ticks=6)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps[2:] == [pytest.approx(gap)] * 3


def test_an_agent_that_grows_ends(agent):
    """Beyond its own limit the agent does not go on: the error leaves the loop."""
    size = 20 * MIB
    budget = Budget(
        agent.clock, rss_bytes_max=24 * MIB, read_rss=lambda: size, read_cpu=lambda: 0.0
    )
    agent.watch.close()
    agent.make(budget=budget)
    agent.watch.start()
    agent.watch.run(ticks=3)
    size = 25 * MIB
    with pytest.raises(OverBudgetError):
        agent.watch.run(ticks=10)
    assert agent.watch.tick_count == 4


def test_hostile_names_reach_the_spool_and_the_log_as_text(tmp_path):
    """A process whose name is a forged log line leaks: one line each, and JSON that loads."""
    name = b"x\n<0>forged\x1b[2J\xff"
    config = AgentConfig()
    agent = FakeAgent(
        tmp_path / "host", tmp_path / "state", config=config, given={"--limit": 512 * MIB}
    )
    agent.process(10, name)
    agent.watch.start()
    agent.run(70, p10=leak(3 * MIB))
    assert EventKind.DETECTED in [event.kind for event in agent.events()]
    lines = agent.said.splitlines()
    assert all(line[0] == "<" and line[1].isdigit() and line[2] == ">" for line in lines)
    assert not [line for line in lines if line.startswith("<0>") or "\x1b" in line]
    json.dumps([event.text for event in agent.events()]).encode("utf-8")
    agent.watch.close()


def test_advise_tells_people_and_touches_nothing(agent):
    """In advise mode the notify action is done, through the log, and nothing else."""
    agent.watch.close()
    agent.make(config=AgentConfig(mode=Mode.ADVISE, services=LIMITED.services))
    agent.watch.start()
    agent.run(70, p10=leak(3 * MIB))
    counts = agent.watch.acting.counts
    assert counts.get((ActionKind.NOTIFY, OutcomeState.DONE), 0) >= 1
    assert {kind for kind, state in counts if state is OutcomeState.DONE} == {ActionKind.NOTIFY}
