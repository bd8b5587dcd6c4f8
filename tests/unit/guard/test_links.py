"""Connections opened ahead of time, to servers that take them and never answer."""

import socket
import time

from forestall.guard.database import DatabaseAccess, Pooler
from forestall.guard.links import Links


def test_servers_that_hang_are_tried_in_turn_and_not_all_at_once():
    """Whoever opens ahead contains, too: poolers that hang must not keep it from that."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        address = f"127.0.0.1:{hung.getsockname()[1]}"
        access = DatabaseAccess(scope="x", poolers=(Pooler(address=address),) * 4)
        links = Links(access, timeout_seconds=0.3)
        counts, longest = [], 0.0
        for _ in range(9):
            started = time.monotonic()
            counts.append(len(links.connect(seconds=0.1)))
            longest = max(longest, time.monotonic() - started)
        links.close()
    # Eight sessions: all at once would take 2.4 s. Each has its turn, and none is forgotten.
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert longest < 2.0
