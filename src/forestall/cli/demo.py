"""Watch a real service leak, be caught long before its limit, recycled, and reviewed.

A real process with a real mistake (a cache keyed by request id) leaks real memory under a real
limit, beside the same service with the mistake repaired. The shipped agent watches both with the
shipped thresholds, on a clock 60 times as fast as yours (the two minutes before exhaustion in
which guard acts are two of yours, for evidence takes as long as ever). Needs no root, no network,
and less than two minutes. Ends with the paths of the evidence and of the incident review written.
"""

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile

from forestall.cli.options import add_json, print_json
from forestall.demo.story import SCALE, Play, Result
from forestall.demo.view import choose
from forestall.errors import ForestallError, UsageError
from forestall.units import format_bytes

EXAMPLES = """\
examples:
  forestall demo                     watch it live
  forestall demo --state ./my-demo   keep journals, evidence and review in ./my-demo
  forestall demo --json              one object: caught, headroom_bytes, seconds, verdict, review,
                                     bundle, incident, control_touched

Where its wheels are installed (forestall[pair]), a PostgreSQL pair runs beside the service, and
guard moves its primary away; `database` in --json says what clients saw, or `no_database` why not.

Exit code 0 when the leak was caught, the control left alone and no order lost, 1 otherwise.
"""
DRILL = (
    "`make drill` plays the whole incident: a pooler that holds the writes, rival guards, a host "
    "that panics."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--state", metavar="DIR", help="a new or empty folder for what is kept (default: a new one)"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=SCALE,
        metavar="N",
        help="how many times as fast as yours the demo's clock runs (default: %(default)g)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Play the demo and say what came of it."""
    if not 1 <= args.scale <= 100:
        raise UsageError(f"--scale {args.scale:g} is out of range", help="give 1 to 100")
    state = _folder(args.state)
    if not args.json:
        print(f"A service leaks; its repaired twin does not. What is kept goes to {state}\n")
    for number in (signal.SIGTERM, signal.SIGHUP):
        # By default they would end the demo, and leave its services and cgroups behind.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)
    progress = _quiet if args.json else _progress
    result = Play(state, choose(quiet=args.json), scale=args.scale, progress=progress).run()
    if args.json:
        print_json(result.to_json())
    else:
        _say(result, state)
    return 0 if result.passed else 1


def _quiet(line: str) -> None:
    pass


def _progress(line: str) -> None:
    print(f"  {line}", flush=True)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


def _folder(option: str | None) -> str:
    if option is None:
        try:
            return tempfile.mkdtemp(prefix="forestall-demo-")
        except OSError as error:
            raise ForestallError(
                f"no folder for what the demo keeps: {error.strerror}", help="name one with --state"
            ) from None
    folder = os.path.abspath(option)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.listdir(folder):
        raise UsageError(f"{folder} is not empty", help="name a new folder for the demo")
    return folder


def _say(result: Result, state: str) -> None:
    print()
    if not result.caught:
        print("NOT CAUGHT: the leak was not recycled in time. This is a defect; please report it.")
    if result.caught and result.headroom_bytes is not None:
        share = result.headroom_bytes / result.limit_bytes
        print(
            f"Caught as {result.verdict} with {format_bytes(result.headroom_bytes)} of "
            f"{format_bytes(result.limit_bytes)} still free ({share:.0%}).\n"
            "Its evidence was kept, then it was recycled."
        )
    print(
        "The control was TOUCHED: a false action, a defect; please report it."
        if result.control_touched
        else "The control, the same service with the mistake repaired, was left alone."
    )
    _say_database(result)
    command = _own_command()
    if result.review is not None and result.bundle is not None:
        review, bundle = shlex.quote(result.review), shlex.quote(result.bundle)
        print(f"\n  review    {result.review}\n  evidence  {result.bundle}")
        print(f"\nnext:\n  {command} review verify {review} --bundle {bundle}")
    else:
        print("\nnext:")
    print(f"  {command} guard ledger --state {shlex.quote(state)}")
    print(f"  {command} look      what would happen on this host tonight")


def _say_database(result: Result) -> None:
    orders = result.database
    if orders is None:
        print(f"No database ran beside it: {result.no_database}.\n{DRILL}")
        return
    print(
        f"Beside it ran the primary of a PostgreSQL pair, {orders.primary_before}: "
        + (f"moved to {orders.primary_after}." if orders.moved else "NOT MOVED; see the ledger.")
    )
    print(
        f"Orders: {orders.acknowledged} acknowledged, {orders.refused} refused, "
        f"{orders.unknown} without an answer, {orders.lost} lost; "
        f"{orders.longest_gap_seconds:.1f} s at most without one."
    )
    print(DRILL)


def _own_command() -> str:
    """How the reader calls us: `make demo` runs in an environment that no PATH knows."""
    if shutil.which("forestall"):
        return "forestall"
    if os.path.basename(sys.argv[0]) == "__main__.py":
        return f"{sys.executable} -m forestall"
    return os.path.relpath(sys.argv[0])
