"""What the kernel says when memory has run out, as values. Bytes and seconds only.

`None` = the log does not say. A page is `page_bytes` of the event, which the log itself tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What an event is: an OOM kill (or what was to be one), a refused allocation, a panic.

    KILL_LINE: only the line of the kill is there. SNAPSHOT: a dump of memory of another moment.
    """

    OOM = "oom"
    ALLOCATION_FAILURE = "allocation-failure"
    PANIC = "panic"
    KILL_LINE = "kill-line"
    SNAPSHOT = "snapshot"


class Constraint(StrEnum):
    """Whose memory ran out, by the kernel's own word (enum oom_constraint, include/linux/oom.h)."""

    NONE = "none"
    CPUSET = "cpuset"
    MEMORY_POLICY = "memory-policy"
    MEMCG = "memcg"


class Scope(StrEnum):
    """Whose memory it was, as far as the log tells."""

    HOST = "host"
    NODES = "nodes"
    CGROUP = "cgroup"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row of the kernel's table of tasks. It prints one row for each thread group.

    `rss_bytes` counts shared pages in every process that maps them; `anonymous_bytes` (6.x only)
    does not.
    """

    pid: int
    name: str
    tgid: int
    uid: int
    total_vm_bytes: int
    rss_bytes: int
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None
    page_table_bytes: int | None = None
    swap_bytes: int | None = None
    oom_score_adjust: int | None = None
    cgroup: str | None = None

    @property
    def held_bytes(self) -> int:
        """What the OOM killer counts: resident, swapped out, and page tables."""
        return self.rss_bytes + (self.swap_bytes or 0) + (self.page_table_bytes or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One zone and its watermarks. `reserve_pages` is lowmem_reserve, by the zone of the request.

    `free_blocks` are (bytes of a block, how many) of the free lists.
    """

    name: str
    node: int | None
    free_bytes: int
    min_bytes: int | None = None
    low_bytes: int | None = None
    high_bytes: int | None = None
    managed_bytes: int | None = None
    present_bytes: int | None = None
    cma_bytes: int = 0
    highatomic_bytes: int = 0
    unreclaimable: bool | None = None
    reserve_pages: tuple[int, ...] = ()
    free_blocks: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HugePages:
    """Huge pages of one size on one node."""

    node: int | None
    size_bytes: int
    total: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """One slab cache."""

    name: str
    used_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A counter of a memory cgroup against its limit; `limit_bytes` None = no limit."""

    usage_bytes: int
    limit_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The memory cgroup whose limit was reached. `gauges` by the kernel's word: memory, swap...

    `stats` in bytes, by the names of memory.stat (v2) or of the older one-line form (v1).
    """

    path: str | None = None
    gauges: Mapping[str, Gauge] = field(default_factory=dict)
    stats: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A process that the kernel killed, and what it held by that line."""

    pid: int
    name: str
    line: int
    score: int | None = None
    total_vm_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None
    page_table_bytes: int | None = None
    uid: int | None = None
    oom_score_adjust: int | None = None
    group: bool = False
    reaped: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panic:
    """The kernel's last words. `later_seconds`: how long after the report of memory it came."""

    why: str
    line: int
    later_seconds: float | None = None
    waiting: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One time that memory ran out, as the log tells it. `host` is whose log it is, where a log has
    several; `head_lost` says why the first lines of the report are missing, if they are.

    `counts` are the kernel's global counters in pages (Mem-Info), by the kernel's names.
    `host_wide`: by the kernel's words it was no cgroup.
    `invoker` asked for memory when none was left; that says nothing of who holds it.
    """

    kind: Kind
    line: int
    last_line: int
    host: str | None = None
    head_lost: str | None = None
    at: str | None = None
    seconds: float | None = None
    invoker: str | None = None
    invoker_pid: int | None = None
    gfp_mask: int | None = None
    gfp_names: str | None = None
    order: int | None = None
    kernel: str | None = None
    page_bytes: int = 4096
    page_known: bool = False
    constraint: Constraint | None = None
    host_wide: bool = False
    nodemask: str | None = None
    cpuset: str | None = None
    mems_allowed: str | None = None
    limit_cgroup: str | None = None
    victim_cgroup: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    zones: tuple[Zone, ...] = ()
    kernel_stack_bytes: int | None = None
    huge_pages: tuple[HugePages, ...] = ()
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    ram_pages: int | None = None
    reserved_pages: int | None = None
    pool: Pool | None = None
    caches: tuple[Cache, ...] = ()
    tasks: tuple[Task, ...] = ()
    tasks_header: bool = False
    tasks_short: int = 0
    tasks_whole: bool = False
    kills: tuple[Kill, ...] = ()
    chosen: Kill | None = None
    kills_who_asks: bool = False
    nothing_killable: bool = False
    by_hand: bool = False
    panic: Panic | None = None
    lost: tuple[str, ...] = ()
    cut: bool = False

    @property
    def swap_used_bytes(self) -> int | None:
        """What of the swap is taken."""
        if self.swap_total_bytes is None or self.swap_free_bytes is None:
            return None
        return max(0, self.swap_total_bytes - self.swap_free_bytes)

    @property
    def scope(self) -> Scope:
        """By the constraint, or by words and lines that only such a report has."""
        if self.constraint is Constraint.MEMCG:
            return Scope.CGROUP
        if self.constraint in (Constraint.CPUSET, Constraint.MEMORY_POLICY):
            return Scope.NODES
        told = self.constraint is Constraint.NONE or self.host_wide or self.by_hand
        if told or self.zones or self.counts or self.kind in (Kind.ALLOCATION_FAILURE, Kind.PANIC):
            return Scope.HOST
        return Scope.UNKNOWN

    @property
    def cgroup(self) -> str | None:
        """The cgroup whose limit was reached, where the log names it."""
        return self.limit_cgroup or (self.pool.path if self.pool else None)

    @property
    def in_cgroup(self) -> bool:
        """Whether a memory cgroup's limit was reached, and not the host's end."""
        return self.scope is Scope.CGROUP
