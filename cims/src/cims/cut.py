"""A time-out for asynchronous calls that never cancels: at its end the socket is shut.

psycopg answers a cancelled task by asking the server to cancel too, and a commit cancelled while it
waits for its standby counts as done where the failover will not find it. `cims.deadline` is the
same for threads.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import psycopg


@contextlib.contextmanager
def cut(connection: psycopg.AsyncConnection[Any], seconds: float) -> Iterator[None]:
    """Shut the connection's socket if the block lasts longer than `seconds`."""
    timer = asyncio.get_running_loop().call_later(seconds, shut, connection)
    try:
        yield
    finally:
        timer.cancel()


def shut(connection: psycopg.AsyncConnection[Any]) -> None:
    """Shut the socket now: a call that waits on it ends as a lost connection."""
    try:
        descriptor = os.dup(connection.fileno())
    except (psycopg.Error, OSError):
        return  # It broke by itself.
    with socket.socket(fileno=descriptor) as line, contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
