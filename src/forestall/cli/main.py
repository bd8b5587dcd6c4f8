"""`forestall COMMAND`: finds the command, runs it, and turns errors into one clear line."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from forestall import __version__
from forestall.cli.options import printable
from forestall.errors import ForestallError, UsageError


class Command(Protocol):
    """What each module of this package offers. `run` returns the exit code."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


COMMANDS = (
    ("look", "what happens on this host when memory runs out, and what stands in between"),
    ("watch", "the agent: read, judge and, if allowed, act before the kernel does"),
    ("guard", "what guard did, or would have done (ledger)"),
    ("incident", "incidents this host has seen, and their timelines"),
    ("review", "draft, parse, render, verify and lint incident reviews"),
    ("evidence", "list and verify evidence bundles"),
    ("demo", "watch a real service leak, be caught, recycled and reviewed"),
)

HELP = """\
usage: forestall COMMAND [OPTIONS]

Keeps a leaking service from taking its database host down, and closes the loop when it does.

commands:
{commands}

start here:
  forestall look                      what would happen tonight, in plain words; needs no rights
  forestall demo                      the whole story on a real leaking process, in three minutes
  forestall watch                     observe this host and journal what guard would have done
  forestall guard ledger --since 7d   read that journal

`forestall COMMAND --help` shows examples. Exit codes: 0 fine, 1 a verdict or finding to look at,
2 usage or configuration, 3 could not look.
"""


class Parser(argparse.ArgumentParser):
    """argparse, with our errors and with examples kept as they are written."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)  # type: ignore[arg-type]

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, help=f"see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except ForestallError as error:
        if debug:
            _print_traceback()
        _complain(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`forestall ... | head`): not our fault, and nothing left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if debug:
            _print_traceback()
        where = f"{error.filename}: " if error.filename else ""
        _complain(ForestallError(f"{where}{error.strerror or error}"))
        return ForestallError.exit_code


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(len(name) for name, _ in COMMANDS)
        print(
            HELP.format(commands="\n".join(f"  {name:<{width}}  {say}" for name, say in COMMANDS))
        )
        return 0
    if words[0] in ("-V", "--version"):
        print(f"forestall {__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name not in dict(COMMANDS):
        raise UsageError(f"no such command: {name}", help="see `forestall --help`")
    command = cast(Command, importlib.import_module(f"forestall.cli.{name}"))
    parser = Parser(prog=f"forestall {name}", description=command.__doc__)
    command.configure(parser)
    return command.run(parser.parse_args(rest))


def _print_traceback() -> None:
    # Imported here: only --debug needs it, and the agent, which comes this way, has to stay small.
    import traceback

    traceback.print_exc()


def _complain(error: ForestallError) -> None:
    print(f"forestall: {printable(error.message)}", file=sys.stderr)
    if error.help:
        print(f"  {printable(error.help)}", file=sys.stderr)
