"""What a tick of the collector costs, beside a psutil loop that reads the same.

    python bench/sense.py [--processes 50 500 1000] [--ticks 30] [--json]

For each number, that many sleeping processes are started. The collector and the loop take turns
second by second, so that both see the same machine; both run at the real interval of a second,
with the caches as cold as they then are. Processor time (user and system) is the process's own.

The loop reads what the collector does: RSS and shared memory of each process each second, status,
processor time, io and cgroup each ten seconds, and the host's memory. `reads` is the collector's
work alone without the interval: the same ticks, one after the other.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import signal
import statistics
import sys
import time

import psutil

from forestall.clock import SystemClock
from forestall.sense.collector import Collector
from forestall.sense.host import Host

WARM_UP_TICKS = 2


class SteppedClock(SystemClock):
    """A clock that moves one second per tick, for ticks one after the other."""

    def __init__(self):
        self.at = 0.0

    def monotonic(self):
        return self.at


class PsutilLoop:
    """A plain loop over psutil that keeps its Process objects, with the collector's intervals."""

    def __init__(self):
        self.processes = {}
        self.tick_count = 0

    def tick(self):
        pids = psutil.pids()
        for pid in self.processes.keys() - set(pids):
            del self.processes[pid]
        sizes = {}
        for pid in pids:
            try:
                process = self.processes.get(pid)
                if process is None:
                    process = self.processes[pid] = psutil.Process(pid)
                memory = process.memory_info()
                sizes[pid] = (memory.rss, memory.rss - memory.shared)
                if (self.tick_count + pid) % 10 == 0:
                    self.look_slowly(process)
            except psutil.Error:
                self.processes.pop(pid, None)
        self.tick_count += 1
        psutil.virtual_memory()
        psutil.swap_memory()
        return sizes

    def look_slowly(self, process):
        with process.oneshot():
            process.cpu_times()
            process.num_threads()
            process.uids()
        try:
            process.io_counters()
        except psutil.AccessDenied:
            pass
        # psutil has no swap but through smaps, which costs a thousand times more; and no cgroups.
        for name in ("status", "cgroup"):
            with open(f"/proc/{process.pid}/{name}", "rb") as file:
                file.read()


def start(count):
    """Processes that sleep; forked, so that a thousand fit into little memory."""
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            while True:
                signal.pause()
        pids.append(pid)
    return pids


def end(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def cpu_milliseconds(action):
    started = time.process_time()
    action()
    return (time.process_time() - started) * 1000


def measure(count, ticks):
    pids = start(count)
    try:
        loop = PsutilLoop()
        clock = SteppedClock()
        with Collector(Host(), SystemClock()) as collector, Collector(Host(), clock) as alone:
            ours, theirs = [], []
            for number in range(WARM_UP_TICKS + ticks):
                began = time.monotonic()
                pair = cpu_milliseconds(collector.tick), cpu_milliseconds(loop.tick)
                if number >= WARM_UP_TICKS:
                    ours.append(pair[0])
                    theirs.append(pair[1])
                time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
            seen = len(collector.tick().processes)
            reads = []
            for _ in range(WARM_UP_TICKS + ticks):
                clock.at += 1.0
                reads.append(cpu_milliseconds(alone.tick))
    finally:
        end(pids)
    return {
        "processes": count,
        "processes_seen": seen,
        "forestall_milliseconds_per_tick": round(statistics.mean(ours), 2),
        "forestall_milliseconds_per_tick_max": round(max(ours), 2),
        "psutil_milliseconds_per_tick": round(statistics.mean(theirs), 2),
        "reads_milliseconds_per_tick": round(statistics.mean(reads[WARM_UP_TICKS:]), 2),
        "forestall_core_percent": round(statistics.mean(ours) / 10, 2),
        "psutil_core_percent": round(statistics.mean(theirs) / 10, 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[50, 500, 1000])
    parser.add_argument("--ticks", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    results = [measure(count, arguments.ticks) for count in arguments.processes]
    report = {
        "schema": "forestall/bench-sense/1",
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.release()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "psutil": psutil.__version__,
        "load_before": load_before,
        "descriptor_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "ticks": arguments.ticks,
        "results": results,
    }
    if arguments.json:
        json.dump(report, sys.stdout, indent=1)
        print()
        return
    print(f"{report['at']}  {report['machine']}, Python {report['python']}, load {load_before:.1f}")
    print("processes   forestall    (worst tick)   back to back       psutil   of one core")
    for row in results:
        print(
            f"{row['processes']:>9}"
            f"{row['forestall_milliseconds_per_tick']:>9.2f} ms"
            f"{row['forestall_milliseconds_per_tick_max']:>13.2f} ms"
            f"{row['reads_milliseconds_per_tick']:>12.2f} ms"
            f"{row['psutil_milliseconds_per_tick']:>10.2f} ms"
            f"   {row['forestall_core_percent']:.2f}% and {row['psutil_core_percent']:.2f}%"
        )


if __name__ == "__main__":
    main()
