"""A bundle, read and proven: its name against its sums, and each byte against both.

Nothing is believed: links are not followed, nothing blocks, and every size has a limit.
"""

import errno
import hashlib
import os
import re
import stat
from typing import NamedTuple

from forestall.errors import EvidenceError, InputError
from forestall.evidence.layout import MANIFEST, SUMS, check_name, failed
from forestall.model.bundle import Bundle, Entry, Manifest
from forestall.model.codec import loads
from forestall.units import KIB, MIB

_MAX_SUMS_BYTES = MIB
_MAX_MANIFEST_BYTES = 8 * MIB
_MAX_EXTRA = 1000
_SUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class Problem(NamedTuple):
    """One way in which a bundle is not what it says: the file, and what is wrong with it."""

    name: str
    what: str


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
        raise failed(f"{folder}/{name}", "cannot be read", error) from None
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
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise failed(path, "cannot be read", error) from None
        # A bundle without this file is one thing, a folder that is not there another.
        if os.path.isdir(folder):
            return None
        raise EvidenceError(
            f"{folder}: no such folder", help="see `forestall evidence list`"
        ) from None


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
        raise failed(f"{folder}/{name}", "cannot be read", error) from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise EvidenceError(f"{folder}/{name}: more than {limit} bytes; this is no bundle")
    return data
