"""What the agent takes, measured from outside in a fresh interpreter: memory and modules."""

import json
import subprocess
import sys

import pytest
from tests.fakes.host import KIB, MIB, FakeHost

PROCESSES = 500
TICKS = 1000

START_RSS_BYTES_MAX = 18 * MIB
RSS_BYTES_MAX = 24 * MIB

# The goal is no growth. What the interpreter counts, its allocated blocks, must not grow but for
# numbers that became too large to be shared, garbage between two collections, and noise: 4 per
# process. What the kernel counts is the heap with its fragments, which settle: measured, 20 to
# 60 KiB over these 500 ticks and nothing after 1,500. A leak of one byte per process and tick
# would be 250 kB, of one number 8 MB.
GROWTH_BLOCKS_MAX = 4 * PROCESSES
GROWTH_BYTES_MAX = 128 * KIB

FORBIDDEN = {
    "asyncio",
    "concurrent.futures",
    "ctypes",
    "email",
    "hashlib",
    "http.client",
    "importlib.metadata",
    "logging",
    "multiprocessing",
    "numpy",
    "prometheus_client",
    "psutil",
    "rich",
    "sqlite3",
    "ssl",
    "subprocess",
    "tomllib",
    "traceback",
    "urllib.request",
    "forestall.audit",
    "forestall.demo",
    "forestall.incident",
}

AGENT = """
import json, os, sys
from array import array

tree, state, ticks = sys.argv[1], sys.argv[2], int(sys.argv[3])

import forestall.cli.main
import forestall.cli.watch
from forestall.agent.budget import Budget, OwnStatm, settle
from forestall.agent.config import AgentConfig
from forestall.agent.exposition import render
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.agent.metrics import families
from forestall.agent.recall import Segment
from forestall.agent.server import Server
from forestall.agent.waiting import Waiting
from forestall.cli.watch import respond
from forestall.model.sample import ProcessKey
from forestall.sense.host import Host


class Clock:
    # Starts where the fake processes are old enough to be judged, and never waits.
    at = 1_700_100_000.0

    def now(self):
        return self.at

    def monotonic(self):
        return self.at - 1_700_000_000.0

    def sleep(self, seconds):
        self.at += seconds


clock = Clock()
host = Host(*(os.path.join(tree, part) for part in ("proc", "sys", "etc", "run")), root=tree)
watch = Watch(
    AgentConfig(),
    host=host,
    clock=clock,
    log=Log(sys.stderr, clock, journald=True),
    state=state,
    budget=Budget(clock),
)
waiting = Waiting()
server = Server(waiting, "127.0.0.1", 0, lambda path: respond(watch, path))
watch.start()
own = OwnStatm()
start = own.rss_bytes()
# A week of history, an hour apart: every window of every judge is as full as it ever gets, or
# the filling of the longer ones would be taken for growth.
seconds = [clock.now() - 3600.0 * hour for hour in range(170, 0, -1)]
for pid in range(1000, 1500):
    key = ProcessKey(boot_id=watch.collector.boot_id, pid=pid, start_ticks=pid)
    values = array("d", [float((4000 + hour % 250 - 500) * 4096) for hour in range(170)])
    watch.judging.remember([Segment(key, array("d", seconds), values)])
files = [os.open(f"{tree}/proc/{pid}/statm", os.O_WRONLY) for pid in range(1000, 1500)]
measured = {"start": start, "modules": None, "rss": [], "blocks": []}
for tick in range(1, ticks + 1):
    # A tenth of the processes breathe at each tick, by up to a megabyte.
    for number, file in enumerate(files):
        if (number + tick) % 10 == 0:
            pages = 4000 + (number * 7 + tick * 13) % 250
            os.pwrite(file, b"%d %d 500 10 0 900 0\\n" % (pages * 3, pages), 0)
    watch.tick()
    if tick == 1:
        settle()
    if tick % 15 == 0:
        render(families(watch))
    clock.sleep(1.0)
    if tick % 100 == 0:
        measured["rss"].append(own.rss_bytes())
        measured["blocks"].append(sys.getallocatedblocks())
measured["modules"] = sorted(sys.modules)
measured["judged"] = len(watch.judging.verdicts)
measured["faults"] = watch.fault_count + watch.collector.fault_count
measured["saved"] = os.path.getsize(os.path.join(state, "series/memory.journal"))
print(json.dumps(measured))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    fake = FakeHost(folder)
    fake.write("proc/uptime", "1000000.00 500000.00\n")
    for number in range(PROCESSES):
        cgroup = f"/system.slice/service-{number % 100}.service"
        fake.process(
            1000 + number,
            f"service-{number}",
            rss=16 * MIB,
            cgroup=cgroup,
            start_ticks=1000 + number,
        )
    for number in range(100):
        group = f"sys/fs/cgroup/system.slice/service-{number}.service"
        fake.write(f"{group}/memory.current", f"{80 * MIB}\n")
        fake.write(f"{group}/memory.max", f"{512 * MIB}\n")
        fake.write(f"{group}/memory.stat", f"anon {60 * MIB}\nactive_file {5 * MIB}\n")
    state = tmp_path_factory.mktemp("state")
    done = subprocess.run(
        [sys.executable, "-c", AGENT, str(folder), str(state), str(TICKS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_measurement_measured_an_agent_at_work(measured):
    """All 500 processes were judged, the series were saved, and nothing failed meanwhile."""
    assert measured["judged"] == PROCESSES
    assert measured["faults"] == 0
    assert measured["saved"] > 10_000


def test_the_agent_loads_no_heavy_module(measured):
    """Neither third-party packages nor the heavy parts of the standard library are loaded."""
    loaded = set(measured["modules"])
    assert not loaded & FORBIDDEN
    assert not [name for name in loaded if name.partition(".")[0] in ("rich", "numpy", "psutil")]


def test_after_its_start_the_agent_is_small(measured):
    """After start, before the first tick, the agent holds at most 18 MiB."""
    assert measured["start"] <= START_RSS_BYTES_MAX


def test_with_500_processes_the_agent_stays_within_24_mib(measured):
    """After 1,000 ticks over 500 processes the agent holds at most 24 MiB."""
    assert measured["rss"][-1] <= RSS_BYTES_MAX


def test_the_agent_does_not_grow(measured):
    """Over the last 500 of 1,000 ticks the agent holds on to nothing more."""
    assert measured["blocks"][-1] - measured["blocks"][4] <= GROWTH_BLOCKS_MAX
    assert measured["rss"][-1] - measured["rss"][4] <= GROWTH_BYTES_MAX
