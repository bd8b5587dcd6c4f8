"""Rewrite the tables that ship with forestall from their sources, one row a line.

    python tools/audit_tables.py [--as-of DAY] [SOURCE...]

A source is what `forestall audit refresh` takes: a clone of endoflife.date, AlmaLinux's
osv-database, a product's JSON. Prints what changes; without a source, the files are only put into
their form. What a new fault needs to be reached is guessed from its title: look at each new line
of `flaws` before it ships.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from forestall.audit.tables import shipped
from forestall.audit.tables.fetch import read
from forestall.audit.tables.refresh import TABLES, refreshed
from forestall.model.codec import Json, to_document

FOLDER = Path(__file__).parents[1] / "src" / "forestall" / "audit" / "tables"


def main() -> int:
    """Returns 0; an error of a source ends it before anything is written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="*", metavar="SOURCE")
    parser.add_argument("--as-of", metavar="DAY")
    args = parser.parse_args()
    tables, now = shipped(), time.time()
    for source in args.sources:
        found = refreshed(read(source, now), tables, now, as_of=args.as_of)
        tables = found.tables
        sys.stdout.writelines(f"{line}\n" for line in found.changes)
    for name in TABLES:
        (FOLDER / f"{name}.json").write_text(text(to_document(getattr(tables, name))))
    return 0


def text(document: dict[str, Json]) -> str:
    """A document with a line for each row, so that its history can be read."""
    parts = []
    for name, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join(_row(one) for one in value)
            parts.append(f"  {json.dumps(name)}: [\n{rows}\n  ]")
        else:
            parts.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _row(one: dict[str, Json]) -> str:
    """One row without what it does not have; a product with a line for each of its cycles."""
    if "cycles" in one:
        cycles = ",\n".join("  " + _row(cycle) for cycle in one["cycles"])
        head = f'"name": {json.dumps(one["name"])}, "as_of": {json.dumps(one["as_of"])}'
        return f'    {{{head}, "cycles": [\n{cycles}\n    ]}}'
    there = {key: value for key, value in one.items() if value not in (None, False)}
    return "    " + json.dumps(there, ensure_ascii=False)


if __name__ == "__main__":
    raise SystemExit(main())
