"""Incidents that this host has seen: what opened them, what was done, and when it was over.

Reading them first takes in what `forestall watch` has written to its spool since the last time.

examples:
  forestall incident list                       all of them, oldest first
  forestall incident show INC-20260302-001      one timeline
  forestall incident list --json | jq '.incidents[] | select(.status == "open")'
  forestall incident site --example > site.toml what only people know: places, teams, priorities
  forestall incident site                       what site.toml states, and what is missing
"""

import argparse
import datetime
import sys
import zoneinfo

from forestall.cli.options import add_json, add_state, print_json, printable, state_folder
from forestall.clock import SystemClock
from forestall.incident import intake, timeline
from forestall.incident import site as sites
from forestall.journal import Damage
from forestall.model import codec
from forestall.model.incident import Incident

DAMAGES_SHOWN_MAX = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `forestall incident`."""
    commands = parser.add_subparsers(dest="what", metavar="list|show|site", required=True)
    listing = commands.add_parser("list", help="all incidents, oldest first")
    showing = commands.add_parser("show", help="the timeline of one incident")
    showing.add_argument("number", metavar="INC", help="for example INC-20260302-001")
    stating = commands.add_parser("site", help="what site.toml states, or an example of it")
    stating.add_argument("--example", action="store_true", help="print a site.toml to start from")
    for command in (listing, showing, stating):
        command.add_argument(
            "--site",
            metavar="FILE",
            help="whose zone numbers new incidents (default: site.toml in the state folder)",
        )
        add_state(command)
        add_json(command)


def run(args: argparse.Namespace) -> int:
    """List, show, or say what the site states."""
    state = state_folder(args.state)
    if args.what == "site":
        return _site(args, state)
    found = collected(state, args.site)
    if args.what == "list":
        return _list(found, state, as_json=args.json)
    return _show(found, state, args.number, as_json=args.json)


def collected(state: str, site: str | None) -> list[Incident]:
    """All incidents, the spool taken in; as they stand where this user may not write."""
    damaged: list[Damage] = []
    parsed, _ = sites.load(site, state)
    try:
        found = intake.collect(state, parsed, SystemClock(), damaged=damaged)
    except PermissionError as error:
        found = intake.listed(state, damaged=damaged)
        print(f"{error.filename}: not writable, so new events wait in the spool", file=sys.stderr)
    for damage in damaged[:DAMAGES_SHOWN_MAX]:
        if damage.is_worth_a_word:
            print(
                f"{damage.path}: damaged at byte {damage.offset}: {damage.reason}", file=sys.stderr
            )
    return found


def _list(found: list[Incident], state: str, *, as_json: bool) -> int:
    if as_json:
        incidents = [
            {key: value for key, value in codec.encode(one).items() if key != "timeline"}
            for one in found
        ]
        print_json({"schema": "forestall/incident-list/1", "incidents": incidents})
    elif not found:
        print(f"no incidents in {state}")
    for one in [] if as_json else found:
        at = one.detected_at
        when = "its detection is lost  " if at is None else _local(at, one.zone)
        print(f"{one.number}  {one.status:<12}  {when}  {printable(one.key)}")
    return 0


def _show(found: list[Incident], state: str, number: str, *, as_json: bool) -> int:
    one = next((one for one in found if one.number == number), None)
    if one is None:
        raise timeline.unknown(f"{state}/incidents", number)
    if as_json:
        print_json(codec.to_document(one))
        return 0
    print(f"{one.number}  {one.status}  {printable(one.service)} on {printable(one.host)}")
    for event in one.timeline:
        print(f"  {_local(event.at, one.zone)}  {event.kind:<12}  {printable(event.text)}")
        for bundle in event.evidence:
            print(f"  {'':<23}  {'':<12}  evidence {printable(bundle)}")
    return 0


def _site(args: argparse.Namespace, state: str) -> int:
    if args.example:
        sys.stdout.write(sites.EXAMPLE)
        return 0
    site, data = sites.load(args.site, state)
    missing = sites.missing_keys(site)
    if args.json:
        print_json({"schema": "forestall/site/1", "site": codec.encode(site), "missing": missing})
        return 0
    if not data:
        print(f"no site.toml in {state}; `forestall incident site --example` prints one")
    for team in site.teams:
        print(f"team {team.name}: {', '.join(member.name for member in team.members) or 'nobody'}")
    print(f"times and numbers are in the zone {site.zone_or_utc}")
    print(f"not stated: {', '.join(missing) or 'nothing'}")
    return 0


def _local(at: float, zone: str) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(zone))
    except (ValueError, OverflowError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return f"{at:g} s"
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")
