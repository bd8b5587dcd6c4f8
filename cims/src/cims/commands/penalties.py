"""`cims penalties`: what lateness costs, by region and day, and the stored accrual."""

import argparse
import json
from datetime import UTC, datetime

import psycopg
from psycopg.rows import dict_row

from cims import scenario
from cims.cli import dsn_of
from cims.errors import CimsError, UsageError
from cims.penalty import SEED_POLICY


def configure(parser: argparse.ArgumentParser) -> None:
    """Which policy, which moment, and what to do with the answer."""
    parser.add_argument("--policy", type=int, default=None, help="version (default: the newest)")
    parser.add_argument("--at", default=None, help="ISO time with zone (default: now)")
    parser.add_argument("--accrue", action="store_true", help="store what is owed at that moment")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--outage-minutes",
        type=float,
        default=None,
        help="no database: what an outage costs on the scenario's order flow",
    )


def run(args: argparse.Namespace) -> int:
    """Print it; the sum is the function's, and stored only when asked."""
    if args.outage_minutes is not None:
        return _scenario(args)
    at = _moment(args.at)
    with psycopg.connect(dsn_of(args), connect_timeout=10, row_factory=dict_row) as connection:
        found = connection.execute(
            "SELECT version, name FROM sla_policy WHERE %(v)s::int IS NULL OR version = %(v)s"
            " ORDER BY version DESC LIMIT 1",
            {"v": args.policy},
        ).fetchone()
        if found is None:
            raise CimsError(f"policy {args.policy or ''}: none such", help="run `cims seed`")
        changed = None
        if args.accrue:
            row = connection.execute(
                "SELECT accrue_penalties(%s, %s) AS n", (found["version"], at)
            ).fetchone()
            changed = row and row["n"]
        days = connection.execute(
            "SELECT * FROM penalties_by_day(%s, %s)", (found["version"], at)
        ).fetchall()
    total = sum(day["amount_cents"] for day in days)
    if args.json:
        document = {
            "policy": found["version"],
            "at": at.isoformat(),
            "total_cents": total,
            "accrued_rows_changed": changed,
            "days": [{**day, "day": day["day"].isoformat()} for day in days],
        }
        print(json.dumps(document))
        return 0
    for day in days:
        print(
            f"{day['region']:<5} {day['day']}  {day['late_orders']:>7} late"
            f"  {_dollars(day['amount_cents']):>14}"
        )
    print(f"{_dollars(total)} by policy {found['version']} ({found['name']}) at {at.isoformat()}")
    if changed is not None:
        print(f"accrued: {changed} rows changed")
    return 0


def _scenario(args: argparse.Namespace) -> int:
    if not 0 <= args.outage_minutes <= 60 * 24 * 7:
        raise UsageError("--outage-minutes must be 0 to 10080")
    if args.policy not in (None, SEED_POLICY.version):
        raise UsageError(f"the scenario is priced by policy {SEED_POLICY.version} alone")
    flow = scenario.Flow()
    cents = scenario.cost_cents(flow, SEED_POLICY, args.outage_minutes * 60)
    if args.json:
        print(json.dumps({"outage_minutes": args.outage_minutes, "total_cents": cents}))
        return 0
    print(
        f"{args.outage_minutes:g} min without a write, {flow.orders_per_minute:g} orders a minute:"
        f" {_dollars(cents)} by policy {SEED_POLICY.version} ({SEED_POLICY.name})"
    )
    return 0


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--at {text!r} is no ISO time") from error
    if at.tzinfo is None:
        raise UsageError(f"--at {text!r} has no zone", help="add Z or +00:00")
    return at


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"
