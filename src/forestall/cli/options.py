"""Options and output that several commands share."""

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator

from forestall.errors import UsageError
from forestall.model.codec import Json


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: everything is given up as after Ctrl-C; `exit_code` is a shell's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP raise `Ended`, so that children and half files do not stay.

    One that is ignored (nohup) or handled already stays so.
    """
    taken = [
        one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL
    ]

    def end(number: int, _frame: object) -> None:
        for one in taken:
            # A second one must not break into the tidying up after the first.
            signal.signal(one, signal.SIG_IGN)
        raise Ended(number)

    for one in taken:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one in taken:
            signal.signal(one, signal.SIG_DFL)


def state_folder(option: str | None) -> str:
    """Where forestall keeps what must not be lost: option, environment, then default.

    Raises UsageError for `--state ""`: a variable that was not set must not mean another host.
    """
    if option is not None:
        if not option:
            raise UsageError("--state names no folder", help="the variable in it may not be set")
        return option
    from_environment = os.environ.get("FORESTALL_STATE")
    if from_environment:
        return from_environment
    if os.geteuid() == 0:
        return "/var/lib/forestall"
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        # As the XDG specification has it; else each folder we are called from had a state.
        base = os.path.expanduser("~/.local/state")
    return os.path.join(base, "forestall")


def add_state(parser: argparse.ArgumentParser) -> None:
    """`--state DIR`, the same for every command that reads or writes what is kept."""
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="where forestall keeps its journals and evidence (default: $FORESTALL_STATE, "
        "/var/lib/forestall as root, ~/.local/state/forestall otherwise)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`, the same for every command."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def printable(text: str) -> str:
    """`text` with all that a terminal would obey, or could not show, as an escape of Python's.

    Names come from processes, units and documents, and anybody may choose one.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_json(value: Json) -> None:
    """One JSON value on standard output, indented, valid UTF-8 whatever names it holds."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")
