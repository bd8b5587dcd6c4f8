"""Orders a second and CPU an order, beside pgbench TPC-B on the same instance in the same run.

Rounds alternate, so that a busy machine is shared fairly; the best and the median of each count.
CPU is what PostgreSQL, the clients and the API used, from /proc. A client is `cims load`, its start
and its history included. Everything runs on
one throw-away PostgreSQL with its defaults for durability (fsync and synchronous_commit on).

usage: python bench/cims.py [--json] [--seconds N] [--rounds N] [--skus N] [--clients 8,32]
"""

import argparse
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[1]
# In the place of this folder, where this file would hide the package of the same name.
sys.path[0] = str(ROOT / "cims" / "tests")

import throwaway_postgres  # noqa: E402
from cims.schema import migrate, seed  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
SETTINGS = {"max_connections": "200", "shared_buffers": "512MB", "max_wal_size": "4GB"}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICK


def family(pid: int) -> list[int]:
    """A process and all below it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def used(pid: int) -> float:
    """CPU of a family; what a child used stays counted after it was waited for."""
    return sum(cpu_seconds(one) for one in family(pid))


@dataclass(frozen=True, kw_only=True)
class Round:
    """One measurement."""

    per_second: float
    server_us: float
    client_us: float
    wal_bytes: float
    failed: int = 0


class Bench:
    """One PostgreSQL, one API, and what is run against them."""

    def __init__(self, server: throwaway_postgres.Server, api: subprocess.Popen, args) -> None:
        self._server = server
        self._api = api
        self._args = args
        self._postmaster = server._process.pid
        self._orders = server.dsn("orders")
        self._folder = tempfile.TemporaryDirectory(prefix="cims-bench-")
        self._number = 0
        self.address = ""

    def _wal(self) -> int:
        with psycopg.connect(self._server.dsn("postgres")) as connection:
            query = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
            return connection.execute(query).fetchone()[0]

    def _measured(self, run: Callable[[], tuple[float, int, float, int]], api: bool) -> Round:
        """`run` gives rate, how many, its own CPU seconds, and how many failed."""
        wal, cpu = self._wal(), used(self._postmaster)
        api_cpu = used(self._api.pid) if api else 0.0
        rate, count, client, failed = run()
        server = used(self._postmaster) - cpu
        if api:
            client += used(self._api.pid) - api_cpu
        return Round(
            per_second=rate,
            server_us=server / count * 1e6,
            client_us=client / count * 1e6,
            wal_bytes=(self._wal() - wal) / count,
            failed=failed,
        )

    def tpcb(self, clients: int) -> Round:
        return self._pgbench(clients, [self._server.dsn("tpcb")])

    def function(self, clients: int) -> Round:
        """The SQL function with pgbench as its client, so that only the server's part differs."""
        third = self._args.skus // 3
        script = os.path.join(self._folder.name, "place_order.sql")
        parts = {name: number * third for number, name in enumerate("abc")}
        lines = [
            "\\set w random(1, 6)",
            *(f"\\set {name} random({low + 1}, {low + third})" for name, low in parts.items()),
            "SELECT * FROM place_order(gen_random_uuid(), :w::int, ARRAY[:a, :b, :c]::int[],",
            "ARRAY[1, 2, 1], now());",
        ]
        Path(script).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return self._pgbench(clients, ["-f", script, self._orders])

    def _pgbench(self, clients: int, more: list[str]) -> Round:
        def run() -> tuple[float, int, float, int]:
            words = ["-M", "prepared", "-n", "-c", str(clients), "-j", "2"]
            words += ["-T", str(self._args.seconds), *more]
            out, cpu = _run([self._server._bin / "pgbench", *words])
            count = int(re.search(r"actually processed: (\d+)", out)[1])
            return float(re.search(r"tps = ([\d.]+)", out)[1]), count, cpu, 0

        return self._measured(run, api=False)

    def load(self, clients: int, skew: float, api: bool) -> Round:
        def run() -> tuple[float, int, float, int]:
            self._number += 1
            history = os.path.join(self._folder.name, f"{self._number}.jsonl")
            words = ["load", "--dsn", self._orders, "--history", history, "--json"]
            words += ["--clients", str(clients), "--seconds", str(self._args.seconds)]
            words += ["--skew", str(skew), "--seed", str(self._number)]
            words += ["--skus", str(self._args.skus)]
            words += ["--api", self.address] if api else []
            out, cpu = _run([sys.executable, "-m", "cims", *words])
            told = json.loads(out)
            rate, count = told["acknowledged_per_second"], told["acknowledged"]
            return rate, count, cpu, told["failed"]

        return self._measured(run, api)

    def check(self) -> dict[str, object]:
        """`cims check` over all that the runs left behind."""
        words = ["check", "--dsn", self._orders, "--json", "--no-store"]
        # pgbench writes no history.
        words += ["--others"]
        for name in sorted(os.listdir(self._folder.name)):
            if name.endswith(".jsonl"):
                words += ["--history", os.path.join(self._folder.name, name)]
        began = time.monotonic()
        out, _ = _run([sys.executable, "-m", "cims", *words])
        told = json.loads(out)
        return {
            "held": told["held"],
            "orders": told["orders"],
            "movements": told["movements"],
            "seconds": round(time.monotonic() - began, 1),
        }


def _run(words: list) -> tuple[str, float]:
    """Output and CPU seconds of a command."""
    before = os.times()
    ran = subprocess.run(words, capture_output=True, text=True, timeout=600)
    after = os.times()
    if ran.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(map(str, words))}: {ran.stderr}")
    cpu = after.children_user + after.children_system
    return ran.stdout, cpu - before.children_user - before.children_system


def designs(bench: Bench, clients: list[int]) -> dict[str, Callable[[], Round]]:
    """What is measured, by name."""
    found: dict[str, Callable[[], Round]] = {}
    for count in clients:
        found[f"pgbench TPC-B, {count} clients"] = lambda n=count: bench.tpcb(n)
        found[f"pgbench place_order, {count} clients"] = lambda n=count: bench.function(n)
        for skew, word in ((0.0, "uniform"), (1.2, "zipf 1.2")):
            for api, layer in ((False, "SQL"), (True, "API")):
                found[f"cims {layer}, {word}, {count} clients"] = lambda n=count, s=skew, a=api: (
                    bench.load(n, s, a)
                )
    return found


@contextlib.contextmanager
def prepared(args) -> Iterator[Bench]:
    """A PostgreSQL with both databases, and the API beside it."""
    with throwaway_postgres.running(**SETTINGS) as server:
        server.run("CREATE DATABASE tpcb")
        server.run("CREATE DATABASE orders")
        _run([server._bin / "pgbench", "-i", "-q", "-s", "32", server.dsn("tpcb")])
        migrate(server.dsn("orders"))
        seed(server.dsn("orders"), skus=args.skus, units=100_000)
        words = ["serve", "--dsn", server.dsn("orders"), "--port", "0", "--no-token"]
        words += ["--connections", "32"]
        api = subprocess.Popen(
            [sys.executable, "-m", "cims", *words], stderr=subprocess.PIPE, text=True
        )
        try:
            bench = Bench(server, api, args)
            bench.address = api.stderr.readline().split()[-1].rstrip("/")
            yield bench
        finally:
            api.terminate()
            api.communicate(timeout=30)


def machine() -> dict[str, object]:
    version = subprocess.run(
        [throwaway_postgres.binaries() / "postgres", "--version"], capture_output=True, text=True
    ).stdout.split()[2]
    return {
        "postgresql": version,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_1m_before": round(os.getloadavg()[0], 1),
    }


def measure(args) -> dict[str, object]:
    about = machine()
    clients = [int(word) for word in args.clients.split(",")]
    rounds: dict[str, list[Round]] = {}
    with prepared(args) as bench:
        todo = designs(bench, clients)
        for turn in range(args.rounds):
            for name, run in todo.items():
                print(f"round {turn + 1}: {name}\033[K", end="\r", file=sys.stderr, flush=True)
                rounds.setdefault(name, []).append(run())
        checked = bench.check()
    about["load_1m_after"] = round(os.getloadavg()[0], 1)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": about,
        "rounds": args.rounds,
        "seconds": args.seconds,
        "designs": {name: _summed(found) for name, found in rounds.items()},
        "check": checked,
    }


def _summed(found: list[Round]) -> dict[str, float]:
    return {
        "best_per_second": round(max(one.per_second for one in found), 1),
        "median_per_second": round(statistics.median(one.per_second for one in found), 1),
        "server_cpu_us": round(statistics.median(one.server_us for one in found)),
        "client_cpu_us": round(statistics.median(one.client_us for one in found)),
        "wal_bytes": round(statistics.median(one.wal_bytes for one in found)),
        "failed": sum(one.failed for one in found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skus", type=int, default=12_000)
    parser.add_argument("--clients", default="8,32")
    args = parser.parse_args()
    if throwaway_postgres.binaries() is None:
        raise SystemExit("bench/cims.py: no PostgreSQL server is installed (initdb, postgres)")
    result = measure(args)
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['date']}: {', '.join(f'{k} {v}' for k, v in result['machine'].items())}")
    print(
        f"{'':<34}{'best/s':>8}{'median/s':>10}{'server us':>11}{'client us':>11}"
        f"{'WAL B':>8}{'failed':>8}"
    )
    for name, one in result["designs"].items():
        print(
            f"{name:<34}{one['best_per_second']:>8.0f}{one['median_per_second']:>10.0f}"
            f"{one['server_cpu_us']:>11}{one['client_cpu_us']:>11}{one['wal_bytes']:>8}"
            f"{one['failed']:>8}"
        )
    check = result["check"]
    print(
        f"cims check: {'holds' if check['held'] else 'VIOLATED'}, {check['orders']} orders, "
        f"{check['movements']} movements in {check['seconds']} s"
    )


if __name__ == "__main__":
    main()
