"""Explain an OOM kill or panic from kernel messages: what ran out, who held it, why it ended so.

Reads dmesg, journalctl -k (text, -o export, -o json), syslog files, serial consoles and
vmcore-dmesg.txt of kernels 2.6.32 to 6.x, plain or packed (gzip, xz, bzip2), and - for standard
input. A dump of a kernel's memory (vmcore) is read through drgn, with --vmlinux.

examples:
  forestall audit oom /var/log/messages
  dmesg | forestall audit oom -
  journalctl -k -b -1 -o export | forestall audit oom -
  forestall audit oom vmcore-dmesg.txt --json
  forestall audit oom vmcore --vmlinux vmlinux-6.1.0-56-cloud-amd64

exit codes: 0 memory never ran out in it, 1 it did, and is explained, 2 usage, 3 not readable, or no
all-clear: empty, another program's log, cut short, or a kill is told that no report explains
"""

import argparse
import contextlib
import os
import select
import stat
import sys
import time
from collections.abc import Iterator
from typing import IO, cast

from forestall.audit.oom import vmcore
from forestall.audit.oom.account import OomReport
from forestall.audit.oom.nouns import Kind
from forestall.audit.oom.parse import Parser
from forestall.audit.oom.reach import FORMS
from forestall.audit.oom.report import Gatherer
from forestall.audit.oom.source import TEXT_BYTES_MAX, Readable, Source, is_core, read
from forestall.cli.audit_oom_text import render
from forestall.cli.options import add_json, ended_in_order, print_json
from forestall.cli.style import Style
from forestall.errors import InputError, UsageError
from forestall.model.codec import to_document
from forestall.units import MIB, format_bytes, parse_bytes

PROGRESS_SECONDS = 2.0
HEAD_BYTES = 16
# A pipe's writer may take a while to begin; /dev/kmsg has all at once, and then never ends.
PIPE_WAIT_SECONDS = 60.0
DEVICE_WAIT_SECONDS = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """FILE and the options of `forestall audit oom`."""
    parser.add_argument("file", metavar="FILE", help="kernel messages; - for standard input")
    parser.add_argument("--event", type=int, metavar="N", help="explain event N of the input")
    parser.add_argument(
        "--vmlinux", metavar="FILE", help="the kernel with debug symbols, where FILE is a dump"
    )
    parser.add_argument(
        "--limit",
        metavar="BYTES",
        help=f"read no more text than this (default: {format_bytes(TEXT_BYTES_MAX)})",
    )
    add_json(parser)


@ended_in_order()
def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 when memory ran out in it."""
    limit = TEXT_BYTES_MAX if args.limit is None else parse_bytes(args.limit)
    if limit <= 0:
        raise UsageError("--limit 0 reads nothing", help="give for example --limit 512M")
    report = _read(args.file, limit, args.vmlinux)
    if args.event is not None and args.event not in {one.number for one in report.accounts}:
        raise UsageError(
            f"there is no event {args.event} in {args.file}",
            help=f"it has {report.events}; the last {len(report.accounts)} are kept",
        )
    if args.json:
        print_json(to_document(report))
    else:
        sys.stdout.write(render(report, Style.of_stdout(), event=args.event))
    return 1 if any(one.kind is not Kind.SNAPSHOT for one in report.accounts) else 0


def _read(name: str, limit: int, vmlinux: str | None) -> OomReport:
    if name == "-":
        if sys.stdin.isatty():
            raise UsageError(
                "standard input is a terminal", help="dmesg | forestall audit oom -, or name a file"
            )
        return explain_stream(_patient(sys.stdin.buffer), "standard input", limit)
    with open(name, "rb", opener=_open_at_once) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name}: a folder", help="name a file in it")
        if stat.S_ISREG(mode) and is_core(_head(file)):
            return vmcore.explain_core(name, vmlinux)
        if vmlinux is not None:
            raise UsageError("--vmlinux is for dumps of memory", help=f"{name} is none")
        return explain_stream(_patient(file), name, limit)


def _open_at_once(name: str, flags: int) -> int:
    """A named pipe that nobody writes to would keep an ordinary open waiting for ever."""
    if stat.S_ISFIFO(os.stat(name).st_mode):
        flags |= os.O_NONBLOCK
    return os.open(name, flags)


def _head(file: IO[bytes]) -> bytes:
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return head


def _patient(file: IO[bytes]) -> Readable:
    """A file as it is; a pipe or /dev/kmsg, which may never end, with a limit to each wait."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except (OSError, ValueError):
        return cast(Readable, file)
    if stat.S_ISREG(mode):
        return cast(Readable, file)
    return _Patient(file, device=stat.S_ISCHR(mode))


class _Patient:
    """Reads what is there. A device that has no more is at its end; a silent pipe is cut short."""

    def __init__(self, file: IO[bytes], *, device: bool) -> None:
        self._descriptor = file.fileno()
        self._device = device
        self._seconds = DEVICE_WAIT_SECONDS if device else PIPE_WAIT_SECONDS

    def read1(self, size: int, /) -> bytes:
        if not select.select([self._descriptor], [], [], self._seconds)[0]:
            if self._device:
                return b""
            raise TimeoutError(f"nothing more came within {self._seconds:g} s")
        return os.read(self._descriptor, size)


def explain_stream(file: Readable, name: str, limit: int) -> OomReport:
    """All events of a stream of kernel messages."""
    parser, gatherer = Parser(), Gatherer()
    source = Source()
    with _progress(source, gatherer):
        for said in read(file, name, source, parser, bytes_max=limit):
            for event in parser.feed(said):
                gatherer.take(event)
    for event in parser.end():
        gatherer.take(event)
    if not gatherer.count:
        _refuse_what_shows_nothing(name, source)
    return gatherer.report(name, source)


def _refuse_what_shows_nothing(name: str, source: Source) -> None:
    """That no event is in what is no log, or half of one, must not sound like an all-clear."""
    if not source.bytes_read:
        # As after `dmesg` without the right to read.
        raise InputError(f"{name}: empty", help="dmesg and journalctl -k may need root")
    if source.binary:
        raise InputError(f"{name}: no log: it begins as binary data", help="give kernel messages")
    if source.telling is not None:
        number, words = source.telling
        raise InputError(
            f'{name}: no all-clear: line {number} says "{words}", and no report of the kernel '
            "that would explain it is in the log",
            help=f"a quote, a guard's kill, or a form of log that is none of these: {FORMS}",
        )
    if source.ended_early is not None:
        raise InputError(
            f"{name}: no OOM in the part that was read: {source.ended_early}",
            help="the rest may hold one; give the whole log",
        )
    if source.reach.first is None:
        raise InputError(
            f"{name}: no line in it looks like a kernel message", help=f"understood are {FORMS}"
        )


@contextlib.contextmanager
def _progress(source: Source, gatherer: Gatherer) -> Iterator[None]:
    """Says on a terminal how far it is, where reading takes long."""
    if not sys.stderr.isatty():
        yield
        return
    next_at = time.monotonic() + PROGRESS_SECONDS
    shown = False

    def tick() -> None:
        nonlocal next_at, shown
        if time.monotonic() >= next_at:
            next_at, shown = time.monotonic() + PROGRESS_SECONDS, True
            text = f"read {source.bytes_read // MIB} MiB, {gatherer.count} events"
            print(f"\r{text}", end="", file=sys.stderr, flush=True)

    source.tick = tick
    try:
        yield
    finally:
        source.tick = None
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
