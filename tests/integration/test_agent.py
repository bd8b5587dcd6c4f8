"""The agent on real processes of this host, with a clock that runs fast and shipped thresholds."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fakes.agent import FakeAgent
from tests.fakes.host import MIB
from tests.fakes.leaky import Supervised

from forestall.agent.config import AgentConfig, ServiceConfig
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.clock import ScaledClock
from forestall.evidence.verify import verify
from forestall.guard.ledger import read_ledger
from forestall.guard.policy import Policy
from forestall.journal import read
from forestall.model.action import ActionKind, Mode, OutcomeState, Plan
from forestall.model.codec import from_document
from forestall.model.event import EventKind, TimelineEvent
from forestall.sense.host import Host

SCALE = 200.0
LEAK_BYTES_PER_SECOND = 12 * MIB
LIMIT_BYTES = 700 * MIB
REAL_SECONDS_MAX = 75.0

RUNNER = Path(__file__).with_name("agent_runner.py")


def unique(what: str) -> str:
    """A process name nobody else on this host has, at most 15 characters."""
    return f"{what}{os.getpid() % 10**7}"


def events_of(state: Path) -> list[TimelineEvent]:
    return [from_document(TimelineEvent, record.data) for record in read(state / "spool.journal")]


def watching(state: Path, mode: Mode, leaky: Supervised, control: Supervised) -> Watch:
    """An agent over the two, which both may be acted on."""
    clock = ScaledClock(SCALE)
    services = tuple(
        ServiceConfig(
            name=one.name, process=one.name, restart="signal", allow=True, limit_bytes=LIMIT_BYTES
        )
        for one in (leaky, control)
    )
    return Watch(
        AgentConfig(mode=mode, interval_seconds=10, services=services),
        host=Host(),
        clock=clock,
        log=Log(sys.stderr, clock, journald=True),
        state=str(state),
        select=lambda name, pid, cgroup: name in (leaky.name, control.name),
    )


def run_until(watch: Watch, done, leaky: Supervised) -> None:
    """Tick at the agent's own pace until `done()`; fails beyond the time a leak may take."""
    watch.start()
    deadline = time.monotonic() + REAL_SECONDS_MAX
    while not done():
        assert time.monotonic() < deadline, f"not in time: {watch.judging.verdicts}"
        watch.run(ticks=watch.tick_count + 1)
        time.sleep(10 / SCALE)
    assert watch.fault_count == 0


@pytest.fixture
def services():
    with (
        Supervised(unique("leak"), LEAK_BYTES_PER_SECOND) as leaky,
        Supervised(unique("calm"), 0) as control,
    ):
        yield leaky, control


def test_in_act_mode_a_real_leak_is_caught_captured_and_restarted(tmp_path, services):
    """Caught before its limit, evidence verified, a new process, a recovery; no other touched."""
    leaky, control = services
    leaking_pid = leaky.pid
    watch = watching(tmp_path, Mode.ACT, leaky, control)
    try:
        run_until(
            watch,
            lambda: (
                (tmp_path / "spool.journal").exists()
                and events_of(tmp_path)[-1].kind is EventKind.RECOVERED
            ),
            leaky,
        )
    finally:
        watch.close()
    assert watch.acting.counts[(ActionKind.CAPTURE, OutcomeState.DONE)] == 1
    assert watch.acting.counts[(ActionKind.RESTART, OutcomeState.DONE)] == 1
    assert leaky.starts == 2
    assert leaky.pid != leaking_pid
    assert control.starts == 1
    events = events_of(tmp_path)
    assert {event.key.rpartition("/")[2] for event in events} == {leaky.name}
    plan = next(from_document(Plan, e.data) for e in events if e.kind is EventKind.PLAN)
    assert plan.verdict.forecast is not None
    assert plan.verdict.forecast.limit.headroom_bytes > 0
    (bundle,) = [bundle for event in events for bundle in event.evidence]
    assert verify(tmp_path / "evidence" / bundle) == []
    order = [e.data["kind"] for e in events if e.kind is EventKind.OUTCOME]
    assert order.index("capture") < order.index("restart")


def test_in_observe_mode_nothing_is_touched_and_the_ledger_says_when(tmp_path, services):
    """The same leak: both processes live on, no evidence is written, the plan is on record."""
    leaky, control = services
    watch = watching(tmp_path, Mode.OBSERVE, leaky, control)
    policy = Policy()
    try:
        run_until(
            watch, lambda: (ActionKind.RESTART, OutcomeState.WOULD) in watch.acting.counts, leaky
        )
    finally:
        watch.close()
    assert (leaky.starts, control.starts) == (1, 1)
    assert not (tmp_path / "evidence").exists()
    (plan,) = [n for n in read_ledger(tmp_path / "ledger.journal") if isinstance(n, Plan)]
    assert plan.mode is Mode.OBSERVE
    kinds = [action.kind for action in plan.actions if action.kind is not ActionKind.CONTAIN]
    # Whether it could be contained first is the host's to say.
    assert kinds == ["capture", "restart", "notify"]
    detected = next(e for e in events_of(tmp_path) if e.kind is EventKind.DETECTED)
    assert plan.at - detected.at >= policy.persistence_seconds - 1
    forecast = plan.verdict.forecast
    assert forecast is not None
    assert forecast.exhaustion_low_seconds is not None
    assert forecast.exhaustion_low_seconds <= policy.act_within_seconds


def test_an_agent_that_is_killed_again_and_again_loses_and_doubles_nothing(tmp_path):
    """SIGKILL at random moments: every record seen stays, one detection, one plan, ids unique."""
    name, dice = unique("kill"), random.Random(20241115)
    since = time.time()
    seen: dict[str, TimelineEvent] = {}
    deaths = 0

    def start() -> subprocess.Popen:
        words = [sys.executable, str(RUNNER), str(tmp_path), name, "observe", str(SCALE)]
        return subprocess.Popen([*words, str(since)])

    def take_stock() -> None:
        present = {event.id: event for event in events_of(tmp_path)}
        assert set(seen) <= set(present)
        assert all(present[event.id] == event for event in seen.values())
        seen.update(present)

    with Supervised(name, LEAK_BYTES_PER_SECOND):
        deadline = time.monotonic() + REAL_SECONDS_MAX
        after_plan = 0
        while after_plan < 3:
            assert time.monotonic() < deadline, sorted(seen)
            agent = start()
            time.sleep(dice.uniform(1.0, 5.0))
            assert agent.poll() is None, "the agent ended by itself"
            agent.send_signal(signal.SIGKILL)
            agent.wait()
            deaths += 1
            take_stock()
            after_plan += any(event.kind is EventKind.PLAN for event in seen.values())
        agent = start()
        time.sleep(3.0)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
    take_stock()
    kinds = [event.kind for event in events_of(tmp_path)]
    assert deaths >= 4
    assert len(kinds) == len(seen)
    assert kinds.count(EventKind.DETECTED) == 1
    acting = [
        event
        for event in events_of(tmp_path)
        if event.kind is EventKind.PLAN and len(event.data["actions"]) == 3
    ]
    verdicts = [event.data["verdict"]["kind"] for event in acting]
    assert len(set(verdicts)) == len(verdicts), "a plan was made twice for the same verdict"
    plans = [n.id for n in read_ledger(tmp_path / "ledger.journal") if isinstance(n, Plan)]
    assert len(set(plans)) == len(plans)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB, mounted for the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=32,mode=0700", "t", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_on_a_full_disk_the_agent_watches_on_counts_and_catches_up(tmp_path, small_disk):
    """No record can be written: ticks go on, it is said once, and with space all is told."""
    service = ServiceConfig(name="feed", process="feed-sync", limit_bytes=512 * MIB)
    agent = FakeAgent(tmp_path / "host", small_disk, config=AgentConfig(services=(service,)))
    agent.process(10)
    agent.watch.start()
    filler = small_disk / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    agent.run(70, p10=lambda second: 100 * MIB + second * 3 * MIB // 60)
    assert agent.watch.fault_count == 0
    assert agent.watch.tick_count == 420
    assert agent.watch.troubles.open()
    assert agent.watch.spool.error_count > 0
    assert agent.watch.spool.pending_count >= 2
    said = [line for line in agent.said.splitlines() if "the spool cannot be written" in line]
    assert len(said) == 1
    assert "watching goes on" in said[0]
    filler.unlink()
    agent.run(1, p10=lambda second: 310 * MIB + second * 3 * MIB // 60)
    kinds = [event.kind for event in agent.events()]
    assert kinds[:2] == [EventKind.ONSET, EventKind.DETECTED]
    assert agent.watch.spool.pending_count == 0
    assert "the spool is written again" in agent.said
    agent.watch.close()
