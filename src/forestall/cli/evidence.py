"""List and verify evidence bundles: what was kept before an action, and whether it is unchanged.

A bundle is a folder of plain files; its name is the sha256 of its SHA256SUMS, so `cat` reads it
and `sha256sum -c SHA256SUMS` inside it checks it without forestall.

examples:
  forestall evidence list                      bundles of this host, oldest first
  forestall evidence list --json | jq '.bundles[].missing'
  forestall evidence verify 9f2c41ab           by the beginning of its id
  forestall evidence verify ./9f2c41ab…        a copy elsewhere; keep the folder's name

exit codes: 0 whole, 1 verify found a problem or list a bundle it cannot read, 2 usage,
3 the bundle or the folder could not be looked at
"""

import argparse
import os
from datetime import UTC, datetime

from forestall.cli.options import add_json, add_state, print_json, printable, state_folder
from forestall.errors import EvidenceError
from forestall.evidence.retention import Stored, stored
from forestall.evidence.verify import Problem, open_bundle, verify
from forestall.model.bundle import Bundle
from forestall.model.codec import Json, encode
from forestall.units import format_bytes

SHORT_ID_CHARS = 12

LISTING = """\
examples:
  forestall evidence list
  forestall evidence list --state /tmp/demo --json
"""
PROVING = """\
examples:
  forestall evidence verify 9f2c41ab
  forestall evidence verify /var/lib/forestall/evidence/9f2c41ab… --json
  cd /var/lib/forestall/evidence/9f2c41ab… && sha256sum -c SHA256SUMS
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `forestall evidence`."""
    commands = parser.add_subparsers(dest="what", metavar="list|verify", required=True)
    listing = commands.add_parser("list", help="bundles of this host, oldest first", epilog=LISTING)
    proving = commands.add_parser("verify", help="check every byte of one bundle", epilog=PROVING)
    proving.add_argument(
        "bundle", metavar="ID_OR_PATH", help="a bundle's id, the beginning of one, or its folder"
    )
    for command in (listing, proving):
        add_state(command)
        add_json(command)


def run(args: argparse.Namespace) -> int:
    """List, or verify; returns 1 when there is something to look at."""
    folder = os.path.join(state_folder(args.state), "evidence")
    if args.what == "list":
        return _list(folder, as_json=args.json)
    path = _path_of(args.bundle, folder)
    return _verify(path, as_json=args.json)


def _list(folder: str, *, as_json: bool) -> int:
    bundles = stored(folder)
    size = sum(bundle.size_bytes for bundle in bundles)
    if as_json:
        document = {
            "schema": "forestall/evidence-list/1",
            "folder": folder,
            "size_bytes": size,
            "bundles": [_listed(bundle) for bundle in bundles],
        }
        print_json(document)
    elif not bundles:
        print(f"no bundles in {printable(folder)}")
    else:
        print(f"{_count(len(bundles), 'bundle')}, {format_bytes(size)} in {printable(folder)}")
        for bundle in bundles:
            print(_line(bundle))
    return 1 if any(bundle.bundle is None for bundle in bundles) else 0


def _listed(bundle: Stored) -> Json:
    manifest = bundle.bundle.manifest if bundle.bundle else None
    return {
        "id": bundle.id,
        "path": bundle.path,
        "size_bytes": bundle.size_bytes,
        "created_at": bundle.created_at,
        "readable": manifest is not None,
        "host": manifest.host if manifest else None,
        "subject": manifest.subject if manifest else None,
        "entries": [encode(entry) for entry in manifest.entries] if manifest else None,
        "missing": list(manifest.missing) if manifest else None,
    }


def _line(bundle: Stored) -> str:
    start = f"{_time(bundle.created_at)}  {bundle.id[:SHORT_ID_CHARS]}"
    size = f"{format_bytes(bundle.size_bytes):>8}"
    if bundle.bundle is None:
        short = bundle.id[:SHORT_ID_CHARS]
        return f"{start}  {size}  cannot be read: see `forestall evidence verify {short}`"
    return f"{start}  {size}  {_what(bundle.bundle)}"


def _what(bundle: Bundle) -> str:
    manifest = bundle.manifest
    text = f"{printable(manifest.subject)} on {printable(manifest.host)}, "
    text += _count(len(manifest.entries), "entry", "entries")
    if manifest.missing:
        text += f", {len(manifest.missing)} missing"
    return text


def _verify(path: str, *, as_json: bool) -> int:
    problems = verify(path)
    if as_json:
        print_json(_verified(path, problems))
    elif problems:
        print(f"{printable(path)}: {_count(len(problems), 'problem')}")
        for problem in problems:
            print(f"  {printable(problem.name)}: {printable(problem.what)}")
    else:
        bundle = open_bundle(path)
        print(f"{bundle.id}: whole")
        print(f"  {_time(bundle.manifest.created_at)}  {_what(bundle)}")
        for sentence in bundle.manifest.missing:
            print(f"  not kept: {printable(sentence)}")
    return 1 if problems else 0


def _verified(path: str, problems: list[Problem]) -> Json:
    return {
        "schema": "forestall/evidence-verify/1",
        "path": path,
        "whole": not problems,
        "problems": [{"name": problem.name, "what": problem.what} for problem in problems],
    }


def _path_of(given: str, folder: str) -> str:
    """The folder that an id, the beginning of one, or a path names."""
    if os.path.isdir(given):
        return given
    if not given or os.sep in given:
        where = given or "no name"
        raise EvidenceError(f"{where}: no such folder", help="give a bundle's folder or id")
    found = [bundle.path for bundle in stored(folder) if bundle.id.startswith(given)]
    if len(found) == 1:
        return found[0]
    many = f"{len(found)} bundles begin" if found else "no bundle begins"
    raise EvidenceError(
        f"{folder}: {many} with {given}",
        help="`forestall evidence list` shows what there is; --state DIR names another host's",
    )


def _time(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"at {at:g} s"  # A manifest may claim any number.


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
