"""Reading this machine and real processes on it."""

import dataclasses
import os
import subprocess
import sys
import time

import psutil
import pytest
from tests.fakes.recorder import TracingHost, collect, covered
from tests.integration.servers import postgresql

from forestall.clock import SystemClock
from forestall.model.codec import dumps, loads
from forestall.model.facts import HostFacts
from forestall.model.sample import Sample
from forestall.sense import procfs
from forestall.sense.cgroup import Cgroups
from forestall.sense.collector import Collector
from forestall.sense.facts import read_facts
from forestall.sense.host import Host
from forestall.sense.recording import RecordedHost

MIB = 1024 * 1024
HOLD = """
import sys
held = []
print("ready", flush=True)
for line in sys.stdin:
    held.append(b"x" * int(line))
    print("held", flush=True)
"""

RENAME = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[1]), 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start():
    """Starts python programs that wait for input, and ends them."""
    children = []

    def run(program, *arguments):
        child = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        children.append(child)
        assert child.stdout.readline() == b"ready\n"
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


def _hold(child, size):
    child.stdin.write(f"{size}\n".encode())
    child.stdin.flush()
    assert child.stdout.readline() == b"held\n"


def _collector(*pids):
    return Collector(Host(), SystemClock(), select=lambda name, pid, cgroup: pid in pids)


def test_a_real_process_is_seen_to_grow_by_what_it_took(start):
    """40 MiB more in the process are 40 MiB more in its anonymous memory."""
    child = start(HOLD)
    with _collector(child.pid) as collector:
        (before,) = collector.tick().processes
        _hold(child, 40 * MIB)
        (after,) = collector.tick().processes
    assert after.key == before.key
    assert abs(after.anon_bytes - before.anon_bytes - 40 * MIB) < 2 * MIB
    assert abs(after.rss_bytes - before.rss_bytes - 40 * MIB) < 2 * MIB


def test_resident_less_shared_is_the_kernels_own_rss_anon(start):
    """On a kernel whose status has RssAnon, statm gives the same number."""
    child = start(HOLD)
    _hold(child, 30 * MIB)
    host = Host()
    status = procfs.read_status(host, child.pid)
    _, anon_bytes = procfs.read_statm(host, child.pid)
    assert status.anon_bytes is not None, "this kernel has no RssAnon to compare with"
    # Some kernels keep both counts per thread and add them up late.
    assert abs(status.anon_bytes - anon_bytes) <= MIB


def test_sizes_agree_with_psutil_and_with_the_page_tables(start):
    """The same process, three ways to ask."""
    child = start(HOLD)
    _hold(child, 30 * MIB)
    with _collector(child.pid) as collector:
        (process,) = collector.tick().processes
        rollup = collector.rollup(process.key)
    other = psutil.Process(child.pid)
    assert abs(process.rss_bytes - other.memory_info().rss) <= MIB
    assert process.name == other.name()
    assert process.uid == other.uids().real
    assert abs(rollup.anonymous_bytes - process.anon_bytes) <= MIB
    boot = procfs.read_boot_id(Host())
    assert process.key == procfs.read_key(Host(), child.pid, boot)
    assert rollup.pss_bytes <= rollup.rss_bytes


def test_an_ended_process_is_gone_at_the_next_tick(start):
    """The kept descriptor answers ESRCH once the process was reaped."""
    child = start(HOLD)
    with _collector(child.pid) as collector:
        (process,) = collector.tick().processes
        descriptor = collector._watched[child.pid].descriptor
        child.kill()
        child.wait()
        with pytest.raises(ProcessLookupError):
            os.pread(descriptor, 100, 0)
        assert collector.tick().processes == ()
        assert collector.rollup(process.key) is None


def test_a_zombie_is_in_no_sample(start):
    """Between its end and its reaping a process holds nothing."""
    child = start(HOLD)
    with _collector(child.pid) as collector:
        assert collector.tick().processes
        os.kill(child.pid, 9)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert collector.tick().processes == ()
        assert collector.fault_count == 0


@pytest.mark.parametrize(
    "name", [b") R 1 (", b"a\nb", b"\xff\xfe", b"tab\t)", b"( (", b"\\x28 '\"$(id)"]
)
def test_a_real_process_may_call_itself_anything(start, name):
    """The kernel lets it; what is read is still its own pid, start and size."""
    child = start(RENAME, name.hex())
    with _collector(child.pid) as collector:
        sample = collector.tick()
        assert collector.fault_count == 0
    (process,) = sample.processes
    assert process.name == name.decode("utf-8", "backslashreplace")
    assert process.rss_bytes > MIB
    assert loads(Sample, dumps(sample)) == sample


def test_every_process_of_this_machine_can_be_followed():
    """Whatever runs here: no fault, sound keys, and this test's own process among them."""
    with Collector(Host(), SystemClock()) as collector:
        samples = [collector.tick() for _ in range(3)]
        assert collector.fault_count == 0, collector.last_fault
    own = {process.key.pid: process for process in samples[-1].processes}[os.getpid()]
    assert own.rss_bytes > 10 * MIB
    assert all(process.key.boot_id and process.key.start_ticks for process in samples[0].processes)
    assert samples[-1].host.mem_total_bytes == psutil.virtual_memory().total
    assert loads(Sample, dumps(samples[-1])) == samples[-1]


def test_the_facts_of_this_machine_are_read_whole():
    """No root and no configuration needed; what is missing has a reason."""
    facts = read_facts(Host(), SystemClock())
    assert facts.hostname == os.uname().nodename
    assert facts.kernel_release == os.uname().release
    assert facts.machine == os.uname().machine
    assert facts.effective_uid == os.geteuid()
    assert abs(facts.booted_at - psutil.boot_time()) <= 2
    assert facts.memory.mem_available_bytes <= facts.memory.mem_total_bytes
    assert facts.sysctls["vm.panic_on_oom"] in ("0", "1", "2")
    assert facts.units is not None or facts.unseen["units"]
    assert facts.swaps is not None
    assert loads(HostFacts, dumps(facts)) == facts


def test_a_crowd_that_comes_and_goes_leaves_no_fault():
    """Processes that end between a listing and a read are not errors."""
    with Collector(Host(), SystemClock()) as collector:
        for _ in range(15):
            children = [subprocess.Popen(["true"]) for _ in range(8)]
            collector.tick()
            for child in children:
                child.wait()
            time.sleep(0.005)
        collector.tick()
        assert collector.fault_count == 0, collector.last_fault


VOLATILE = {
    "at",
    "memory",
    "holders",
    "process_count",
    "own_cgroups",
    "committed_bytes",
    "mounts",
    "databases",
    "postgres",
    "unseen",
}
"""What changes between two readings, servers of other tests among it; and why not."""


def test_a_recording_by_the_table_tells_what_the_host_tells():
    """What the table of sources names is enough: facts of a recording are the live ones."""
    live = read_facts(Host(), SystemClock())
    recording = collect(Host(), origin="local", collected_at=live.at)
    again = read_facts(RecordedHost(recording), SystemClock())
    assert again.at == live.at
    for field in dataclasses.fields(HostFacts):
        if field.name not in VOLATILE:
            assert getattr(again, field.name) == getattr(live, field.name), field.name
    assert again.memory.mem_total_bytes == live.memory.mem_total_bytes
    # What another test's server includes is not named by the table.
    assert again.unseen.keys() - {"postgres"} == live.unseen.keys() - {"postgres"}
    sizes = {mount.path: mount.size_bytes for mount in live.mounts if mount.size_bytes}
    told = {mount.path: mount.size_bytes for mount in again.mounts if mount.size_bytes}
    shared = sizes.keys() & told.keys()
    assert "/" in shared
    assert {path: sizes[path] for path in shared} == {path: told[path] for path in shared}


def test_nothing_is_read_here_that_the_table_does_not_name():
    """The collector over SSH is held to the same table."""
    host = TracingHost()
    facts = read_facts(host, SystemClock())
    servers = tuple(f"{told.data_directory}/".lstrip("/") for told in facts.postgres or ())
    groups = Cgroups(Host()).hierarchy.mount.point.lstrip("/")
    assert [
        (how, path)
        for how, path in dict.fromkeys(host.traced)
        if not covered(how, path) and not path.startswith((groups, *servers))
    ] == []


def test_a_real_postgresql_is_found_and_its_settings_read(tmp_path):
    """By its working directory or command line; what that sets is over what the files say."""
    with postgresql(tmp_path / "server"):
        data = tmp_path / "server/data"
        with (data / "postgresql.conf").open("a") as file:
            file.write("include_dir = 'conf.d'\nshared_buffers = 99MB\n")
        (data / "conf.d").mkdir()
        (data / "conf.d/10-here.conf").write_text("work_mem = '6MB'\n")
        facts = read_facts(Host(), SystemClock())
        recorded = read_facts(RecordedHost(collect(Host())), SystemClock())
    (found,) = [told for told in facts.postgres if told.data_directory == str(data)]
    assert (found.shared_buffers_bytes, found.work_mem_bytes) == (16 * MIB, 6 * MIB)
    assert (found.max_connections, found.complete) == (100, True)
    assert found in recorded.postgres
    assert "postgres" in [held.process.name for held in facts.databases]
