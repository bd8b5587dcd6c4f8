"""Reviews of incidents: draft one from evidence, verify it, and read, write and question any other.

examples:
  forestall review parse INC-20260302-001.md --json > review.json
  forestall review render review.json -o INC-20260302-001.md
  forestall review lint INC-20260302-001.md
"""

import argparse
import importlib
from typing import cast

from forestall.cli.main import Command

SUBCOMMANDS = (
    ("draft", "write the review of an incident from its evidence"),
    ("verify", "check every number, time and name of a review against a bundle"),
    ("parse", "a document to a record, with every byte accounted for"),
    ("render", "a record to its document"),
    ("lint", "ask what a careful reader asks"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `forestall review`, each a module of its own."""
    subparsers = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for name, say in SUBCOMMANDS:
        command = _command(name)
        subparser = subparsers.add_parser(name, help=say, description=command.__doc__)
        command.configure(subparser)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns its exit code."""
    return _command(args.subcommand).run(args)


def _command(name: str) -> Command:
    """`forestall review NAME` is the module `review_NAME` beside this one."""
    return cast(Command, importlib.import_module(f"forestall.cli.review_{name}"))
