"""Evidence that proves itself: what was kept, from where, and the digest of each byte of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a bundle.

    `source` says what was read; `redaction_count` how often text was hidden.
    """

    name: str
    sha256: str
    size_bytes: int
    media_type: str
    source: str
    collected_at: float
    redaction_count: int = 0
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The table of contents of a bundle; `missing` says what could not be kept, and why."""

    SCHEMA = "forestall/bundle/1"

    created_at: float
    host: str
    subject: str
    entries: tuple[Entry, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A sealed bundle on disk.

    `id` is the sha256 of its SHA256SUMS file, which lists every other file.
    """

    id: str
    path: str
    manifest: Manifest
