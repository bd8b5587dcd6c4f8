"""A kernel that reports an OOM in the words of its generation, with numbers that add up.

The formats follow mm/oom_kill.c, mm/page_alloc.c (mm/show_mem.c) and mm/memcontrol.c of each
generation. Every page of the machine belongs to exactly one part, so a test knows who holds what.
"""

import json
from dataclasses import dataclass, field, replace

ERAS = ("2.6.32", "3.10", "4.18", "5.14", "6.8")
RELEASES = {
    "2.6.32": "2.6.32-754.el6.x86_64",
    "3.10": "3.10.0-957.el7.x86_64",
    "4.18": "4.18.0-372.9.1.el8.x86_64",
    "5.14": "5.14.0-427.13.1.el9_4.x86_64",
    "6.8": "6.8.0-31-generic",
}
GFP = {
    "2.6.32": "0x280da",
    "3.10": "0x280da",
    "4.18": "0x6280ca(GFP_HIGHUSER_MOVABLE|__GFP_ZERO)",
    "5.14": "0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)",
    "6.8": "0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)",
}


@dataclass(frozen=True)
class Proc:
    """A process; sizes in pages. `shmem` are pages of the one shared segment it has touched."""

    pid: int
    name: str
    anon: int
    file: int = 200
    shmem: int = 0
    swap: int = 0
    adjust: int = 0
    uid: int = 1000

    @property
    def rss(self) -> int:
        return self.anon + self.file + self.shmem

    @property
    def tables(self) -> int:
        """Pages of page tables."""
        return 8 + (self.rss + self.swap) // 512

    @property
    def total_vm(self) -> int:
        return self.rss + self.swap + 5000

    @property
    def points(self) -> int:
        return self.rss + self.swap + self.tables


@dataclass(frozen=True)
class Machine:
    """A machine at the moment its memory is gone; sizes in pages unless named otherwise.

    `zones` are (node, name, managed). What no part claims is memory that no counter names.
    """

    era: str
    zones: tuple[tuple[int, str, int], ...]
    procs: tuple[Proc, ...]
    page_kib: int = 4
    shared: int = 0
    tmpfs: int = 0
    cache: int = 500
    dirty: int = 0
    slab: int = 20_000
    slab_reclaimable: int = 10_000
    huge_total: int = 0
    huge_free: int = 0
    swap_total: int = 0
    swap_free: int = 0
    caches: tuple[tuple[str, int], ...] = ()
    invoker: str = "postgres"
    gfp: str | None = None
    order: int = 0
    release: str | None = None
    tasks_shown: bool = True
    free: dict[int, int] = field(default_factory=dict)
    min_pages: int = 4_000

    @property
    def managed(self) -> int:
        return sum(size for _, _, size in self.zones)

    @property
    def unnamed(self) -> int:
        anon = sum(proc.anon for proc in self.procs)
        tables = sum(proc.tables for proc in self.procs)
        huge = self.huge_total * (2048 // self.page_kib)
        named = anon + self.shared + self.tmpfs + self.cache + self.slab + self.slab_reclaimable
        return self.managed - named - tables - huge - sum(self.free_of(i) for i in self._indices())

    def _indices(self) -> range:
        return range(len(self.zones))

    def free_of(self, index: int) -> int:
        """Free pages of a zone: below its watermark, unless said otherwise."""
        return self.free.get(index, min(self.min_of(index) * 9 // 10, self.zones[index][2] // 10))

    def min_of(self, index: int) -> int:
        return max(20, self.min_pages * self.zones[index][2] // self.managed)

    def victim(self) -> Proc:
        """Who the kernel would take by its own arithmetic."""
        total = self.managed + self.swap_total
        killable = [proc for proc in self.procs if proc.adjust > -1000]
        return max(killable, key=lambda proc: proc.points + proc.adjust * (total // 1000))


def report(machine: Machine, *, panic: str | None = None, kill: bool = True) -> list[str]:
    """The kernel's lines, without stamps."""
    lines = [*_opening(machine), *_memory(machine), *_tasks(machine)]
    victim = machine.victim()
    if panic is not None:
        return [*lines, f"Kernel panic - not syncing: {panic}"]
    if not kill:
        return lines
    return [*lines, *_kill(machine, victim, "Out of memory")]


def _opening(machine: Machine) -> list[str]:
    old = machine.era == "2.6.32"
    adjust = "oom_adj=0, oom_score_adj=0" if old else "oom_score_adj=0"
    node = "nodemask=(null), " if machine.era == "4.18" else ""
    gfp = machine.gfp or GFP[machine.era]
    release = machine.release or RELEASES[machine.era]
    name = machine.invoker
    first = f"{name} invoked oom-killer: gfp_mask={gfp}, {node}order={machine.order}, {adjust}"
    if machine.era in ("5.14", "6.8"):
        where = f"CPU: 2 PID: 4242 Comm: {name} Kdump: loaded Not tainted {release} #1"
        return [first, where, "Call Trace:", " <TASK>", " dump_stack_lvl+0x34/0x48", " </TASK>"]
    if old:
        where = f"Pid: 4242, comm: {name} Not tainted {release} #1"
    else:
        where = f"CPU: 2 PID: 4242 Comm: {name} Kdump: loaded Not tainted {release} #1"
    frames = ["Call Trace:", " [<ffffffff8117f3ae>] ? dump_header+0x8e/0x110"]
    return [first, f"{name} cpuset=/ mems_allowed=0-1", where, *frames]


def _counts(machine: Machine) -> dict[str, int]:
    anon = sum(proc.anon for proc in machine.procs) + machine.shared + machine.tmpfs
    mapped = machine.shared + max((proc.file for proc in machine.procs), default=0)
    return {
        "active_anon": anon - anon // 5,
        "inactive_anon": anon // 5,
        "active_file": machine.cache // 2,
        "inactive_file": machine.cache - machine.cache // 2,
        "dirty": machine.dirty,
        "slab_reclaimable": machine.slab_reclaimable,
        "slab_unreclaimable": machine.slab,
        "mapped": mapped,
        "shmem": machine.shared + machine.tmpfs,
        "pagetables": sum(proc.tables for proc in machine.procs),
        "free": sum(machine.free_of(index) for index in range(len(machine.zones))),
    }


def _memory(machine: Machine) -> list[str]:
    c = _counts(machine)
    lines = ["Mem-Info:"]
    lines.append(
        f"active_anon:{c['active_anon']} inactive_anon:{c['inactive_anon']} isolated_anon:0"
    )
    lines.append(
        f" active_file:{c['active_file']} inactive_file:{c['inactive_file']} isolated_file:0"
    )
    slabs = f"slab_reclaimable:{c['slab_reclaimable']} slab_unreclaimable:{c['slab_unreclaimable']}"
    rest = f" mapped:{c['mapped']} shmem:{c['shmem']} pagetables:{c['pagetables']}"
    if machine.era == "2.6.32":
        lines.append(f" unevictable:0 dirty:{c['dirty']} writeback:0 unstable:0")
        lines.append(f" free:{c['free']} {slabs}")
        lines.append(f"{rest} bounce:0")
    else:
        unstable = " unstable:0" if machine.era in ("3.10", "4.18") else ""
        lines.append(f" unevictable:0 dirty:{c['dirty']} writeback:0{unstable}")
        lines.append(f" {slabs}")
        if machine.era == "6.8":
            lines += [rest, " sec_pagetables:0 bounce:0", " kernel_misc_reclaimable:0"]
        else:
            lines.append(f"{rest} bounce:0")
        lines.append(f" free:{c['free']} free_pcp:0 free_cma:0")
    for index in range(len(machine.zones)):
        lines += _zone(machine, index)
    lines += [_buddy(machine, index) for index in range(len(machine.zones))]
    return lines + _totals(machine, c)


def _zone(machine: Machine, index: int) -> list[str]:
    node, name, managed = machine.zones[index]
    kib, low = machine.page_kib, machine.min_of(index)
    boost = "boost:0kB " if machine.era in ("5.14", "6.8") else ""
    head = f"Node {node} {name}"
    if any(zone == "HighMem" for _, zone, _ in machine.zones):
        head = name
    marks = (
        f"{boost}min:{low * kib}kB low:{low * 5 // 4 * kib}kB high:{low * 3 // 2 * kib}kB "
        "active_anon:0kB inactive_anon:0kB"
    )
    sizes = f"present:{(managed + 300) * kib}kB"
    if machine.era != "2.6.32":
        sizes += f" managed:{managed * kib}kB mlocked:0kB"
    return [
        f"{head} free:{machine.free_of(index) * kib}kB {marks} {sizes} all_unreclaimable? yes",
        "lowmem_reserve[]:" + "".join(f" {pages}" for pages in _reserve(machine, index)),
    ]


def _reserve(machine: Machine, index: int) -> list[int]:
    """lowmem_reserve: a 256th of what lies above on the node, for requests that could go there."""
    node, name, _ = machine.zones[index]
    names = {zone for _, zone, _ in machine.zones}
    ladder = ["DMA", "Normal", "HighMem", "Movable"]
    if "HighMem" not in names:
        ladder = ["DMA", "DMA32", "Normal", "Movable", "Device"]
    above, reserve = 0, []
    for place, kind in enumerate(ladder):
        if place > ladder.index(name):
            above += sum(size for at, zone, size in machine.zones if (at, zone) == (node, kind))
        reserve.append(above // 256)
    return reserve


def _buddy(machine: Machine, index: int) -> str:
    """Free lists that add up to the zone's free pages; single pages where order is not 0."""
    node, name, _ = machine.zones[index]
    left, kib = machine.free_of(index), machine.page_kib
    counts = [0] * 11
    top = 0 if machine.order else 10
    for order in range(top, -1, -1):
        counts[order], left = divmod(left, 1 << order)
    head = f"Node {node} {name}"
    if any(zone == "HighMem" for _, zone, _ in machine.zones):
        head = name
    kinds = " (UM)" if machine.era != "2.6.32" else ""
    blocks = " ".join(
        f"{count}*{kib << order}kB{kinds if count else ''}" for order, count in enumerate(counts)
    )
    return f"{head}: {blocks} = {machine.free_of(index) * kib}kB"


def _totals(machine: Machine, counts: dict[str, int]) -> list[str]:
    kib, lines = machine.page_kib, []
    if machine.era != "2.6.32":
        lines.append(
            f"Node 0 hugepages_total={machine.huge_total} hugepages_free={machine.huge_free} "
            "hugepages_surp=0 hugepages_size=2048kB"
        )
    used = machine.swap_total - machine.swap_free
    lines += [
        f"{machine.cache + counts['shmem']} total pagecache pages",
        "0 pages in swap cache",
        f"Swap cache stats: add {used}, delete {used}, find 0/0",
        f"Free swap  = {machine.swap_free * kib}kB",
        f"Total swap = {machine.swap_total * kib}kB",
        f"{machine.managed + 70_000} pages RAM",
    ]
    if machine.era != "2.6.32":
        lines.append("0 pages HighMem/MovableOnly")
    lines.append("70000 pages reserved")
    if machine.caches:
        lines += ["Unreclaimable slab info:", "Name                      Used          Total"]
        lines += [f"{name:<17} {size:>10}KB {size:>10}KB" for name, size in machine.caches]
    return lines


def _tasks(machine: Machine) -> list[str]:
    if not machine.tasks_shown:
        return []
    heads = {
        "2.6.32": "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name",
        "3.10": "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
    }
    plain = "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"
    split = plain.replace("rss pg", "rss rss_anon rss_file rss_shmem pg")
    lines = []
    if machine.era not in heads:
        lines.append("Tasks state (memory values in pages):")
    lines.append(heads.get(machine.era, split if machine.era == "6.8" else plain))
    return lines + [_row(machine, proc) for proc in machine.procs]


def _row(machine: Machine, proc: Proc) -> str:
    head = f"[{proc.pid:>7}] {proc.uid:>5} {proc.pid:>5} {proc.total_vm:>8} {proc.rss:>8}"
    tail = f"{proc.adjust:>13} {proc.name}"
    match machine.era:
        case "2.6.32":
            head = f"[{proc.pid:>5}]" + head[9:]
            return f"{head} {proc.pid % 4:>3} {proc.adjust * 17 // 1000:>7} {tail}"
        case "3.10":
            head = f"[{proc.pid:>5}]" + head[9:]
            return f"{head} {proc.tables:>7} {proc.swap:>8} {tail}"
        case "6.8":
            split = f"{proc.anon:>8} {proc.file:>8} {proc.shmem:>9}"
            tables = proc.tables * machine.page_kib * 1024
            return f"{head} {split} {tables:>8} {proc.swap:>8} {tail}"
        case _:
            return f"{head} {proc.tables * machine.page_kib * 1024:>8} {proc.swap:>8} {tail}"


def _kill(machine: Machine, proc: Proc, what: str, cgroup: str = "", limit: int = 0) -> list[str]:
    kib = machine.page_kib
    sizes = f"total-vm:{proc.total_vm * kib}kB, anon-rss:{proc.anon * kib}kB"
    sizes += f", file-rss:{proc.file * kib}kB"
    if machine.era in ("2.6.32", "3.10"):
        total = limit or machine.managed + machine.swap_total
        score = proc.points * 1000 // total + proc.adjust
        chosen = f"{what}: Kill process {proc.pid} ({proc.name}) score {score} or sacrifice child"
        if machine.era == "2.6.32":
            return [chosen, f"Killed process {proc.pid}, UID {proc.uid}, ({proc.name}) {sizes}"]
        sizes += f", shmem-rss:{proc.shmem * kib}kB"
        return [chosen, f"Killed process {proc.pid} ({proc.name}) {sizes}"]
    where = cgroup or f"global_oom,task_memcg=/system.slice/{proc.name}.service"
    kind = "CONSTRAINT_MEMCG" if cgroup else "CONSTRAINT_NONE"
    name = f"{proc.pid} ({proc.name})"
    chosen = f"oom-kill:constraint={kind},nodemask=(null),cpuset=/,mems_allowed=0-1,{where}"
    sizes += f", shmem-rss:{proc.shmem * kib}kB, UID:{proc.uid} pgtables:{proc.tables * kib}kB"
    return [
        f"{chosen},task={proc.name},pid={proc.pid},uid={proc.uid}",
        f"{what}: Killed process {name} {sizes} oom_score_adj:{proc.adjust}",
        f"oom_reaper: reaped process {name}, now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    ]


def cgroup_report(
    machine: Machine, path: str, task_path: str, limit: int, *, cache: int = 0, dirty: int = 0
) -> list[str]:
    """A cgroup at its limit (pages): its processes are the machine's."""
    kib = machine.page_kib
    anon = sum(proc.anon for proc in machine.procs)
    lines = _opening(machine)
    if machine.era in ("2.6.32", "3.10"):
        lines.append(f"Task in {task_path} killed as a result of limit of {path}")
    none = 9007199254740988
    lines.append(f"memory: usage {limit * kib}kB, limit {limit * kib}kB, failcnt 4711")
    lines.append(f"memory+swap: usage {limit * kib}kB, limit {none}kB, failcnt 0")
    lines.append(f"kmem: usage {(limit - anon - cache) * kib}kB, limit {none}kB, failcnt 0")
    if machine.era in ("2.6.32", "3.10"):
        lines.append(
            f"Memory cgroup stats for {path}: cache:{cache * kib}KB rss:{anon * kib}KB "
            f"rss_huge:0KB mapped_file:0KB swap:0KB inactive_anon:0KB active_anon:{anon * kib}KB "
            f"inactive_file:{cache * kib}KB active_file:0KB unevictable:0KB"
        )
    else:
        size = kib * 1024
        lines.append(f"Memory cgroup stats for {path}:")
        lines += [f"anon {anon * size}", f"file {cache * size}", "kernel_stack 0"]
        lines += [f"slab {(limit - anon - cache) * size}", "sock 0", "shmem 0", "file_mapped 0"]
        lines += [f"file_dirty {dirty * size}", f"inactive_file {cache * size}"]
    victim = max(machine.procs, key=lambda proc: proc.points)
    where = f"oom_memcg={path},task_memcg={task_path}"
    return [
        *lines,
        *_tasks(machine),
        *_kill(machine, victim, "Memory cgroup out of memory", where, limit),
    ]


def stamped(lines: list[str], start: float = 4711.25) -> str:
    """As dmesg prints it."""
    return "".join(f"[{start + i * 1e-5:12.6f}] {line}\n" for i, line in enumerate(lines))


def raw(lines: list[str], start: float = 4711.25) -> str:
    """As `dmesg -r` and old vmcore-dmesg print it."""
    return "".join(f"<4>{line}\n" for line in stamped(lines, start).splitlines())


def wall(lines: list[str], at: str = "Mon Mar  2 03:05:12 2026") -> str:
    """As `dmesg -T` prints it."""
    return "".join(f"[{at}] {line}\n" for line in lines)


def syslog(lines: list[str], host: str = "db-01", *, kernel_stamp: bool = False) -> str:
    """As rsyslog writes /var/log/messages, with another program's line now and then."""
    text = []
    for i, line in enumerate(lines):
        stamp = f"[{4711.25 + i * 1e-5:12.6f}] " if kernel_stamp else ""
        text.append(f"Mar  2 03:05:{12 + i % 40:02} {host} kernel: {stamp}{line}\n")
        if i % 25 == 7:
            text.append(
                f"Mar  2 03:05:12 {host} sshd[991]: Killed process 1 (sshd) total-vm:9kB, "
                "anon-rss:9kB, file-rss:0kB\n"
            )
    return "".join(text)


def journal_json(lines: list[str]) -> str:
    """As `journalctl -k -o json`; one message has bytes that are no UTF-8."""
    entries: list[dict[str, object]] = []
    for i, line in enumerate(lines):
        message: object = line if i % 9 else list(line.encode())
        entries.append(_entry(i, message))
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def _entry(i: int, message: object) -> dict[str, object]:
    return {
        "__CURSOR": f"s=1;i={i}",
        "__REALTIME_TIMESTAMP": str(1772420712000000 + i * 10),
        "__MONOTONIC_TIMESTAMP": str(4711250000 + i * 10),
        "_TRANSPORT": "kernel",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "kernel",
        "MESSAGE": message,
    }


def journal_export(lines: list[str]) -> bytes:
    """As `journalctl -k -o export`: every fifth message is a binary field."""
    data = b""
    for i, line in enumerate(lines):
        for name, value in _entry(i, line).items():
            text = str(value).encode()
            if name == "MESSAGE" and i % 5 == 0:
                data += b"MESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\n"
            else:
                data += name.encode() + b"=" + text + b"\n"
        data += b"\n"
    return data


def console(lines: list[str]) -> str:
    """As a serial console shows it: CR, colours, a login prompt, lost line ends."""
    text = "\r\nDebian GNU/Linux 12 db-01 ttyS0\r\n\r\ndb-01 login: "
    for i, line in enumerate(stamped(lines).splitlines()):
        if i % 10 == 3:
            text += "\x1b[0;32m  OK  \x1b[0m" + line + "\r\n"
        elif i % 17 == 5:
            text += line
        else:
            text += line + "\r\n"
    return text


def filled(machine: Machine, name: str, spare: float = 0.03) -> Machine:
    """The machine with processes `name` grown until only `spare` of it is in no counter."""
    chosen = [proc for proc in machine.procs if proc.name == name]
    # A page of page tables for each 512 pages.
    more = int((machine.unnamed - machine.managed * spare) * 512 / 513) // len(chosen)
    procs = tuple(
        replace(proc, anon=proc.anon + more) if proc.name == name else proc
        for proc in machine.procs
    )
    return replace(machine, procs=procs)
