"""`cims feed`: serves the regions' feeds on loopback until it is told to end."""

import argparse
import asyncio
import signal
import threading
import time

from cims.cli import dsn_of
from cims.stock_sync.command import catalogue
from cims.stock_sync.feed import feeds
from cims.stock_sync.feed_server import FeedServer


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `cims feed`."""
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, and says which")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--started-at", type=float, help="seconds since 1970 of batch 0; now")
    parser.add_argument("--batches-per-second", type=float, default=1.0)
    parser.add_argument("--rows", type=int, default=5, help="rows a batch has")


def run(args: argparse.Namespace) -> int:
    """Serve; 0 after SIGTERM or SIGINT."""
    made = feeds(
        asyncio.run(catalogue(dsn_of(args))),
        seed=args.seed,
        started_at=time.time() if args.started_at is None else args.started_at,
        batches_per_second=args.batches_per_second,
        rows_per_batch=args.rows,
    )
    with FeedServer(made, (args.host, args.port)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        print(f"http://{args.host}:{server.server_port}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        server.shutdown()
        thread.join()
    return 0
