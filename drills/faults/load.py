"""The load that runs during the faults, and the proof afterwards: plain rows, or orders of cims."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from drills.cluster.cluster import Cluster
from drills.cluster.writer import Writer, make_table

SKUS = 200
UNITS = 100_000
CLIENTS = 6
ORDERS_PER_SECOND = 60.0
END_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a look at everything found. `violations` by what is violated; empty when all holds."""

    acknowledged: int
    stored: int
    violations: dict[str, int] = field(default_factory=dict)


class Load(Protocol):
    """A load that runs from entry to exit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def longest_gap_seconds(self, since: float, until: float) -> float:
        """The longest time without an acknowledged write between two monotonic moments."""

    def prove(self) -> Proof:
        """After the exit: compare what was acknowledged with what is there."""


class Rows:
    """Plain rows with a list of their own: where cims is not installed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._writer = Writer(cluster.dsn())

    def __enter__(self) -> Self:
        make_table(self._cluster.dsn("haproxy"))
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def longest_gap_seconds(self, since: float, until: float) -> float:
        """See Load."""
        return self._writer.figures(since, until).longest_gap_seconds

    def prove(self) -> Proof:
        """See Load. A doubled row is impossible here: the number is the key."""
        lost = len(self._writer.lost(self._cluster.dsn("haproxy")))
        acknowledged = len(self._writer.acknowledged)
        return Proof(
            acknowledged=acknowledged,
            stored=acknowledged - lost,
            violations={"lost": lost} if lost else {},
        )


class Orders:
    """`cims load` through pgbouncer, by the retry rule of its clients, and `cims check`."""

    def __init__(self, cluster: Cluster, history: Path, seed: int) -> None:
        self._cluster = cluster
        self._history = history
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        from cims import schema

        dsn = self._cluster.dsn("haproxy")
        if schema.schema_version(dsn) is None:
            schema.migrate(dsn)
            schema.seed(dsn, skus=SKUS, units=UNITS)
        words = ["--history", str(self._history), "--clients", str(CLIENTS), "--pooled"]
        words += ["--rate", str(ORDERS_PER_SECOND), "--seconds", "1e9", "--seed", str(self._seed)]
        words += ["--skew", "1.1", "--skus", str(SKUS), "--give-up-seconds", "300"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cims", "load", *words],
                env=os.environ | {"CIMS_DSN": self._cluster.dsn()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def _log(self) -> Path:
        return self._history.with_suffix(".log")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def longest_gap_seconds(self, since: float, until: float) -> float:
        """See Load: from the clients' history, whose clock is this host's monotonic one."""
        if self._process is not None and (code := self._process.poll()) not in (None, 0):
            raise RuntimeError(f"the load ended with {code}: {self._log}")
        moments = [since]
        with self._history.open("rb") as lines:
            for line in lines:
                if b'"type":"ok"' in line and line.endswith(b"\n"):
                    at = json.loads(line)["mono"]
                    if since <= at <= until:
                        moments.append(at)
        moments.append(until)
        return max(b - a for a, b in pairwise(sorted(moments)))

    def prove(self) -> Proof:
        """See Load: every invariant of `cims check` over the database and all histories."""
        from cims.check.look import Question, look

        histories = tuple(str(path) for path in sorted(self._history.parent.glob("orders-*.jsonl")))
        proof = look(Question(dsn=self._cluster.dsn("haproxy"), histories=histories))
        return Proof(
            acknowledged=proof.acknowledged,
            stored=proof.orders,
            violations={
                finding.invariant: finding.count for finding in proof.findings if not finding.held
            },
        )


def has_orders() -> bool:
    """Whether cims is installed beside us."""
    try:
        import cims.check.look
        import cims.schema  # noqa: F401
    except ImportError:
        return False
    return True


def make_load(cluster: Cluster, folder: Path, part: int, *, orders: bool) -> Load:
    """The load of one part of the run."""
    if not orders:
        return Rows(cluster)
    return Orders(cluster, folder / f"orders-{part:04d}-{time.time_ns()}.jsonl", part)
