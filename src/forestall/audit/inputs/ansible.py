"""Ansible's facts (module setup) to HostFacts: what it gathers by default, and our own fact.

Input `ansible DIR...` reads the cache that `fact_caching = jsonfile` fills, or the folder of
`ansible -m setup --tree`. Default facts tell memory, kernel and mounts, but no setting of the
kernel and no unit; `deploy/ansible/forestall.fact` adds those that decide most rules.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from forestall.audit.inputs.source import Seen
from forestall.clock import Clock
from forestall.errors import InputError
from forestall.model.facts import BlockDevice, HostFacts, MountFacts
from forestall.model.sample import HostSample
from forestall.units import MIB

LIST_LIMIT = 1000
TEXT_LIMIT = 16_384

_SYSTEMS = {
    "RedHat": "rhel",
    "CentOS": "centos",
    "OracleLinux": "ol",
    "SLES": "sles",
    "SLES_SAP": "sles_sap",
    "Amazon": "amzn",
    "Archlinux": "arch",
    "openSUSE Leap": "opensuse-leap",
}
"""Ansible's names of distributions that are not os-release's in other letters."""

_CONTAINERS = frozenset(
    ("container", "containerd", "docker", "kubernetes", "lxc", "openvz", "podman", "systemd-nspawn")
)


def read_fact_caches(paths: Iterable[str], clock: Clock) -> Iterator[Seen]:
    """Every host of the caches at `paths`."""
    from forestall.audit.inputs.facts import read_facts_files

    return read_facts_files(paths, clock)


def name_of(file_name: str, facts: HostFacts) -> str:
    """What the inventory calls the host: the file's name, unless that is `facts.json` or so."""
    name = file_name.removesuffix(".json").removeprefix("s1_")
    return facts.hostname if name in ("facts", "setup", "host-facts") else name


class _Facts:
    """One host's facts with or without their prefix, each value only of the type it should be."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        inner = document.get("ansible_facts")
        self._values = inner if isinstance(inner, dict) else document

    def get(self, name: str) -> Any:
        return self._values.get(f"ansible_{name}", self._values.get(name))

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return value[:TEXT_LIMIT] if isinstance(value, str) and value not in ("", "NA") else None

    def whole(self, name: str) -> int | None:
        return whole(self.get(name))

    def table(self, name: str) -> Mapping[str, Any]:
        value = self.get(name)
        return value if isinstance(value, dict) else {}

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        value = self.get(name)
        rows = value if isinstance(value, list) else []
        return [row for row in rows[:LIST_LIMIT] if isinstance(row, dict)]


def whole(value: Any) -> int | None:
    """A whole number that is not negative, or text of one; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else None


def facts_of(document: Mapping[str, Any], written_at: float) -> HostFacts:
    """The facts of one host, which are from `written_at` unless they say when.

    Raises InputError for a document that is not Ansible's.
    """
    facts = _Facts(document)
    hostname = facts.text("nodename") or facts.text("fqdn") or facts.text("hostname")
    told_at = whole(facts.table("date_time").get("epoch"))
    at = written_at if told_at is None else float(told_at)
    if hostname is None or facts.get("kernel") is None:
        raise InputError(
            "neither our facts nor Ansible's: no hostname and kernel in it",
            help="gather facts with setup first (`gather_subset: all` or the default)",
        )
    uptime = facts.whole("uptime_seconds")
    guest = facts.text("virtualization_role") == "guest"
    # Of Debian's 12.11, os-release counts the 12 alone.
    of_release = "distribution_major_version" if facts.text("distribution") == "Debian" else ""
    kind = facts.text("virtualization_type") if guest else None
    distribution = facts.text("distribution")
    unseen = {
        "units": "Ansible's facts tell no limits of units",
        "holders": "Ansible's facts tell no processes",
        "baseline": "Ansible's facts tell no hardening baseline",
        "extended_support": "Ansible's facts tell no paid support",
        "journal_runtime_max_bytes": "Ansible's facts tell no settings of the journal",
    }
    found = HostFacts(
        at=at,
        hostname=hostname,
        kernel_release=facts.text("kernel"),
        machine=facts.text("architecture") or facts.text("machine"),
        os_id=_SYSTEMS.get(distribution, distribution.lower()) if distribution else None,
        os_version_id=facts.text(of_release or "distribution_version"),
        os_name=_os_name(facts),
        booted_at=None if uptime is None or told_at is None else at - uptime,
        page_bytes=facts.whole("pagesize") or 4096,
        container=kind if kind in _CONTAINERS else None,
        virtualization=None if kind in _CONTAINERS else kind,
        memory=_memory(facts),
        swaps=() if facts.whole("swaptotal_mb") == 0 else None,
        unseen=unseen,
        origin="ansible",
        sources=dict(_SOURCES),
        cmdline=_cmdline(facts),
        mounts=_mounts(facts),
        block_devices=_devices(facts),
    )
    return _with_our_own(found, facts.table("local").get("forestall"))


_SOURCES = {
    "/memory/mem_total_bytes": "ansible_memtotal_mb",
    "/memory/mem_available_bytes": "ansible_memory_mb.nocache.free",
    "/memory/swap_total_bytes": "ansible_swaptotal_mb",
    "/memory/swap_free_bytes": "ansible_swapfree_mb",
    "/swaps": "ansible_swaptotal_mb",
    "/kernel_release": "ansible_kernel",
    "/os_id": "ansible_distribution",
    "/os_version_id": "ansible_distribution_version",
    "/booted_at": "ansible_uptime_seconds",
    "/cmdline": "ansible_cmdline",
    "/mounts": "ansible_mounts",
    "/block_devices": "ansible_devices",
}


def _os_name(facts: _Facts) -> str | None:
    parts = [facts.text("distribution"), facts.text("distribution_version")]
    return " ".join(part for part in parts if part) or None


def _memory(facts: _Facts) -> HostSample:
    """Ansible counts in MiB, rounded down; its `nocache.free` is about what MemAvailable says."""

    def size(value: int | None) -> int | None:
        return None if value is None else value * MIB

    nocache = facts.table("memory_mb").get("nocache")
    free = whole(nocache.get("free")) if isinstance(nocache, dict) else None
    return HostSample(
        mem_total_bytes=size(facts.whole("memtotal_mb")),
        mem_available_bytes=size(free),
        swap_total_bytes=size(facts.whole("swaptotal_mb")),
        swap_free_bytes=size(facts.whole("swapfree_mb")),
    )


def _cmdline(facts: _Facts) -> str | None:
    table = facts.table("proc_cmdline") or facts.table("cmdline")
    words = []
    for name, value in list(table.items())[:LIST_LIMIT]:
        for one in value if isinstance(value, list) else [value]:
            words.append(name if one is True else f"{name}={one}")
    return " ".join(words)[:TEXT_LIMIT] or None


def _mounts(facts: _Facts) -> tuple[MountFacts, ...] | None:
    if not isinstance(facts.get("mounts"), list):
        return None
    return tuple(
        MountFacts(
            device=row["device"],
            path=row["mount"],
            kind=row["fstype"],
            options=tuple(str(row.get("options") or "").split(",")[:LIST_LIMIT]),
            size_bytes=whole(row.get("size_total")),
            free_bytes=whole(row.get("size_available")),
        )
        for row in facts.rows("mounts")
        if all(isinstance(row.get(name), str) for name in ("device", "mount", "fstype"))
    )


def _devices(facts: _Facts) -> tuple[BlockDevice, ...] | None:
    """Disks and their partitions; Ansible tells the volumes on them by their mappers' names."""
    table = facts.table("devices")
    found = {}
    for disk, about in list(table.items())[:LIST_LIMIT]:
        if not isinstance(about, dict) or disk.startswith("dm-"):
            continue
        rotational = {"0": False, "1": True}.get(str(about.get("rotational")))
        parts = about.get("partitions")
        for name in [disk, *(parts if isinstance(parts, dict) else {})]:
            found[name] = BlockDevice(name=name, disks=(disk,), rotational=rotational)
    return tuple(found[name] for name in sorted(found)) if table else None


def _with_our_own(facts: HostFacts, fact: Any) -> HostFacts:
    """What deploy/ansible/forestall.fact adds: raw text of settings, by the path it was read at."""
    from dataclasses import replace

    if not isinstance(fact, dict):
        return facts
    files = {name: text.strip() for name, text in fact.items() if isinstance(text, str)}
    sysctls = {
        path.removeprefix("/proc/sys/").replace("/", "."): text[:TEXT_LIMIT]
        for path, text in list(files.items())[:LIST_LIMIT]
        if path.startswith("/proc/sys/")
    }
    loaded = files.get("/sys/kernel/kexec_crash_loaded")
    huge = re.search(r"\[(\w+)\]", files.get("/sys/kernel/mm/transparent_hugepage/enabled", ""))
    swaps = facts.swaps
    if "/proc/swaps" in files:
        from forestall.sense.procfs import parse_swaps

        try:
            swaps = parse_swaps(files["/proc/swaps"].encode())
        except InputError:
            swaps = facts.swaps
    return replace(
        facts,
        sysctls=sysctls,
        swaps=swaps,
        crash_kernel_loaded=None if loaded is None else loaded == "1",
        crash_kernel_bytes=whole(files.get("/sys/kernel/kexec_crash_size")),
        transparent_hugepage=huge[1] if huge else None,
        psi=None if "pressure" not in files else files["pressure"] == "yes",
        sources={**facts.sources, "/sysctls": "ansible_local.forestall"},
    )
