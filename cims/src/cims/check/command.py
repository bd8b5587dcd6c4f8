"""`cims check`: look, say what holds and what does not, keep the proof for the dashboard."""

import argparse
import json
import sys

from cims.check.finding import SAYS, Finding, Proof
from cims.check.look import Question, look, store
from cims.check.shortage import LONGEST_TRANSACTION_SECONDS
from cims.cli import dsn_of
from cims.errors import CimsError

MOST_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `cims check`."""
    parser.add_argument(
        "--history", action="append", default=[], help="file of `cims load`; may be repeated"
    )
    parser.add_argument(
        "--others", action="store_true", help="orders no history placed are no violation"
    )
    parser.add_argument("--skew-seconds", type=float, default=0.0, help="between hosts' clocks")
    parser.add_argument(
        "--longest-transaction-seconds", type=float, default=LONGEST_TRANSACTION_SECONDS
    )
    parser.add_argument("--no-store", action="store_true", help="do not keep the proof")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    """0: all that was looked at holds; 1: something is violated. CimsError: could not look."""
    dsn = dsn_of(args)
    question = Question(
        dsn=dsn,
        histories=tuple(args.history),
        others=args.others,
        skew_seconds=args.skew_seconds,
        longest_transaction_seconds=args.longest_transaction_seconds,
    )
    proof = look(question, _say)
    _say("")
    print(json.dumps(proof.as_json(), indent=2) if args.json else text(proof))
    if not args.no_store:
        _keep(dsn, proof)
    return 0 if proof.held else 1


def _keep(dsn: str, proof: Proof) -> None:
    try:
        store(dsn, proof)
    except CimsError as error:
        # What was found stands, and its exit code says more than that it was not kept.
        print(f"cims: {error.message}; {error.help}", file=sys.stderr)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def text(proof: Proof) -> str:
    """The proof as a person reads it."""
    lines = []
    for finding in proof.findings:
        lines.append(_line(finding))
        lines += [f"       {one.about}: {one.says}" for one in finding.violations[:MOST_SHOWN]]
        if finding.count > MOST_SHOWN:
            lines.append(f"       and {finding.count - MOST_SHOWN} more")
    verdict = "all that was looked at holds" if proof.held else "VIOLATED"
    lines.append(
        f"{verdict}: {proof.orders} orders, {proof.movements} movements, "
        f"{proof.acknowledged} acknowledged, in {proof.seconds:.1f} s"
    )
    return "\n".join(lines)


def _line(finding: Finding) -> str:
    if finding.skipped is not None:
        why = f"(not looked at: {finding.skipped})"
        return f"{finding.invariant:>4} -     {SAYS[finding.invariant]} {why}"
    state = "holds" if finding.held else "WRONG"
    tail = "" if finding.held else f": {finding.count} violations"
    return f"{finding.invariant:>4} {state} {SAYS[finding.invariant]} ({finding.checked}){tail}"
