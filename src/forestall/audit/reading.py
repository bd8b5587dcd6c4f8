"""Facts by their place in the HostFacts document, so that a sentence can point at what it says."""

import dataclasses
import re
from collections.abc import Mapping

from forestall.model.codec import Json, encode
from forestall.model.facts import HolderFacts, HostFacts, UnitFacts
from forestall.model.finding import Fact

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
    "/kernel_release": ("kernel", "/proc/sys/kernel/osrelease"),
    "/os_id": ("system", "/etc/os-release"),
    "/os_version_id": ("version", "/etc/os-release"),
    "/systemd_version": ("systemd version", "systemctl --version"),
    "/units": ("services", "systemctl show"),
    "/guards": ("userspace OOM guards", "/proc"),
    "/committed_bytes": ("Committed_AS", "/proc/meminfo"),
    "/commit_limit_bytes": ("CommitLimit", "/proc/meminfo"),
}


_PARTS = re.compile(
    r"/(?P<list>units|slices|holders|databases|own_cgroups|mounts|postgres|swaps)/(?P<index>\d+)/"
    r"(?P<field>.+)"
)

_UNIT_FIELDS = {
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


def sysctl(facts: HostFacts, name: str) -> Fact:
    """The raw text of one sysctl; its value is None where it could not be read."""
    return fact(facts, f"/sysctls/{name}")


def _place(facts: HostFacts, pointer: str) -> tuple[str, str]:
    """(name, source) of a value in one of the document's lists, or of a sysctl."""
    if pointer.startswith("/sysctls/"):
        setting = pointer.removeprefix("/sysctls/")
        return setting, "/proc/sys/" + setting.replace(".", "/")
    match = _PARTS.fullmatch(pointer)
    if match is None:
        return "", ""
    one = getattr(facts, match["list"])[int(match["index"])]
    field = match["field"]
    if isinstance(one, UnitFacts):
        return f"{one.name} {_UNIT_FIELDS.get(field, field)}", "systemctl show"
    if isinstance(one, HolderFacts):
        last = field.rpartition("/")[2]
        file = _PROCESS_FILES.get(field, "status")
        shown = file if field in _PROCESS_FILES else last
        return f"{one.process.name} {shown}", f"/proc/{one.process.key.pid}/{file}"
    return "", ""


def sysctl_number(facts: HostFacts, name: str) -> int | None:
    """One sysctl as a whole number, None where it is absent or no number."""
    try:
        return int(facts.sysctls[name])
    except (KeyError, ValueError):
        return None


def _value_at(facts: HostFacts, pointer: str) -> Json:
    """Walks nouns, mappings and tuples; a step that leads nowhere is a programmer's error."""
    value: object = facts
    for step in pointer.split("/")[1:]:
        if value is None:
            return None
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, tuple):
            value = value[int(key)]
        else:
            assert dataclasses.is_dataclass(value), f"{pointer} leads nowhere"
            value = getattr(value, key)
    return encode(value)
