"""Input `facts FILE|DIR...`: facts that were written down before, in any of the forms we know.

One document of `forestall/host-facts/1` or of `forestall look --json`, a file with one of them on
each line (a fleet), an Ansible fact cache, an answer that `audit ssh --keep` kept, or a tree of
copied files. Files are told apart by what is in them. A fleet's file is read line by line.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from forestall.audit.inputs import ansible
from forestall.audit.inputs.files import open_file
from forestall.audit.inputs.source import Seen
from forestall.audit.inputs.unpack import CHUNK_BYTES, Inflow, Limits, Meter, unpacked
from forestall.clock import Clock
from forestall.errors import ForestallError, InputError
from forestall.model.codec import decode, from_document, parse_json
from forestall.model.facts import HostFacts
from forestall.units import GIB, MIB, format_bytes

LINE_LIMIT_BYTES = 16 * MIB
DOCUMENT_LIMIT_BYTES = 64 * MIB
FILE_LIMIT = 1_000_000
DEPTH_LIMIT = 4
LIMITS = Limits(unpacked_bytes=256 * GIB, ratio=1000, seconds=24 * 3600.0)
"""A hundred thousand hosts' facts are about a gigabyte, and pack well: one host is like another."""

KEPT_SUFFIX = ".answer.gz"
PASSED_OVER = (".md", ".txt", ".log", ".yml", ".yaml", ".py", ".sh", ".part", ".lock", ".cfg")


def read_facts_files(paths: Iterable[str], clock: Clock) -> Iterator[Seen]:
    """Every host of the files and folders. Raises ForestallError for a path with none."""
    for path in paths:
        count = 0
        for file in _files(path):
            for seen in _read(file, clock, alone=file == path):
                count += 1
                yield seen
        if count == 0:
            raise InputError(
                f"no facts in {path}",
                help="give documents of `forestall look --json`, Ansible's fact cache, or the"
                " folder that `forestall audit ssh --keep` filled",
            )


def _files(path: str) -> Iterator[str]:
    """The files at or below `path`, and each folder that is a copied tree of a host."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ForestallError(f"{path!r} cannot be read: {reason}") from None
    if not stat.S_ISDIR(mode) or _is_tree(path):
        yield path
        return
    pending = [(path, 0)]
    count = 0
    while pending:
        folder, depth = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"{folder} cannot be read: {error.strerror}") from None
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(PASSED_OVER):
                continue
            count += 1
            if count > FILE_LIMIT:
                raise InputError(f"{path} holds more than {FILE_LIMIT} files")
            if not entry.is_dir(follow_symlinks=False) or _is_tree(entry.path):
                yield entry.path
            elif depth < DEPTH_LIMIT:
                pending.append((entry.path, depth + 1))


def _is_tree(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "proc", "meminfo"))


def _read(path: str, clock: Clock, *, alone: bool) -> Iterator[Seen]:
    """The hosts of one file; `alone`: it was named by itself, so a problem with it is an error."""
    try:
        if os.path.isdir(path):
            yield _of_tree(path, clock)
        elif path.endswith(KEPT_SUFFIX):
            yield _of_kept_answer(path, clock)
        else:
            yield from _of_documents(path, clock, alone=alone)
    except ForestallError as error:
        if alone:
            raise InputError(f"{path}: {error.message}", help=error.help) from None
        yield Seen(name=os.path.basename(path), problem=f"{path}: {error.message}")


def _of_tree(path: str, clock: Clock) -> Seen:
    from forestall.sense.facts import read_facts
    from forestall.sense.recording import copied_host

    facts = read_facts(copied_host(path), clock)
    return Seen(name=facts.hostname, facts=facts)


def _of_kept_answer(path: str, clock: Clock) -> Seen:
    """What the collector over SSH kept of one host."""
    import importlib

    from forestall.audit.inputs.sosreport import RecordedClock
    from forestall.sense.facts import read_facts
    from forestall.sense.recording import RecordedHost

    stream = importlib.import_module("forestall.audit.collect.stream")
    with open_file(path) as file:
        taken_at = os.fstat(file.fileno()).st_mtime
        inflow = unpacked(file, Meter(clock, Limits(ratio=1000)))
        answer = inflow.read(stream.STREAM_LIMIT_BYTES + 1)
    if len(answer) > stream.STREAM_LIMIT_BYTES:
        raise InputError(f"larger than {format_bytes(stream.STREAM_LIMIT_BYTES)}")
    recording = stream.read_answer(answer)
    at = recording.collected_at
    facts = read_facts(RecordedHost(recording), RecordedClock(taken_at if at is None else at))
    return Seen(name=facts.hostname, facts=facts)


def _of_documents(path: str, clock: Clock, *, alone: bool) -> Iterator[Seen]:
    with open_file(path) as file:
        inflow = unpacked(file, Meter(clock, LIMITS))
        written_at = os.fstat(file.fileno()).st_mtime
        yield from _of_lines(path, Lines(inflow), written_at, alone=alone)


class Lines:
    """Lines of a stream, and all the rest of it as one; each with a limit."""

    def __init__(self, inflow: Inflow) -> None:
        self._inflow = inflow
        self._buffer = b""
        self._at = 0

    def next(self) -> bytes | None:
        """The next line; None at the end. Raises InputError for one that is too long."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > LINE_LIMIT_BYTES:
                raise InputError(f"a line longer than {format_bytes(LINE_LIMIT_BYTES)}")
            chunk = self._inflow.read(CHUNK_BYTES)
            if not chunk:
                rest = self._buffer[self._at :]
                self._buffer, self._at = b"", 0
                return rest or None
            self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        line = self._buffer[self._at : end]
        self._at = end + 1
        return line

    def rest(self) -> bytes:
        """Everything that is left. Raises InputError where that is too much for a document."""
        rest = self._buffer[self._at :] + self._inflow.read(DOCUMENT_LIMIT_BYTES + 1)
        if len(rest) > DOCUMENT_LIMIT_BYTES:
            raise InputError(f"a document larger than {format_bytes(DOCUMENT_LIMIT_BYTES)}")
        self._buffer, self._at = b"", 0
        return rest


def _of_lines(path: str, lines: Lines, written_at: float, *, alone: bool) -> Iterator[Seen]:
    """One document on each line, or one over all of them: the first line tells."""
    name = os.path.basename(path)
    first = lines.next()
    while first is not None and not first.strip():
        first = lines.next()
    if first is None or not first.lstrip().startswith(b"{"):
        if alone or name.endswith((".json", ".jsonl", ".ndjson")):
            raise InputError("no JSON object in it")
        return
    second = lines.next()
    # An object over several lines goes on with a name, never with another object.
    if not (second or b"{").lstrip().startswith(b"{") and not _is_json(first):
        whole = b"\n".join((first, second or b"", lines.rest()))
        yield from _hosts_in(parse_json(whole), name, written_at)
        return
    line: bytes | None = first
    number = 0
    while line is not None:
        number += 1
        if line.strip():
            try:
                yield from _hosts_in(parse_json(line), name, written_at)
            except InputError as error:
                if number == 1 and alone and second is None:
                    raise
                yield Seen(name=f"{name} line {number}", problem=f"{path}: {error.message}")
        line = second if number == 1 else lines.next()


def _is_json(line: bytes) -> bool:
    try:
        parse_json(line)
    except InputError:
        return False
    return True


def _hosts_in(document: Any, name: str, written_at: float) -> Iterator[Seen]:
    """The hosts in one JSON object. Raises InputError where it holds none.

    Facts that do not say when they were gathered are as old as their file.
    """
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == HostFacts.SCHEMA:
        facts = _not_told(from_document(HostFacts, document), document)
        yield Seen(name=facts.hostname, facts=facts)
    elif isinstance(schema, str) and schema.startswith("forestall/look/"):
        told = document.get("facts")
        facts = _not_told(decode(HostFacts, told), told)
        yield Seen(name=facts.hostname, facts=facts)
    elif schema is None and isinstance(document, dict):
        facts = ansible.facts_of(document, written_at)
        yield Seen(name=ansible.name_of(name, facts), facts=facts)
    else:
        raise InputError(f"a document of {schema!r} holds no host's facts")


NONE_IS_AN_ANSWER = frozenset(("container", "virtualization", "baseline", "extended_support"))
NONE_IS_AN_ANSWER |= {"holders", "journal_runtime_max_bytes"}
"""The fields whose None (or empty list) is an answer, unless `unseen` gives a reason."""


def _not_told(facts: HostFacts, document: dict[str, Any]) -> HostFacts:
    """`facts` with a reason for what is no answer because the document does not have the field."""
    if document.keys() >= NONE_IS_AN_ANSWER and "unseen" in document:
        return facts
    missing = {name for name in NONE_IS_AN_ANSWER if not getattr(facts, name)}
    if "unseen" in document:
        missing -= document.keys()
    else:
        # Nor does it tell which of its lists are whole.
        missing |= {"sysctls", "units", "installed_kernels"}
    reasons = dict.fromkeys(sorted(missing), "the document of facts does not tell")
    return replace(facts, unseen={**reasons, **facts.unseen})
