"""A host that changes at random under the collector, against what the host says of itself."""

import os
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost

from forestall.model.codec import dumps
from forestall.sense.collector import Collector

PIDS = st.integers(2, 5)
PAGES = st.integers(0, 4096).map(lambda pages: pages * 4096)

STEPS = st.one_of(
    st.tuples(st.just("start"), PIDS, st.binary(min_size=1, max_size=15), PAGES),
    st.tuples(st.just("resize"), PIDS, PAGES),
    st.tuples(st.just("kill"), PIDS),
    st.tuples(st.just("replace"), PIDS, st.binary(min_size=1, max_size=15), PAGES),
    st.tuples(st.just("damage"), PIDS, st.sampled_from(("stat", "status", "io", "cgroup"))),
    st.tuples(st.just("suspect"), PIDS),
    st.tuples(st.just("tick"), st.sampled_from((0.5, 1.0, 3.0, 10.0, 70.0))),
)

seen = Counter()


class World:
    """The truth beside the fake: which processes live, since when, and how large they are."""

    def __init__(self, fake):
        self.fake = fake
        self.alive = {}
        self.damaged = set()
        self.started = 0

    def apply(self, step, collector):
        kind, pid, *rest = step
        if kind == "start" and pid not in self.alive:
            self.start(pid, *rest)
        elif kind == "replace" and pid in self.alive:
            self.fake.kill(pid)
            self.start(pid, *rest)
        elif kind == "kill" and pid in self.alive:
            self.fake.kill(pid)
            del self.alive[pid]
        elif kind == "resize" and pid in self.alive:
            self.alive[pid] = (self.alive[pid][0], rest[0])
            self.fake.statm(pid, rest[0])
        elif kind == "damage" and pid in self.alive:
            self.fake.write(f"proc/{pid}/{rest[0]}", b"Uid:\tx\nread_bytes: x\n")
            self.damaged.add(pid)
        elif kind == "suspect" and pid in self.alive:
            collector.suspects |= {key for key in self.last if key.pid == pid}
        else:
            return
        seen[kind] += 1

    def start(self, pid, name, rss):
        self.started += 1
        self.alive[pid] = (self.started, rss)
        self.damaged.discard(pid)
        self.fake.process(pid, name, rss=rss, start_ticks=self.started)

    last = ()


def test_a_sample_never_tells_of_a_process_that_is_not():
    """Sizes are exact, keys are of the living, and nothing is left open, whatever happens.

    Reused pids, suspects and damage did occur in what was generated.
    """
    seen.clear()
    _any_history()
    assert seen["replace"] >= 5
    assert seen["damage"] >= 5
    assert seen["suspect"] >= 1


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, min_size=15, max_size=60), limit=st.sampled_from((0, 2, 100)))
def _any_history(steps, limit):
    clock = FakeClock()
    open_before = len(os.listdir("/dev/fd"))
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeHost(Path(folder)).process(1, "init")
        world = World(fake)
        with Collector(fake.host(), clock, descriptor_limit=limit) as collector:
            for step in [*steps, ("tick", 1.0), ("tick", 1.0)]:
                if step[0] != "tick":
                    world.apply(step, collector)
                    continue
                clock.sleep(step[1])
                sample = collector.tick()
                _check(sample, world)
                dumps(sample)
                world.last = [process.key for process in sample.processes]
            _check_complete(sample, world)
    assert len(os.listdir("/dev/fd")) == open_before


def _check(sample, world):
    for process in sample.processes:
        pid = process.key.pid
        if pid == 1:
            continue
        started, rss = world.alive[pid]
        assert process.key.start_ticks == started, "a series went on for another process"
        assert process.rss_bytes == rss
        assert process.swap_bytes in (0, None)


def _check_complete(sample, world):
    """Two quiet ticks later every sound process with memory is there."""
    expected = {pid for pid, (_, rss) in world.alive.items() if rss and pid not in world.damaged}
    assert expected <= {process.key.pid for process in sample.processes}
