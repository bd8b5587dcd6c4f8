"""What reading a host's facts costs: processor time and memory, here and with 4,000 services.

    python bench/facts.py             half a minute
    python bench/facts.py --json

Processor seconds of one reading in a warm process, median of the runs; of the services, parsing
what `systemctl show` of a systemd 252 prints for each, and what is kept of it.
"""

import argparse
import json
import os
import platform
import statistics
import time
import tracemalloc

from agent import sleepers
from forestall.clock import SystemClock
from forestall.sense import systemd
from forestall.sense.facts import read_facts
from forestall.sense.host import Host
from forestall.sense.recording import RecordedHost, Recording

SERVICES = 4000
BLOCK = """\
MainPID={number}
Restart=on-failure
RestartUSec=100ms
NRestarts=0
StartLimitBurst=5
StartLimitIntervalUSec=10s
MemoryMax=infinity
MemoryHigh=infinity
MemoryLimit=infinity
MemorySwapMax=infinity
MemoryCurrent=12345678
TasksCurrent=12
OOMScoreAdjust=0
OOMPolicy=stop
LimitCORE=infinity
LimitCORESoft=infinity
Slice=system.slice
ControlGroup=/system.slice/service-{number}.service
FragmentPath=/usr/lib/systemd/system/service-{number}.service
Environment=LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
Id=service-{number}.service
ActiveState=active
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 1000])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    for count in args.processes:
        with sleepers(count):
            rows.append(reading(count, args.runs))
    machine = {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    told = services(args.runs)
    if args.json:
        print(json.dumps({**machine, "rows": rows, "services": told}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for row in rows:
        print(f"{row['processes']:>6} processes  {row['cpu_seconds'] * 1e3:6.1f} ms CPU a reading")
    print(
        f"{told['services']:>6} services   {told['cpu_seconds'] * 1e3:6.1f} ms CPU,"
        f" {told['answer_bytes'] / 1e6:.1f} MB read, {told['kept_bytes'] / 1e6:.1f} MB kept,"
        f" {told['peak_bytes'] / 1e6:.1f} MB at most"
    )


def reading(count, runs):
    host, clock = Host(), SystemClock()
    facts = read_facts(host, clock)
    return {
        "further_processes": count,
        "processes": facts.process_count,
        "cpu_seconds": median_cpu(runs, lambda: read_facts(host, clock)),
    }


def services(runs):
    data = "\n".join(BLOCK.format(number=number) for number in range(SERVICES)).encode()
    answers = {"systemctl-show": data, "systemctl-version": b"systemd 252 (252.30)\n"}
    host = RecordedHost(Recording(files={"run/systemd/system/": b""}, commands=answers))
    cpu_seconds = median_cpu(max(3, runs // 4), lambda: systemd.read_units(host))
    tracemalloc.start()
    units = systemd.read_units(host)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert units.units is not None
    assert len(units.units) == SERVICES
    return {
        "services": SERVICES,
        "answer_bytes": len(data),
        "cpu_seconds": cpu_seconds,
        "kept_bytes": kept,
        "peak_bytes": peak,
    }


def median_cpu(runs, work):
    spent = []
    for _ in range(runs):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
