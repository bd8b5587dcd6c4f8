"""The names that a predicate can say: short names of facts, and what kind of value each has."""

import dataclasses
import types
import typing
from functools import cache

from forestall.audit.predicates.grammar import Kind
from forestall.model.facts import HostFacts, UnitFacts
from forestall.model.sample import HostSample

VERSIONS = ("os_version_id", "systemd_version", "cgroup_version")
RELEASES = ("kernel_release", "effective_release")
SETTINGS = ("vm", "kernel", "fs", "net", "user", "dev", "abi")
"""First steps of sysctl names: `vm.panic_on_oom` needs no further mark."""


@cache
def names() -> dict[str, tuple[Kind, str]]:
    """Short name -> kind and pointer (RFC 6901); pointers of what is not a fact are empty."""
    found = {f"{name}": (kind, f"/memory/{name}") for name, kind in _fields(HostSample).items()}
    found |= {name: (kind, f"/{name}") for name, kind in _fields(HostFacts).items()}
    found["host"] = (Kind.TEXT, "")
    found["role"] = (Kind.LIST, "")
    found["age_seconds"] = (Kind.DURATION, "")
    for unasked in ("at", "hostname"):
        found.pop(unasked, None)
    return dict(sorted(found.items()))


@cache
def unit_fields() -> dict[str, Kind]:
    """What `unit(NAME).FIELD` can ask for."""
    return _fields(UnitFacts)


@cache
def _fields(noun: type) -> dict[str, Kind]:
    hints = typing.get_type_hints(noun)
    kinds = {one.name: _kind(one.name, hints[one.name]) for one in dataclasses.fields(noun)}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _kind(name: str, hint: object) -> Kind | None:
    """The kind of a field by its type and the unit in its name; None for what has no one value."""
    if isinstance(hint, types.UnionType):
        (hint,) = [one for one in typing.get_args(hint) if one is not type(None)]
    if name in VERSIONS:
        return Kind.VERSION
    if name in RELEASES:
        return Kind.KERNEL
    if hint is bool:
        return Kind.FLAG
    if hint is str:
        return Kind.TEXT
    if hint in (int, float):
        return (
            Kind.SIZE
            if name.endswith("_bytes")
            else Kind.DURATION
            if name.endswith("_seconds")
            else Kind.NUMBER
        )
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[0] is str:
        return Kind.LIST
    return None
