"""What ran out: a cgroup's limit, some nodes, one zone, blocks of the size that was asked for, all.

The test is the kernel's own (__zone_watermark_ok, mm/page_alloc.c): a request takes from a zone
while its free pages stay above `min` plus the lowmem_reserve for the zone the request could
have had at best.
"""

from dataclasses import dataclass
from enum import StrEnum

from forestall.audit.oom.nouns import Constraint, Event, Gauge, Kind, Scope, Zone
from forestall.units import format_bytes

LADDERS = (
    ("DMA", "DMA32", "Normal", "Movable", "Device"),
    ("DMA", "Normal", "HighMem", "Movable"),
)
# include/linux/gfp.h; these four bits mean the same from 2.6.32 on.
GFP_DMA, GFP_HIGHMEM, GFP_DMA32, GFP_MOVABLE = 0x1, 0x2, 0x4, 0x8


class Shortage(StrEnum):
    """What ran out. UNKNOWN where the log does not carry enough to tell."""

    HOST = "host"
    CGROUP = "cgroup"
    NODES = "nodes"
    ZONE = "zone"
    FRAGMENTATION = "fragmentation"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RanOut:
    """The answer, and the sentences that say how it is known."""

    shortage: Shortage
    what: str
    because: tuple[str, ...] = ()


def ran_out(event: Event) -> RanOut:
    """What was not to be had."""
    if event.by_hand:
        return RanOut(
            shortage=Shortage.NOTHING,
            what="nothing: a person asked for a kill, by SysRq-f",
            because=(
                "order=-1 is how the kernel marks a kill by /proc/sysrq-trigger or keyboard."
                if event.order == -1
                else 'The kernel says "Manual OOM execution" before it.',
            ),
        )
    if event.kind is Kind.SNAPSHOT:
        return RanOut(
            shortage=Shortage.NOTHING,
            what="nothing, by the kernel's log: no report of a shortage is in it, or an older one",
        )
    if event.in_cgroup:
        return _cgroup(event)
    if event.scope is Scope.NODES:
        return _nodes(event)
    return _zones(event) if event.zones else _without_zones(event)


def _without_zones(event: Event) -> RanOut:
    """By the kernel's words alone."""
    missing = "the log has no line of the zones"
    if event.scope is Scope.UNKNOWN:
        return RanOut(
            shortage=Shortage.UNKNOWN,
            what="unknown: the host's memory or a cgroup's limit; the log has no line of either",
        )
    if event.kind is Kind.ALLOCATION_FAILURE or event.order is None or event.gfp_mask is None:
        return RanOut(shortage=Shortage.UNKNOWN, what=f"unknown: {missing}")
    anywhere = event.gfp_mask & GFP_HIGHMEM and event.gfp_mask & GFP_MOVABLE
    if event.order > 0 or not anywhere or event.nodemask:
        parts = "one zone or node of it, or adjacent pages"
        return RanOut(
            shortage=Shortage.UNKNOWN, what=f"unknown: the host's memory, {parts}; {missing}"
        )
    return RanOut(
        shortage=Shortage.HOST,
        what="the memory of the host, by the kernel's words",
        because=(f"A single page of any zone was asked for; {missing}.",),
    )


def _cgroup(event: Event) -> RanOut:
    pool = event.pool
    path = event.cgroup
    name = f"cgroup {path}" if path else "a cgroup that the log does not name"
    gauges = dict(pool.gauges) if pool else {}
    reached = [kind for kind in ("memory", "memory+swap", "kmem") if _full(gauges.get(kind))]
    because = []
    what = f"the memory limit of {name}"
    for kind in reached:
        gauge = gauges[kind]
        because.append(
            f"{kind}: {format_bytes(gauge.usage_bytes)} used of a limit of "
            f"{format_bytes(gauge.limit_bytes or 0)}."
        )
    if reached and reached[0] == "memory+swap":
        what = f"the limit of memory and swap together of {name}"
    elif reached == ["kmem"]:
        what = f"the limit of kernel memory of {name}"
    elif not reached and gauges:
        what = f"memory inside {name}; none of its limits was full when it was reported"
    swap = gauges.get("swap")
    if swap is not None and swap.limit_bytes == 0:
        because.append("It may not swap: its swap limit is 0.")
    below = event.victim_cgroup
    if path and below and below != path:
        because.append(
            f"The limit is of {path}, a level above {below}: all that is below it counts together."
        )
    if any(gives(event, zone, 0) for zone in event.zones):
        because.append("The host had memory left: no process outside is at risk by this.")
    else:
        because.append(
            "The kernel kills for it inside the cgroup alone; what the rest of the host had, such "
            "a report does not say."
        )
    return RanOut(shortage=Shortage.CGROUP, what=what, because=tuple(because))


def _full(gauge: Gauge | None) -> bool:
    """Usage is charged in batches, so a limit counts as reached a little below it."""
    if gauge is None or gauge.limit_bytes is None:
        return False
    return gauge.usage_bytes >= gauge.limit_bytes - max(gauge.limit_bytes // 50, 128 * 1024)


def _nodes(event: Event) -> RanOut:
    if event.constraint is Constraint.CPUSET:
        nodes, why = event.mems_allowed or "?", f"cpuset {event.cpuset or '?'} allows no other"
    else:
        nodes, why = event.nodemask or "?", "the process bound itself there (mbind, numactl)"
    because = [f"Only node {nodes} was allowed: {why}."]
    elsewhere = _free_elsewhere(event)
    if elsewhere > 0:
        because.append(f"The other nodes had {format_bytes(elsewhere)} free.")
    return RanOut(
        shortage=Shortage.NODES, what=f"the memory of NUMA node {nodes}", because=tuple(because)
    )


def _free_elsewhere(event: Event) -> int:
    shown = sum(zone.free_bytes for zone in event.zones)
    return event.counts.get("free", 0) * event.page_bytes - shown


def allowed(event: Event) -> set[int] | None:
    """The nodes that the request could take from; None = all."""
    text = event.nodemask or event.mems_allowed
    if not text:
        return None
    nodes: set[int] = set()
    for piece in text.strip(",").split(","):
        first, _, last = piece.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            return None
        nodes.update(range(int(first), min(int(last or first), int(first) + 4096) + 1))
    return nodes


def reachable(event: Event) -> list[Zone]:
    """The zones that this request may take from, by its gfp mask and nodes."""
    ladder, best = _ladder(event)
    nodes = allowed(event)
    return [
        zone
        for zone in event.zones
        if (zone.name not in ladder or ladder.index(zone.name) <= best)
        and (nodes is None or zone.node is None or zone.node in nodes)
        and zone.name != "Device"
    ]


def _ladder(event: Event) -> tuple[tuple[str, ...], int]:
    """The kinds of zone in the kernel's order, and the highest this request may have."""
    names = {zone.name for zone in event.zones}
    ladder = LADDERS[1] if "HighMem" in names else LADDERS[0]
    mask = event.gfp_mask
    if mask is None:
        return ladder, len(ladder) - 1
    if mask & GFP_DMA:
        best = "DMA"
    elif mask & GFP_DMA32 and "DMA32" in ladder:
        best = "DMA32"
    elif mask & GFP_HIGHMEM and mask & GFP_MOVABLE:
        best = "Movable"
    elif mask & GFP_HIGHMEM and "HighMem" in ladder:
        best = "HighMem"
    else:
        best = "Normal"
    return ladder, ladder.index(best)


def needed_bytes(event: Event, zone: Zone) -> int | None:
    """What a zone must keep free of this request; None where its line was cut."""
    if zone.min_bytes is None:
        return None
    _, best = _ladder(event)
    reserve = zone.reserve_pages
    pages = reserve[min(best, len(reserve) - 1)] if reserve else 0
    return zone.min_bytes + pages * event.page_bytes


def _withheld_bytes(event: Event, zone: Zone) -> int:
    """What is free in a zone and not for this request: CMA, which only movable pages may have, and
    what is kept for atomic requests, of which an OOM's is none.
    """
    movable = bool((event.gfp_mask or 0) & GFP_MOVABLE)
    atomic = event.kind is Kind.ALLOCATION_FAILURE
    return (0 if movable else zone.cma_bytes) + (0 if atomic else zone.highatomic_bytes)


def gives(event: Event, zone: Zone, order: int) -> bool | None:
    """Whether the zone could have given 2**order pages; None where the log does not tell."""
    needed = needed_bytes(event, zone)
    if needed is None:
        return None
    free = zone.free_bytes - _withheld_bytes(event, zone)
    if free - (event.page_bytes << order) + event.page_bytes <= needed:
        return False
    if order <= 0:
        return True
    if not zone.free_blocks:
        return None
    return any(count and size >= event.page_bytes << order for size, count in zone.free_blocks)


def _zones(event: Event) -> RanOut:
    order = max(0, event.order or 0)
    mine = reachable(event)
    single = [gives(event, zone, 0) for zone in mine]
    if event.head_lost and any(gives(event, zone, 0) for zone in event.zones):
        what = "unknown: how much was asked for, and of which zones, is in the lines that are lost"
        return RanOut(shortage=Shortage.UNKNOWN, what=what)
    if mine and order and any(single) and not any(gives(event, zone, order) for zone in mine):
        return _fragmented(event, mine, order)
    others = [zone for zone in event.zones if zone not in mine]
    rich = [zone for zone in others if gives(event, zone, 0)]
    if mine and not any(single) and None not in single and rich:
        return _one_zone(event, mine, rich)
    if any(gives(event, zone, order) for zone in mine):
        return _not_empty(event, mine, order)
    if None in single:
        return RanOut(shortage=Shortage.UNKNOWN, what="unknown: the lines of the zones are cut")
    because = [
        f"Every zone this request may use was at or below its `min` watermark{_cause(event)}.",
        *_withheld(event, mine),
        *_swap(event),
    ]
    return RanOut(shortage=Shortage.HOST, what=_all_of(event), because=tuple(because))


def _withheld(event: Event, mine: list[Zone]) -> list[str]:
    """Free memory that the table of zones shows and the request could not have."""
    return [
        f"Of what is free in {_zone_name(zone)}, {format_bytes(_withheld_bytes(event, zone))} is "
        "kept for other requests (CMA, atomic)."
        for zone in mine
        if _withheld_bytes(event, zone) > zone.free_bytes // 10
    ]


def _cause(event: Event) -> str:
    return " plus what it keeps for lower requests" if event.zones[0].reserve_pages else ""


def _all_of(event: Event) -> str:
    if event.swap_total_bytes:
        return "the memory of the host, and its swap" if _swap_full(event) else "the host's memory"
    return "the memory of the host"


def _swap_full(event: Event) -> bool:
    total, free = event.swap_total_bytes, event.swap_free_bytes
    return total is not None and free is not None and free <= total // 50


def _swap(event: Event) -> list[str]:
    total, free = event.swap_total_bytes, event.swap_free_bytes
    if total is None or free is None:
        return []
    if total == 0:
        return ["There is no swap."]
    if _swap_full(event):
        return [f"All {format_bytes(total)} of swap is used."]
    why = "what holds the memory cannot be swapped out, or not as fast as it grew"
    return [f"{format_bytes(free)} of {format_bytes(total)} swap is free: {why}."]


def _fragmented(event: Event, mine: list[Zone], order: int) -> RanOut:
    size = event.page_bytes << order
    free = sum(zone.free_bytes for zone in mine)
    known = all(zone.free_blocks for zone in mine if gives(event, zone, 0))
    if not known:
        return RanOut(
            shortage=Shortage.UNKNOWN,
            what=f"blocks of {format_bytes(size)}, it seems; the free lists are not in the log",
        )
    asked = f"The request was of order {order}, {format_bytes(size)} of adjacent memory"
    had = f"{format_bytes(free)} is free in smaller pieces, and single pages were to be had"
    return RanOut(
        shortage=Shortage.FRAGMENTATION,
        what=f"blocks of {format_bytes(size)} in one piece: memory is fragmented, not used up",
        because=(f"{asked}; {had}.",),
    )


def _one_zone(event: Event, mine: list[Zone], rich: list[Zone]) -> RanOut:
    names = ", ".join(dict.fromkeys(zone.name for zone in mine))
    free = format_bytes(sum(zone.free_bytes for zone in rich))
    other = ", ".join(dict.fromkeys(_zone_name(zone) for zone in rich))
    nodes = allowed(event)
    if nodes is not None and any(zone.node is not None and zone.node not in nodes for zone in rich):
        allowed_text = event.nodemask or event.mems_allowed
        return RanOut(
            shortage=Shortage.NODES,
            what=f"the memory of NUMA node {allowed_text}",
            because=(f"Only node {allowed_text} was allowed; {other} had {free} free.",),
        )
    return RanOut(
        shortage=Shortage.ZONE,
        what=f"zone {names}, while the host has memory left",
        because=(
            f"This request may not use {other}, where {free} is free. {_why_low(rich)}",
            *_withheld(event, mine),
        ),
    )


def _why_low(rich: list[Zone]) -> str:
    names = {zone.name for zone in rich}
    if "HighMem" in names:
        return "On a 32-bit kernel only the first 0.9 GiB hold the kernel's own data."
    if names == {"Movable"}:
        return "The kernel's own data cannot lie there: it must be movable (movablecore=, hotplug)."
    return "The kernel or a device asked for memory at low addresses."


def _zone_name(zone: Zone) -> str:
    return zone.name if zone.node is None else f"{zone.name} of node {zone.node}"


def _not_empty(event: Event, mine: list[Zone], order: int) -> RanOut:
    giving = [zone for zone in mine if gives(event, zone, order)]
    free = format_bytes(sum(zone.free_bytes for zone in giving))
    names = ", ".join(_zone_name(zone) for zone in giving)
    if event.kind is Kind.ALLOCATION_FAILURE:
        text = "The request could not wait (it came from an interrupt or a driver)"
    else:
        text = "Memory came free between the failed request and this report"
    return RanOut(
        shortage=Shortage.UNKNOWN,
        what="unknown: when it was reported, memory was free again",
        because=(f"{text}, or the limit is one that the log does not show: {names} has {free}.",),
    )
