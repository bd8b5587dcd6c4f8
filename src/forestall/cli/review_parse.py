"""Read a review into a record, whatever it holds.

What is written in the review's shape becomes fields; everything else is kept as it is, and
said on standard error with its line. `render` gives the same bytes back. A time whose zone
cannot be told from its place and date is refused: exit code 1, and --zone says what was meant.

examples:
  forestall review parse INC-20260302-001.md
  forestall review parse INC-20260302-001.md --json > review.json
  forestall review parse - --zone Europe/Berlin --json < review.md
"""

import argparse
import os
import select
import stat
import sys

from forestall.cli.options import add_json, printable
from forestall.errors import InputError
from forestall.incident.review import document, render
from forestall.incident.review import parse as parsing
from forestall.incident.review.parse import Parsed
from forestall.units import MIB, format_bytes

REMARKS_SHOWN_MAX = 20
# A mebibyte takes a second or two (bench/review.py); silence would look like a hang.
SLOW_BYTES = MIB
PIPE_WAIT_SECONDS = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """FILE, `--zone` and `--json`."""
    add_document(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the record, or a summary; 1 when a time was refused."""
    parsed = read_document(args)
    show_remarks(parsed, args.file)
    if args.json:
        sys.stdout.write(document.dump(parsed.review))
    else:
        _summarize(parsed)
    return 1 if parsed.is_refused else 0


def add_document(parser: argparse.ArgumentParser) -> None:
    """FILE and `--zone`, the same for every command that reads a review."""
    parser.add_argument("file", metavar="FILE", help="the document; - for standard input")
    parser.add_argument(
        "--zone", metavar="ZONE", help="the IANA zone of its times, for example America/Chicago"
    )


def read_document(args: argparse.Namespace) -> Parsed:
    """The document of `add_document`, read no further than a review may be long."""
    data = read_bounded(args.file, parsing.BYTES_MAX)
    if len(data) > SLOW_BYTES and sys.stderr.isatty():
        print(f"reading {format_bytes(len(data))}, some seconds ...", file=sys.stderr)
    try:
        return parsing.parse(data, zone=args.zone)
    except InputError as error:
        raise InputError(f"{args.file}: {error.message}", help=error.help) from error


def read_bounded(path: str, bytes_max: int) -> bytes:
    """The bytes of a file, or of standard input for `-`; one more than `bytes_max` at most.

    Raises InputError where it cannot be read, and for a pipe that nobody writes to.
    """
    if path == "-":
        return sys.stdin.buffer.read(bytes_max + 1)
    # Opened without waiting: a pipe that nobody writes to would hold us for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            if not select.select([file], [], [], PIPE_WAIT_SECONDS)[0]:
                raise InputError(f"{path}: a pipe that nobody writes to", help="name a file, or -")
            os.set_blocking(file.fileno(), True)
        try:
            return file.read(bytes_max + 1)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", help="name the document itself") from None


def show_remarks(parsed: Parsed, name: str) -> None:
    """What was kept or refused, a line each, on standard error; refusals before the rest."""
    remarks = sorted(parsed.remarks, key=lambda remark: (not remark.refused, remark.line))
    for remark in remarks[:REMARKS_SHOWN_MAX]:
        sys.stderr.write(f"{name}:{remark.line}: {printable(remark.why)}\n")
    if len(remarks) > REMARKS_SHOWN_MAX:
        rest = len(remarks) - REMARKS_SHOWN_MAX
        sys.stderr.write(f"{name}: and {rest} more; the record's `residual` has them all\n")


def _summarize(parsed: Parsed) -> None:
    review = parsed.review
    leaves = len(render.places(review))
    kept = sum(len(patch.insert) for patch in review.residual)
    print(printable(f"{review.number or 'no number'}: {review.name or 'no name'}"))
    print(f"{leaves} leaves read, {kept} lines kept as they are")
    print("add --json for the record")
