"""Connections for the write path: bounded, opened on demand, and forgotten once one of them breaks.

A general pool hides what this path must know: whether a statement was sent at all, and whether the
server warned about its commit. After a failover every idle connection leads to the old primary, so
one broken connection closes all that are idle.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cims.deadline import Dropper

# A commit whose wait for the standby was cancelled is told by this warning and by nothing else.
DOUBT = "01000"


class Watched(psycopg.Connection[dict[str, Any]]):
    """A connection that keeps the server's warning about a commit."""

    in_doubt: str | None = None

    def note(self, notice: psycopg.errors.Diagnostic) -> None:
        """Remember a warning; what it says is in the server's language, so the code counts."""
        if notice.sqlstate == DOUBT and notice.severity_nonlocalized == "WARNING":
            self.in_doubt = notice.message_primary or "the server warned about the commit"


class Pool:
    """At most `connections`, shared by threads; `seconds` bounds waiting, connecting, each use."""

    def __init__(self, dsn: str, *, connections: int, seconds: float, name: str) -> None:
        self.seconds = seconds
        self._dsn = dsn
        self._name = name
        self._free = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._idle: list[Watched] = []
        self._closed = False
        self._dropper = Dropper()

    @contextlib.contextmanager
    def connection(self) -> Iterator[Watched]:
        """A connection in autocommit, within the deadline.

        Raises TimeoutError when none is free, psycopg.Error when none can be opened. Past the
        deadline the socket is dropped and the call in the block fails with OperationalError.
        """
        ends = time.monotonic() + self.seconds
        if not self._free.acquire(timeout=self.seconds):
            raise TimeoutError(f"no connection became free within {self.seconds:g} s")
        try:
            connection = self._take()
            try:
                with self._dropper.within(connection, max(0.1, ends - time.monotonic())):
                    yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close what is idle; what is in use closes when it is given back."""
        with self._lock:
            self._closed = True
        self._forget()
        self._dropper.close()

    def _take(self) -> Watched:
        with self._lock:
            if self._closed:
                raise TimeoutError("the store is closed")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            # Prepared statements do not survive a pooler in transaction mode.
            connection = Watched.connect(
                self._dsn,
                autocommit=True,
                prepare_threshold=None,
                connect_timeout=max(2, round(self.seconds)),
                application_name=self._name,
                row_factory=dict_row,
            )
            connection.add_notice_handler(connection.note)
        connection.in_doubt = None
        return connection

    def _give_back(self, connection: Watched) -> None:
        if connection.broken:
            connection.close()
            self._forget()
            return
        usable = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            keep = usable and not self._closed and connection.in_doubt is None
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def _forget(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
