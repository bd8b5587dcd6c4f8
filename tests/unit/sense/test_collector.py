"""The tick and its tiers."""

import os

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.host import GIB, MIB, FakeHost

from forestall.sense.collector import SUSPECT_LIMIT, UNKEPT_PER_TICK, Collector
from forestall.sense.host import Host


@pytest.fixture
def fake(tmp_path):
    return FakeHost(tmp_path)


@pytest.fixture
def clock():
    return FakeClock()


def _by_pid(sample):
    return {process.key.pid: process for process in sample.processes}


def _tick(collector, clock, seconds=1.0):
    clock.sleep(seconds)
    return _by_pid(collector.tick())


def test_a_tick_has_the_host_and_every_process(fake, clock):
    """Time, boot, memory of the host, and each process with its slow fields from the start."""
    fake.process(7, "worker", rss=8 * MIB, anon=6 * MIB, swap=MIB, uid=33, cpu_ticks=250)
    fake.meminfo(available=3 * GIB, swap_free=GIB).pressure(some_avg10=2.5)
    with Collector(fake.host(), clock) as collector:
        sample = collector.tick()
    assert (sample.at, sample.monotonic) == (clock.now(), clock.monotonic())
    assert sample.host.headroom_bytes == 4 * GIB
    assert sample.host.pressure.some_avg10 == 2.5
    (process,) = sample.processes
    assert (process.key.boot_id, process.key.start_ticks) == (sample.boot_id, 700)
    assert (process.name, process.uid) == ("worker", 33)
    assert (process.rss_bytes, process.anon_bytes) == (8 * MIB, 6 * MIB)
    assert process.memory_bytes == 7 * MIB
    assert (process.cpu_seconds, process.thread_count) == (2.5, 1)
    assert (process.read_bytes, process.written_bytes) == (4096, 8192)


def test_growth_is_seen_each_tick_on_the_same_descriptor(fake, clock):
    """statm is read again without being opened again."""
    fake.process(7)
    host = CountingHost.of(fake)
    with Collector(host, clock) as collector:
        collector.tick()
        opened = host.opened.count("proc/7/statm")
        seen = []
        for step in range(1, 6):
            fake.statm(7, step * GIB, step * GIB)
            seen.append(_tick(collector, clock)[7].memory_bytes)
        assert seen == [GIB, 2 * GIB, 3 * GIB, 4 * GIB, 5 * GIB]
        assert host.opened.count("proc/7/statm") == opened == 1


class CountingHost(Host):
    """A host that remembers what was opened."""

    @classmethod
    def of(cls, fake):
        host = cls(*(str(fake.folder / part) for part in ("proc", "sys", "etc", "run")))
        host.opened = []
        return host

    def open(self, relative):
        self.opened.append(relative)
        return super().open(relative)


def test_slow_files_are_read_every_ten_seconds(fake, clock):
    """status, stat, io and cgroup of a process that changed each tick: once in ten ticks."""
    fake.process(7)
    host = CountingHost.of(fake)
    with Collector(host, clock) as collector:
        collector.tick()
        host.opened.clear()
        for step in range(1, 41):
            fake.process(7, rss=(8 + step) * MIB, cpu_ticks=step)
            _tick(collector, clock)
    for name in ("stat", "status", "io", "cgroup"):
        assert host.opened.count(f"proc/7/{name}") == 4, name


def test_a_suspects_slow_files_are_read_each_tick(fake, clock):
    """Swap and processor time of a suspect are as fresh as its size."""
    fake.process(7).process(8)
    with Collector(fake.host(), clock) as collector:
        before = _by_pid(collector.tick())
        collector.suspects.add(before[7].key)
        fake.process(7, swap=GIB, cpu_ticks=999).process(8, swap=GIB, cpu_ticks=999)
        after = _tick(collector, clock, 0.5)
        assert after[7].swap_bytes == GIB
        assert after[7].cpu_seconds == 9.99
        assert after[8].swap_bytes == 0


def test_suspects_that_ended_are_forgotten_and_their_number_is_bounded(fake, clock):
    """Whoever adds suspects need not clean up, and too many do not slow the tick."""
    for pid in range(1, SUSPECT_LIMIT + 20):
        fake.process(pid)
    host = CountingHost.of(fake)
    with Collector(host, clock) as collector:
        collector.suspects |= {process.key for process in collector.tick().processes}
        fake.kill(1)
        host.opened.clear()
        _tick(collector, clock, 0.5)
        assert 1 not in {key.pid for key in collector.suspects}
        assert sum(path.endswith("/stat") for path in host.opened) == SUSPECT_LIMIT


def test_an_idle_process_keeps_its_sample_object(fake, clock):
    """What did not change is not made anew, on the fast tier and on the slow one."""
    fake.process(7).process(8)
    with Collector(fake.host(), clock) as collector:
        first = _by_pid(collector.tick())
        for _ in range(25):
            fake.statm(8, int(8 + clock.monotonic()) * MIB)
            later = _tick(collector, clock)
        assert later[7] is first[7]
        assert later[8] is not first[8]


def test_a_process_that_lost_pages_is_looked_at_again(fake, clock):
    """Swapping out changes statm and not the processor time: VmSwap must follow."""
    fake.process(7, rss=100 * MIB, anon=100 * MIB)
    with Collector(fake.host(), clock) as collector:
        collector.tick()
        fake.process(7, rss=40 * MIB, anon=40 * MIB, swap=60 * MIB)
        for _ in range(11):
            process = _tick(collector, clock)[7]
        assert process.memory_bytes == 100 * MIB


def test_processes_that_come_and_go(fake, clock):
    """A new one is seen at the next tick, an ended one is gone from it."""
    fake.process(7)
    with Collector(fake.host(), clock) as collector:
        assert _by_pid(collector.tick()).keys() == {7}
        fake.process(8)
        assert _tick(collector, clock).keys() == {7, 8}
        fake.kill(7)
        assert _tick(collector, clock).keys() == {8}
        assert collector.fault_count == 0


def test_a_reused_pid_never_continues_a_series(fake, clock):
    """A new process of the same pid has a new key and none of the old one's slow fields."""
    fake.process(7, "old", start_ticks=100, cpu_ticks=5000)
    with Collector(fake.host(), clock) as collector:
        old = _by_pid(collector.tick())[7]
        fake.kill(7).process(7, "new", start_ticks=900, rss=GIB)
        samples = [_tick(collector, clock).get(7) for _ in range(3)]
    new = samples[-1]
    assert new.key.start_ticks == 900
    assert (new.name, new.cpu_seconds) == ("new", 0.1)
    assert all(sample is None or sample.key != old.key for sample in samples)


def test_a_reused_pid_is_found_out_without_a_kept_descriptor(fake, clock):
    """Beyond the descriptor limit the start time is compared at every read."""
    fake.process(7, start_ticks=100)
    with Collector(fake.host(), clock, descriptor_limit=0) as collector:
        collector.tick()
        fake.process(7, start_ticks=900, rss=GIB)
        samples = [_tick(collector, clock).get(7) for _ in range(2)]
    assert samples[0] is None
    assert samples[1].key.start_ticks == 900


def test_a_reused_pid_is_found_out_between_the_tiers(fake, clock):
    """A start time that changed after the size was read ends the series too."""
    fake.process(7, start_ticks=100)
    with Collector(fake.host(), clock) as collector:
        collector.tick()
        fake.process(7, start_ticks=900, cpu_ticks=999)
        assert 7 not in _tick(collector, clock, 11.0)
        assert _tick(collector, clock)[7].key.start_ticks == 900


def test_many_without_a_descriptor_take_turns(fake, clock):
    """One tick reads a part of them, the next goes on where it ended."""
    count = UNKEPT_PER_TICK + 10
    for pid in range(1, count + 1):
        fake.process(pid)
    with Collector(fake.host(), clock, descriptor_limit=0) as collector:
        collector.tick()
        for pid in range(1, count + 1):
            fake.statm(pid, GIB)
        grown = [
            sum(process.rss_bytes == GIB for process in _tick(collector, clock, 0.01).values())
            for _ in range(2)
        ]
    assert grown == [UNKEPT_PER_TICK, count]


def test_descriptors_are_bounded_and_the_rest_is_read_in_turn(fake, clock):
    """Every process is seen to grow, whether its descriptor could be kept or not."""
    for pid in range(1, 21):
        fake.process(pid)
    before = len(os.listdir("/dev/fd"))
    with Collector(fake.host(), clock, descriptor_limit=5) as collector:
        collector.tick()
        assert len(os.listdir("/dev/fd")) == before + 5
        for pid in range(1, 21):
            fake.statm(pid, GIB)
        assert {p.rss_bytes for p in _tick(collector, clock).values()} == {GIB}
    assert len(os.listdir("/dev/fd")) == before


def test_ended_processes_give_their_descriptor_back(fake, clock):
    """A host where processes come and go for weeks neither runs out of descriptors nor of turns."""
    with Collector(fake.host(), clock, descriptor_limit=1) as collector:
        before = len(os.listdir("/dev/fd"))
        for pid in range(1, 60):
            fake.process(pid)
            _tick(collector, clock)
            assert len(os.listdir("/dev/fd")) == before + 1
            fake.kill(pid)
            _tick(collector, clock)
        assert len(os.listdir("/dev/fd")) == before


def test_kernel_threads_and_zombies_are_left_out(fake, clock):
    """What holds no memory is in no sample."""
    fake.process(2, "kthreadd", rss=0, kernel_thread=True).process(3, "zombie", rss=0)
    with Collector(fake.host(), clock) as collector:
        assert collector.tick().processes == ()
        assert _tick(collector, clock) == {}


def test_kernel_threads_cost_nothing_after_the_first_look(fake, clock):
    """Hundreds of them on a large machine take no descriptor and no read."""
    fake.process(2, "kthreadd", rss=0, kernel_thread=True)
    host = CountingHost.of(fake)
    before = len(os.listdir("/dev/fd"))
    with Collector(host, clock) as collector:
        collector.tick()
        host.opened.clear()
        for _ in range(30):
            _tick(collector, clock)
        assert not [path for path in host.opened if path.startswith("proc/2/")]
        assert len(os.listdir("/dev/fd")) == before


def test_select_restricts_the_sample(fake, clock):
    """By name, pid or cgroup; who gets the name later is met then."""
    fake.cgroup("/a").process(7, "feed-sync").process(8, "other").process(9, "x", cgroup="/a")

    def wanted(name, pid, cgroup):
        return name == "feed-sync" or cgroup == "/a"

    with Collector(fake.host(), clock, select=wanted) as collector:
        assert _by_pid(collector.tick()).keys() == {7, 9}
        fake.process(8, "feed-sync")
        for _ in range(11):
            seen = _tick(collector, clock)
        assert seen.keys() == {7, 8, 9}


def test_cgroups_are_those_of_the_processes_and_their_ancestors(fake, clock):
    """With the unit's name on the process; an empty cgroup is not read."""
    path = "/system.slice/feed-sync.service"
    fake.cgroup("/system.slice").cgroup(path, maximum=GIB).cgroup("/empty.slice")
    fake.process(7, cgroup=path)
    with Collector(fake.host(), clock) as collector:
        sample = collector.tick()
        assert {group.path for group in sample.cgroups} == {"/", "/system.slice", path}
        assert sample.processes[0].cgroup == path
        assert sample.processes[0].unit == "feed-sync.service"
        fake.kill(7)
        clock.sleep(1)
        assert collector.tick().cgroups == ()


def test_a_suspects_cgroup_is_read_each_tick_and_others_more_rarely(fake, clock):
    """The limit that matters is fresh; the rest is at most ten seconds old."""
    fake.cgroup("/a", current=MIB).cgroup("/b", current=MIB)
    fake.process(7, cgroup="/a").process(8, cgroup="/b")
    with Collector(fake.host(), clock) as collector:
        collector.suspects.add(_by_pid(collector.tick())[7].key)
        fake.cgroup("/a", current=GIB).cgroup("/b", current=GIB)
        clock.sleep(1)
        current = {group.path: group.current_bytes for group in collector.tick().cgroups}
        assert (current["/a"], current["/b"]) == (GIB, MIB)
        clock.sleep(10)
        current = {group.path: group.current_bytes for group in collector.tick().cgroups}
        assert current["/b"] == GIB


def test_a_process_that_moves_is_followed_to_its_new_cgroup(fake, clock):
    """Even one that is idle: its move shows in no file of its memory."""
    fake.cgroup("/a").cgroup("/b").process(7, cgroup="/a")
    with Collector(fake.host(), clock) as collector:
        collector.tick()
        fake.write("proc/7/cgroup", "0::/b\n")
        for _ in range(11):
            seen = _tick(collector, clock)
        assert seen[7].cgroup == "/b"


def test_damaged_files_cost_only_what_they_speak_of(fake, clock):
    """Faults are counted and said; the other processes and later ticks are not touched."""
    fake.process(7).process(8).process(9)
    with Collector(fake.host(), clock) as collector:
        collector.tick()
        fake.write("proc/7/statm", "garbage\n")
        assert _tick(collector, clock).keys() == {8, 9}
        assert collector.fault_count == 1
        assert "proc/7/statm line 1" in collector.last_fault
        fake.write("proc/meminfo", "MemTotal: x kB\n")
        clock.sleep(1)
        assert collector.tick().host.mem_total_bytes is None
        fake.meminfo().process(7)
        assert _tick(collector, clock).keys() == {7, 8, 9}


def test_counters_that_go_backwards_are_passed_on(fake, clock):
    """The sample says what was read; a difference is not this package's to judge."""
    fake.process(7, cpu_ticks=900).vmstat(pgmajfault=500)
    with Collector(fake.host(), clock) as collector:
        first = collector.tick()
        fake.process(7, cpu_ticks=100).vmstat(pgmajfault=5)
        clock.sleep(11)
        second = collector.tick()
    assert first.processes[0].cpu_seconds > second.processes[0].cpu_seconds
    assert second.host.major_fault_count == 5


def test_hidden_files_are_absent_values(fake, clock):
    """Without io and status, as for other users' processes, the sizes remain."""
    fake.process(7, rss=8 * MIB).remove("proc/7/io").remove("proc/7/status")
    with Collector(fake.host(), clock) as collector:
        (process,) = collector.tick().processes
    assert process.rss_bytes == 8 * MIB
    assert (process.uid, process.swap_bytes, process.read_bytes) == (None, None, None)


def test_the_number_of_processes_is_bounded(fake, clock):
    """What is beyond the limit is counted, and taken up when there is room."""
    for pid in range(1, 11):
        fake.process(pid)
    with Collector(fake.host(), clock, process_limit=6) as collector:
        seen = _by_pid(collector.tick())
        assert len(seen) == 6
        assert collector.overflow_count == 4
        fake.kill(next(iter(seen)))
        assert len(_tick(collector, clock)) == 6
        assert collector.overflow_count == 3


def test_the_folder_is_listed_only_when_a_pid_was_given_out(fake, clock):
    """loadavg's last pid tells; without it, and after ten seconds, the listing is made anyway."""
    fake.process(7).write("proc/loadavg", "0.1 0.2 0.3 1/100 7\n")
    with Collector(fake.host(), clock) as collector:
        collector.tick()
        fake.process(8)
        assert _tick(collector, clock).keys() == {7}
        fake.write("proc/loadavg", "0.1 0.2 0.3 1/101 8\n")
        assert _tick(collector, clock).keys() == {7, 8}
        fake.process(9)
        assert _tick(collector, clock, 10.0).keys() == {7, 8, 9}


def test_an_ended_process_is_noticed_without_a_listing(fake, clock):
    """The kept descriptor tells, as the kernel's ESRCH does."""
    fake.process(7).write("proc/loadavg", "0.1 0.2 0.3 1/100 7\n")
    with Collector(fake.host(), clock) as collector:
        collector.tick()
        fake.kill(7)
        assert _tick(collector, clock) == {}
        assert collector.fault_count == 0


def test_a_rollup_is_of_the_asked_process_only(fake, clock):
    """A key whose pid was reused gets nothing."""
    fake.process(7, start_ticks=100)
    fake.write("proc/7/smaps_rollup", "00-ff ---p 0 00:00 0 [rollup]\nRss: 8 kB\nPss: 6 kB\n")
    with Collector(fake.host(), clock) as collector:
        key = collector.tick().processes[0].key
        assert collector.rollup(key).pss_bytes == 6144
        fake.process(7, start_ticks=900)
        assert collector.rollup(key) is None


class Replacing(Host):
    """A host whose process is replaced while its page tables are read."""

    fake = None

    def read_bytes(self, relative, limit=65536):
        data = super().read_bytes(relative, limit)
        if relative.endswith("smaps_rollup"):
            self.fake.process(7, start_ticks=900)
        return data


def test_a_rollup_that_a_new_process_answered_is_nobodys(fake, clock):
    """The key must hold before and after the read."""
    fake.process(7, start_ticks=100)
    fake.write("proc/7/smaps_rollup", "00-ff ---p 0 00:00 0 [rollup]\nRss: 8 kB\nPss: 6 kB\n")
    host = Replacing(*(str(fake.folder / part) for part in ("proc", "sys", "etc", "run")))
    host.fake = fake
    with Collector(host, clock) as collector:
        key = collector.tick().processes[0].key
        assert collector.rollup(key) is None
