"""`cims COMMAND`: finds the command, runs it, and turns errors into one clear line."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

import psycopg

from cims import __version__
from cims.errors import CimsError, UsageError

COMMANDS = (
    ("migrate", "cims.commands.migrate", "bring the schema to this version, or show where it is"),
    ("seed", "cims.commands.seed", "regions, warehouses, 12,000 SKUs, stock and the policy"),
    ("serve", "cims.commands.serve", "the REST API and the dashboard, on loopback unless told"),
    ("penalties", "cims.commands.penalties", "what lateness costs, by region and day"),
    ("check", "cims.check.command", "prove every invariant over the database and client histories"),
    ("load", "cims.load.command", "clients that order by the protocol and write their history"),
    ("feed", "cims.stock_sync.feed_command", "the regions' feeds over HTTP, made from a seed"),
)


class Command(Protocol):
    """What each command's module offers. `run` returns the exit code."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


class Parser(argparse.ArgumentParser):
    """argparse with our errors."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, help=f"see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except CimsError as error:
        return _complain(error.message, error.help, error.exit_code)
    except psycopg.Error as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return _complain(f"database: {said}", advice_on(error), CimsError.exit_code)
    except BrokenPipeError:
        # The reader went away (`cims penalties | head`); the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        return _complain(f"{where}{error.strerror or error}", None, CimsError.exit_code)
    except KeyboardInterrupt:
        return 130


def dsn_option(parser: argparse.ArgumentParser) -> None:
    """The one option every command has."""
    parser.add_argument(
        "--dsn", default=None, help="libpq connection string (default: the environment's CIMS_DSN)"
    )


def dsn_of(args: argparse.Namespace) -> str:
    """The database meant, or a usage error that says how to name one."""
    dsn = args.dsn if args.dsn is not None else os.environ.get("CIMS_DSN", "")
    if not dsn:
        raise UsageError("no database named", help="give --dsn, or set CIMS_DSN")
    try:
        psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        # libpq repeats what it could not read, and that may be a password.
        raise UsageError("the DSN is not a libpq connection string") from error
    return str(dsn)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print("usage: cims COMMAND [OPTIONS]\n\ncommands:")
        for name, _, say in COMMANDS:
            print(f"  {name:<10} {say}")
        print("\n`cims COMMAND --help` shows options. Exit codes: 0 fine, 1 something to look at,")
        print("2 usage or configuration, 3 could not look.")
        return 0
    if words[0] in ("-V", "--version"):
        print(f"cims {__version__}")
        return 0
    for name, module, say in COMMANDS:
        if words[0] == name:
            command = cast(Command, importlib.import_module(module))
            parser = Parser(prog=f"cims {name}", description=say)
            dsn_option(parser)
            command.configure(parser)
            return command.run(parser.parse_args(words[1:]))
    raise UsageError(f"no command {words[0]!r}", help="see `cims --help`")


def advice_on(error: psycopg.Error) -> str | None:
    """What to do next about it, if that is known."""
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction):
        return "the schema is missing or old: run `cims migrate`"
    if isinstance(error, psycopg.OperationalError):
        return "check --dsn or CIMS_DSN, and that the server accepts connections"
    return None


def _complain(message: str, help: str | None, code: int) -> int:
    print(f"cims: {message}", file=sys.stderr)
    if help:
        print(f"      {help}", file=sys.stderr)
    return code
