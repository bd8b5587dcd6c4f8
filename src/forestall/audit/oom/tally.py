"""Who holds the memory: the kernel's counters and its table of tasks, without counting twice.

A page that several processes map is in the RSS of each. What no counter names is a part of its
own: drivers, pipes, sockets, vmalloc, a hypervisor's balloon. Shares are of RAM plus swap in use,
or of what a cgroup uses.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from forestall.audit.oom.nouns import Constraint, Event, Kill, Pool, Task

HOLDERS_MAX = 16
# Below this share of the memory nobody is blamed; within this factor of the largest, all are.
BLAME_SHARE_MIN = 0.2
BLAME_FACTOR = 0.75
# Of every host some memory is in no counter: per-CPU areas, the kernel's own data, firmware.
UNNAMED_SHARE_USUAL = 0.08


class HolderKind(StrEnum):
    """Who or what holds memory; all but the first two are no process."""

    PROCESS = "process"
    PROCESSES = "processes"
    TMPFS = "tmpfs"
    SLAB = "slab"
    HUGE_PAGES = "huge-pages"
    HUGE_PAGES_USED = "huge-pages-in-use"
    PAGE_CACHE = "page-cache"
    PAGE_TABLES = "page-tables"
    SOCKETS = "sockets"
    KERNEL = "kernel"
    UNNAMED = "unnamed"
    UNLISTED = "unlisted-processes"

    @property
    def is_process(self) -> bool:
        """Whether killing it gives the memory back."""
        return self in (HolderKind.PROCESS, HolderKind.PROCESSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the memory; the parts of an event add up to its memory."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One holder. `bytes` counts shared pages once; `most_bytes` counts them in each process.

    `pid` and `oom_score_adjust` are of its largest process, of `count`. `share` is 0..1.
    `capped`: it has mapped more than the cgroup or node has, so some of it lies elsewhere.
    """

    kind: HolderKind
    name: str
    bytes: int
    share: float | None = None
    most_bytes: int | None = None
    swap_bytes: int | None = None
    page_table_bytes: int | None = None
    count: int = 1
    pid: int | None = None
    oom_score_adjust: int | None = None
    cgroup: str | None = None
    capped: bool = False

    def was_hit(self, kills: Iterable[Kill]) -> bool:
        """Whether one of the killed was it, or one of its processes."""
        if not self.kind.is_process:
            return False
        if self.count == 1:
            return any(kill.pid == self.pid for kill in kills)
        return any(kill.name == self.name for kill in kills)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Everything that could be counted. `complete`: holders that are no process are counted, too.

    `whole_bytes` None = how much memory there is was not said.
    """

    whole_bytes: int | None
    parts: tuple[Part, ...]
    holders: tuple[Holder, ...]
    complete: bool

    @property
    def blamed(self) -> tuple[Holder, ...]:
        """Who holds most, with those that hold about as much; none where nobody stands out."""
        if not self.holders:
            return ()
        top = self.holders[0]
        if top.share is None or top.share < BLAME_SHARE_MIN:
            return ()
        near = [one for one in self.holders if one.bytes >= BLAME_FACTOR * top.bytes]
        return tuple(near[:3])


def tally(event: Event) -> Tally:
    """Count one event."""
    tasks = _once(event.tasks) or _killed(event)
    if event.in_cgroup:
        return _of_cgroup(event, tasks)
    if event.constraint in (Constraint.CPUSET, Constraint.MEMORY_POLICY):
        return _of_nodes(event, tasks)
    return _of_host(event, tasks)


def ram_bytes(event: Event) -> int | None:
    """What the host's kernel manages: by its zones, else RAM less what is reserved."""
    managed = [zone.managed_bytes for zone in event.zones]
    whole = event.constraint in (None, Constraint.NONE)
    # The RAM is told after the zones: without it and all that follows, zones may be missing.
    cut = event.ram_pages is None and not (event.tasks or event.chosen or event.kills)
    if whole and managed and None not in managed and (not cut or event.panic):
        return sum(size for size in managed if size is not None)
    if event.ram_pages is None:
        return None
    return (event.ram_pages - (event.reserved_pages or 0)) * event.page_bytes


def table_is_whole(event: Event) -> bool:
    """Whether every row that the kernel printed is here: the line that follows them is, too."""
    if event.tasks_whole:
        return True
    followed = event.chosen or event.kills or event.panic or event.nothing_killable
    listed = {task.pid for task in event.tasks}
    if any(kill.pid not in listed and not kill.group for kill in event.kills[:1]):
        # The kernel chooses from what it lists, so rows are missing.
        return False
    return bool(event.tasks) and event.tasks_header and not event.tasks_short and bool(followed)


def _once(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """One row a thread group; old kernels and merged logs may hold more."""
    rows: dict[int, Task] = {}
    for task in tasks:
        kept = rows.get(task.tgid)
        if kept is None or task.held_bytes > kept.held_bytes:
            rows[task.tgid] = task
    return tuple(rows.values())


def _killed(event: Event) -> tuple[Task, ...]:
    """Without a table the line of the kill still says what the victim held."""
    return tuple(
        Task(
            pid=kill.pid,
            name=kill.name,
            tgid=kill.pid,
            uid=kill.uid or 0,
            total_vm_bytes=kill.total_vm_bytes or 0,
            rss_bytes=kill.anonymous_bytes + (kill.file_bytes or 0) + (kill.shmem_bytes or 0),
            anonymous_bytes=kill.anonymous_bytes,
            page_table_bytes=kill.page_table_bytes,
            oom_score_adjust=kill.oom_score_adjust,
        )
        for kill in event.kills
        if kill.anonymous_bytes is not None
    )


def _of_host(event: Event, tasks: tuple[Task, ...]) -> Tally:
    ram, counts, page = ram_bytes(event), event.counts, event.page_bytes
    slab_told = "slab_unreclaimable" in counts or "slab" in counts
    if ram is None or "active_anon" not in counts or not slab_told:
        return _of_tasks(event, tasks, None)

    def pages(*names: str) -> int:
        return sum(counts.get(name, 0) for name in names) * page

    shmem = pages("shmem")
    anonymous_list = pages("active_anon", "inactive_anon", "isolated_anon")
    parts = {
        "process memory (anonymous)": max(0, anonymous_list - shmem),
        "tmpfs and shared memory": shmem,
        "page cache": pages("active_file", "inactive_file", "isolated_file"),
        # Locked pages; those of a tmpfs that are locked are counted above already.
        "unevictable": max(0, pages("unevictable") - max(0, shmem - anonymous_list)),
        "slab, unreclaimable": pages("slab_unreclaimable"),
        "slab, reclaimable": pages("slab_reclaimable"),
        # Up to 2.6.30 in one.
        "slab": pages("slab"),
        "page tables": pages("pagetables", "sec_pagetables"),
        "kernel stacks": event.kernel_stack_bytes or 0,
        "huge pages": sum(huge.total * huge.size_bytes for huge in event.huge_pages),
        "free": pages("free", "free_pcp"),
    }
    unnamed = max(0, ram - sum(parts.values()))
    parts["named by no counter"] = unnamed
    whole = ram + (event.swap_used_bytes or 0)
    # No process can have mapped more of files and shared memory than all of them together.
    mapped = pages("mapped")
    sized = _Sized(
        shared_max=mapped if "mapped" in counts else None,
        anonymous=parts["process memory (anonymous)"] if table_is_whole(event) else None,
    )
    holders = _processes(tasks, sized)
    in_tables = sum(task.page_table_bytes or 0 for task in tasks)
    holders += [
        _unlisted(parts["process memory (anonymous)"], tasks),
        _kernel(HolderKind.TMPFS, "files in tmpfs, and shared memory", shmem - mapped),
        _kernel(HolderKind.SLAB, "unreclaimable slab", pages("slab_unreclaimable")),
        _kernel(HolderKind.PAGE_CACHE, "page cache", parts["page cache"]),
        _kernel(
            HolderKind.PAGE_TABLES,
            "page tables of unlisted processes",
            pages("pagetables") - in_tables,
        ),
        _kernel(HolderKind.HUGE_PAGES, "huge pages that nobody uses", _idle_huge(event)),
        _kernel(
            HolderKind.UNNAMED,
            "memory that no counter names",
            unnamed if unnamed > ram * UNNAMED_SHARE_USUAL else 0,
        ),
    ]
    used = parts["huge pages"] - _idle_huge(event)
    holders.append(_kernel(HolderKind.HUGE_PAGES_USED, "huge pages in use", used))
    return _result(whole, parts, holders, complete=True)


def _idle_huge(event: Event) -> int:
    return sum(huge.free * huge.size_bytes for huge in event.huge_pages)


def _of_nodes(event: Event, tasks: tuple[Task, ...]) -> Tally:
    """The counters are of the whole host, and say nothing of some of its nodes."""
    managed = [zone.managed_bytes for zone in event.zones if zone.managed_bytes is not None]
    return _of_tasks(event, tasks, sum(managed) or None)


def _of_tasks(event: Event, tasks: tuple[Task, ...], whole: int | None) -> Tally:
    mapped = event.counts.get("mapped")
    shared = None if mapped is None else mapped * event.page_bytes
    holders = _processes(tasks, _Sized(shared_max=shared))
    return _result(whole, {}, holders, complete=False)


def _of_cgroup(event: Event, tasks: tuple[Task, ...]) -> Tally:
    pool = event.pool or Pool()
    gauge = pool.gauges.get("memory")
    if gauge is None or not pool.stats:
        return _of_tasks(event, tasks, gauge.usage_bytes if gauge else None)
    parts = cgroup_parts(pool)
    parts["named by no counter"] = max(0, gauge.usage_bytes - sum(parts.values()))
    stats = hierarchical(pool.stats)
    mapped = stats.get("file_mapped", stats.get("mapped_file"))
    anonymous = parts["process memory (anonymous)"]
    sized = _Sized(shared_max=mapped, anonymous=anonymous if table_is_whole(event) else None)
    holders = _processes(tasks, sized)
    shmem = parts["tmpfs and shared memory"]
    holders += [
        _unlisted(anonymous, tasks),
        _kernel(HolderKind.TMPFS, "files in tmpfs, and shared memory", shmem - (mapped or 0)),
        _kernel(HolderKind.PAGE_CACHE, "page cache", parts["page cache"]),
        _kernel(HolderKind.SLAB, "slab of the kernel", parts["slab"]),
        _kernel(HolderKind.SOCKETS, "buffers of sockets", parts["sockets"]),
        _kernel(HolderKind.KERNEL, "other memory of the kernel", parts["other kernel memory"]),
        # Where nothing follows, the rest of the counters may be cut off.
        _kernel(
            HolderKind.UNNAMED,
            "memory that no counter names",
            parts["named by no counter"] if _goes_on(event) else 0,
        ),
    ]
    swapped = stats.get("swap", 0)
    if "swap" in pool.gauges:
        swapped = pool.gauges["swap"].usage_bytes
    whole = gauge.usage_bytes + swapped
    return _result(whole, parts, holders, complete=True)


def _goes_on(event: Event) -> bool:
    """Whether a cgroup's report has lines behind its statistics."""
    ended = event.chosen or event.kills or event.panic or event.nothing_killable
    return bool(event.tasks_header or event.tasks or ended)


def hierarchical(stats: Mapping[str, int]) -> Mapping[str, int]:
    """With what is below the cgroup: v1 has it as `total_...`, beside what is its own (5.0 on)."""
    totals = {
        name.removeprefix("total_"): size
        for name, size in stats.items()
        if name.startswith("total_")
    }
    return totals if "rss" in totals else stats


def cgroup_parts(pool: Pool) -> dict[str, int]:
    """Where the memory of a cgroup is, from memory.stat of v2 or the one-line form of v1."""
    stats = hierarchical(pool.stats)
    if "anon" in stats:
        shmem = stats.get("shmem", 0)
        slab = stats.get("slab", stats.get("slab_unreclaimable", 0))
        tables = stats.get("pagetables", 0) + stats.get("sec_pagetables", 0)
        named = slab + tables
        rest = sum(stats.get(name, 0) for name in ("kernel_stack", "percpu", "vmalloc"))
        kernel = max(0, stats["kernel"] - named) if "kernel" in stats else rest
        anonymous, cache = stats["anon"], max(0, stats.get("file", 0) - shmem)
        return {
            "process memory (anonymous)": anonymous,
            "tmpfs and shared memory": shmem,
            "page cache": cache,
            "slab": slab,
            "page tables": tables,
            "sockets": stats.get("sock", 0),
            "other kernel memory": kernel,
        }
    anonymous = stats.get("rss", 0)
    listed = stats.get("active_anon", 0) + stats.get("inactive_anon", 0)
    # Shared memory lies in the lists of anonymous pages and counts as cache.
    shmem = stats.get("shmem", max(0, min(stats.get("cache", 0), listed - anonymous)))
    kmem = pool.gauges.get("kmem")
    return {
        "process memory (anonymous)": anonymous,
        "tmpfs and shared memory": shmem,
        "page cache": max(0, stats.get("cache", 0) - shmem),
        "slab": 0,
        "page tables": 0,
        "sockets": 0,
        "other kernel memory": kmem.usage_bytes if kmem else 0,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sized:
    """What bounds how much of the RSS is shared; None = not known."""

    shared_max: int | None
    anonymous: int | None = None


def _processes(tasks: tuple[Task, ...], sized: _Sized) -> list[Holder]:
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.name, []).append(task)
    resident = sum(task.rss_bytes for task in tasks)
    found = []
    for name, members in groups.items():
        one = _group(name, members, resident, sized)
        largest = max(members, key=lambda task: task.held_bytes)
        if len(members) > 1 and _private(largest, members, sized) >= BLAME_FACTOR * one.bytes:
            # Two java need not have to do with each other; what one of them holds is its own.
            rest = [task for task in members if task is not largest]
            found += [_group(name, part, resident, sized) for part in ([largest], rest)]
        else:
            found.append(one)
    return found


def _private(task: Task, members: list[Task], sized: _Sized) -> int:
    """What a process shares with nobody, at least; swap and page tables are its own."""
    private = task.anonymous_bytes
    if private is None:
        shared = max(one.rss_bytes for one in members)
        if sized.shared_max is not None:
            shared = min(sized.shared_max, shared)
        private = max(0, task.rss_bytes - shared)
    return private + task.held_bytes - task.rss_bytes


def _group(name: str, members: list[Task], resident: int, sized: _Sized) -> Holder:
    """Processes of one name: their private pages, and what they share once."""
    own = sum(task.rss_bytes for task in members)
    largest = max(members, key=lambda task: task.held_bytes)
    if all(task.anonymous_bytes is not None for task in members):
        private = sum(task.anonymous_bytes or 0 for task in members)
        shared = max(task.rss_bytes - (task.anonymous_bytes or 0) for task in members)
    else:
        most = max(task.rss_bytes for task in members)
        shared = most if sized.shared_max is None else min(sized.shared_max, most)
        private = sum(max(0, task.rss_bytes - shared) for task in members)
        if sized.anonymous is not None:
            # All anonymous pages belong to someone; the others hold no more than their RSS.
            private = max(private, sized.anonymous - (resident - own))
    swap = sum(task.swap_bytes or 0 for task in members)
    tables = sum(task.page_table_bytes or 0 for task in members)
    held = min(own, private + shared) + swap + tables
    most_held = own + swap + tables
    known = any(task.swap_bytes is not None for task in members)
    return Holder(
        kind=HolderKind.PROCESS if len(members) == 1 else HolderKind.PROCESSES,
        name=name,
        bytes=held,
        most_bytes=most_held if most_held > held else None,
        swap_bytes=swap if known else None,
        page_table_bytes=tables or None,
        count=len(members),
        pid=largest.pid,
        oom_score_adjust=largest.oom_score_adjust,
        cgroup=largest.cgroup,
    )


def _unlisted(anonymous: int, tasks: tuple[Task, ...]) -> Holder:
    """Anonymous memory belongs to processes; what those in the table cannot hold, others do.

    Their rows were cut or never printed, or they are about to die and have no row any more.
    """
    listed = sum(
        task.rss_bytes if task.anonymous_bytes is None else task.anonymous_bytes for task in tasks
    )
    name = "processes not in the table"
    return _kernel(HolderKind.UNLISTED, name, anonymous - listed)


def _kernel(kind: HolderKind, name: str, size: int) -> Holder:
    return Holder(kind=kind, name=name, bytes=max(0, size))


def _result(
    whole: int | None, parts: dict[str, int], holders: list[Holder], *, complete: bool
) -> Tally:
    ranked = sorted(holders, key=lambda one: (-one.bytes, one.name))
    if whole:
        # In a cgroup or on a node, a process may have mapped more than is counted there.
        ranked = [
            dataclasses.replace(
                one,
                bytes=min(one.bytes, whole),
                share=min(1.0, one.bytes / whole),
                capped=one.bytes > whole,
            )
            for one in ranked
        ]
    return Tally(
        whole_bytes=whole,
        parts=tuple(Part(name=name, bytes=size) for name, size in parts.items() if size > 0),
        holders=tuple(one for one in ranked if one.bytes > 0)[:HOLDERS_MAX],
        complete=complete,
    )
