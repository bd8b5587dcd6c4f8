"""What to do next, by what ran out and who held it. The first line is for now."""

from forestall.audit.oom.account import Ending
from forestall.audit.oom.nouns import Event
from forestall.audit.oom.panics import by_setting
from forestall.audit.oom.shortage import RanOut, Shortage
from forestall.audit.oom.tally import Holder, HolderKind, table_is_whole

LOOK = {
    HolderKind.TMPFS: "See what fills it: df -h -t tmpfs; ipcs -m; a file that was deleted and "
    "is still open shows in lsof +L1. Give each tmpfs a size.",
    HolderKind.SLAB: "See which cache grows: slabtop -s c, /proc/slabinfo; a kernel or driver leak "
    "does not go away by restarting services.",
    HolderKind.HUGE_PAGES: "Nobody can use reserved huge pages for anything else: compare "
    "HugePages_Total with HugePages_Free in /proc/meminfo and lower vm.nr_hugepages.",
    HolderKind.HUGE_PAGES_USED: "See who maps huge pages: grep -l hugepage /proc/*/numa_maps; a "
    "database's shared buffers are usual, and then their size is the setting to look at.",
    HolderKind.PAGE_CACHE: "Page cache is given back unless it is dirty, locked, or read "
    "faster than freed: see Dirty and Writeback in /proc/meminfo, and the storage below.",
    HolderKind.PAGE_TABLES: "Page tables grow with mapped memory times processes: huge pages for "
    "what is shared, or fewer processes (a connection pool), make them small.",
    HolderKind.SOCKETS: "See ss -m and /proc/net/sockstat: readers that do not read fill buffers.",
    HolderKind.UNNAMED: "No counter names it: look for a driver, vmalloc (/proc/vmallocinfo), "
    "pipes, or a balloon that the hypervisor inflated.",
    HolderKind.UNLISTED: "Find the rest of the report: the kernel's ring buffer (dmesg), the "
    "journal (journalctl -k), or the serial console; log_buf_len= makes the buffer longer.",
    HolderKind.KERNEL: "It is the kernel's for this cgroup: see memory.stat there.",
}


def next_steps(
    event: Event, out: RanOut, culprits: tuple[Holder, ...], ending: Ending
) -> list[str]:
    """At most a handful of sentences."""
    if event.by_hand:
        return ["Ask who sent SysRq-f, and from where: /proc/sysrq-trigger needs root."]
    steps: list[str] = []
    if out.shortage is Shortage.FRAGMENTATION:
        steps.append(
            "A request for adjacent pages failed: echo 1 > /proc/sys/vm/compact_memory helps at "
            "once; raise vm.min_free_kbytes if it comes back, and name the driver that asks."
        )
    if out.shortage is Shortage.ZONE:
        steps.append(f"More memory will not help: the zone is fixed.{_of_zone(event)}")
    if out.shortage is Shortage.NODES:
        steps.append("Let it use other nodes: cpuset.mems, numactl --preferred, or move it.")
    steps += _for_holders(event, out, culprits)
    setting = by_setting(event)
    if setting and setting.startswith("vm.panic_on_oom"):
        steps.append(
            "sysctl vm.panic_on_oom=0 lets the kernel kill one process in place of the host, "
            "unless a cluster relies on the panic to fail over."
        )
    if event.kills_who_asks:
        steps.append("sysctl vm.oom_kill_allocating_task=0, so that who holds most is killed.")
    if event.tasks_header and not event.tasks:
        steps.append("Give the whole log and not what grep leaves of it: dmesg, journalctl -k.")
    elif tables_may_be_off(event):
        steps.append("sysctl vm.oom_dump_tasks=1, so that the next report has its table.")
    elif not table_is_whole(event) and ending in (Ending.KILLED, Ending.PANICKED):
        steps.append("Give the whole report and not a part of its lines: dmesg, journalctl -k.")
    if ending is Ending.NOBODY_KILLED or (event.nothing_killable and event.panic):
        steps.append("Take oom_score_adj=-1000 from all but what must never die.")
    return steps


def _of_zone(event: Event) -> str:
    names = {zone.name for zone in event.zones}
    if "HighMem" in names:
        return " A 64-bit kernel has no lowmem."
    if "Movable" in names:
        return " Make Movable smaller: kernelcore=, movablecore=, or how memory is put online."
    return ""


def tables_may_be_off(event: Event) -> bool:
    """Whether a report is there from its first line to its end, and the table alone is not."""
    before = bool(event.pool and event.pool.stats) if event.in_cgroup else event.ram_pages
    whole = not event.head_lost and before and (event.kills or event.chosen or event.panic)
    return bool(whole) and not event.tasks and not event.tasks_header


def hides_huge_pages(event: Event, culprits: tuple[Holder, ...]) -> bool:
    """Whether memory without a name may be huge pages, which kernels up to 3.9 do not print."""
    unnamed = any(one.kind is HolderKind.UNNAMED for one in culprits)
    counted = event.huge_pages or event.tasks_whole or event.in_cgroup
    return unnamed and not counted


def _for_holders(event: Event, out: RanOut, culprits: tuple[Holder, ...]) -> list[str]:
    steps = []
    for holder in culprits:
        if hides_huge_pages(event, (holder,)):
            steps.append(
                "Look at huge pages first: HugePages_Total in /proc/meminfo, vm.nr_hugepages; a "
                "report of an old kernel does not print them."
            )
        if not holder.kind.is_process:
            steps.append(LOOK[holder.kind])
        elif out.shortage is Shortage.CGROUP:
            steps.append(
                f"{holder.name}: raise the limit if this is what it needs, else look for its leak; "
                "the limit did what it is for."
            )
        else:
            steps.append(
                f"{holder.name}: find out why it grew, and give its unit MemoryMax= (MemoryLimit= "
                "before systemd 231), so that it dies alone the next time."
            )
        if holder.kind.is_process and event.kills and not holder.was_hit(event.kills):
            steps.append(
                f"{holder.name} was spared and may still hold it: see whether it runs on, and "
                f"its oom_score_adj ({holder.oom_score_adjust})."
            )
    return steps
