"""Processes that read one spool at once, and processes that are killed while they do."""

import os
import random
import signal
import subprocess
import sys
import time

from tests.fakes import leak, state
from tests.fakes.clock import FakeClock

from forestall.incident import intake
from forestall.incident.site import Site
from forestall.model.event import EventKind

COLLECT = (
    "import sys\n"
    "from forestall.clock import SystemClock\n"
    "from forestall.incident import intake\n"
    "from forestall.incident.site import Site\n"
    "print(flush=True)\n"
    "sys.stdin.read(1)\n"
    "intake.collect(sys.argv[1], Site(zone='America/Chicago'), SystemClock())\n"
)


def troubles(count):
    """Spool events of `count` troubles of as many services."""
    events = []
    for number in range(count):
        for event in leak.events():
            changed = {"key": f"{leak.HOST}/service-{number}", "id": f"{event.id}-{number}"}
            events.append(leak.event(event.kind, event.at, text=event.text, **changed))
    return events


def begin(folder):
    """A process that is ready to collect once a byte is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", COLLECT, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    return process


def go(process):
    process.stdin.write(b"x")
    process.stdin.flush()


def finish(process):
    process.stdin.close()
    process.stdout.close()
    return process.wait(timeout=60)


def assert_whole(folder, count):
    """Each trouble once, numbers without gaps, every event once."""
    found = intake.listed(str(folder))
    assert [one.number[-3:] for one in found] == [f"{n + 1:03d}" for n in range(count)]
    assert len({one.key for one in found}) == count
    for one in found:
        assert len(one.timeline) == len(leak.events())
        assert one.timeline[-1].kind is EventKind.RECOVERED


def test_four_at_once(tmp_path):
    """Four processes open twelve incidents together: none twice, no number left out."""
    state.spool(tmp_path, troubles(12))
    processes = [begin(tmp_path) for _ in range(4)]
    for process in processes:
        go(process)
    assert [finish(process) for process in processes] == [0, 0, 0, 0]
    assert_whole(tmp_path, 12)


def test_killed_while_reading(tmp_path):
    """Killed at 20 random moments and read again to the end, it is as if nobody was killed."""
    state.spool(tmp_path, troubles(12))
    dice = random.Random(7)
    for _ in range(20):
        process = begin(tmp_path)
        go(process)
        time.sleep(dice.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        finish(process)
    intake.collect(str(tmp_path), Site(zone="America/Chicago"), FakeClock())
    assert_whole(tmp_path, 12)
