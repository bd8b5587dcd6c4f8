"""Write the review of an incident from its evidence.

Every sentence comes from a template over facts, and every fact points into an evidence bundle
that is sealed beside the review; `forestall review verify` checks one against the other. What no
sensor knows (places, people, priorities) comes from site.toml; what it does not state is shown
as missing. No language model takes part. Drafting again replaces a draft that nobody touched; a
review that a person has changed is kept unless --force is given.

examples:
  forestall incident list                                which incidents there are
  forestall review draft INC-20260302-001
  forestall review draft INC-20260302-001 --site site.toml -o review.md
  forestall review draft INC-20260302-001 --json | jq '.claims[0].facts'
"""

import argparse
import shlex

from forestall.cli.incident import collected
from forestall.cli.options import add_json, add_state, print_json, state_folder
from forestall.clock import SystemClock
from forestall.errors import UsageError
from forestall.incident import numbers
from forestall.incident import site as sites
from forestall.incident.review.draft import Drafted, draft
from forestall.model import codec
from forestall.model.codec import Json


def configure(parser: argparse.ArgumentParser) -> None:
    """INC, `--site`, `-o`, `--state` and `--json`."""
    parser.add_argument("number", metavar="INC", help="an incident, for example INC-20260302-001")
    parser.add_argument(
        "--site",
        metavar="FILE",
        help="what no sensor knows (default: site.toml in the state folder, if it is there); "
        "`forestall incident site --example` prints one",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write the review (default: beside the incident's timeline)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the file even if a person has changed it"
    )
    add_state(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Draft, and say where the review and its bundle are."""
    if not numbers.is_number(args.number):
        raise UsageError(
            f"{args.number!r} is no incident number",
            help="write for example INC-20260302-001; `forestall incident list` shows them",
        )
    state = state_folder(args.state)
    _, data = sites.load(args.site, state)
    collected(state, args.site)
    drafted = draft(
        state,
        args.number,
        site=data,
        clock=SystemClock(),
        output=args.output,
        replace=args.force,
    )
    if args.json:
        print_json(to_json(drafted))
        return 0
    facts = {fact for claim in drafted.claims for fact in claim.facts}
    print(f"review  {drafted.path}")
    print(f"bundle  {drafted.bundle.path}")
    print(f"{len(drafted.claims)} statements on {len(facts)} facts")
    for sentence in drafted.bundle.manifest.missing:
        print(f"not kept: {sentence}")
    path, bundle = shlex.quote(drafted.path), shlex.quote(drafted.bundle.path)
    print(f"\nforestall review verify {path} --bundle {bundle}")
    return 0


def to_json(drafted: Drafted) -> Json:
    """What `--json` prints: the paths, the record, and each leaf with its facts."""
    return {
        "schema": "forestall/drafted/1",
        "incident": drafted.number,
        "review": drafted.path,
        "bundle": drafted.bundle.path,
        "bundle_id": drafted.bundle.id,
        "record": codec.to_document(drafted.review),
        "claims": [codec.encode(claim) for claim in drafted.claims],
    }
