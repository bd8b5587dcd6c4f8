"""Facts by their place in the HostFacts document, so that a sentence can point at what it says."""

import dataclasses
from collections.abc import Mapping

from forestall.model.codec import Json, encode
from forestall.model.facts import HostFacts
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
}


def fact(facts: HostFacts, pointer: str, *, name: str = "", source: str = "") -> Fact:
    """The fact at `pointer` (RFC 6901) of the HostFacts document; None where nothing was read."""
    known_name, known_source = SOURCES.get(pointer, ("", ""))
    return Fact(
        name=name or known_name or pointer.rsplit("/", 1)[-1],
        value=_value_at(facts, pointer),
        pointer=pointer,
        source=source or known_source,
    )


def sysctl(facts: HostFacts, name: str) -> Fact:
    """The raw text of one sysctl; its value is None where it could not be read."""
    return Fact(
        name=name,
        value=facts.sysctls.get(name),
        pointer=f"/sysctls/{name}",
        source="/proc/sys/" + name.replace(".", "/"),
    )


def sysctl_number(facts: HostFacts, name: str) -> int | None:
    """One sysctl as a whole number, None where it is absent or no number."""
    try:
        return int(facts.sysctls[name])
    except (KeyError, ValueError):
        return None


def of_process(facts: HostFacts, index: int, field: str, *, file: str) -> Fact:
    """One field of one holder, for example `oom_score` of the largest."""
    process = facts.holders[index].process
    return fact(
        facts,
        f"/holders/{index}/{field}",
        name=f"{process.name} {field.rsplit('/', 1)[-1]}",
        source=f"/proc/{process.key.pid}/{file}",
    )


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
