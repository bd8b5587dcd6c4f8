"""What memory is left, out of what, and who holds it: HostFacts -> Headroom."""

import dataclasses

from forestall.audit.holders import holders
from forestall.audit.limits import limit_comes_first, tightest_limit
from forestall.audit.reading import fact
from forestall.model.facts import HostFacts
from forestall.model.finding import Fact, Headroom, Holder
from forestall.units import format_bytes

HOST_POINTERS = (
    "/memory/mem_available_bytes",
    "/memory/swap_free_bytes",
    "/memory/mem_total_bytes",
    "/memory/swap_total_bytes",
)


def headroom(facts: HostFacts, *, with_holders: bool = True) -> Headroom:
    """What is left before something must give: the host's, or an own cgroup limit's if tighter.

    Without the holders it is a fraction of the work, which is what a fleet is judged by.
    """
    held = holders(facts) if with_holders else ()
    index = tightest_limit(facts)
    if index is not None and limit_comes_first(facts, facts.own_cgroups[index]):
        return _below_limit(facts, index, held)
    return _of_host(facts, held)


def left_and_total(facts: HostFacts) -> tuple[int | None, int | None]:
    """As `headroom`, the two numbers alone."""
    index = tightest_limit(facts) if facts.own_cgroups else None
    if index is not None and limit_comes_first(facts, facts.own_cgroups[index]):
        return facts.own_cgroups[index].headroom_bytes, facts.own_cgroups[index].max_bytes
    memory = facts.memory
    if memory.mem_available_bytes is None or memory.mem_total_bytes is None:
        return None, None
    return memory.headroom_bytes, memory.mem_total_bytes + (memory.swap_total_bytes or 0)


def zram_bytes(facts: HostFacts) -> int:
    """Swap that is itself kept in memory."""
    return sum(swap.size_bytes for swap in facts.swaps or () if swap.kind == "zram")


def swap_kinds(facts: HostFacts) -> str:
    """The kinds of swap in use, for example `partition` or `zram and file`."""
    kinds = sorted({swap.kind for swap in facts.swaps or ()}, reverse=True)
    return " and ".join(kinds)


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
