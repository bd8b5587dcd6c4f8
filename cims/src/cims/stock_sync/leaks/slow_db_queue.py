"""A queue without a limit between a fast producer and a database that can be slow.

Where it happens: asyncio.Queue() has no limit unless it is given one, and on the test system the
database is never slower than the feed. It grows only while the database is slow or away.
"""

import asyncio

from cims.stock_sync.update import Page

MOST_PAGES = 8


def bounded_queue() -> asyncio.Queue[Page]:
    """Pages waiting for the database; what finds no room is asked for again later."""
    return asyncio.Queue(maxsize=MOST_PAGES)


def unbounded_queue() -> asyncio.Queue[Page]:
    """Pages waiting for the database."""
    return asyncio.Queue()
