"""What memory is left, out of what, and who holds it: HostFacts -> Headroom."""

import dataclasses
from typing import NamedTuple

from forestall.audit.holders import holders
from forestall.audit.limits import limit_comes_first, tightest_limit
from forestall.audit.reading import fact
from forestall.model.facts import HostFacts
from forestall.model.finding import Fact, Headroom, Holder
from forestall.units import GIB, MIB, format_bytes

HOST_POINTERS = (
    "/memory/mem_available_bytes",
    "/memory/swap_free_bytes",
    "/memory/mem_total_bytes",
    "/memory/swap_total_bytes",
)


ENOUGH_SWAP_SHARE = 0.05
ENOUGH_SWAP_BYTES = GIB
"""From the smaller of the two on, swap gives time: our advice, and what small defaults set up."""

ROUNDING = 0.95
"""MemTotal lacks what firmware and kernel keep, and swap its header: 5 % is no shortage."""


DEFAULT_HUGE_PAGE_BYTES = 2 * MIB


class Room(NamedTuple):
    """`left_bytes` of the `total_bytes` that programs can have."""

    left_bytes: int
    total_bytes: int


def headroom(facts: HostFacts) -> Headroom:
    """What is left for whoever asks: the host's, or what an own cgroup limit leaves, if tighter."""
    index = _own_limit(facts)
    held = holders(facts)
    return _of_host(facts, held) if index is None else _below_limit(facts, index, held)


def audited_headroom(facts: HostFacts) -> Headroom:
    """As `headroom`, without the holders, for the judgement of a host or a container as a whole.

    The limit of the unit that an audit happens to run in says nothing of the host.
    """
    index = _own_limit(facts) if facts.container else None
    return _of_host(facts, ()) if index is None else _below_limit(facts, index, ())


def rooms(facts: HostFacts) -> tuple[Room, ...]:
    """What `audited_headroom` may come to; () where it was not read.

    Free zram is no free memory: what is written there stays in memory, compressed. It is counted
    once as nothing and once as half, the 2:1 that the kernel's zram.rst expects; how well a
    host's pages compress is not in the facts. Where the kind of swap was not read, it may be
    zram or not. Memory set aside as huge pages belongs to no ordinary program.
    """
    index = _own_limit(facts) if facts.container else None
    if index is not None:
        left, limit = facts.own_cgroups[index].headroom_bytes, facts.own_cgroups[index].max_bytes
        return () if left is None or limit is None else (Room(left, limit),)
    memory = facts.memory
    available, total = memory.mem_available_bytes, memory.mem_total_bytes
    if available is None or not total:
        return ()
    total -= min(total, facts.hugetlb_bytes or 0)
    swap_free, swap_total = memory.swap_free_bytes or 0, memory.swap_total_bytes or 0
    whole = Room(available + swap_free, total + swap_total)
    if facts.swaps is None:
        return (whole,) if swap_total == 0 else (Room(available, total), whole)
    zram = zram_bytes(facts)
    if not zram:
        return (whole,)
    free = sum(one.size_bytes - one.used_bytes for one in facts.swaps if one.kind == "zram")
    on_disk = Room(available + max(0, swap_free - free), total + max(0, swap_total - zram))
    return (on_disk, Room(on_disk.left_bytes + min(free, swap_free) // 2, on_disk.total_bytes))


def zram_bytes(facts: HostFacts) -> int:
    """Swap that is itself kept in memory."""
    return sum(swap.size_bytes for swap in facts.swaps or () if swap.kind == "zram")


def disk_swap_bytes(facts: HostFacts) -> int | None:
    """Swap that is not itself kept in memory, as zram is; all of it where no kind was read."""
    total = facts.memory.swap_total_bytes
    return None if total is None else max(0, total - zram_bytes(facts))


def other_huge_pages_bytes(facts: HostFacts) -> int | None:
    """What is reserved as huge pages of other sizes than the default; None where it is not told.

    HugePages_* of meminfo count the default size alone, Hugetlb (since Linux 4.16) all of them.
    """
    if facts.hugetlb_bytes is None or facts.hugepages_total is None:
        return None
    page = facts.hugepage_bytes or DEFAULT_HUGE_PAGE_BYTES
    return max(0, facts.hugetlb_bytes - facts.hugepages_total * page)


def too_little_swap(facts: HostFacts) -> str | None:
    """Why what swap there is gives no time before the end, as a clause; None where it gives some.

    Swap whose size was not read is not judged.
    """
    total, disk = facts.memory.swap_total_bytes, disk_swap_bytes(facts)
    if total is None or disk is None:
        return None
    if disk == 0:
        return (
            "it is kept in memory itself, so it delays the end only a little" if total else "none"
        )
    share = ENOUGH_SWAP_SHARE * (facts.memory.mem_total_bytes or total)
    if disk < ROUNDING * min(ENOUGH_SWAP_BYTES, share):
        return "too little to give any time"
    return None


def swap_kinds(facts: HostFacts) -> str:
    """The kinds of swap in use, for example `partition` or `zram and file`."""
    kinds = sorted({swap.kind for swap in facts.swaps or ()}, reverse=True)
    return " and ".join(kinds)


def _own_limit(facts: HostFacts) -> int | None:
    """Index in `facts.own_cgroups` of a limit that leaves less than the host does."""
    index = tightest_limit(facts) if facts.own_cgroups else None
    if index is None or not limit_comes_first(facts, facts.own_cgroups[index]):
        return None
    return index


def _of_host(facts: HostFacts, held: tuple[Holder, ...]) -> Headroom:
    memory = facts.memory
    if memory.mem_available_bytes is None or memory.mem_total_bytes is None:
        why = facts.unseen.get("memory", "MemAvailable could not be read")
        return Headroom(
            left_bytes=None,
            total_bytes=None,
            text=f"How much is left is unknown: {why}.",
            holders=held,
        )
    swap_total, swap_free = memory.swap_total_bytes or 0, memory.swap_free_bytes or 0
    left, total = memory.mem_available_bytes + swap_free, memory.mem_total_bytes + swap_total
    text = (
        f"{format_bytes(left)} of {format_bytes(total)} left: "
        f"{format_bytes(memory.mem_available_bytes)} of {format_bytes(memory.mem_total_bytes)} "
        f"memory, {_swap_words(facts)}."
    )
    if zram_bytes(facts):
        text += " zram keeps swapped pages in memory, compressed, so it gives less than its size."
    return Headroom(
        left_bytes=left,
        total_bytes=total,
        text=text,
        holders=held,
        facts=tuple(fact(facts, pointer) for pointer in HOST_POINTERS),
    )


def _swap_words(facts: HostFacts) -> str:
    total = facts.memory.swap_total_bytes
    if total is None:
        return "swap unknown"
    if total == 0:
        return "no swap"
    kinds = swap_kinds(facts)
    free = format_bytes(facts.memory.swap_free_bytes or 0)
    return f"{free} of {format_bytes(total)} swap" + (f" ({kinds})" if kinds else "")


def _below_limit(facts: HostFacts, index: int, held: tuple[Holder, ...]) -> Headroom:
    cgroup = facts.own_cgroups[index]
    left, limit = cgroup.headroom_bytes, cgroup.max_bytes
    assert left is not None
    assert limit is not None
    whose = "this container's limit" if facts.container else f"the limit of cgroup {cgroup.path}"
    text = f"{format_bytes(left)} of {format_bytes(limit)} left below {whose}."
    if cgroup.file_bytes:
        text += f" {format_bytes(cgroup.file_bytes)} of page cache is counted as left."
    host = facts.memory.headroom_bytes
    if host is not None:
        text += f" The host as a whole has {format_bytes(host)} left."
    read: list[Fact] = [
        fact(facts, f"/own_cgroups/{index}/{field}", source=f"cgroup {cgroup.path}")
        for field in ("max_bytes", "current_bytes", "file_bytes")
    ]
    return Headroom(
        left_bytes=left,
        total_bytes=limit,
        text=text,
        limit_source=cgroup.path,
        holders=_shares(held, limit) if facts.container else held,
        facts=tuple(read),
    )


def _shares(found: tuple[Holder, ...], limit: int) -> tuple[Holder, ...]:
    """In a container every process draws on the container's limit, not on the host's memory."""
    return tuple(
        dataclasses.replace(holder, share=holder.memory_bytes / limit if limit else None)
        for holder in found
    )
