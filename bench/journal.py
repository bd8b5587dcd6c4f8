"""Appends per second, each durable before the next, beside SQLite doing the same in one run.

SQLite runs with journal_mode=WAL and synchronous=FULL: a commit is acknowledged after its fsync,
as an append is. Rounds of both alternate, so that a busy disk is shared fairly; the median counts.

usage: python bench/journal.py [--json] [--records N] [--rounds N] [--folder DIR]
"""

import argparse
import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from forestall.journal import Journal, read

RECORD = {
    "schema": "forestall/event/1",
    "id": "db1/feed-sync.service/1700000000.0/verdict",
    "at": 1700000000.0,
    "kind": "verdict",
    "key": "db1/feed-sync.service",
    "source": "forestall detect",
    "text": "feed-sync.service grows by 2.1 MiB/min and reaches its limit in 38 to 51 min",
    "data": {"rate_bytes_per_second": 36700.16, "reasons": ["the floor of each block rises"] * 3},
    "evidence": [],
}

Append = Callable[[], object]


@contextmanager
def journal(folder: str, batch: int) -> Iterator[Append]:
    with Journal(os.path.join(folder, "bench.journal"), max_bytes=2**40) as opened:
        yield lambda: opened.append_all([RECORD] * batch)


@contextmanager
def sqlite(folder: str, batch: int) -> Iterator[Append]:
    database = sqlite3.connect(os.path.join(folder, "bench.sqlite"), isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS record (sequence INTEGER PRIMARY KEY, json TEXT)")

    def append() -> None:
        rows = [(json.dumps(RECORD, separators=(",", ":")),) for _ in range(batch)]
        database.execute("BEGIN")
        database.executemany("INSERT INTO record (json) VALUES (?)", rows)
        database.execute("COMMIT")

    try:
        yield append
    finally:
        database.close()


RIVALS = {"journal": journal, "sqlite WAL FULL": sqlite}


def measure(folder: str, batch: int, records: int, rounds: int) -> dict[str, dict[str, float]]:
    """Records per second and seconds of CPU per thousand records, by rival."""
    speeds: dict[str, list[float]] = {name: [] for name in RIVALS}
    costs: dict[str, list[float]] = {name: [] for name in RIVALS}
    calls = max(1, records // batch)
    for _ in range(rounds):
        for name, rival in RIVALS.items():
            with tempfile.TemporaryDirectory(dir=folder) as place, rival(place, batch) as append:
                append()
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(calls):
                    append()
                speeds[name].append(calls * batch / (time.perf_counter() - wall))
                costs[name].append((time.process_time() - cpu) / (calls * batch) * 1000)
    return {
        name: {
            "records_per_second": round(statistics.median(speeds[name]), 1),
            "records_per_second_low": round(min(speeds[name]), 1),
            "records_per_second_high": round(max(speeds[name]), 1),
            "cpu_seconds_per_1000_records": round(statistics.median(costs[name]), 4),
        }
        for name in RIVALS
    }


def measure_reading(folder: str, records: int) -> float:
    """Records read and decoded per second."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = os.path.join(place, "bench.journal")
        with Journal(path) as opened:
            opened.append_all([RECORD] * records)
        started = time.perf_counter()
        count = sum(1 for _ in read(path))
        return round(count / (time.perf_counter() - started), 1)


def machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--records", type=int, default=200, help="per round and rival")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--folder", default=".", help="on the disk to measure")
    args = parser.parse_args()
    result = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "batches": {
            str(batch): measure(args.folder, batch, args.records, args.rounds)
            for batch in (1, 10, 100)
        },
        "records_read_per_second": measure_reading(args.folder, 20_000),
    }
    if args.json:
        print(json.dumps(result, indent=2))
        return
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    print(f"{result['date']}: {about}")
    head = ("records/s", "(low - high)", "CPU ms/record")
    print(f"{'records a sync':>14}  {'':<16}{head[0]:>10}  {head[1]:<20}{head[2]:>14}")
    for batch, rivals in result["batches"].items():
        for name, found in rivals.items():
            spread = (
                f"({found['records_per_second_low']:.0f} - {found['records_per_second_high']:.0f})"
            )
            cost = found["cpu_seconds_per_1000_records"]
            speed = found["records_per_second"]
            print(f"{batch:>14}  {name:<16}{speed:>10.0f}  {spread:<20}{cost:>14.3f}")
    print(f"read back: {result['records_read_per_second']:.0f} records/s")


if __name__ == "__main__":
    main()
