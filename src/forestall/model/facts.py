"""What changes rarely on a host and decides what exhaustion means there.

`look`, the evidence bundle and the audit rules all read these facts, through the same readers.
None = this host, or this user's rights, cannot tell; `unseen` then says why. An empty tuple was
looked for and is not there. A field that has a value and a reason in `unseen` is not whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forestall.model.codec import SIGNED
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
    """One systemd service or slice: its limits and what happens when it dies. No limit is None.

    `limit_known` tells an unlimited unit (True, limits None) from one that could not be asked;
    `swap_max_bytes` is None too where systemd has no such property. `cores_allowed` is False for
    a soft limit of 0: LimitCORE=0, or the default of RHEL 8 and later. `oom_adjust_children` is
    the PG_OOM_ADJUST_VALUE of the unit's environment, which PostgreSQL gives its sessions: 0 where
    only PG_OOM_ADJUST_FILE is named, None where that is not. `start_limit_burst` 0, or an interval
    of 0 = started again without end. `service_type` is Type=: a oneshot is a job that ends.
    `triggered` = a timer, a socket or a path starts it, None = not told.
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
    swap_max_bytes: int | None = None
    slice: str | None = None
    restart_seconds: float | None = None
    restart_count: int | None = None
    start_limit_burst: int | None = None
    start_limit_interval_seconds: float | None = None
    task_count: int | None = None
    cores_allowed: bool | None = None
    oom_adjust_children: int | None = None
    service_type: str | None = None
    triggered: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderFacts:
    """A process that holds much memory, with what the OOM killer would see of it."""

    process: ProcessSample
    oom_score: int | None = None
    oom_score_adjust: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFacts:
    """One mounted file system; sizes are None where they were not asked for (network, hidden)."""

    device: str
    path: str
    kind: str
    options: tuple[str, ...] = ()
    size_bytes: int | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDevice:
    """One block device by its name below /sys/class/block; `disks` are the whole disks under it.

    `aliases` are the other paths that this host's mounts, swaps and fstab call it by. A file
    system or swap lies on it where `answers_to` its device.
    """

    name: str
    disks: tuple[str, ...] = ()
    rotational: bool | None = None
    aliases: tuple[str, ...] = ()

    def answers_to(self, path: str) -> bool:
        """Whether `path` (/dev/dm-1, /dev/mapper/vg-swap) is this device."""
        return path == f"/dev/{self.name}" or path in self.aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class KdumpFacts:
    """Where a kernel dump goes: kdump.conf(5), or kdump-tools of Debian.

    `target` is the line's own word (ssh, nfs, raw, ext4, xfs, ...), None = the root file system's
    `path`; `filtered` = makedumpfile leaves out what no one needs (-d 31 or the like).
    """

    target: str | None = None
    address: str | None = None
    path: str | None = None
    filtered: bool | None = None
    final_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoredumpFacts:
    """systemd-coredump's settings after its drop-ins, coredump.conf(5); None = its default."""

    storage: str | None = None
    process_size_max_bytes: int | None = None
    external_size_max_bytes: int | None = None
    max_use_bytes: int | None = None
    keep_free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresFacts:
    """One PostgreSQL server's settings, as its files say them; None = not set there.

    `complete` is False where an included file, or the override file, could not be read.
    """

    data_directory: str | None = None
    config_path: str | None = None
    shared_buffers_bytes: int | None = None
    work_mem_bytes: int | None = None
    maintenance_work_mem_bytes: int | None = None
    autovacuum_work_mem_bytes: int | None = field(default=None, metadata=SIGNED)
    max_connections: int | None = None
    autovacuum_max_workers: int | None = None
    huge_pages: str | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLimit:
    """One line of limits.conf(5): `domain` is a user, @group or *; `kind` is soft, hard or -."""

    domain: str
    kind: str
    item: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One host's facts at one time.

    `sysctls` holds the raw text of each readable one by dotted name. `guards` names the userspace
    OOM guards that run (earlyoom, systemd-oomd, ...); () = none seen, None = could not be seen.
    `databases` holds the main process of each database server, by the same rule. `container` and
    `virtualization` are None where there is no sign of one. `hugetlb_bytes` is reserved for huge
    pages and no use to anybody else; `zswap` = a compressed cache stands before the swap devices.
    `process_count` counts processes with memory of their own. Keys of `unseen` are field names.

    `origin` says how these facts came: local, ssh, sosreport, prometheus, ansible, osquery, facts.
    `sources` maps a pointer (RFC 6901) into this document to where that value was read, where it
    is not the place the field is usually read from. `installed_kernels` are release strings as
    `uname -r` would give them, rescue images and debug flavours among them; `livepatches` names
    the enabled ones, `effective_release` is the release they are said to amount to (KernelCare).
    `modules` are the loaded ones. `fstab_swaps` are the devices or files that /etc/fstab, a swap
    unit or the zram generator would turn on at boot. `baseline` is the hardening profile that the
    host was installed or is scanned with (stig, cis, ospp, ...). `extended_support` names a paid
    extension of maintenance that the host itself shows. `monitors` are the running exporters and
    agents by name. `kubernetes` = a kubelet runs here. `scraped_at` is the newest sample that a
    Prometheus has of the host, `memory_alerts` the alert rules there that watch its memory, by
    name; `gated_services` are the services that have a leak test's record.
    `anonymous_growth_bytes_per_second` is what anonymous memory grew by over
    `growth_window_seconds`, both from a history. `hugepages_reserved` are promised to a program
    that has not touched them yet; they are among `hugepages_free` (HugePages_Rsvd).
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
    origin: str = "local"
    sources: Mapping[str, str] = field(default_factory=dict)
    cmdline: str | None = None
    modules: tuple[str, ...] | None = None
    installed_kernels: tuple[str, ...] | None = None
    livepatches: tuple[str, ...] | None = None
    effective_release: str | None = None
    transparent_hugepage: str | None = None
    hugepages_total: int | None = None
    hugepages_free: int | None = None
    hugepage_bytes: int | None = None
    numa_node_count: int | None = None
    fstab_swaps: tuple[str, ...] | None = None
    mounts: tuple[MountFacts, ...] | None = None
    block_devices: tuple[BlockDevice, ...] | None = None
    kdump: KdumpFacts | None = None
    coredump: CoredumpFacts | None = None
    postgres: tuple[PostgresFacts, ...] | None = None
    slices: tuple[UnitFacts, ...] | None = None
    user_limits: tuple[UserLimit, ...] | None = None
    journal_runtime_max_bytes: int | None = None
    cgroup_hybrid: bool | None = None
    baseline: str | None = None
    extended_support: str | None = None
    kubernetes: bool | None = None
    monitors: tuple[str, ...] | None = None
    scraped_at: float | None = None
    memory_alerts: tuple[str, ...] | None = None
    gated_services: tuple[str, ...] | None = None
    anonymous_growth_bytes_per_second: float | None = None
    growth_window_seconds: float | None = None
    hugepages_reserved: int | None = None
