"""Bring the tables that the audit judges by up to date: life cycles, releases, advisories.

They ship with forestall, each with its source, licence and day; `forestall audit` says when one is
too old to rely on. What is given is checked strictly and shown as a difference before it is kept;
nothing is fetched unless an address is named.

SOURCE is one of: a bundle or table of forestall; an answer of endoflife.date for one product
(rhel.json) or its repository; AlmaLinux's osv-database as a folder or a zip archive; one CVE of Red
Hat's security data; or the https address of one of these files (docs/reference/audit-tables.md).

examples:
  forestall audit refresh                          which tables are in use, and how old they are
  forestall audit refresh osv-database/ --check    what would change, and nothing is kept
  forestall audit refresh osv-database/            kernel advisories of Enterprise Linux 8 to 10
  forestall audit refresh rhel.json                one product's life cycle
  forestall audit refresh --export tables.json     the tables in use, for hosts without a network
  forestall audit refresh --restore-shipped        go back to the shipped tables

exit codes: 0 done, 2 usage, 3 the source cannot be read or is refused (nothing was changed)
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator

from forestall.audit.report.writing import OPEN, report_file
from forestall.audit.tables import ADVISORIES_STALE_DAYS, LIFE_CYCLES_STALE_DAYS, Tables, stored
from forestall.audit.tables.fetch import File, read
from forestall.audit.tables.nouns import day
from forestall.audit.tables.refresh import TABLES, forget, in_use, keep, refreshed
from forestall.cli.options import (
    add_json,
    add_state,
    ended_in_order,
    print_json,
    printable,
    state_folder,
)
from forestall.cli.style import Style
from forestall.clock import Clock, SystemClock
from forestall.errors import UsageError
from forestall.model.codec import encode, to_document

SHOWN = 200
"""Lines of the difference that are printed; all of them with --json."""

PATIENCE_SECONDS = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `forestall audit refresh`."""
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="a file, folder or address")
    parser.add_argument("--check", action="store_true", help="show what would change, keep nothing")
    parser.add_argument(
        "--as-of",
        metavar="DAY",
        help="the day of data that does not tell its own (default: when the file was changed)",
    )
    parser.add_argument(
        "--force", action="store_true", help="take data that is older or less than what is in use"
    )
    parser.add_argument("--export", metavar="FILE", help="write the tables in use as one bundle")
    parser.add_argument(
        "--restore-shipped", action="store_true", help="go back to the tables of this version"
    )
    add_state(parser)
    add_json(parser)


@ended_in_order()
def run(args: argparse.Namespace, clock: Clock | None = None) -> int:
    """Show, refresh, export or restore; exactly one of them."""
    at = (clock or SystemClock()).now()
    chosen = [args.source is not None, args.export is not None, args.restore_shipped]
    if sum(chosen) > 1:
        raise UsageError("SOURCE, --export and --restore-shipped exclude one another")
    state = state_folder(args.state)
    if args.restore_shipped:
        return _restore(state, as_json=args.json)
    if args.export is not None:
        return _export(state, args.export)
    if args.source is not None:
        return _refresh(args, state, at)
    return _show(in_use(state), state, at, as_json=args.json)


def _refresh(args: argparse.Namespace, state: str, at: float) -> int:
    if args.as_of is not None:
        try:
            day(args.as_of)
        except ValueError as error:
            raise UsageError(f"--as-of: {error}") from None
    files = _told(read(args.source, at), args.source)
    found = refreshed(files, in_use(state), at, as_of=args.as_of, force=args.force)
    path = None if args.check or not found.changes else keep(found.tables, state)
    if args.json:
        print_json({"changes": list(found.changes), "kept": path})
        return 0
    for line in found.changes[:SHOWN]:
        print(printable(line))
    if len(found.changes) > SHOWN:
        print(f"... and {len(found.changes) - SHOWN} more (--json shows all)")
    if not found.changes:
        print("nothing new in it")
    elif path is None:
        print(f"{len(found.changes)} changes; nothing was kept (--check)")
    else:
        print(f"{len(found.changes)} changes, kept in {path}")
        print("  undo: forestall audit refresh --restore-shipped")
    return 0


def _told(files: Iterable[File], source: str) -> Iterator[File]:
    """The files; on a terminal, how many there were once it takes long."""
    clock = SystemClock()
    started = clock.monotonic()
    shown = False
    for count, file in enumerate(files, 1):
        yield file
        if sys.stderr.isatty() and clock.monotonic() - started > PATIENCE_SECONDS:
            print(f"\r{printable(source)}: {count} files read", end="", file=sys.stderr)
            shown = True
            started = clock.monotonic()
    if shown:
        print(file=sys.stderr)


def _restore(state: str, *, as_json: bool) -> int:
    gone = forget(state)
    if as_json:
        print_json({"restored": gone})
    else:
        print("back to the shipped tables" if gone else "the shipped tables were in use already")
    return 0


def _export(state: str, path: str) -> int:
    document = to_document(in_use(state).bundle)
    if path == "-":
        print_json(document)
        return 0
    with report_file(path, mode=OPEN) as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")
    return 0


def _show(tables: Tables, state: str, at: float, *, as_json: bool) -> int:
    kept = stored(state)
    stale = tables.stale(at)
    if as_json:
        rows = {
            name: {
                "kept": getattr(kept, name, None) is not None,
                "origins": encode(getattr(tables, name).origins),
            }
            for name in TABLES
        }
        print_json({"tables": rows, "stale": list(stale)})
        return 0
    style = Style.of_stdout()
    for name in TABLES:
        where = "refreshed" if getattr(kept, name, None) is not None else "shipped"
        print(f"{name.replace('_', ' ')} ({where})")
        for origin in getattr(tables, name).origins:
            first = f"  {origin.as_of}  "
            text = f"{origin.source} ({origin.licence})"
            print("\n".join(style.wrapped(text, first=first, rest=" " * len(first))))
    fresh = (
        f"No table is stale (limits: life cycles {LIFE_CYCLES_STALE_DAYS} days, "
        f"advisories {ADVISORIES_STALE_DAYS})."
    )
    for line in stale or (fresh,):
        print("\n".join(style.wrapped(line, rest="  ")))
    sys.stdout.flush()
    return 0
