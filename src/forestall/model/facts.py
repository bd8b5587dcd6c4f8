"""What changes rarely on a host and decides what exhaustion means there.

`look`, the evidence bundle and the audit rules all read these facts, through the same readers.
None = this host, or this user's rights, cannot tell; `unseen` then says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forestall.model.sample import CgroupSample, HostSample, ProcessSample


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapDevice:
    """One line of /proc/swaps; `kind` is partition, file or zram."""

    name: str
    kind: str
    size_bytes: int
    used_bytes: int
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFacts:
    """One systemd service: its limits and what happens when it dies. No limit is None.

    `limit_known` tells an unlimited unit (True, limits None) from one that could not be asked.
    """

    name: str
    active: bool | None = None
    main_pid: int | None = None
    memory_max_bytes: int | None = None
    memory_high_bytes: int | None = None
    memory_current_bytes: int | None = None
    limit_known: bool = False
    restart: str | None = None
    oom_score_adjust: int | None = None
    oom_policy: str | None = None
    cgroup: str | None = None
    fragment_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderFacts:
    """A process that holds much memory, with what the OOM killer would see of it."""

    process: ProcessSample
    oom_score: int | None = None
    oom_score_adjust: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One host's facts at one time.

    `sysctls` holds the raw text of each readable one by dotted name. `guards` names the userspace
    OOM guards that run (earlyoom, systemd-oomd, ...); () = none seen, None = could not be seen.
    `databases` holds the main process of each database server, by the same rule. `container` and
    `virtualization` are None where there is no sign of one. `hugetlb_bytes` is reserved for huge
    pages and no use to anybody else; `zswap` = a compressed cache stands before the swap devices.
    `process_count` counts processes with memory of their own. Keys of `unseen` are field names.
    """

    SCHEMA = "forestall/host-facts/1"

    at: float
    hostname: str
    boot_id: str | None = None
    kernel_release: str | None = None
    machine: str | None = None
    os_id: str | None = None
    os_version_id: str | None = None
    os_name: str | None = None
    booted_at: float | None = None
    page_bytes: int = 4096
    container: str | None = None
    virtualization: str | None = None
    effective_uid: int | None = None
    memory: HostSample = field(default_factory=HostSample)
    swaps: tuple[SwapDevice, ...] | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    cgroup_version: int | None = None
    own_cgroups: tuple[CgroupSample, ...] = ()
    psi: bool | None = None
    crash_kernel_loaded: bool | None = None
    crash_kernel_bytes: int | None = None
    systemd_version: int | None = None
    units: tuple[UnitFacts, ...] | None = None
    holders: tuple[HolderFacts, ...] = ()
    process_count: int | None = None
    hidden_processes: bool | None = None
    unseen: Mapping[str, str] = field(default_factory=dict)
    guards: tuple[str, ...] | None = None
    databases: tuple[HolderFacts, ...] | None = None
    commit_limit_bytes: int | None = None
    committed_bytes: int | None = None
    hugetlb_bytes: int | None = None
    zswap: bool | None = None
