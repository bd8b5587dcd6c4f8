"""`cims migrate`: bring the schema to this version."""

import argparse

import psycopg

from cims import schema
from cims.cli import dsn_of
from cims.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Show only, or the way back."""
    parser.add_argument("--show", action="store_true", help="say where the schema is, and stop")
    parser.add_argument(
        "--down-to-empty", action="store_true", help="remove everything; needs --yes"
    )
    parser.add_argument("--yes", action="store_true", help="really remove everything")


def run(args: argparse.Namespace) -> int:
    """Migrate and say where it ended."""
    dsn = dsn_of(args)
    if args.show:
        print(f"schema: {schema.schema_version(dsn) or 'none'}")
        return 0
    if args.down_to_empty and not args.yes:
        name = psycopg.conninfo.conninfo_to_dict(dsn).get("dbname", "the database")
        raise UsageError(f"this removes every order of {name}", help="say --yes to do it")
    print(f"schema: {schema.migrate(dsn, revision='base' if args.down_to_empty else 'head')}")
    return 0
