"""Any HostFacts at all: None everywhere it may be, odd numbers, and names that rules look for.

The strategy follows the types of the nouns, so that a field that is added is drawn as well. What
rules ask by name (a sysctl, a process, a unit) is drawn from what they know, and from nonsense.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping

from hypothesis import strategies as st

from forestall.model.facts import HostFacts
from tests.fakes.facts import healthy
from tests.fakes.seed import remedied, repaired, seed_host

GIB = 1024**3
TEXT = st.text(max_size=12)
UNITS = st.sampled_from(["postgresql.service", "feed-sync.service", "x.service"])
SLICES = st.sampled_from(["system.slice", "work.slice", "work-feeds.slice", "-.slice", ""])
SYSCTLS = st.dictionaries(
    st.sampled_from(
        [
            "kernel.core_pattern",
            "kernel.core_uses_pid",
            "kernel.hung_task_panic",
            "kernel.panic",
            "kernel.panic_on_oops",
            "kernel.softlockup_panic",
            "vm.min_free_kbytes",
            "vm.oom_kill_allocating_task",
            "vm.overcommit_memory",
            "vm.overcommit_ratio",
            "vm.panic_on_oom",
            "vm.swappiness",
            "vm.zone_reclaim_mode",
        ]
    ),
    st.sampled_from(
        [
            *("0", "1", "2", "10", "-1", "", "rubbish", "9" * 30, "\t\n", "1 2"),
            *("core", "|/bin/false", "|/usr/lib/systemd/systemd-coredump %P"),
        ]
    ),
)

BY_FIELD: Mapping[tuple[str, str], st.SearchStrategy[object]] = {
    ("HostFacts", "sysctls"): SYSCTLS,
    ("HostFacts", "sources"): st.just({}),
    ("HostFacts", "unseen"): st.dictionaries(
        st.sampled_from(["units", "psi", "databases", "postgres", "sysctls"]), TEXT, max_size=3
    ),
    ("HostFacts", "kernel_release"): st.sampled_from(
        ["3.10.0-957.el7.x86_64", "4.18.0-553.el8.x86_64", "6.1.0-28-amd64", "rubbish", ""]
    ),
    ("HostFacts", "os_id"): st.sampled_from(["rhel", "centos", "debian", "x"]),
    ("HostFacts", "os_version_id"): st.sampled_from(["7.6", "8", "12", "x"]),
    ("HostFacts", "cgroup_version"): st.sampled_from([1, 2]),
    ("HostFacts", "systemd_version"): st.sampled_from([0, 219, 231, 243, 252]),
    ("HostFacts", "container"): st.sampled_from([None, None, None, None, "docker"]),
    ("HostFacts", "baseline"): st.sampled_from(["stig", "cis", "x"]),
    ("HostFacts", "guards"): st.sampled_from([(), ("earlyoom",), ("forestall",)]),
    ("UnitFacts", "name"): UNITS | SLICES,
    ("UnitFacts", "slice"): SLICES,
    ("UnitFacts", "restart"): st.sampled_from(["no", "always", "on-failure", "on-success", "x"]),
    ("UnitFacts", "oom_policy"): st.sampled_from(["continue", "stop", "kill"]),
    ("UnitFacts", "service_type"): st.sampled_from(["simple", "oneshot"]),
    ("UnitFacts", "main_pid"): st.integers(1, 4),
    ("UnitFacts", "active"): st.sampled_from([True, True, True, False]),
    ("UnitFacts", "limit_known"): st.sampled_from([True, True, False]),
    ("UnitFacts", "oom_score_adjust"): st.sampled_from([-1000, -500, 0, 500]),
    ("UnitFacts", "fragment_path"): st.sampled_from(
        ["/etc/systemd/system/x.service", "/srv/x.service", "/usr/lib/systemd/system/x.service"]
    ),
    ("HolderFacts", "oom_score_adjust"): st.sampled_from([-1000, -900, -500, 0, 500]),
    ("ProcessSample", "name"): st.sampled_from(["postgres", "python3", "ora_pmon_X", "java"]),
    ("ProcessSample", "unit"): UNITS,
    ("ProcessSample", "cgroup"): st.sampled_from(["/", "/system.slice/x.service", "/work.slice"]),
    ("ProcessKey", "pid"): st.integers(1, 4),
    ("UserLimit", "domain"): st.sampled_from(["*", "oracle", "@dba", "x"]),
    ("UserLimit", "item"): st.sampled_from(["as", "memlock", "nofile"]),
    ("UserLimit", "value"): st.sampled_from(
        ["unlimited", "0", "65536", "-1", "", "9" * 40, "\u0663"]
    ),
    ("CoredumpFacts", "storage"): st.sampled_from(["none", "external"]),
    ("SwapDevice", "kind"): st.sampled_from(["partition", "file", "zram"]),
}


NEVER_DRAWN_NONE = {("HostFacts", "container")}
"""Drawn with a None of its own, as a container silences most rules."""


def of(kind: object, owner: str = "", name: str = "") -> st.SearchStrategy[object]:
    """Values of a type, as the owner's field of that name takes them."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        rest = [one for one in inner if one is not type(None)]
        found = st.one_of(*(of(one, owner, name) for one in rest))
        if type(None) not in inner or (owner, name) in NEVER_DRAWN_NONE:
            return found
        return st.one_of(found, found, found, st.none())
    if (owner, name) in BY_FIELD:
        return BY_FIELD[owner, name]
    if origin is tuple:
        return st.lists(of(inner[0], owner, name), max_size=4).map(tuple)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(TEXT, of(inner[1]), max_size=3)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return noun(kind)
    if kind is int:
        big = name.endswith("bytes")
        return st.sampled_from([0, 1, 4096]) | st.integers(0, 64 * GIB if big else 10_000)
    if kind is float:
        return st.floats(0, 4e9)
    if kind is bool:
        return st.booleans()
    assert kind is str, f"{owner}.{name} has a type that is not drawn: {kind}"
    return TEXT


def noun(cls: type) -> st.SearchStrategy[object]:
    """Values of one dataclass."""
    hints = typing.get_type_hints(cls)
    return st.builds(
        cls,
        **{
            one.name: of(hints[one.name], cls.__name__, one.name) for one in dataclasses.fields(cls)
        },
    )


def changed(base: object, most: int) -> st.SearchStrategy[object]:
    """`base` with up to `most` of its fields drawn anew, and so within its lists of nouns."""
    cls = type(base)
    hints = typing.get_type_hints(cls)

    def drawn(names: list[str]) -> st.SearchStrategy[object]:
        fields = {name: of(hints[name], cls.__name__, name) for name in names}
        for one in dataclasses.fields(cls):
            value = getattr(base, one.name)
            if one.name in fields or not isinstance(value, tuple) or not value:
                continue
            if dataclasses.is_dataclass(value[0]):
                fields[one.name] = st.tuples(*(changed(inner, 2) for inner in value))
        return st.builds(lambda **new: dataclasses.replace(base, **new), **fields)

    names = [one.name for one in dataclasses.fields(cls)]
    return st.lists(st.sampled_from(names), max_size=most, unique=True).flatmap(drawn)


whole_facts = st.sampled_from(
    [seed_host(), remedied(seed_host()), repaired(seed_host()), healthy()]
)
"""Hosts with every fact that rules ask for."""

any_facts: st.SearchStrategy[HostFacts] = typing.cast(
    "st.SearchStrategy[HostFacts]",
    noun(HostFacts) | whole_facts.flatmap(lambda base: changed(base, 5)),
)
