"""What happens on this host when memory runs out, who holds it, and what stands in between.

Reads /proc, /sys and systemd; needs no root, no configuration and no history, changes nothing,
and takes at most two seconds.

examples:
  forestall look                     this host, in plain words
  sudo forestall look                the same, with every user's processes where /proc hides them
  forestall look --json              one JSON document: facts, what follows from them, findings
  forestall look --root /tmp/tree    files copied from another host: /tmp/tree/proc/meminfo,
                                     /tmp/tree/proc/sys/vm/panic_on_oom, ...; what was not
                                     copied is said to be unknown (docs/reference/look.md)

exit codes: 0 nothing critical or high, 1 a critical or high finding, 3 no /proc to read
"""

import argparse
import dataclasses
import os
import sys

from forestall.audit.findings import needs_a_look
from forestall.audit.look import look
from forestall.cli.look_text import render
from forestall.cli.options import add_json, print_json
from forestall.cli.style import Style
from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.model.codec import to_document
from forestall.model.facts import HostFacts
from forestall.sense.facts import read_facts
from forestall.sense.host import Host
from forestall.sense.recording import copied_host


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `forestall look`."""
    add_json(parser)
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="read the files below DIR (DIR/proc, DIR/sys, DIR/etc) instead of this host's",
    )


def run(args: argparse.Namespace) -> int:
    """Print what was seen; returns 1 if anything critical or high was found."""
    seen = look(facts_here(args.root))
    if args.json:
        print_json(to_document(seen))
    else:
        sys.stdout.write(render(seen, Style.of_stdout(), live=args.root is None))
    return 1 if needs_a_look(seen.findings) else 0


def facts_here(root: str | None) -> HostFacts:
    """The facts of this host, or of the tree at `root`. Raises ForestallError without a /proc."""
    host = Host() if root is None else copied_host(root)
    if not host.exists("proc/meminfo"):
        raise ForestallError(
            f"cannot read {host.path('proc/meminfo')}: no Linux /proc here",
            help="forestall looks at Linux hosts; give a copied tree with --root DIR"
            if root is None
            else f"put at least {root}/proc/meminfo and {root}/proc/sys/vm there",
        )
    return _without_self(read_facts(host, SystemClock()), host)


def _without_self(facts: HostFacts, host: Host) -> HostFacts:
    """The facts without this short-lived process, which would only stand in its own picture."""
    if not host.live:
        return facts
    others = tuple(held for held in facts.holders if held.process.key.pid != os.getpid())
    return dataclasses.replace(facts, holders=others)
