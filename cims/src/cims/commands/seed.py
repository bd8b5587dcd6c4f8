"""`cims seed`: regions, warehouses, SKUs, stock received, and the first policy."""

import argparse

import psycopg

from cims import schema
from cims.cli import dsn_of
from cims.errors import CimsError, UsageError
from cims.store import KEY_REUSED


def configure(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument("--skus", type=int, default=schema.SKUS, help="how many SKUs (12000)")
    parser.add_argument("--units", type=int, default=1000, help="units of each in each warehouse")
    parser.add_argument(
        "--cutoff", default=None, metavar="HH:MM", help="local end of the day (default: none)"
    )


def run(args: argparse.Namespace) -> int:
    """Seed and say what is there now."""
    if not 1 <= args.skus <= 1_000_000 or not 0 <= args.units <= 1_000_000:
        raise UsageError("--skus must be 1 to 1000000, --units 0 to 1000000")
    try:
        rows = schema.seed(dsn_of(args), skus=args.skus, units=args.units, cutoff=args.cutoff)
    except psycopg.Error as error:
        if error.sqlstate != KEY_REUSED:
            raise
        raise CimsError(
            "this database was seeded with other --skus or --units, and is left as it was",
            help="seed an empty one: `createdb`, `cims migrate`, or `cims migrate --down-to-empty`",
        ) from None
    print(f"{rows} stock rows in {len(schema.WAREHOUSES)} warehouses of 3 regions")
    return 0
