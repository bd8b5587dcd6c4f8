import itertools
from array import array
from dataclasses import replace

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost

from forestall.agent.config import ServiceConfig
from forestall.agent.judging import FEED_SECONDS, IDLE_FEED_SECONDS, Judging
from forestall.agent.recall import Segment
from forestall.detect.rules import RULES
from forestall.model.sample import HostSample, ProcessKey, ProcessSample, Sample
from forestall.model.verdict import VerdictKind

MIB = 1024 * 1024
STARTED_AT = 1_700_000_000.0


def process(memory: int, pid=10, start=100, name="feed", unit=None) -> ProcessSample:
    key = ProcessKey(boot_id="b", pid=pid, start_ticks=start)
    return ProcessSample(key=key, name=name, rss_bytes=memory, unit=unit)


def sample(second: float, *processes: ProcessSample, available=1000 * MIB) -> Sample:
    memory = HostSample(mem_total_bytes=4000 * MIB, mem_available_bytes=available)
    return Sample(
        at=STARTED_AT + second, monotonic=second, boot_id="b", host=memory, processes=processes
    )


@pytest.fixture
def make(tmp_path):
    host = FakeHost(tmp_path).write("proc/uptime", "90000.00 1.00\n").host()

    def make(**more) -> Counted:
        return Counted(host, FakeClock(STARTED_AT), rules=RULES, cgroup_file="memory.max", **more)

    return make


class Counted(Judging):
    """Remembers when it fed a judge."""

    def __init__(self, *given, **more) -> None:
        super().__init__(*given, **more)
        self.fed: list[int] = []

    def _feed(self, one, process, sample, limits):
        self.fed.append(int(sample.monotonic))
        return super()._feed(one, process, sample, limits)


def test_a_process_that_changes_is_fed_every_ten_seconds(make):
    """Whatever the tick, the judge gets the floor of ten seconds."""
    judging = make()
    for second in range(60):
        judging.feed(sample(second, process(50 * MIB + second % 3)))
    gaps = [later - earlier for earlier, later in itertools.pairwise(judging.fed)]
    assert gaps[0] <= FEED_SECONDS, "the first one is shorter, to spread the processes"
    assert set(gaps[1:]) == {FEED_SECONDS}


def test_an_idle_process_is_fed_every_minute_until_it_moves(make):
    """The same sample again costs nothing; the first other one is judged at once."""
    idle, moved = process(50 * MIB), process(51 * MIB)
    judging = make()
    for second in range(215):
        judging.feed(sample(second, idle if second < 200 else moved))
    assert judging.fed == [0, 6, 66, 126, 186, 200]
    assert IDLE_FEED_SECONDS == 60


def test_the_judge_gets_the_lowest_of_its_ten_seconds(make):
    """A spike between two feeds is no floor."""
    judging = make()
    judging.feed(sample(0, process(50 * MIB, pid=19)))
    for second in range(1, 10):
        size = 80 if second == 5 else 60 - second
        judging.feed(sample(second, process(size * MIB, pid=19)))
    judging.feed(sample(10, process(90 * MIB, pid=19)))
    (judged,) = judging._judged.values()
    assert judged.ring.columns()[1][-1] == 51 * MIB


def test_a_reused_pid_is_another_process(make):
    """Its judge, its series and its suspicion do not pass on, and the old one is told as gone."""
    judging = make()
    for second in range(0, 3000, 10):
        judging.feed(sample(second, process(100 * MIB + second * MIB // 4)))
    old = process(0).key
    assert judging.verdicts[old].kind is not VerdictKind.STEADY
    assert old in judging.suspects
    judging.feed(sample(3000, process(100 * MIB, start=999)))
    new = process(0, start=999).key
    assert judging.gone == [old]
    assert judging.suspects == set()
    assert judging.series_of(old) is None
    assert len(judging.series_of(new)) == 1


def test_a_process_that_is_gone_is_forgotten(make):
    """Nothing of it is kept, and it is told once."""
    judging = make()
    judging.feed(sample(0, process(1), process(1, pid=11)))
    judging.feed(sample(1, process(1, pid=11)))
    assert [key.pid for key in judging.gone] == [10]
    judging.feed(sample(2, process(1, pid=11)))
    assert judging.gone == []
    assert {key.pid for key in judging.verdicts} == {11}


def test_the_verdict_names_the_process_as_it_is_now(make):
    """A unit that is known only later, and a new name, are in the next verdict."""
    judging = make()
    judging.feed(sample(0, process(1, name="(fork)")))
    (verdict,) = judging.feed(sample(10, process(2, name="feed", unit="feed.service")))
    assert (verdict.subject.name, verdict.subject.unit) == ("feed", "feed.service")


def test_a_service_is_found_once_it_can_be_and_brings_its_limit(make):
    """The configuration of a unit applies from the sample that shows the unit."""
    services = (ServiceConfig(name="feed", unit="feed.service", limit_bytes=300 * MIB),)
    judging = make(services=services)
    judging.feed(sample(0, process(100 * MIB)))
    key = process(0).key
    assert judging.service_of(key) is None
    assert judging.limit_of(key).kind == "host"
    judging.feed(sample(10, process(101 * MIB, unit="feed.service")))
    assert judging.service_of(key) == services[0]
    assert judging.limit_of(key).headroom_bytes == 199 * MIB


def test_saved_points_are_the_judges_history(make):
    """A process whose last hour was saved is judged by it at its first sample."""
    times = array("d", [STARTED_AT - 3600 + 30 * n for n in range(120)])
    values = array("d", [100.0 * MIB + n * MIB for n in range(120)])
    fresh, recalled = make(), make()
    recalled.remember([Segment(process(0).key, times, values)])
    for judging in (fresh, recalled):
        for second in range(0, 600, 10):
            memory = 220 * MIB + second * MIB // 30
            judging.feed(sample(second, process(memory), available=300 * MIB))
    key = process(0).key
    assert fresh.verdicts[key].kind is not VerdictKind.LEAKING
    assert recalled.verdicts[key].kind is VerdictKind.LEAKING
    assert recalled.series_of(key).times[0] <= times[0] + 30


def test_segments_hold_what_is_new_of_suspects_first(make):
    """Only points after the last save, and never more than the limit of processes."""
    judging = make()
    for second in range(0, 120, 10):
        many = [process(pid * MIB + second, pid=pid) for pid in range(10, 210)]
        judging.feed(sample(second, *many))
    segments = judging.segments(STARTED_AT + 59)
    assert len(segments) == 128
    assert segments[0].process.pid == 209
    assert all(segment.times[0] > STARTED_AT + 59 for segment in segments)


def test_a_leak_that_fills_the_host_within_a_minute_is_fed_as_fast_as_it_grows(make):
    """It would be over before its seventh feed; what grows slowly still waits its turn."""
    judging = make()
    for second in range(40):
        grown = 9 * MIB * second
        left = 400 * MIB - grown
        slow = process(50 * MIB + second, pid=11)
        judging.feed(sample(second, process(8 * MIB + grown), slow, available=left))
    fast = [second for second in judging.fed if judging.fed.count(second) == 1]
    assert len(fast) >= 30
    assert len(judging.fed) - 40 <= 6


def test_a_leak_that_fills_the_host_within_a_minute_is_seen_before_it_did(make):
    """400 MiB at 9 MiB/s, of a process that has just started: EXHAUSTING while memory is left."""
    judging = make()
    seen = None
    for second in range(44):
        left = 400 * MIB - 9 * MIB * second
        fast = process(8 * MIB + 9 * MIB * second, start=8_999_900)
        verdicts = judging.feed(
            replace(
                sample(second, fast),
                host=HostSample(mem_total_bytes=470 * MIB, mem_available_bytes=left),
            )
        )
        if seen is None and any(v.kind is VerdictKind.EXHAUSTING for v in verdicts):
            seen = left
    assert seen is not None
    assert seen >= 45 * MIB


def test_a_start_that_is_far_from_its_limit_is_not_hurried(make):
    """A working set that loads fast on a large host is fed every ten seconds as before."""
    judging = make()
    for second in range(30):
        loading = process(3 * MIB * second + 8 * MIB)
        judging.feed(sample(second, loading, available=4000 * MIB))
    assert len(judging.fed) <= 4
