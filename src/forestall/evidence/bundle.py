"""A bundle, written: entries are fsynced, then the folder gets its id as its name.

A bundle is whole or it is not there: until `seal` renames it, it is a folder `.partial-…` that
its writer holds locked; one that nobody holds was left by a crash and is removed by the next
writer. The id is the sha256 of SHA256SUMS, so whoever knows the id can prove every byte.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace

from forestall.clock import Clock
from forestall.errors import EvidenceError
from forestall.evidence.layout import (
    MANIFEST,
    MAX_ENTRIES,
    RESERVE_BYTES,
    SUMS,
    begin,
    check_name,
    failed,
    free_bytes,
    remove_leftovers,
    remove_tree,
    sync_up_to,
    write_file,
)
from forestall.evidence.verify import verify
from forestall.journal import make_folder, sync_folder
from forestall.model.bundle import Bundle, Entry, Manifest
from forestall.model.codec import Json, encode, to_document
from forestall.units import KIB, MIB, format_bytes

MAX_BUNDLE_BYTES = 16 * MIB
"""The size of all files of one bundle unless `max_bytes` says otherwise."""

SMALLEST_BUNDLE_BYTES = 16 * KIB
"""With less room than this, no bundle is begun."""

_SENTENCE_CHARS = 500
_SENTENCES = 64
# One list bracket more or less: what a manifest weighs beyond its entries and sentences.
_SLACK_BYTES = 64
# The sentence that counts the others, with any number in it and the quotes around it.
_UNSAID_BYTES = 96


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
            raise failed(self.folder, "cannot begin a bundle", error) from None
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
        entry = replace(
            entry,
            sha256=hashlib.sha256(kept).hexdigest(),
            size_bytes=len(kept),
            truncated=len(kept) < len(data),
        )
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
        manifest = replace(
            self._manifest, entries=tuple(self._entries.values()), missing=tuple(sentences)
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
            raise failed(self.folder, "the bundle was not written", error) from None
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

    def __exit__(self, *exception: object) -> None:
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
        """What the files of a bundle without entries weigh, the unsaid counted in a sentence."""
        manifest = len(_manifest_bytes(self._manifest)) + _UNSAID_BYTES + _SLACK_BYTES
        return manifest + _line_weight(MANIFEST)

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


def _cut(data: bytes, room: int) -> bytes:
    """The first bytes that fit, whole lines where there are any."""
    if room <= 0:
        return b""
    return data[: data.rfind(b"\n", 0, room) + 1] or data[:room]


def _weight(entry: Entry) -> int:
    """At most what an entry adds to the manifest and to the sums, in bytes."""
    text = json.dumps(encode(entry), indent=2)
    # In the manifest each of its lines is indented by four more; then comma and newline.
    return len(text) + 4 * (text.count("\n") + 1) + 2 + _line_weight(entry.name)


def _line_weight(name: str) -> int:
    """A line of SHA256SUMS: the digest, two spaces, the name and a newline."""
    return 64 + 2 + len(name) + 1


def _manifest_bytes(manifest: Manifest) -> bytes:
    return (json.dumps(to_document(manifest), allow_nan=False, indent=2) + "\n").encode("ascii")
