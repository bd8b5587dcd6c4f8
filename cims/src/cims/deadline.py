"""A time-out that never cancels: at the deadline the socket is shut, and the server is not asked.

PostgreSQL answers a cancelled commit that waits for its standby with success and a warning; the row
is lost in a failover. A driver's time-out cancels. So a frozen server is met by dropping the line:
the caller sees a broken connection, which is an unknown outcome, and sends the same key again.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg


class Dropper:
    """One thread that shuts the sockets of calls which took too long."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._due: dict[int, tuple[float, psycopg.Connection[Any]]] = {}
        self._next = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cims-dropper", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def within(self, connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
        """Shut the connection's socket if the block lasts longer than `seconds`."""
        due = time.monotonic() + seconds
        with self._lock:
            self._next += 1
            token = self._next
            earliest = all(due < other for other, _ in self._due.values())
            self._due[token] = (due, connection)
            if earliest:
                self._lock.notify()
        try:
            yield
        finally:
            # Under the lock, so that a socket is never shut after its call has ended.
            with self._lock:
                self._due.pop(token, None)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with self._lock:
            while not self._closed:
                now = time.monotonic()
                for token, (due, connection) in list(self._due.items()):
                    if due <= now:
                        del self._due[token]
                        _shut(connection)
                earliest = min((due for due, _ in self._due.values()), default=None)
                self._lock.wait(None if earliest is None else max(0.0, earliest - now))


def _shut(connection: psycopg.Connection[Any]) -> None:
    try:
        descriptor = os.dup(connection.fileno())
    except (psycopg.Error, OSError):
        return  # It broke by itself.
    with socket.socket(fileno=descriptor) as line, contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
