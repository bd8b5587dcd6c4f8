"""A simple load with its own list: rows that were acknowledged must be there for ever.

Every row has a number that is used once. The outcome of a write is one of three: acknowledged,
refused (the server said no), unknown (the connection broke, or the server warned that it stopped
waiting for the replica, SQLSTATE 01000). An unknown row may be there or not; an acknowledged one
must be.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg

TABLE = "written"
REFUSED = ("25006", "53100", "57P03", "08P01", "0A000")
"""Read-only, disk full, starting up, pgbouncer's refusals: nothing was committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What clients saw in a stretch of time."""

    seconds: float
    acknowledged: int
    refused: int
    unknown: int
    longest_gap_seconds: float
    """The longest time in which no write was acknowledged, the ends of the stretch included."""
    errors: dict[str, int]


def make_table(dsn: str) -> None:
    """The table that is written to."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (number bigint PRIMARY KEY)")


class Writer:
    """`threads` clients, each writing one row after another, `pause_seconds` between them."""

    def __init__(self, dsn: str, *, threads: int = 4, pause_seconds: float = 0.01) -> None:
        self._dsn = dsn
        self._pause_seconds = pause_seconds
        # No two writers share a number, or a row of one would hide that the other's is lost.
        self._numbers = itertools.count(time.time_ns())
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.acknowledged: list[tuple[float, int]] = []
        self.unknown: list[tuple[float, int]] = []
        self.refused: list[tuple[float, str]] = []
        self._threads = [
            threading.Thread(target=self._work, name=f"writer-{index}", daemon=True)
            for index in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=90.0)

    def _work(self) -> None:
        connection: psycopg.Connection[tuple[int]] | None = None
        warned: list[str] = []
        while not self._ended.is_set():
            number = next(self._numbers)
            try:
                if connection is None:
                    connection = psycopg.connect(self._dsn, autocommit=True, prepare_threshold=None)
                    connection.add_notice_handler(lambda said: warned.append(said.sqlstate or ""))
                warned.clear()
                connection.execute(f"INSERT INTO {TABLE} VALUES (%s)", [number])
            except psycopg.Error as error:
                sent = connection is not None
                self._note_error(number, error, sent=sent)
                if connection is not None:
                    connection.close()
                    connection = None
                self._ended.wait(0.1)
                continue
            with self._lock:
                listed = self.unknown if "01000" in warned else self.acknowledged
                listed.append((time.monotonic(), number))
            self._ended.wait(self._pause_seconds)
        if connection is not None:
            connection.close()

    def _note_error(self, number: int, error: psycopg.Error, *, sent: bool) -> None:
        state = error.sqlstate or ("broken" if sent else "connect")
        now = time.monotonic()
        with self._lock:
            if sent and state not in REFUSED:
                self.unknown.append((now, number))
            self.refused.append((now, state))

    def figures(self, since: float, until: float | None = None) -> Figures:
        """What was seen between two moments of the monotonic clock."""
        end = time.monotonic() if until is None else until
        with self._lock:
            acks = sorted(at for at, _ in self.acknowledged if since <= at <= end)
            unknown = sum(since <= at <= end for at, _ in self.unknown)
            errors = Counter(state for at, state in self.refused if since <= at <= end)
        moments = [since, *acks, end]
        return Figures(
            seconds=round(end - since, 2),
            acknowledged=len(acks),
            refused=sum(errors.values()),
            unknown=unknown,
            longest_gap_seconds=round(max(b - a for a, b in itertools.pairwise(moments)), 2),
            errors=dict(errors),
        )

    def lost(self, dsn: str) -> set[int]:
        """Numbers that were acknowledged before this look and are not in the database."""
        with self._lock:
            numbers = {number for _, number in self.acknowledged}
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
            present = {row[0] for row in connection.execute(f"SELECT number FROM {TABLE}")}
        return numbers - present
