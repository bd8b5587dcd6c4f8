"""How long `forestall look` takes, beside a psutil one-off that lists the same processes.

    python bench/look.py              with 0 and 1,000 further sleeping processes, about a minute
    python bench/look.py --json

Whole processes, from start to exit, in turn; wall time and CPU in seconds, median of the runs.
The rival only lists processes by memory; it says nothing about what exhaustion means.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

from agent import sleepers

PSUTIL_LIST = """
import psutil
fields = ["pid", "name", "memory_info", "cmdline"]
found = [process.info for process in psutil.process_iter(fields)]
for info in sorted(found, key=lambda info: -(info["memory_info"] or (0,))[0])[:10]:
    print(info["pid"], info["name"], info["memory_info"])
print(psutil.virtual_memory(), psutil.swap_memory())
"""
COMMANDS = {
    "forestall look": [sys.executable, "-m", "forestall", "look", "--json"],
    "psutil list": [sys.executable, "-c", PSUTIL_LIST],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 1000])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    for count in args.processes:
        with sleepers(count):
            rows += measure(count, args.runs)
    machine = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    if args.json:
        print(json.dumps({**machine, "rows": rows}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{'further processes':>18}  {'who':<15} {'wall s':>7} {'CPU s':>7}")
    for row in rows:
        print(
            f"{row['processes']:>18}  {row['who']:<15}"
            f" {row['wall_seconds']:>7.3f} {row['cpu_seconds']:>7.3f}"
        )


def measure(count: int, runs: int) -> list[dict[str, object]]:
    """A row per command; the commands take turns, so that a change of load meets both."""
    taken: dict[str, list[tuple[float, float]]] = {who: [] for who in COMMANDS}
    for _ in range(runs):
        for who, words in COMMANDS.items():
            taken[who].append(run(words))
    return [
        {
            "processes": count,
            "who": who,
            "wall_seconds": statistics.median(wall for wall, _ in figures),
            "cpu_seconds": statistics.median(cpu for _, cpu in figures),
        }
        for who, figures in taken.items()
    ]


def run(words: list[str]) -> tuple[float, float]:
    """(wall, CPU) seconds of one process. `look` ends with 0 or 1; both are answers."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode in (0, 1), words
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


if __name__ == "__main__":
    main()
