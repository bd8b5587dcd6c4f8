"""The command `stock-sync`: settings, the process's name, and a clean end on SIGTERM."""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence

import psycopg

from cims.cli import advice_on
from cims.errors import CimsError, UsageError
from cims.stock_sync.feed import Catalogue, feeds
from cims.stock_sync.service import Service, say, summary
from cims.stock_sync.setting import Leak, leak_from
from cims.stock_sync.source import HttpSource, LocalSource, Source
from cims.stock_sync.target import PostgresTarget
from cims.stock_sync.update import REGIONS

NAME = "stock-sync"


def parser() -> argparse.ArgumentParser:
    """The command line; each default can be given in the environment."""
    made = argparse.ArgumentParser(
        prog=NAME,
        description="Pulls the regions' feeds and applies them to the stock, once each.",
        epilog="LEAK=kind[/fixed][:rate] puts one mistake into it: docs/reference/cims-check.md",
    )
    made.add_argument("--dsn", default=os.environ.get("CIMS_DSN", ""), help="CIMS_DSN")
    made.add_argument(
        "--feed",
        default=os.environ.get("CIMS_FEED", ""),
        help="CIMS_FEED, http://HOST:PORT of `cims feed`; without it the feeds are made here",
    )
    made.add_argument("--regions", default=",".join(REGIONS), help="comma-separated")
    made.add_argument("--seed", type=int, default=1, help="of feeds made here")
    made.add_argument("--seconds", type=float, help="end by itself after so long")
    made.add_argument("--json", action="store_true", help="print the counts at the end")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 2 on bad settings, 3 when the database cannot be read."""
    args = parser().parse_args(argv)
    name_process(NAME)
    try:
        if not args.dsn:
            raise UsageError("no database named", help="give --dsn, or set CIMS_DSN")
        leak = leak_from(os.environ.get("LEAK", ""))
        return asyncio.run(_run(args, leak))
    except CimsError as error:
        print(f"{NAME}: {error.message}", file=sys.stderr)
        if error.help:
            print(f"  {error.help}", file=sys.stderr)
        return error.exit_code


def name_process(name: str) -> None:
    """Be called `name` in /proc, where guards and people look; elsewhere nothing happens."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(name[:15])
    except OSError:
        return


async def _run(args: argparse.Namespace, leak: Leak) -> int:
    regions = [region for region in args.regions.split(",") if region]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if args.seconds is not None:
        loop.call_later(args.seconds, stop.set)
    say(f"pid {os.getpid()}, mistake: {leak}, {leak.updates_per_second:.1f} updates/s")
    service = Service(
        source=await _source(args),
        target=PostgresTarget(args.dsn, say),
        regions=regions,
        leak=leak,
    )
    await service.run(stop)
    if args.json:
        print(json.dumps(summary(service.counts)))
    say("ends")
    return 0


async def _source(args: argparse.Namespace) -> Source:
    if args.feed:
        return HttpSource(args.feed)
    # Counted from midnight UTC, so that a second start today goes on with the same numbers.
    midnight = time.time() // 86400 * 86400
    return LocalSource(feeds(await catalogue(args.dsn), seed=args.seed, started_at=midnight))


async def catalogue(dsn: str) -> Catalogue:
    """What the database knows: warehouses by region, and SKUs. CimsError when it cannot tell."""
    try:
        async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=5) as connection:
            cursor = await connection.execute("SELECT region, id FROM warehouse ORDER BY id")
            warehouses: dict[str, list[int]] = {}
            for region, number in await cursor.fetchall():
                warehouses.setdefault(region, []).append(number)
            cursor = await connection.execute("SELECT id FROM sku ORDER BY id LIMIT 100000")
            skus = [row[0] for row in await cursor.fetchall()]
    except psycopg.Error as error:
        told = str(error).strip().splitlines()[0]
        advice = advice_on(error)
        raise CimsError(f"the database cannot be read: {told}", help=advice) from None
    if not skus or not warehouses:
        raise CimsError("the database holds no SKUs or no warehouses", help="`cims seed`")
    return Catalogue(warehouses=warehouses, skus=skus)
