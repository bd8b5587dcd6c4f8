"""Answer questions over the facts of hosts: true, false, or unknown.

Unknown is an answer: where a host was expected and not seen, its facts are too old, or a value was
not read, nothing is taken for true. Several questions are answered together, and each by itself.

examples:
  forestall audit check "all host where role=db: swap_total_bytes >= 16GiB" --role 'db=db*'
  forestall audit check "no host: vm.panic_on_oom != 0" --facts facts.jsonl --max-age 7d
  forestall audit check 'all host where host=db01: rule LIM-001 = pass' --from ssh --from db01
  forestall audit check 'no host: vm.swappiness > 10' --inventory hosts.ini --keep answers/ --sudo
  forestall audit check 'any host: unit("feed-sync.service").memory_max_bytes <= 2GiB' --json
  forestall audit check "count(host where os_id=rhel and os_version_id < 8) = 0" --expect hosts.txt
  forestall audit check --names

exit codes: 0 every answer is true, 1 one is false, 3 one is unknown and none false, 2 a question
cannot be read
"""

import argparse
import sys

from forestall.audit.predicates import Checked, Predicate, PredicateError, Reason, evaluate, parse
from forestall.audit.predicates.names import names, unit_fields
from forestall.cli.audit import add_terms, policy_of
from forestall.cli.audit_inputs import add_inputs, hosts
from forestall.cli.options import add_json, ended_in_order, print_json, printable
from forestall.clock import SystemClock
from forestall.errors import UsageError
from forestall.model.codec import Json
from forestall.model.finding import Answer
from forestall.units import parse_duration

EXPECTED_LIMIT_BYTES = 64 * 1024**2
SHOWN_HOSTS = 20
WORDS = {Answer.YES: "true", Answer.NO: "false", Answer.UNKNOWN: "unknown"}
EXIT_CODES = {Answer.YES: 0, Answer.NO: 1, Answer.UNKNOWN: 3}


def configure(parser: argparse.ArgumentParser) -> None:
    """The questions, where hosts come from, and how old facts may be."""
    parser.add_argument("predicate", nargs="*", metavar="QUESTION", help="what is to be answered")
    parser.add_argument(
        "--from",
        dest="inputs",
        metavar="INPUT",
        action="append",
        default=[],
        help="a word of `forestall audit`'s inputs, in order: --from ssh --from db01 (default: "
        "local)",
    )
    parser.add_argument(
        "--facts",
        metavar="FILE|DIR",
        action="append",
        default=[],
        help="short for --from facts --from FILE|DIR",
    )
    parser.add_argument(
        "--expect",
        metavar="FILE",
        help="hosts that must be seen, one a line; those that are not make answers unknown",
    )
    parser.add_argument("--names", action="store_true", help="list the facts that can be named")
    add_terms(parser)
    add_json(parser)
    add_inputs(parser)


@ended_in_order()
def run(args: argparse.Namespace) -> int:
    """Answer each question; the exit code is that of the worst answer."""
    if args.names:
        _print_names()
        return 0
    if not args.predicate:
        raise UsageError("no question", help="see `forestall audit check --help`")
    asked = [_parsed(text) for text in args.predicate]
    max_age = None if args.max_age is None else parse_duration(args.max_age)
    args.inputs += [word for path in args.facts for word in ("facts", path)]
    clock = SystemClock()
    policy = policy_of(args, clock.now())
    expected = _expected(args.expect) if args.expect else []
    # A host's facts are read once for all questions, so with several they are kept.
    found = hosts(args, clock)
    seen = list(found) if len(asked) > 1 else found
    answers = []
    for one in asked:
        checked = evaluate(
            one, seen, clock.now(), policy=policy, expected=expected, max_age_seconds=max_age
        )
        answers.append((one, checked))
    _print(answers, as_json=args.json)
    codes = {EXIT_CODES[checked.answer] for _, checked in answers}
    return 1 if 1 in codes else max(codes)


def _parsed(text: str) -> Predicate:
    try:
        return parse(text)
    except PredicateError as error:
        line = text.replace("\n", " ").replace("\t", " ")
        print(f"  {printable(line)}\n  {' ' * (error.column - 1)}^", file=sys.stderr)
        raise


def _expected(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            data = file.read(EXPECTED_LIMIT_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", help="name a file of hosts") from None
    lines = data.decode("utf-8", "replace").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _print(answers: list[tuple[Predicate, Checked]], *, as_json: bool) -> None:
    if as_json:
        print_json([to_json(one, checked) for one, checked in answers])
        return
    for one, checked in answers:
        prefix = f"{printable(one.text)}\n  " if len(answers) > 1 else ""
        print(f"{prefix}{WORDS[checked.answer]}: {checked.text}")
        _print_hosts("false on", checked.failing, checked.failing_count)
        if checked.answer is not Answer.YES:
            _print_hosts("unknown on", checked.unknown, checked.unknown_count)


def _print_hosts(title: str, reasons: tuple[Reason, ...], count: int) -> None:
    for reason in reasons[:SHOWN_HOSTS]:
        print(f"  {title} {printable(reason.host)}: {printable(reason.text)}")
    if count > SHOWN_HOSTS:
        print(f"  ... and {count - SHOWN_HOSTS:,} more; --json names up to 1,000")


def _print_names() -> None:
    for name, (kind, _) in names().items():
        print(f"{name:<36} {kind.value}")
    for name, kind in unit_fields().items():
        print(f"unit(NAME).{name:<25} {kind.value}")
    print(f"{'vm.swappiness, kernel.panic, ...':<36} the raw value of a sysctl")
    print(f"{'rule PAN-001':<36} pass, fail, waived or not-applicable")
    print(f"{'/swaps/0/size_bytes':<36} a pointer (RFC 6901) into the facts document")


def to_json(asked: Predicate, checked: Checked) -> Json:
    """One answer as `--json` prints it."""
    return {
        "schema": "forestall/audit-check/1",
        "question": asked.text,
        "answer": WORDS[checked.answer],
        "text": checked.text,
        "seen": checked.seen,
        "matched": checked.matched,
        "failing": [{"host": one.host, "why": one.text} for one in checked.failing],
        "failing_count": checked.failing_count,
        "unknown": [{"host": one.host, "why": one.text} for one in checked.unknown],
        "unknown_count": checked.unknown_count,
    }
