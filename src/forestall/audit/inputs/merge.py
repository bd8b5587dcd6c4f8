"""Several inputs that tell of one host -> one document: a pure function of what they said.

Field by field, the newest that knows it wins; of facts from about the same time the richer input
does. What comes from another input names it in `sources`. A merged document is as old as the
oldest part of it that is used, so that no age is ever understated.
"""

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from forestall.audit.inputs.source import Seen
from forestall.model.facts import HostFacts
from forestall.model.sample import HostSample
from forestall.units import HOUR, MINUTE, format_duration

SAME_TIME_SECONDS = HOUR
SAME_BOOT_SECONDS = 2 * MINUTE

_RICHNESS = ("local", "ssh", "sosreport", "facts", "osquery", "prometheus", "ansible")
"""Ansible rounds sizes down to MiB, so it comes last."""

_NOT_MERGED = (
    frozenset(("at", "hostname", "origin", "sources", "unseen", "page_bytes", "sysctls", "memory"))
    | frozenset(("holders", "process_count", "hidden_processes", "effective_uid", "own_cgroups"))
    | frozenset(("anonymous_growth_bytes_per_second", "growth_window_seconds"))
)
"""A document's own words, and what is merged part by part, or whole or not at all, below."""

_STANDING = (
    frozenset(("os_id", "os_version_id", "os_name", "machine", "virtualization", "fstab_swaps"))
    | frozenset(("kdump", "coredump", "postgres", "user_limits", "journal_runtime_max_bytes"))
    | frozenset(("baseline", "extended_support", "installed_kernels", "scraped_at"))
    | frozenset(("memory_alerts", "gated_services"))
)
"""What a reboot does not change; only these are taken from before one."""

_NO_NAMES = frozenset(("", "localhost", "(none)", "localhost4", "localhost6", "unknown"))


def merged(told: Sequence[HostFacts]) -> HostFacts:
    """One document of everything that `told`, which are facts of one host, know."""
    assert told, "there is a host to merge"
    first, *others = sorted(told, key=_rank)
    result = first
    for other in others:
        result = _Filling(result, other, first).filled()
    return result


def _rank(facts: HostFacts) -> tuple[float, int, float]:
    rank = _RICHNESS.index(facts.origin) if facts.origin in _RICHNESS else len(_RICHNESS)
    return (-(facts.at // SAME_TIME_SECONDS), rank, -facts.at)


class _Filling:
    """`facts` being filled with what only `other` knows; `newest` is what ages are told by."""

    def __init__(self, facts: HostFacts, other: HostFacts, newest: HostFacts) -> None:
        self.facts, self.other, self.newest = facts, other, newest
        self.changes: dict[str, Any] = {}
        self.sources: dict[str, str] = {}

    def filled(self) -> HostFacts:
        """The document with everything that was missing and `other` has."""
        standing_only = _rebooted_between(self.newest, self.other)
        for field in fields(HostFacts):
            name = field.name
            if name in _NOT_MERGED or (standing_only and name not in _STANDING):
                continue
            if getattr(self.facts, name) is None and getattr(self.other, name) is not None:
                self._take(name)
        if not standing_only:
            self._settings()
            self._memory()
            self._processes()
            self._growth()
        if not self.changes:
            return self.facts
        unseen = {name: why for name, why in self.facts.unseen.items() if name not in self.changes}
        return replace(
            self.facts,
            **self.changes,
            at=min(self.facts.at, self.other.at),
            unseen=unseen,
            sources={**self._deeper(), **self.facts.sources, **self.sources},
        )

    def _take(self, name: str) -> None:
        self.changes[name] = getattr(self.other, name)
        self._note(f"/{name}")

    def _note(self, pointer: str) -> None:
        """`sosreport: sos_commands/kernel/sysctl_-a, 3 h older`."""
        place = self.other.sources.get(pointer)
        words = self.other.origin if place is None else f"{self.other.origin}: {place}"
        older = self.newest.at - self.other.at
        late = older >= MINUTE
        self.sources[pointer] = f"{words}, {format_duration(older)} older" if late else words

    def _settings(self) -> None:
        mine, theirs = self.facts.sysctls, self.other.sysctls
        missing = {name: text for name, text in theirs.items() if name not in mine}
        if missing:
            self.changes["sysctls"] = {**mine, **missing}
            for name in missing:
                self._note(f"/sysctls/{name}")

    def _memory(self) -> None:
        mine, theirs = self.facts.memory, self.other.memory
        missing = {
            field.name: getattr(theirs, field.name)
            for field in fields(HostSample)
            if getattr(mine, field.name) is None and getattr(theirs, field.name) is not None
        }
        if missing:
            self.changes["memory"] = replace(mine, **missing)
            for name in missing:
                self._note(f"/memory/{name}")

    def _processes(self) -> None:
        """Processes are taken whole or not at all: two lists of different times fit nothing."""
        if not self.facts.holders and self.other.holders:
            for name in ("process_count", "hidden_processes", "effective_uid"):
                self.changes[name] = getattr(self.other, name)
            self._take("holders")
        if not self.facts.own_cgroups and self.other.own_cgroups:
            self.changes["own_cgroups"] = self.other.own_cgroups

    def _growth(self) -> None:
        """A slope and its window belong together."""
        name = "anonymous_growth_bytes_per_second"
        if getattr(self.facts, name) is None and getattr(self.other, name) is not None:
            self._take(name)
            self.changes["growth_window_seconds"] = self.other.growth_window_seconds

    def _deeper(self) -> dict[str, str]:
        """Where parts of the values that were taken came from (`/units/3/restart`)."""
        return {
            pointer: place
            for pointer, place in self.other.sources.items()
            if pointer.count("/") > 1
            and pointer.split("/")[1] in self.changes
            and pointer.split("/")[1] not in ("sysctls", "memory")
        }


def _rebooted_between(newest: HostFacts, other: HostFacts) -> bool:
    """Whether both are surely of different boots."""
    if newest.boot_id and other.boot_id:
        return newest.boot_id != other.boot_id
    if newest.booted_at is None or other.booted_at is None:
        return False
    return abs(newest.booted_at - other.booted_at) > SAME_BOOT_SECONDS


def merge_seen(seen: Iterable[Seen]) -> Iterator[Seen]:
    """Every host once, in the order in which each was seen first, once all were seen.

    Hosts are told apart by boot, else by name: `db01` is `db01.example` only if no other host is
    called db01.something. A name that machines have until somebody names them tells nothing.
    """
    everyone = [_packed(one) for one in seen]
    groups: dict[int, list[_Packed]] = {}
    for position, group in enumerate(_groups(everyone)):
        groups.setdefault(group, []).append(everyone[position])
    for members in groups.values():
        yield _merged_seen([_unpacked(one) for one in members])


class _Packed(NamedTuple):
    """A host that waits for the last input: a twentieth of what its facts take as objects."""

    names: tuple[str, ...]
    boot_id: str | None
    data: bytes


def _packed(one: Seen) -> _Packed:
    boot_id = one.facts.boot_id if one.facts and one.facts.container is None else None
    return _Packed(tuple(names_of(one)), boot_id, zlib.compress(pickle.dumps(one, 5), 1))


def _unpacked(one: _Packed) -> Seen:
    found: Seen = pickle.loads(zlib.decompress(one.data))  # noqa: S301 -- never left this process
    return found


def _merged_seen(members: list[Seen]) -> Seen:
    if len(members) == 1:
        return members[0]
    told = [one.facts for one in members if one.facts is not None]
    problems = dict.fromkeys(one.problem for one in members if one.problem is not None)
    name = max((one.name for one in members), key=len)
    return Seen(
        name=name, facts=merged(told) if told else None, problem="; ".join(problems) or None
    )


def _groups(everyone: Sequence[_Packed]) -> list[int]:
    """For each of them, the position of the first one that is the same host."""
    full: dict[str, set[str]] = {}
    for one in everyone:
        for name in one.names:
            full.setdefault(name.partition(".")[0], set()).add(name)
    found: list[int] = []
    known: dict[str, int] = {}
    for position, one in enumerate(everyone):
        keys = [_key(name, full) for name in one.names]
        if one.boot_id:
            keys.append(f"boot {one.boot_id}")
        group = next((known[key] for key in keys if key in known), position)
        found.append(group)
        for key in keys:
            known.setdefault(key, group)
    return found


def _key(name: str, full: dict[str, set[str]]) -> str:
    """The short name where it stands for one host alone, else the whole name."""
    short = name.partition(".")[0]
    longer = {other for other in full[short] if other != short}
    return short if len(longer) <= 1 else name


def names_of(one: Seen) -> list[str]:
    """The names by which this host can be known again, in small letters; an address is whole."""
    found = []
    for name in (one.facts.hostname if one.facts else "", one.name):
        plain = name.lower().rstrip(".")
        if plain.partition(".")[0] in _NO_NAMES or plain in found:
            continue
        found.append(plain)
    return found
