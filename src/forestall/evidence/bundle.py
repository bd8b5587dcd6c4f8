"""A bundle, written and proven: entries are fsynced, then the folder gets its id as its name.

A bundle is whole or it is not there: until `seal` renames it, it is a folder `.partial-…` that
its writer holds locked; one that nobody holds was left by a crash and is removed by the next
writer. The id is the sha256 of SHA256SUMS, so whoever knows the id can prove every byte.
"""

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from forestall.clock import Clock
from forestall.errors import EvidenceError, InputError
from forestall.evidence.layout import (
    MANIFEST,
    MAX_ENTRIES,
    SUMS,
    begin,
    check_name,
    remove_leftovers,
    remove_tree,
    sync_up_to,
    write_file,
)
from forestall.journal import make_folder, sync_folder
from forestall.model.bundle import Bundle, Entry, Manifest
from forestall.model.codec import Json, encode, loads, to_document
from forestall.units import KIB, MIB, format_bytes

MAX_BUNDLE_BYTES = 16 * MIB
"""The size of all files of one bundle unless `max_bytes` says otherwise."""

RESERVE_BYTES = 256 * MIB
"""Free space that evidence never takes: the services on this file system need it more."""

SMALLEST_BUNDLE_BYTES = 16 * KIB
"""With less room than this, no bundle is begun."""

_SENTENCE_CHARS = 500
_SENTENCES = 64
# One list bracket more or less: what a manifest weighs beyond its entries and sentences.
_SLACK_BYTES = 64

_MAX_SUMS_BYTES = MIB
_MAX_MANIFEST_BYTES = 8 * MIB
_MAX_EXTRA = 1000
_SUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class Problem(NamedTuple):
    """One way in which a bundle is not what it says: the file, and what is wrong with it."""

    name: str
    what: str


def free_bytes(folder: str) -> int:
    """What an unprivileged process may still write on a folder's file system."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


class BundleWriter:
    """Collects entries in a hidden folder until `seal`; leaving `with` unsealed discards them.

    `max_bytes` is hard: all files together, manifest and sums included, never exceed it. An
    entry that does not fit is cut at a line and marked `truncated`, or, where half of it would
    be worse than nothing (JSON), left out and named in `missing`. `free` tells the free bytes
    of the folder's file system; `reserve_bytes` of them are left alone.
    Raises EvidenceError when there is no room, or no right, to begin.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        host: str,
        subject: str,
        clock: Clock,
        max_bytes: int = MAX_BUNDLE_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        free: Callable[[str], int] = free_bytes,
    ) -> None:
        self.folder = os.fspath(folder)
        self._clock = clock
        self._manifest = Manifest(
            created_at=clock.now(),
            host=host[:_SENTENCE_CHARS],
            subject=subject[:_SENTENCE_CHARS],
            entries=(),
        )
        self._entries: dict[str, Entry] = {}
        self._missing: list[str] = []
        self._unsaid_count = 0
        self._path: str | None = None
        try:
            make_folder(self.folder)
            remove_leftovers(self.folder)
            room = free(self.folder) - reserve_bytes
            self.max_bytes = min(max_bytes, room)
            if self.max_bytes < SMALLEST_BUNDLE_BYTES:
                raise EvidenceError(
                    f"{self.folder}: no room for evidence: {format_bytes(room + reserve_bytes)} "
                    f"free, {format_bytes(reserve_bytes)} of them reserved",
                    help="free space there, or keep evidence on another disk with --state",
                )
            # Sentences about what is missing must find room in a bundle that is full.
            self._kept_for_sentences = min(64 * KIB, self.max_bytes // 4)
            self._used = self._weight_of_nothing()
            self._path, self._lock_fd = begin(self.folder)
        except OSError as error:
            raise _failed(self.folder, "cannot begin a bundle", error) from None
        if room < max_bytes:
            self.missing(f"bundle limited to {room} bytes: the disk has no more to spare")

    def add(
        self,
        name: str,
        data: bytes,
        *,
        source: str,
        media_type: str = "text/plain",
        redaction_count: int = 0,
    ) -> Entry | None:
        """Keep `data` as the file `name`; None when it could not be kept (`missing` says why).

        Raises EvidenceError for a name that is not allowed or is taken.
        """
        folder = self._open_folder()
        check_name(name)
        self._refuse_taken(name)
        entry = Entry(
            name=name,
            sha256="0" * 64,
            size_bytes=len(data),
            media_type=media_type,
            source=source[:_SENTENCE_CHARS],
            collected_at=self._clock.now(),
            redaction_count=redaction_count,
        )
        room = self.max_bytes - self._kept_for_sentences - self._used - _weight(entry)
        kept = data
        if len(data) > room:
            kept = b"" if media_type == "application/json" else _cut(data, room)
        if len(self._entries) >= MAX_ENTRIES or (data and not kept) or room < 0:
            self.missing(f"{name}: {len(data)} bytes did not fit into the bundle")
            return None
        try:
            write_file(folder, name, kept)
        except OSError as error:
            self.missing(f"{name}: not written: {error.strerror}")
            return None
        whole = len(kept) == len(data)
        entry = _with_content(entry, kept, truncated=not whole)
        self._entries[name] = entry
        self._used += len(kept) + _weight(entry)
        return entry

    def add_json(
        self, name: str, value: Json, *, source: str, redaction_count: int = 0
    ) -> Entry | None:
        """Keep a JSON value, or a noun that has a schema, as an indented document."""
        document = to_document(value) if hasattr(type(value), "SCHEMA") else encode(value)
        text = json.dumps(document, allow_nan=False, indent=2) + "\n"
        return self.add(
            name,
            text.encode("ascii"),
            source=source,
            media_type="application/json",
            redaction_count=redaction_count,
        )

    def missing(self, sentence: str) -> None:
        """Say what could not be kept, and why; after 64 sentences the rest is only counted."""
        said = sentence[:_SENTENCE_CHARS]
        weight = len(json.dumps(said)) + 16
        if len(self._missing) >= _SENTENCES or weight > self._kept_for_sentences - _SLACK_BYTES:
            self._unsaid_count += 1
            return
        self._missing.append(said)
        self._kept_for_sentences -= weight
        self._used += weight

    def seal(self) -> Bundle:
        """Write manifest and sums, make all durable, and give the folder its id as its name."""
        partial = self._open_folder()
        sentences = list(self._missing)
        if self._unsaid_count:
            sentences.append(f"{self._unsaid_count} more could not be kept")
        manifest = Manifest(
            created_at=self._manifest.created_at,
            host=self._manifest.host,
            subject=self._manifest.subject,
            entries=tuple(self._entries.values()),
            missing=tuple(sentences),
        )
        text = _manifest_bytes(manifest)
        digests = {name: entry.sha256 for name, entry in self._entries.items()}
        digests[MANIFEST] = hashlib.sha256(text).hexdigest()
        sums = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode("ascii")
        bundle_id = hashlib.sha256(sums).hexdigest()
        path = os.path.join(self.folder, bundle_id)
        try:
            write_file(partial, MANIFEST, text)
            write_file(partial, SUMS, sums)
            for folder in {os.path.dirname(f"{partial}/{name}") for name in digests}:
                sync_up_to(folder, partial)
            self._publish(partial, path)
        except OSError as error:
            raise _failed(self.folder, "the bundle was not written", error) from None
        finally:
            self.discard()
        return Bundle(id=bundle_id, path=path, manifest=manifest)

    def discard(self) -> None:
        """Remove what was collected and not sealed. Discarding twice does nothing."""
        if self._path is None:
            return
        path, self._path = self._path, None
        try:
            remove_tree(path)
        except OSError:
            pass  # The next writer removes what nobody holds.
        os.close(self._lock_fd)

    def __enter__(self) -> "BundleWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _open_folder(self) -> str:
        if self._path is None:
            raise EvidenceError(f"{self.folder}: the bundle is sealed or discarded already")
        return self._path

    def _refuse_taken(self, name: str) -> None:
        for taken in self._entries:
            if f"{taken}/".startswith(f"{name}/") or f"{name}/".startswith(f"{taken}/"):
                raise EvidenceError(f"entry {name} is in the way of entry {taken}")

    def _weight_of_nothing(self) -> int:
        unsaid = "9" * 32
        empty = len(_manifest_bytes(self._manifest)) + len(unsaid) + 64 + _SLACK_BYTES
        return empty + 64 + 2 + len(MANIFEST) + 1

    def _publish(self, partial: str, path: str) -> None:
        if os.path.lexists(path):
            # The same bytes at the same moment make the same bundle; it must be that one still.
            if verify(path):
                raise EvidenceError(
                    f"{path}: a damaged bundle of this id is in the way", help="move it away"
                )
            return
        os.rename(partial, path)
        self._path = None
        os.close(self._lock_fd)
        sync_folder(self.folder)


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The bundle in a folder, its bytes not verified. Raises EvidenceError when there is none."""
    name = os.fspath(path)
    sums = _read(name, SUMS, _MAX_SUMS_BYTES)
    text = _read(name, MANIFEST, _MAX_MANIFEST_BYTES)
    if sums is None or text is None:
        raise EvidenceError(
            f"{name}: no bundle: {SUMS if sums is None else MANIFEST} is missing",
            help="see `forestall evidence list` for what there is",
        )
    try:
        manifest = loads(Manifest, text)
    except InputError as error:
        raise EvidenceError(f"{name}/{MANIFEST}: {error.message}", help=error.help) from None
    return Bundle(id=hashlib.sha256(sums).hexdigest(), path=name, manifest=manifest)


def verify(path: str | os.PathLike[str]) -> list[Problem]:
    """What differs between a bundle and its own word, sorted by name; empty when all is whole.

    Checks the folder's name against SHA256SUMS, every file against it, and it against the
    manifest. Raises EvidenceError when the folder cannot be looked at or holds no bundle.
    """
    folder = os.fspath(path)
    sums = _read(folder, SUMS, _MAX_SUMS_BYTES)
    text = _read(folder, MANIFEST, _MAX_MANIFEST_BYTES)
    if sums is None and text is None:
        raise EvidenceError(
            f"{folder}: no bundle: neither {SUMS} nor {MANIFEST} is there",
            help="see `forestall evidence list` for what there is",
        )
    problems: list[Problem] = []
    digests: dict[str, str] = {}
    if sums is None:
        problems.append(Problem(SUMS, "missing"))
    else:
        named = os.path.basename(os.path.realpath(folder))
        found = hashlib.sha256(sums).hexdigest()
        if named != found:
            problems.append(Problem(SUMS, f"its sha256 is {found}, the folder's name is {named}"))
        digests = _parse_sums(sums, problems)
    entries = _manifest_entries(text, problems)
    listed = digests or {name: entry.sha256 for name, entry in entries.items()}
    if sums is not None:
        problems += _compare_lists(digests, entries)
    for name, digest in listed.items():
        size = entries[name].size_bytes if name in entries else None
        what = _compare_file(folder, name, digest, size)
        if what:
            problems.append(Problem(name, what))
    problems += _extra(folder, {*listed, SUMS, MANIFEST})
    return sorted(problems)


def _parse_sums(sums: bytes, problems: list[Problem]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for number, line in enumerate(sums.decode("utf-8", "replace").splitlines(), start=1):
        match = _SUM_LINE.fullmatch(line)
        if match is None or not _is_listed_name(match[2]) or match[2] in digests:
            problems.append(Problem(SUMS, f"line {number} is damaged"))
        else:
            digests[match[2]] = match[1]
    return digests


def _is_listed_name(name: str) -> bool:
    try:
        check_name(name)
    except EvidenceError:
        return name == MANIFEST
    return True


def _manifest_entries(text: bytes | None, problems: list[Problem]) -> dict[str, Entry]:
    if text is None:
        return {}  # Reported as a file that is missing.
    try:
        manifest = loads(Manifest, text)
        for entry in manifest.entries:
            check_name(entry.name)
    except (InputError, EvidenceError) as error:
        problems.append(Problem(MANIFEST, f"damaged: {error.message}"))
        return {}
    return {entry.name: entry for entry in manifest.entries}


def _compare_lists(digests: dict[str, str], entries: dict[str, Entry]) -> list[Problem]:
    problems = []
    if MANIFEST not in digests:
        problems.append(Problem(MANIFEST, f"not listed in {SUMS}"))
    for name, entry in entries.items():
        if name not in digests:
            problems.append(Problem(name, f"in the manifest, not in {SUMS}"))
        elif digests[name] != entry.sha256:
            problems.append(Problem(name, f"the manifest has another sha256 than {SUMS}"))
    if entries:
        unknown = digests.keys() - entries.keys() - {MANIFEST}
        problems += [Problem(name, f"in {SUMS}, not in the manifest") for name in unknown]
    return problems


def _compare_file(folder: str, name: str, digest: str, size: int | None) -> str | None:
    """What is wrong with one listed file, or None."""
    descriptor = _open(folder, name)
    if descriptor is None:
        return "missing"
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "no regular file"
        if size is not None and status.st_size != size:
            return f"changed: {status.st_size} bytes, the manifest says {size}"
        found = hashlib.sha256()
        while chunk := os.read(descriptor, 256 * KIB):
            found.update(chunk)
    except OSError as error:
        raise _failed(f"{folder}/{name}", "cannot be read", error) from None
    finally:
        os.close(descriptor)
    return None if found.hexdigest() == digest else f"changed: its sha256 is {found.hexdigest()}"


def _extra(folder: str, listed: set[str]) -> list[Problem]:
    """What lies in the folder and is listed nowhere; at most a thousand are named."""
    parents = {os.path.dirname(name) for name in listed}
    problems = []
    for found, subfolders, files in os.walk(folder):
        inside = os.path.relpath(found, folder)
        for name in subfolders:
            path = os.path.normpath(os.path.join(inside, name))
            if os.path.islink(os.path.join(folder, path)):
                problems.append(Problem(path, "a link, not a folder"))
            elif not any(parent == path or parent.startswith(f"{path}/") for parent in parents):
                problems.append(Problem(path, "extra folder"))
        for name in files:
            path = os.path.normpath(os.path.join(inside, name))
            if path not in listed:
                problems.append(Problem(path, "extra"))
        if len(problems) > _MAX_EXTRA:
            break
    return problems[:_MAX_EXTRA]


def _open(folder: str, name: str) -> int | None:
    """A descriptor to read, or None where there is no file. Links are not followed."""
    path = os.path.join(folder, name)
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        # A bundle without this file is one thing, a folder that is not there another.
        if os.path.isdir(folder):
            return None
        raise EvidenceError(
            f"{folder}: no such folder", help="see `forestall evidence list`"
        ) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and os.path.isdir(folder):
            return None
        raise _failed(path, "cannot be read", error) from None


def _read(folder: str, name: str, limit: int) -> bytes | None:
    """A small file whole; None where there is none. Raises EvidenceError over `limit` bytes."""
    descriptor = _open(folder, name)
    if descriptor is None:
        return None
    data = b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        while len(data) <= limit and (chunk := os.read(descriptor, limit + 1)):
            data += chunk
    except OSError as error:
        raise _failed(f"{folder}/{name}", "cannot be read", error) from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise EvidenceError(f"{folder}/{name}: more than {limit} bytes; this is no bundle")
    return data


def _cut(data: bytes, room: int) -> bytes:
    """The first bytes that fit, whole lines where there are any."""
    if room <= 0:
        return b""
    return data[: data.rfind(b"\n", 0, room) + 1] or data[:room]


def _with_content(entry: Entry, data: bytes, *, truncated: bool) -> Entry:
    return Entry(
        name=entry.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        media_type=entry.media_type,
        source=entry.source,
        collected_at=entry.collected_at,
        redaction_count=entry.redaction_count,
        truncated=truncated,
    )


def _weight(entry: Entry) -> int:
    """At most what an entry adds to the manifest and to the sums, in bytes."""
    text = json.dumps(encode(entry), indent=2)
    # In the manifest each of its lines is indented by four more; then comma and newline.
    return len(text) + 4 * (text.count("\n") + 1) + 2 + 64 + 2 + len(entry.name) + 1


def _manifest_bytes(manifest: Manifest) -> bytes:
    return (json.dumps(to_document(manifest), allow_nan=False, indent=2) + "\n").encode("ascii")


def _failed(folder: str, what: str, error: OSError) -> EvidenceError:
    return EvidenceError(
        f"{folder}: {what}: {error.strerror or error}",
        help="check rights and free space there, or keep evidence elsewhere with --state",
    )
