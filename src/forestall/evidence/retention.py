"""A limit for all evidence on a host: the oldest goes first, and what went is said."""

import os
from typing import NamedTuple

from forestall.errors import EvidenceError
from forestall.evidence.layout import ID, PARTIAL_PREFIX, remove_tree
from forestall.evidence.verify import open_bundle
from forestall.journal import sync_folder
from forestall.model.bundle import Bundle
from forestall.units import MIB

MAX_EVIDENCE_BYTES = 512 * MIB
MAX_BUNDLES = 200


class Stored(NamedTuple):
    """A bundle in an evidence folder; `bundle` is None when its manifest cannot be read."""

    id: str
    path: str
    size_bytes: int
    created_at: float
    bundle: Bundle | None


class Pruned(NamedTuple):
    """What `prune` removed and what is left, both oldest first."""

    removed: tuple[Stored, ...]
    left: tuple[Stored, ...]


def stored(folder: str | os.PathLike[str]) -> list[Stored]:
    """The bundles of an evidence folder, oldest first; none where there is no folder.

    Raises EvidenceError when it cannot be looked at.
    """
    name = os.fspath(folder)
    try:
        names = [entry for entry in os.listdir(name) if ID.fullmatch(entry)]
        looked = [_look_at(os.path.join(name, entry)) for entry in names]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EvidenceError(
            f"{error.filename or name}: cannot be looked at: {error.strerror}",
            help="run as the user that keeps the evidence, or name another folder with --state",
        ) from None
    found = [bundle for bundle in looked if bundle is not None]
    return sorted(found, key=lambda bundle: (bundle.created_at, bundle.id))


def prune(
    folder: str | os.PathLike[str],
    *,
    max_bytes: int = MAX_EVIDENCE_BYTES,
    max_count: int = MAX_BUNDLES,
    just_made: str | None = None,
) -> Pruned:
    """Remove the oldest bundles until both limits hold.

    The one `just_made` (an id) stays, even when the limits cannot hold then.
    Raises EvidenceError when one cannot be removed.
    """
    left = stored(folder)
    size = sum(bundle.size_bytes for bundle in left)
    removed = []
    for bundle in list(left):
        if size <= max_bytes and len(left) <= max_count:
            break
        if bundle.id == just_made:
            continue
        _remove(bundle)
        removed.append(bundle)
        left.remove(bundle)
        size -= bundle.size_bytes
    return Pruned(tuple(removed), tuple(left))


def _look_at(path: str) -> Stored | None:
    """What is known of one bundle; None when another process has removed it meanwhile."""
    size = 0
    for inside, _, files in os.walk(path):
        for file in files:
            try:
                size += os.lstat(os.path.join(inside, file)).st_size
            except FileNotFoundError:
                pass  # Removed meanwhile.
    try:
        bundle = open_bundle(path)
        created_at = bundle.manifest.created_at
    except EvidenceError:
        try:
            bundle, created_at = None, os.stat(path).st_mtime
        except FileNotFoundError:
            return None
    return Stored(os.path.basename(path), path, size, created_at, bundle)


def _remove(bundle: Stored) -> None:
    folder = os.path.dirname(bundle.path)
    # Renamed first: a crash half-way leaves a leftover, never a bundle that lost its files.
    going = os.path.join(folder, f"{PARTIAL_PREFIX}removed-{bundle.id}")
    try:
        os.rename(bundle.path, going)
        sync_folder(folder)
        remove_tree(going)
    except OSError as error:
        raise EvidenceError(
            f"{bundle.path}: cannot be removed: {error.strerror}",
            help="evidence is over its limit until it can; check the folder's owner",
        ) from None
