"""Facts by their place in the HostFacts document, so that a sentence can point at what it says."""

import dataclasses
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from forestall.model.codec import Json, encode
from forestall.model.facts import (
    HolderFacts,
    HostFacts,
    MountFacts,
    PostgresFacts,
    SwapDevice,
    UnitFacts,
)
from forestall.model.finding import Fact
from forestall.model.sample import CgroupSample

SOURCES = {
    "/memory/mem_total_bytes": ("MemTotal", "/proc/meminfo"),
    "/memory/mem_available_bytes": ("MemAvailable", "/proc/meminfo"),
    "/memory/swap_total_bytes": ("SwapTotal", "/proc/meminfo"),
    "/memory/swap_free_bytes": ("SwapFree", "/proc/meminfo"),
    "/memory/oom_kill_count": ("oom_kill", "/proc/vmstat"),
    "/crash_kernel_loaded": ("kdump armed", "/sys/kernel/kexec_crash_loaded"),
    "/crash_kernel_bytes": ("crash kernel memory", "/sys/kernel/kexec_crash_size"),
    "/container": ("container", "PID 1 and marker files"),
    "/swaps": ("swap devices", "/proc/swaps"),
    "/hidden_processes": ("processes hidden", "/proc"),
    "/process_count": ("processes seen", "/proc"),
    "/effective_uid": ("user id", "this process"),
    "/cgroup_version": ("cgroup version", "/sys/fs/cgroup"),
    "/psi": ("pressure files", "/proc/pressure/memory"),
    "/cgroup_hybrid": ("hybrid cgroup layout", "/sys/fs/cgroup"),
    "/databases": ("databases", "/proc"),
    "/holders": ("largest processes", "/proc"),
    "/monitors": ("exporters and agents", "/proc"),
    "/scraped_at": ("newest sample", "Prometheus"),
    "/memory_alerts": ("alerts on memory", "Prometheus"),
    "/gated_services": ("services tested for leaks", "records of leak tests"),
    "/user_limits": ("login limits", "/etc/security/limits.conf"),
    "/coredump": ("systemd-coredump", "/etc/systemd/coredump.conf"),
    "/coredump/storage": ("Storage", "/etc/systemd/coredump.conf"),
    "/coredump/process_size_max_bytes": ("ProcessSizeMax", "/etc/systemd/coredump.conf"),
    "/kernel_release": ("kernel", "/proc/sys/kernel/osrelease"),
    "/os_id": ("system", "/etc/os-release"),
    "/os_version_id": ("version", "/etc/os-release"),
    "/systemd_version": ("systemd version", "systemctl --version"),
    "/units": ("services", "systemctl show"),
    "/guards": ("userspace OOM guards", "/proc"),
    "/committed_bytes": ("Committed_AS", "/proc/meminfo"),
    "/commit_limit_bytes": ("CommitLimit", "/proc/meminfo"),
    "/hugepages_total": ("HugePages_Total", "/proc/meminfo"),
    "/hugetlb_bytes": ("Hugetlb", "/proc/meminfo"),
    "/hugepages_free": ("HugePages_Free", "/proc/meminfo"),
    "/hugepages_reserved": ("HugePages_Rsvd", "/proc/meminfo"),
    "/hugepage_bytes": ("Hugepagesize", "/proc/meminfo"),
    "/transparent_hugepage": (
        "transparent huge pages",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ),
    "/zswap": ("zswap on", "/sys/module/zswap/parameters/enabled"),
    "/numa_node_count": ("memory nodes", "/sys/devices/system/node"),
    "/cmdline": ("kernel command line", "/proc/cmdline"),
    "/kdump": ("kdump's settings", "/etc/kdump.conf"),
    "/kdump/target": ("dump target", "/etc/kdump.conf"),
    "/kdump/address": ("dump target's address", "/etc/kdump.conf"),
    "/kdump/path": ("dump path", "/etc/kdump.conf"),
    "/kdump/filtered": ("dump filtered", "/etc/kdump.conf"),
    "/kdump/final_action": ("final_action", "/etc/kdump.conf"),
    "/fstab_swaps": ("swap at boot", "/etc/fstab"),
    "/mounts": ("mounts", "/proc/self/mountinfo"),
    "/block_devices": ("block devices", "/sys/class/block"),
    "/postgres": ("PostgreSQL servers", "postgresql.conf"),
    "/baseline": ("hardening baseline", "the installer's or a scanner's traces"),
    "/anonymous_growth_bytes_per_second": ("growth of anonymous memory", "history"),
    "/growth_window_seconds": ("length of the history", "history"),
    "/journal_runtime_max_bytes": ("RuntimeMaxUse", "journald.conf"),
}


_PARTS = re.compile(
    r"/(?P<list>units|slices|holders|databases|own_cgroups|mounts|postgres|swaps|user_limits)"
    r"/(?P<index>\d+)/(?P<field>.+)"
)

_UNIT_FIELDS = {
    "main_pid": "MainPID",
    "cores_allowed": "LimitCORE above 0",
    "restart_seconds": "RestartSec",
    "start_limit_burst": "StartLimitBurst",
    "memory_max_bytes": "MemoryMax",
    "memory_high_bytes": "MemoryHigh",
    "swap_max_bytes": "MemorySwapMax",
    "restart": "Restart",
    "oom_score_adjust": "OOMScoreAdjust",
    "oom_policy": "OOMPolicy",
}

_PROCESS_FILES = {"oom_score": "oom_score", "oom_score_adjust": "oom_score_adj"}


def fact(facts: HostFacts, pointer: str, *, name: str = "", source: str = "") -> Fact:
    """The fact at `pointer` (RFC 6901) of the HostFacts document; None where nothing was read.

    Its name and source are those of the place, unless the facts say that it was read elsewhere.
    """
    known_name, known_source = SOURCES.get(pointer) or _place(facts, pointer)
    return Fact(
        name=name or known_name or pointer.rsplit("/", 1)[-1],
        value=_value_at(facts, pointer),
        pointer=pointer,
        source=facts.sources.get(pointer) or source or known_source,
    )


def told(facts: HostFacts, pointer: str) -> Fact:
    """`fact` for a report over many hosts: of a list of nouns (services, processes) the length."""
    parent, _, last = pointer.rpartition("/")
    value = None if parent else getattr(facts, last, None)
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        name, source = SOURCES.get(pointer) or (pointer[1:], "")
        return Fact(
            name=f"number of {name}",
            value=len(value),
            pointer=pointer,
            source=facts.sources.get(pointer) or source,
        )
    if last.isdigit() and parent.count("/") == 1:
        name, source = SOURCES.get(parent) or (parent[1:].replace("_", " "), "")
        return fact(facts, pointer, name=name, source=facts.sources.get(parent) or source)
    return fact(facts, pointer)


def sysctl(facts: HostFacts, name: str) -> Fact:
    """The raw text of one sysctl; its value is None where it could not be read."""
    return fact(facts, f"/sysctls/{name}")


def _place(facts: HostFacts, pointer: str) -> tuple[str, str]:
    """(name, source) of a value in one of the document's lists, or of a sysctl."""
    if pointer.startswith("/sysctls/"):
        setting = pointer.removeprefix("/sysctls/")
        return setting, "/proc/sys/" + setting.replace(".", "/")
    if pointer.startswith("/modules/"):
        return "module loaded", "/proc/modules"
    match = _PARTS.fullmatch(pointer)
    if match is None:
        return "", ""
    one = getattr(facts, match["list"])[int(match["index"])]
    field = match["field"]
    if isinstance(one, UnitFacts):
        return f"{one.name} {_UNIT_FIELDS.get(field, field)}", "systemctl show"
    if match["list"] == "user_limits":
        return f"{one.domain} {one.kind} {one.item}", "/etc/security/limits.conf"
    if isinstance(one, CgroupSample):
        return f"{one.path} {field}", f"cgroup {one.path}"
    if isinstance(one, HolderFacts):
        last = field.rpartition("/")[2]
        file = _PROCESS_FILES.get(field, "status")
        shown = file if field in _PROCESS_FILES else last
        return f"{one.process.name} {shown}", f"/proc/{one.process.key.pid}/{file}"
    if isinstance(one, MountFacts):
        return f"{one.path} {field}", "/proc/self/mountinfo"
    if isinstance(one, SwapDevice):
        return f"swap {field}", "/proc/swaps"
    if isinstance(one, PostgresFacts):
        return f"PostgreSQL {field}", one.config_path or "postgresql.conf"
    return "", ""


def sysctl_number(facts: HostFacts, name: str) -> int | None:
    """One sysctl as a whole number, None where it is absent or no number."""
    try:
        return int(facts.sysctls[name])
    except (KeyError, ValueError):
        return None


def _value_at(facts: HostFacts, pointer: str) -> Json:
    """Walks nouns, mappings and tuples; a step that leads nowhere is a programmer's error."""
    value: Any = facts
    for key in _steps(pointer):
        if value is None:
            return None
        if isinstance(value, tuple):
            value = value[int(key)]
        elif dataclasses.is_dataclass(value):
            value = getattr(value, key)
        else:
            assert isinstance(value, Mapping), f"{pointer} leads nowhere"
            value = value.get(key)
    return encode(value)


@lru_cache(maxsize=4096)
def _steps(pointer: str) -> tuple[str, ...]:
    """The steps of a pointer; kept, because a report over a fleet asks for the same ones."""
    steps = pointer.split("/")[1:]
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)
