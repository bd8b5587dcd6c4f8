"""Check every number, time, name and version of a review against the bundle it was drafted from.

The bundle is checked first, byte by byte. Then the review is composed from it once more: what the
review says must be said there. A sentence may be reworded and facts may be left out; a fact that
is changed, added or moved is unresolved, and named with its line. What a person adds is theirs
when it is marked: [We saw it too.]{by="Jane Doe"}

exit codes: 0 all of it is backed, 1 something is unresolved or the bundle is damaged, 2 usage,
3 the review or the bundle could not be read

examples:
  forestall review verify review.md --bundle evidence/9f2c41ab...
  forestall review verify review.md --bundle evidence/9f2c41ab... --json | jq .unresolved
"""

import argparse

from forestall.cli.options import add_json, print_json, printable
from forestall.cli.review_parse import read_bounded
from forestall.errors import InputError
from forestall.incident.review.verify import REVIEW_BYTES_MAX, Verification, verify
from forestall.model import codec
from forestall.model.codec import Json

SHOWN_MAX = 50


def configure(parser: argparse.ArgumentParser) -> None:
    """REVIEW, `--bundle` and `--json`."""
    parser.add_argument("file", metavar="REVIEW", help="the document; - for standard input")
    parser.add_argument(
        "--bundle", metavar="DIR", required=True, help="the bundle that the draft named"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print what is backed and what is not; 1 when something is not."""
    data = read_bounded(args.file, REVIEW_BYTES_MAX)
    try:
        found = verify(data, args.bundle)
    except InputError as error:
        raise InputError(f"{args.file}: {error.message}", help=error.help) from error
    if args.json:
        print_json(to_json(found, args.file, args.bundle))
    else:
        _print(found, args.file)
    return 0 if found.holds else 1


def to_json(found: Verification, name: str, bundle: str) -> Json:
    """What `--json` prints."""
    return {
        "schema": "forestall/verification/1",
        "review": name,
        "bundle": bundle,
        "holds": found.holds,
        "sentences": len(found.claims),
        "facts": found.fact_count,
        "reworded_lines": list(found.reworded),
        "left_out": found.left_out,
        "unresolved": [codec.encode(one) for one in found.unresolved],
        "persons": [codec.encode(one) for one in found.persons],
        "damages": list(found.damages),
        "hint": found.hint,
    }


def _print(found: Verification, name: str) -> None:
    for damage in found.damages[:SHOWN_MAX]:
        print(f"bundle: {printable(damage)}")
    for one in found.unresolved[:SHOWN_MAX]:
        print(f"{name}:{one.line}: {printable(one.token)}: {one.why}")
    more = len(found.unresolved) - SHOWN_MAX
    if more > 0:
        print(f"{name}: and {more} more; --json shows them all")
    for passage in found.persons[:SHOWN_MAX]:
        said = printable(f"{passage.by} answers for: {passage.text}")
        print(f"{name}:{passage.line}: {said}")
    if found.hint:
        print(found.hint)
    lines = ", ".join(map(str, found.reworded[:SHOWN_MAX]))
    reworded = f", reworded on lines {lines}" if lines else ""
    left_out = f", {found.left_out} of the draft left out" if found.left_out else ""
    verdict = "backed" if found.holds else "NOT BACKED"
    print(
        f"{verdict}: {len(found.claims)} statements on {found.fact_count} facts, "
        f"{len(found.unresolved)} unresolved, {len(found.persons)} passages of persons"
        f"{reworded}{left_out}"
    )
