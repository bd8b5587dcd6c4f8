"""Serves the regions' feeds until standard input ends: `python -m drills.replay.feeds DSN`."""

import asyncio
import sys
import threading
import time

from cims.stock_sync.command import catalogue
from cims.stock_sync.feed import feeds
from cims.stock_sync.feed_server import FeedServer

SEED = 20241115


def main(dsn: str) -> None:
    """Say the port on standard output, then serve."""
    made = feeds(asyncio.run(catalogue(dsn)), seed=SEED, started_at=time.time())
    server = FeedServer(made, ("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.buffer.read()
    server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
