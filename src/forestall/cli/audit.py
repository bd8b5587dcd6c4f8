"""Find the hosts on which the next leak becomes an outage.

examples:
  forestall audit oom /var/log/messages
"""

import argparse
import importlib
from typing import cast

from forestall.cli.main import Command

SUBCOMMANDS = (("oom", "explain an OOM kill or panic from kernel messages"),)


def configure(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `forestall audit`, each a module of its own."""
    subparsers = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for name, say in SUBCOMMANDS:
        command = _command(name)
        subparser = subparsers.add_parser(name, help=say, description=command.__doc__)
        command.configure(subparser)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns its exit code."""
    return _command(args.subcommand).run(args)


def _command(name: str) -> Command:
    """`forestall audit NAME` is the module `audit_NAME` beside this one."""
    return cast(Command, importlib.import_module(f"forestall.cli.audit_{name}"))
