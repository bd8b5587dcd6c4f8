"""Write the document of a record, byte for byte what `parse` read if nothing was changed.

A changed leaf changes the document in its own place and nowhere else.

examples:
  forestall review render review.json
  forestall review render review.json -o INC-20260302-001.md
"""

import argparse
import os
import sys

from forestall.cli.review_parse import read_bounded
from forestall.errors import InputError, UsageError
from forestall.incident.review import document
from forestall.incident.review.render import render


def configure(parser: argparse.ArgumentParser) -> None:
    """FILE.json, and where to."""
    parser.add_argument("file", metavar="FILE.json", help="the record; - for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="write here instead of to stdout")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def run(args: argparse.Namespace) -> int:
    """Write the document; refuses to replace a file without `--force`."""
    try:
        rendered = render(document.load(read_bounded(args.file, document.JSON_BYTES_MAX)))
    except InputError as error:
        raise InputError(f"{args.file}: {error.message}", help=error.help) from error
    if args.output is None:
        sys.stdout.buffer.write(rendered)
        return 0
    _write(args.output, rendered, replace=args.force)
    sys.stderr.write(f"wrote {args.output} ({len(rendered):,} bytes)\n")
    return 0


def _write(path: str, data: bytes, *, replace: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileExistsError:
        raise UsageError(f"{path} exists", help="replace it with --force") from None
    with open(descriptor, "wb") as file:
        file.write(data)
