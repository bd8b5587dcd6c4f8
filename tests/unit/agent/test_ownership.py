"""Who owns the growth, as the agent's own series tell it: the situation of a host for guard."""

from dataclasses import replace

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost

from forestall.agent.around import Around
from forestall.agent.config import AgentConfig
from forestall.agent.judging import Judging
from forestall.agent.situation import Situation
from forestall.detect.rules import RULES
from forestall.guard import surroundings
from forestall.guard.containment import Surroundings
from forestall.guard.ownership import not_the_owner
from forestall.guard.policy import Policy
from forestall.model.action import Mode
from forestall.model.sample import HostSample, ProcessKey, ProcessSample, Sample
from forestall.model.verdict import Forecast, Limit, LimitKind, Subject, Verdict, VerdictKind
from forestall.units import HOUR, MIB

STARTED_AT = 1_700_000_000.0


def process(pid, memory, *, unit=None, cgroup="/"):
    key = ProcessKey(boot_id="b", pid=pid, start_ticks=100)
    return ProcessSample(key=key, name=f"p{pid}", rss_bytes=memory, unit=unit, cgroup=cgroup)


class Watched:
    """A host whose processes are what the test says, ten minutes of it."""

    def __init__(self, folder, processes_at, *, available_at=lambda minute: 4000, minutes=10):
        host = FakeHost(folder).write("proc/uptime", "90000.00 1.00\n").host()
        self.judging = Judging(host, FakeClock(STARTED_AT), rules=RULES, cgroup_file="memory.max")
        around = Around(
            AgentConfig(), hostname="h", host_clock=FakeClock(STARTED_AT), lag_bytes_max=0
        )
        self.situation = Situation(host, self.judging, mode=Mode.ACT, state=None, around=around)
        for second in range(0, int(minutes * 60) + 1, 10):
            memory = HostSample(
                mem_total_bytes=8000 * MIB,
                mem_available_bytes=int(available_at(second / 60) * MIB),
            )
            sample = Sample(
                at=STARTED_AT + second,
                monotonic=float(second),
                boot_id="b",
                host=memory,
                processes=tuple(processes_at(second / 60)),
            )
            self.judging.feed(sample)
            self.situation.observe(sample)
        self.at = sample.at
        self.last = {each.key.pid: each for each in sample.processes}

    def verdict(self, pid, kind=LimitKind.HOST, source="MemAvailable; there is no swap"):
        last = self.last[pid]
        subject = Subject(
            host="h", name=last.name, process=last.key, unit=last.unit, cgroup=last.cgroup
        )
        limit = Limit(kind=kind, limit_bytes=8000 * MIB, headroom_bytes=500 * MIB, source=source)
        forecast = Forecast(
            limit=limit,
            rate_bytes_per_second=1.0,
            rate_low_bytes_per_second=1.0,
            rate_high_bytes_per_second=1.0,
            exhaustion_seconds=HOUR,
            exhaustion_low_seconds=HOUR,
            exhaustion_high_seconds=HOUR,
            window_seconds=600.0,
        )
        return Verdict(
            subject=subject,
            kind=VerdictKind.LEAKING,
            at=self.at,
            memory_bytes=last.memory_bytes,
            reasons=(),
            forecast=forecast,
            onset_at=STARTED_AT,
        )

    def share(self, pid, **limit):
        found = self.situation.ownership_of(self.verdict(pid, **limit), self.at)
        return None if found is None or found.share is None else round(found.share, 2)


@pytest.mark.parametrize(("left", "taken"), [(500, 500), (9000, 4000)])
def test_a_containment_leaves_room_in_what_runs_out(tmp_path, monkeypatch, left, taken):
    """A cgroup that others share has less left than the host, and must not be filled either."""
    watched = Watched(tmp_path, leak_beside(0))
    verdict = watched.verdict(10, kind=LimitKind.CGROUP, source="/shared memory.max")
    limit = replace(verdict.forecast.limit, headroom_bytes=left * MIB)
    verdict = replace(verdict, forecast=replace(verdict.forecast, limit=limit))
    looked = []

    def look(folders, process, *, headroom_bytes, **more):
        looked.append(headroom_bytes)
        return Surroundings(cgroup=None, version=None, headroom_bytes=None, problem="no need")

    monkeypatch.setattr(surroundings, "look", look)
    watched.situation.containment_of(verdict.subject.process, verdict)
    assert looked == [taken * MIB]


def leak_beside(other):
    """Process 10 grows by 20 MiB a minute, process 11 by `other`."""
    return lambda minute: (
        process(10, int((100 + 20 * minute) * MIB)),
        process(11, int((100 + other * minute) * MIB)),
    )


@pytest.mark.parametrize(("other", "share"), [(0, 1.0), (5, 0.8), (20, 0.5), (60, 0.25)])
def test_the_share_is_of_all_that_grew(tmp_path, other, share):
    """Two processes grow; each owns its part of what both took."""
    assert Watched(tmp_path, leak_beside(other)).share(10) == share


def test_what_no_process_holds_counts_too(tmp_path):
    """The host lost twice of what the processes took (tmpfs, the kernel): half is nobody's."""
    lost = Watched(tmp_path, leak_beside(0), available_at=lambda minute: 4000 - 50 * minute)
    assert lost.share(10) == pytest.approx(0.4, abs=0.02)


def test_what_shrinks_elsewhere_takes_nothing_from_the_share(tmp_path):
    """Memory that another process gave back is not growth of anybody."""
    assert Watched(tmp_path, leak_beside(-5)).share(10) == 1.0


def test_the_processes_of_one_unit_grow_together(tmp_path):
    """Ten workers that leak alike are one service, which is recycled as a whole."""
    watched = Watched(
        tmp_path,
        lambda minute: [
            process(pid, int((50 + minute) * MIB), unit="feed.service") for pid in range(10, 20)
        ],
    )
    assert watched.share(12) == 1.0


def test_a_cgroup_of_one_service_is_its_own(tmp_path):
    """Whose limit holds nobody else owns all of its growth, whatever the rest of the host does."""
    path = "/system.slice/feed.service"
    watched = Watched(
        tmp_path,
        lambda minute: (
            process(10, int((100 + minute) * MIB), cgroup=path, unit="feed.service"),
            process(11, int((100 + 50 * minute) * MIB)),
        ),
    )
    assert watched.share(10, kind=LimitKind.CGROUP, source=f"{path} memory.max") == 1.0
    assert watched.share(10) == pytest.approx(0.02, abs=0.01)


def test_the_limit_of_a_slice_is_shared(tmp_path):
    """In a cgroup of two services each owns its part; what lies elsewhere does not count."""
    watched = Watched(
        tmp_path,
        lambda minute: (
            process(10, int((100 + 10 * minute) * MIB), cgroup="/a.slice/x.service"),
            process(11, int((100 + 30 * minute) * MIB), cgroup="/a.slice/y.service"),
            process(12, int((100 + 90 * minute) * MIB), cgroup="/b.slice/z.service"),
        ),
    )
    assert watched.share(10, kind=LimitKind.CGROUP, source="/a.slice memory.max") == 0.25


def test_one_look_tells_nothing(tmp_path):
    """Without a second look nobody knows who grows, and guard leaves it alone and says so."""
    watched = Watched(tmp_path, leak_beside(0), minutes=0)
    verdict = watched.verdict(10)
    ownership = watched.situation.ownership_of(verdict, watched.at)
    refused = not_the_owner(verdict, ownership, Policy())
    assert refused is not None
    assert refused.startswith("Owner not known: ")


def test_a_leak_within_the_first_minute_is_seen_to_be_its_own(tmp_path):
    """An agent that has looked for half a minute knows who took what in it."""
    watched = Watched(
        tmp_path,
        lambda minute: (process(10, int((100 + 600 * minute) * MIB)), process(11, 900 * MIB)),
        minutes=0.5,
    )
    assert watched.share(10) == 1.0
    verdict = watched.verdict(10)
    ownership = watched.situation.ownership_of(verdict, watched.at)
    assert not_the_owner(verdict, ownership, Policy()) is None
