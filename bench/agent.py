"""What the agent takes, beside a psutil loop that reads the same, in one run on this machine.

    python bench/agent.py                     50, 500 and 1,000 sleeping processes, about 3 minutes
    python bench/agent.py --processes 200 --seconds 30 --json

Both watch every process of the host once a second: memory each second, status, stat and io of
each process every ten seconds. The agent also judges, keeps series and journals; psutil's loop
only reads. CPU is user and system time of the whole process over the measured time, as a share
of one core; memory is resident and private dirty at the end.
"""

import argparse
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS = 3.0

PSUTIL_LOOP = """
import sys, time
import psutil

known = {}
second = 0
print("ready", flush=True)
while True:
    started = time.monotonic()
    psutil.virtual_memory(), psutil.swap_memory()
    pids = psutil.pids()
    for pid in known.keys() - set(pids):
        del known[pid]
    for pid in pids:
        try:
            process = known.get(pid)
            if process is None:
                process = known[pid] = psutil.Process(pid)
            process.memory_info()
            if pid % 10 == second % 10:
                process.cpu_times(), process.num_threads(), process.uids(), process.io_counters()
        except psutil.Error:
            known.pop(pid, None)
    second += 1
    time.sleep(max(0.0, 1.0 - (time.monotonic() - started)))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[50, 500, 1000])
    parser.add_argument("--seconds", type=float, default=25.0, help="measured, for each")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    for count in args.processes:
        with sleepers(count):
            rows += [
                {"processes": count, "who": "forestall", **measure_agent(args.seconds)},
                {"processes": count, "who": "psutil loop", **measure_psutil(args.seconds)},
            ]
    result = {**machine(), "seconds": args.seconds, "rows": rows}
    print(json.dumps(result, indent=2) if args.json else table(result))


@contextmanager
def sleepers(count: int) -> Iterator[None]:
    """`count` processes that sleep; all ended, by their own pids, when the block ends."""
    children: list[subprocess.Popen] = []
    try:
        for _ in range(count):
            children.append(subprocess.Popen(["sleep", "3600"]))
        yield
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def measure_agent(seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as state:
        words = [sys.executable, "-m", "forestall", "watch", "--no-listen", "--state", state]
        agent = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        return measure(agent, seconds)


def measure_psutil(seconds: float) -> dict[str, float]:
    loop = subprocess.Popen([sys.executable, "-c", PSUTIL_LOOP], stdout=subprocess.DEVNULL)
    return measure(loop, seconds)


def measure(process: subprocess.Popen, seconds: float) -> dict[str, float]:
    """CPU share, resident and private dirty MiB of a process that runs; ends it."""
    try:
        time.sleep(SETTLE_SECONDS)
        before, started = cpu_seconds(process.pid), time.monotonic()
        time.sleep(seconds)
        took, elapsed = cpu_seconds(process.pid) - before, time.monotonic() - started
        assert process.poll() is None, "it ended while it was measured"
        sizes = memory(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    return {"cpu_percent": round(100 * took / elapsed, 2), **sizes}


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> dict[str, float]:
    with open(f"/proc/{pid}/smaps_rollup") as file:
        sizes = {line.split(":")[0]: line.split()[1] for line in file if line[0].isupper()}
    return {
        "rss_mib": round(int(sizes["Rss"]) / 1024, 1),
        "private_dirty_mib": round(int(sizes["Private_Dirty"]) / 1024, 1),
    }


def machine() -> dict[str, object]:
    import psutil

    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "psutil": psutil.__version__,
        "load_before": round(os.getloadavg()[0], 2),
    }


def table(result: dict) -> str:
    where = f"{result['cores']} x {result['cpu']}, Linux {result['kernel']}"
    software = f"Python {result['python']}, psutil {result['psutil']}"
    lines = [
        f"{result['date']}: {where}, {software}",
        f"{result['seconds']:g} s each, load before {result['load_before']}",
        "",
        f"{'processes':>9}  {'who':<12} {'of a core':>10} {'resident':>10} {'private dirty':>14}",
    ]
    lines += [
        f"{row['processes']:>9}  {row['who']:<12} {row['cpu_percent']:>9.2f}% "
        f"{row['rss_mib']:>6.1f} MiB {row['private_dirty_mib']:>10.1f} MiB"
        for row in result["rows"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
