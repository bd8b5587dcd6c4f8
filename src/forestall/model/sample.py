"""One tick of a host as it was read: bytes and seconds only.

None = this host cannot tell, never 0.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessKey:
    """What makes a process itself: pids are reused, (boot, pid, start time) is not."""

    boot_id: str
    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """One PSI file: share of time stalled in percent, and total seconds stalled."""

    some_avg10: float
    some_avg60: float
    some_total_seconds: float
    full_avg10: float | None = None
    full_avg60: float | None = None
    full_total_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSample:
    """One process. The fields after `rss_bytes` come from slower tiers and may be older."""

    key: ProcessKey
    name: str
    rss_bytes: int
    anon_bytes: int | None = None
    swap_bytes: int | None = None
    cgroup: str | None = None
    unit: str | None = None
    uid: int | None = None
    cpu_seconds: float | None = None
    thread_count: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None

    @property
    def memory_bytes(self) -> int:
        """What the process alone keeps from others: anonymous memory plus swap, else RSS."""
        if self.anon_bytes is None:
            return self.rss_bytes
        return self.anon_bytes + (self.swap_bytes or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupSample:
    """Memory of one cgroup, v1 or v2. No limit is None, as is what this version does not tell.

    `file_bytes` is the page cache that the kernel can take back; tmpfs is not in it.
    """

    path: str
    current_bytes: int | None = None
    max_bytes: int | None = None
    high_bytes: int | None = None
    anon_bytes: int | None = None
    file_bytes: int | None = None
    swap_bytes: int | None = None
    oom_kill_count: int | None = None
    pressure: Pressure | None = None
    swap_max_bytes: int | None = None

    @property
    def headroom_bytes(self) -> int | None:
        """What is left below the limit once the page cache is dropped; None without a limit."""
        if self.max_bytes is None or self.current_bytes is None:
            return None
        held = max(0, self.current_bytes - (self.file_bytes or 0))
        return max(0, self.max_bytes - held)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """Memory of the host from meminfo, vmstat and pressure."""

    mem_total_bytes: int | None = None
    mem_available_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    anon_bytes: int | None = None
    slab_unreclaimable_bytes: int | None = None
    major_fault_count: int | None = None
    swap_in_count: int | None = None
    swap_out_count: int | None = None
    oom_kill_count: int | None = None
    pressure: Pressure | None = None

    @property
    def headroom_bytes(self) -> int | None:
        """What is left before the kernel must act: MemAvailable plus free swap."""
        if self.mem_available_bytes is None:
            return None
        return self.mem_available_bytes + (self.swap_free_bytes or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One tick: `at` in seconds since the epoch, `monotonic` in seconds for differences."""

    SCHEMA = "forestall/sample/1"

    at: float
    monotonic: float
    boot_id: str
    host: HostSample
    cgroups: tuple[CgroupSample, ...] = ()
    processes: tuple[ProcessSample, ...] = ()
