"""One event while it is being read: lines in, an Event out, once the page size is known.

The kernel prints pages in one place and kB in another; both are kept until the event is whole.
"""

import math
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

from forestall.audit.oom.nouns import (
    Cache,
    Event,
    Gauge,
    HugePages,
    Kill,
    Kind,
    Panic,
    Pool,
    Task,
    Zone,
)
from forestall.audit.oom.prefix import Said
from forestall.units import KIB

TASKS_MAX = 65_536
ZONES_MAX = 4_096
CACHES_MAX = 1_024
KILLS_MAX = 1_024
STATS_MAX = 256
ROWS_MIN = 3
# How many processes' page tables tell the size of a page.
TABLES_MIN = 4
PAGE_SIZES = tuple(size * KIB for size in (4, 8, 16, 32, 64, 256))
# Releases of kernels that have no pages but of 4 KiB.
X86 = ("x86_64", "amd64", "i686", "i586", "i386", "686-pae")
# page_counter's "no limit" is the largest count of pages, printed in kB: some 8 EiB.
UNLIMITED_KIB = 1 << 52

# A row without its header still has these; what stands between them differs by kernel.
COLUMNS_ALWAYS = ("uid", "tgid", "total_vm", "rss")


class Section(Enum):
    """The part of the report whose rows come now: statistics of a cgroup, or slab caches."""

    NONE = auto()
    STATS = auto()
    SLAB = auto()


class Stage(IntEnum):
    """The order in which the kernel prints the parts of a report. ANY = may stand anywhere."""

    ANY = 0
    LIMIT = 1
    MEMORY = 2
    SLAB = 3
    TABLE = 4
    SUMMARY = 5
    CHOSEN = 6
    KILLED = 7
    AFTER = 8


@dataclass(slots=True, kw_only=True)
class RawTask:
    """A row as it was printed, in pages, except what its column calls bytes."""

    pid: int
    name: str
    numbers: dict[str, int]


@dataclass(slots=True, kw_only=True)
class Draft:
    """What of an event was read so far. `stage` is the furthest; `titles` are the lines that stand
    once in a report, of those that were read. `head_lost` says why it has no first line.
    """

    kind: Kind
    first: Said
    last_line: int
    stage: Stage = Stage.ANY
    titles: set[str] = field(default_factory=set)
    head_lost: str | None = None
    kernel: str | None = None
    facts: dict[str, object] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    zones: dict[tuple[int | None, str], Zone] = field(default_factory=dict)
    last_zone: tuple[int | None, str] | None = None
    huge: list[HugePages] = field(default_factory=list)
    kernel_stack: int | None = None
    block_bytes: int | None = None
    pool_path: str | None = None
    gauges: dict[str, Gauge] = field(default_factory=dict)
    stats: dict[str, int] = field(default_factory=dict)
    section: Section = Section.NONE
    caches: list[Cache] = field(default_factory=list)
    columns: tuple[str, ...] | None = None
    tasks: list[RawTask] = field(default_factory=list)
    tasks_short: int = 0
    kills: list[Kill] = field(default_factory=list)
    chosen: Kill | None = None
    group: bool = False
    panic: Panic | None = None
    lost: list[str] = field(default_factory=list)
    idle: int = 0

    @property
    def told(self) -> bool:
        """Whether it is known how it ended."""
        return bool(self.kills or self.panic or self.facts.get("nothing_killable"))

    @property
    def says_something(self) -> bool:
        """Whether more was read than a title, or a row or two that other programs print, too."""
        rest = (self.facts, self.zones, self.gauges, self.stats, self.pool_path, self.huge)
        named = (self.columns, self.chosen, self.kills, self.panic)
        rows = max(len(self.counts), len(self.tasks))
        return rows >= ROWS_MIN or any(rest) or any(named)

    def _kind(self) -> Kind:
        report = (self.zones, self.counts, self.gauges, self.stats, self.tasks, self.columns)
        limited = "limit_cgroup" in self.facts and "cpuset" not in self.facts
        if self.head_lost and not (any(report) or limited):
            return Kind.KILL_LINE
        return self.kind

    def finish(self, *, cut: bool) -> Event:
        """The event, in bytes."""
        page, known = self._page_bytes()
        limit = str(self.facts.get("limit_cgroup", ""))
        if limit.strip("/") and (self.pool_path or "").startswith(limit):
            # A terminal broke the longer line that names it first.
            self.facts["limit_cgroup"] = self.pool_path
        pool = None
        if self.pool_path is not None or self.gauges or self.stats:
            pool = Pool(path=self.pool_path, gauges=self.gauges, stats=self.stats)
        return Event(
            kind=self._kind(),
            line=self.first.number,
            host=self.first.host,
            head_lost=self.head_lost,
            last_line=self.last_line,
            at=self.first.at,
            seconds=self.first.seconds,
            kernel=self.kernel,
            page_bytes=page,
            page_known=known,
            counts=self.counts,
            zones=tuple(self.zones.values()),
            kernel_stack_bytes=self.kernel_stack,
            huge_pages=tuple(self.huge),
            pool=pool,
            caches=tuple(self.caches),
            tasks=tuple(_task(raw, page) for raw in self.tasks),
            tasks_header=self.columns is not None,
            tasks_short=self.tasks_short,
            kills=tuple(self.kills),
            chosen=self.chosen,
            panic=self.panic,
            lost=tuple(self.lost),
            cut=cut,
            **self.facts,  # type: ignore[arg-type]
        )

    def _page_bytes(self) -> tuple[int, bool]:
        """The size of a page, and whether the log tells it: by a free list, or by free pages."""
        if self.block_bytes in PAGE_SIZES:
            return self.block_bytes, True
        if self.kernel is not None and self.kernel.endswith(X86):
            return PAGE_SIZES[0], True
        pages = self.counts.get("free")
        free = sum(zone.free_bytes for zone in self.zones.values())
        for size in PAGE_SIZES:
            if pages and free and abs(free - pages * size) <= free // 8:
                return size, True
        for kill in self.kills:
            # The line of a kill has in kB what the table has in pages.
            for raw in self.tasks:
                pages = raw.numbers["total_vm"]
                if raw.pid == kill.pid and pages and kill.total_vm_bytes:
                    size = kill.total_vm_bytes // pages
                    if size in PAGE_SIZES:
                        return size, True
        # Page tables are whole pages; 64-bit Power alone has smaller ones, of less than 4 KiB.
        tables = [raw.numbers.get("pgtables_bytes", 0) for raw in self.tasks]
        smallest = math.gcd(*tables) if sum(map(bool, tables)) >= TABLES_MIN else 0
        return PAGE_SIZES[0], smallest == PAGE_SIZES[0]


def _task(raw: RawTask, page: int) -> Task:
    numbers = raw.numbers

    def pages(*names: str) -> int | None:
        found = [numbers[name] for name in names if name in numbers]
        return sum(found) * page if found else None

    tables = numbers.get("pgtables_bytes")
    return Task(
        pid=raw.pid,
        name=raw.name,
        tgid=numbers["tgid"],
        uid=numbers["uid"],
        total_vm_bytes=numbers["total_vm"] * page,
        rss_bytes=numbers["rss"] * page,
        anonymous_bytes=pages("rss_anon"),
        file_bytes=pages("rss_file"),
        shmem_bytes=pages("rss_shmem"),
        page_table_bytes=pages("nr_ptes", "nr_pmds", "nr_puds") if tables is None else tables,
        swap_bytes=pages("swapents"),
        oom_score_adjust=numbers.get("oom_score_adj"),
    )
