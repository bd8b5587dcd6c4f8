"""`forestall COMMAND`: finds the command, runs it, and turns errors into one clear line."""

import argparse
import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from forestall import __version__
from forestall.cli.options import Ended, printable
from forestall.errors import ForestallError, UsageError


class Command(Protocol):
    """What each module of this package offers. `run` returns the exit code."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


COMMANDS = (
    ("look", "what happens on this host when memory runs out, and what stands in between"),
    ("audit", "find the hosts on which the next leak becomes an outage, one or a fleet"),
    ("watch", "the agent: read, judge and, if allowed, act before the kernel does"),
    ("guard", "what guard did, or would have done (ledger)"),
    ("incident", "incidents this host has seen, and their timelines"),
    ("review", "draft, parse, render, verify and lint incident reviews"),
    ("evidence", "list and verify evidence bundles"),
    ("demo", "watch a real service leak, be caught, recycled and reviewed"),
    ("drill", "replay an incident for real: a kernel panics, and guarded it does not"),
)

ADVICE = {
    errno.ENOENT: "check the name; nothing is there",
    errno.EACCES: "run as the owner of it, or name another place",
    errno.EPERM: "run as the owner of it, or name another place",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "a file stands where a folder is needed; name another place",
    errno.EEXIST: "a file stands where a folder is needed; name another place",
    errno.ENOSPC: "free some space there, or name another place",
    errno.EROFS: "it cannot be written; name another place",
}

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

    intermixed = False
    """Whether options may stand anywhere between the words; argparse allows no sub-parsers then."""

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """What the words say."""
        if self.intermixed:
            return self.parse_intermixed_args(words)
        return self.parse_args(words)

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, help=f"see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    _prepare_streams()
    code = _run(words, debug=debug)
    _give_up_what_cannot_be_written()
    return code


def _run(words: list[str], *, debug: bool) -> int:
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
        # The reader went away (`forestall ... | head`): nothing left to say, and what was not said
        # must not look like "nothing found": 128 + SIGPIPE, as a shell reports it.
        return 141
    except KeyboardInterrupt as interrupt:
        return interrupt.exit_code if isinstance(interrupt, Ended) else 130
    except OSError as error:
        if debug:
            _print_traceback()
        # What has no name is one of the standard streams; everything else is opened by name.
        where = "standard input or output" if error.filename is None else error.filename or "''"
        advice = ADVICE.get(error.errno or 0)
        _complain(ForestallError(f"{where}: {error.strerror or error}", help=advice))
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
    prog = f"forestall {name}"
    if rest and rest[0] in getattr(command, "SEPARATE", ()):
        # A first word that is a command of its own, beside words that are not (`audit local`).
        command = cast(Command, importlib.import_module(f"forestall.cli.{name}_{rest[0]}"))
        prog, rest = f"{prog} {rest[0]}", rest[1:]
    parser = Parser(prog=prog, description=command.__doc__)
    command.configure(parser)
    return command.run(parser.parse(rest))


def _prepare_streams() -> None:
    """Standard streams that are there, and that take any text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # A stream that the caller closed (`<&-`) leaves its descriptor free, and the next
            # file opened would get it: a journal must never be what others take for stderr.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that this terminal's encoding lacks is shown as an escape, as on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")


def _give_up_what_cannot_be_written() -> None:
    """Text that a full or closed stream still holds would fail again as Python ends, with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _print_traceback() -> None:
    # Imported here: only --debug needs it, and the agent, which comes this way, has to stay small.
    import traceback

    traceback.print_exc()


def _complain(error: ForestallError) -> None:
    # Where nobody can be told (`2>/dev/full`), the exit code is what is left.
    with contextlib.suppress(OSError):
        print(f"forestall: {printable(error.message)}", file=sys.stderr)
        if error.help:
            print(f"  {printable(error.help)}", file=sys.stderr)
