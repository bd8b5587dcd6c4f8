"""`cims load`: clients, a live line on a terminal, the history, and the figures at the end."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable

import psycopg

from cims.cli import dsn_of
from cims.errors import CimsError, UsageError
from cims.load.by_http import Codes, HttpShop
from cims.load.by_sql import SqlShop
from cims.load.client import Rule
from cims.load.figures import Figures, figures
from cims.load.history import History, read
from cims.load.order import Shop
from cims.load.run import Plan, Run
from cims.load.workload import Workload

MOST_SKUS = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `cims load`."""
    rule = Rule()
    parser.add_argument("--api", help="http://HOST:PORT: order through the API, else over SQL")
    parser.add_argument("--token", default=os.environ.get("CIMS_TOKEN", ""), help="CIMS_TOKEN")
    parser.add_argument("--history", required=True, help="new file, JSON lines")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, help="orders a second over all clients")
    parser.add_argument("--seconds", type=float, help="how long (default 10, unless --orders)")
    parser.add_argument("--orders", type=int, help="end after so many")
    parser.add_argument("--skew", type=float, default=0.0, help="exponent of Zipf; 0 is uniform")
    parser.add_argument("--lines", type=int, default=5, help="most lines an order has")
    parser.add_argument("--skus", type=int, default=12_000, help="order only the first N SKUs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--attempt-seconds", type=float, default=rule.attempt_seconds)
    parser.add_argument("--give-up-seconds", type=float, default=rule.give_up_seconds)
    parser.add_argument(
        "--pooled", action="store_true", help="a pooler is between: prepare nothing"
    )
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    """Run the load; 0 when it ran, whatever the clients were told."""
    plan = _plan(args)
    if os.path.exists(args.history) and os.path.getsize(args.history) > 0:
        # A second run would stretch the gaps of the first, and may follow a torn line.
        raise UsageError(f"{args.history}: holds a history already", help="name a new file")
    history = History(args.history)
    try:
        asyncio.run(_load(args, plan, history))
    finally:
        history.close()
    found = figures(read(args.history))
    if args.json:
        print(json.dumps({**found.as_json(), "rule": str(plan.rule), "clients": plan.clients}))
    else:
        print(text(found, plan.rule))
    return 0


def text(found: Figures, rule: Rule) -> str:
    """The figures as a person reads them, with the rule that shaped them."""

    def milliseconds(seconds: float | None) -> str:
        return "-" if seconds is None else f"{seconds * 1000:.1f} ms"

    counts = (
        f"{found.invoked} orders in {found.seconds:.1f} s: {found.acknowledged} acknowledged "
        f"({found.accepted} accepted, {found.rejected} short), {found.failed} failed"
    )
    doubt = (
        f"doubt: {found.unknown_resolved} resolved by sending the same key again, "
        f"{found.unknown_left} left unknown"
    )
    gap = f"longest time without an acknowledged write: {found.longest_gap_seconds:.2f} s"
    latency = (
        f"latency: p50 {milliseconds(found.latency_p50_seconds)}, "
        f"p99 {milliseconds(found.latency_p99_seconds)}, "
        f"most {milliseconds(found.latency_most_seconds)}"
    )
    return "\n".join((counts, doubt, gap, latency, f"rule: {rule}"))


def _plan(args: argparse.Namespace) -> Plan:
    if not 1 <= args.clients <= 1000:
        raise UsageError(f"--clients {args.clients}: 1 to 1000")
    for name in ("rate", "seconds", "orders", "attempt_seconds", "give_up_seconds", "lines"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise UsageError(f"--{name.replace('_', '-')} {value}: more than 0")
    seconds = 10.0 if args.seconds is None and args.orders is None else args.seconds
    rule = Rule(attempt_seconds=args.attempt_seconds, give_up_seconds=args.give_up_seconds)
    return Plan(
        clients=args.clients, seconds=seconds, orders=args.orders, rate=args.rate, rule=rule
    )


async def _load(args: argparse.Namespace, plan: Plan, history: History) -> None:
    codes = await catalogue(dsn_of(args), args.skus)
    workload = Workload(
        warehouses=list(codes.warehouses),
        skus=list(codes.skus),
        skew=args.skew,
        most_lines=args.lines,
        seed=args.seed,
    )
    shops = [_shop(args, codes) for _ in range(plan.clients)]
    load = Run(plan, workload, shops, history, _live(sys.stderr.isatty()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, load.stop)
    await load.run()
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _shop(args: argparse.Namespace, codes: Codes) -> Shop:
    if args.api:
        return HttpShop(args.api, args.token, codes)
    return SqlShop(dsn_of(args), prepare=not args.pooled)


def _live(terminal: bool) -> Callable[[str], None] | None:
    if not terminal:
        return None
    return lambda line: print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)


async def catalogue(dsn: str, most_skus: int) -> Codes:
    """The warehouses and the first SKUs of the database. CimsError when it cannot tell."""
    try:
        async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=5) as connection:
            cursor = await connection.execute("SELECT id, code FROM warehouse ORDER BY id")
            warehouses: dict[int, str] = dict(await cursor.fetchall())
            cursor = await connection.execute(
                "SELECT id, code FROM sku ORDER BY id LIMIT %s", (min(most_skus, MOST_SKUS),)
            )
            skus: dict[int, str] = dict(await cursor.fetchall())
    except psycopg.Error as error:
        told = str(error).strip().splitlines()[0]
        raise CimsError(f"the database cannot be read: {told}", help="give --dsn") from None
    if not warehouses or not skus:
        raise CimsError("the database holds no warehouses or no SKUs", help="run `cims seed` first")
    return Codes.of(warehouses, skus)
