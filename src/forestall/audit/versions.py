"""Package versions, compared as rpm and dpkg compare them: versions -> keys that sort.

A distribution's kernel is a package, and its fixes are told by its package version; upstream
numbers say nothing about a kernel that fixes are carried back to. Both comparisons are total
orders, so each version becomes a key once, and Python's tuples do the rest.

Sources: rpmvercmp() and rpmverCmp() of rpm 4.18 (rpmio/rpmver.c), deb-version(7) and verrevcmp()
of dpkg 1.21. bench/audit_versions.py holds both equal to the real programs.
"""

import re
from functools import lru_cache
from typing import Any

Key = tuple[Any, ...]
"""Compares with another key of the same function only."""

CACHED = 8192
"""A fleet has few distinct kernels; a hostile one must not fill the memory."""

_RPM_PARTS = re.compile(r"~|\^|[0-9]+|[A-Za-z]+")
_DPKG_PARTS = re.compile(r"([^0-9]*)([0-9]*)")

_TILDE, _END, _CARET, _LETTERS, _DIGITS = range(5)
"""What sorts before what at one place of an rpm version. The end stands before a caret."""


@lru_cache(CACHED)
def rpm_key(evr: str) -> Key:
    """The sort key of `[epoch:]version[-release]`, by rpm's rules.

    A missing epoch is 0; a missing release sorts before any, an empty one among them.
    """
    epoch, version, release = _split_rpm(evr)
    return _rpm_part(epoch), _rpm_part(version), () if release is None else _rpm_part(release)


def compare_rpm(one: str, other: str) -> int:
    """-1, 0 or 1 as `one` is older than, the same as, or newer than `other`."""
    return _compare(rpm_key(one), rpm_key(other))


def _split_rpm(evr: str) -> tuple[str, str, str | None]:
    """(epoch, version, release); the epoch is all digits, the release follows the last hyphen."""
    epoch, version = "0", evr
    before, colon, after = evr.partition(":")
    if colon and not before.strip("0123456789"):
        epoch, version = before or "0", after
    if "-" not in version:
        return epoch, version, None
    version, _, release = version.rpartition("-")
    return epoch, version, release


def _rpm_part(text: str) -> Key:
    """One part, in runs of digits and of letters; what separates them does not count."""
    key: list[tuple[object, ...]] = []
    for part in _RPM_PARTS.findall(text):
        if part == "~":
            key.append((_TILDE,))
        elif part == "^":
            key.append((_CARET,))
        elif part[0].isdigit():
            number = part.lstrip("0")
            key.append((_DIGITS, len(number), number))
        else:
            key.append((_LETTERS, part))
    key.append((_END,))
    return tuple(key)


@lru_cache(CACHED)
def dpkg_key(version: str) -> Key:
    """The sort key of `[epoch:]upstream[-revision]`, by dpkg's rules.

    A missing epoch is 0, a missing revision is the same as 0.
    """
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return _number(epoch), _dpkg_part(upstream), _dpkg_part(revision)


def compare_dpkg(one: str, other: str) -> int:
    """-1, 0 or 1 as `one` is older than, the same as, or newer than `other`."""
    return _compare(dpkg_key(one), dpkg_key(other))


def _dpkg_part(text: str) -> Key:
    """Runs of what is no digit, each ended by 0, and the numbers between them; 0 at the end.

    The end weighs 0 too: before any character, and after a tilde.
    """
    key: list[object] = []
    for letters, digits in _DPKG_PARTS.findall(text):
        if not letters and not digits and key:
            break
        key.extend(_weight(letter) for letter in letters)
        key.append(0)
        key.append(_number(digits))
    key.append(0)
    return tuple(key)


def _weight(letter: str) -> int:
    """A tilde before everything, letters before the rest."""
    if letter == "~":
        return -1
    return ord(letter) if letter.isascii() and letter.isalpha() else ord(letter) + 256


def _number(digits: str) -> tuple[int, str]:
    """A number of any length, without making one: its digits decide once the lengths are equal."""
    significant = digits.lstrip("0")
    return len(significant), significant


def _compare(one: Key, other: Key) -> int:
    return (one > other) - (one < other)
