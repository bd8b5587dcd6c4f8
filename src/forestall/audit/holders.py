"""Who holds memory, and whom the kernel's OOM killer would take first.

Memory here is RSS plus swap, because that is what the OOM killer counts; memory that several
processes share, such as PostgreSQL's shared buffers, is in the RSS of each.
"""

from collections.abc import Set

from forestall.audit.engines import engine_of
from forestall.model.facts import HolderFacts, HostFacts
from forestall.model.finding import Holder
from forestall.model.sample import ProcessSample
from forestall.units import MIB

UNKILLABLE = -1000
"""oom_score_adj that exempts a process from the OOM killer altogether."""

LOWEST_ADVISED = -900
"""What is advised in its place: below, a process weighs nothing until it holds nearly all."""

LARGE_SHARE = 0.05
"""From this share of the host's memory on, a process matters to what happens at the end."""


TAKE_HUGE_PAGES = ("oracle", "mysql")
DEFAULT_HUGE_PAGE_BYTES = 2 * MIB
DEFAULT_SHARED_BUFFERS_BYTES = 128 * MIB
"""PostgreSQL's own since 9.3."""

EXEMPT_SHARE = 0.5
"""From this share on, exempt processes that leak can leave the kernel with nobody to kill."""


def holders(facts: HostFacts) -> tuple[Holder, ...]:
    """The processes that `facts` knows, largest first, as the OOM killer sees them."""
    first = first_pick_index(facts)
    found = [
        described(facts, holder, pointer=f"/holders/{index}", first=index == first)
        for index, holder in enumerate(facts.holders)
    ]
    return tuple(sorted(found, key=lambda holder: -holder.memory_bytes))


def first_pick_index(facts: HostFacts, within: str = "/") -> int | None:
    """Index in `facts.holders` of the process the OOM killer would take now; None if unknown.

    `within` is the path of the cgroup that runs out; "/" is the whole host, or the container.

    The kernel takes the highest /proc/PID/oom_score, never one whose oom_score_adj is -1000,
    never the host's PID 1 (that of a container is a process like any other). The file is coarser
    than the kernel's own points, so of equals the larger counts.
    """
    candidates = [
        (holder.oom_score, counted_bytes(holder), -index)
        for index, holder in enumerate(facts.holders)
        if holder.oom_score is not None
        and holder.oom_score_adjust != UNKILLABLE
        and (facts.container is not None or holder.process.key.pid != 1)
        and _is_inside(holder.process.cgroup, within)
    ]
    return -max(candidates)[2] if candidates else None


def first_pick(facts: HostFacts, index: int) -> Holder:
    """The holder at `index`, described as the one that the OOM killer would take."""
    return described(facts, facts.holders[index], pointer=f"/holders/{index}", first=True)


def stands_out(facts: HostFacts, index: int, total_bytes: int | None = None) -> bool:
    """Whether a holder is taken for what it is now, rather than for what a leak will be by then.

    `total_bytes` is the limit that runs out; None = the host's memory.
    """
    holder = facts.holders[index]
    if (holder.oom_score_adjust or 0) > 0:
        return True
    total = total_bytes or facts.memory.mem_total_bytes
    return total is not None and counted_bytes(holder) >= LARGE_SHARE * total


def main_database(facts: HostFacts) -> int | None:
    """Index in `facts.databases` of the one that takes most, None where none is seen."""
    databases = facts.databases or ()
    if not databases:
        return None
    return max(range(len(databases)), key=lambda index: taken_bytes(facts, databases[index]))


def perhaps_larger(facts: HostFacts) -> tuple[HolderFacts, ...]:
    """The databases that may take more than the main one: not all of their size was seen."""
    databases = facts.databases or ()
    if len(databases) < 2:
        return ()
    main = main_database(facts)
    return tuple(
        one
        for index, one in enumerate(databases)
        if index != main and None in (_most_held_bytes(facts, one), configured_bytes(facts, one))
    )


def is_large_database(facts: HostFacts, database: HolderFacts) -> bool | None:
    """Whether a database takes 5 % of the memory, held now or configured.

    None = it may: what would tell more (its unit's memory, what of it is swapped, its settings)
    was not seen.
    """
    total = facts.memory.mem_total_bytes
    if total is None:
        return None
    if taken_bytes(facts, database) >= LARGE_SHARE * total:
        return True
    most = _most_held_bytes(facts, database)
    sure = most is not None and most < LARGE_SHARE * total
    return False if sure and configured_bytes(facts, database) is not None else None


def taken_bytes(facts: HostFacts, database: HolderFacts) -> int:
    """What a database holds, or is set up to hold once it is busy, whichever is more."""
    return max(database_bytes(facts, database), configured_bytes(facts, database) or 0)


def configured_bytes(facts: HostFacts, database: HolderFacts) -> int | None:
    """What a database sets aside for its cache by its settings; None where they were not all read.

    Facts hold PostgreSQL's shared_buffers, and the huge pages that Oracle or MySQL were promised
    at their start; of every other setting nothing is known, which counts as 0.
    """
    engine = engine_of(database)
    if engine == "postgresql":
        return _shared_buffers(facts, database)
    if engine not in TAKE_HUGE_PAGES:
        return 0
    if facts.hugepages_total is None or facts.hugepages_free is None:
        return None
    pages = facts.hugepages_total - facts.hugepages_free + (facts.hugepages_reserved or 0)
    return pages * (facts.hugepage_bytes or DEFAULT_HUGE_PAGE_BYTES)


def _shared_buffers(facts: HostFacts, database: HolderFacts) -> int | None:
    """Of a PostgreSQL; the settings stand in the order of its servers."""
    servers = [one for one in facts.databases or () if engine_of(one) == "postgresql"]
    if facts.postgres is None or len(facts.postgres) != len(servers) or database not in servers:
        return None
    settings = facts.postgres[servers.index(database)]
    if settings.shared_buffers_bytes is None and settings.complete:
        return DEFAULT_SHARED_BUFFERS_BYTES
    return settings.shared_buffers_bytes


def _most_held_bytes(facts: HostFacts, database: HolderFacts) -> int | None:
    """What a database holds at most; None where its unit's memory, if it has one, was not seen."""
    process = database.process
    if not facts.holders or (process.unit is None and process.cgroup is None):
        return None
    # Of a scope (a container's, a login's) systemd's list of services never tells.
    listed = process.unit is not None and not process.unit.endswith(".scope")
    if listed and all(unit.name != process.unit for unit in facts.units or ()):
        return None
    held = database_bytes(facts, database)
    if process.swap_bytes is not None:
        return held
    total, free = facts.memory.swap_total_bytes, facts.memory.swap_free_bytes
    return None if total is None or free is None else held + total - free


def database_bytes(facts: HostFacts, database: HolderFacts) -> int:
    """What a database holds: its unit's memory where systemd tells it, else its largest process."""
    for unit in facts.units or ():
        if unit.name == database.process.unit and unit.memory_current_bytes is not None:
            return unit.memory_current_bytes
    name, service = database.process.name, database.process.unit
    # Its sessions may go by another name (postmaster, and postgres for each session).
    same = [
        holder
        for holder in facts.holders
        if holder.process.name == name or (service is not None and holder.process.unit == service)
    ]
    return max(counted_bytes(holder) for holder in [*same, database])


def heaviest_killable(facts: HostFacts, database: HolderFacts) -> HolderFacts | None:
    """The database's process that the OOM killer would take first; None if it may take none.

    PostgreSQL's own advice exempts the main process alone: its sessions stay killable, and one
    that is killed ends them all.
    """
    same = [holder for holder in facts.holders if holder.process.name == database.process.name]
    killable = [
        holder for holder in [database, *same] if holder.oom_score_adjust not in (None, UNKILLABLE)
    ]
    return max(killable, key=lambda holder: weight_bytes(facts, holder) or 0, default=None)


def sessions(facts: HostFacts, database: HolderFacts) -> tuple[int, ...]:
    """Indexes of the database's seen processes other than its main one."""
    return tuple(
        index
        for index, holder in enumerate(facts.holders)
        if holder.process.name == database.process.name
        and holder.process.key.pid != database.process.key.pid
    )


def weight_bytes(facts: HostFacts, holder: HolderFacts) -> float | None:
    """What the OOM killer compares: memory held, moved by oom_score_adj (oom_badness).

    Each point of oom_score_adj weighs a thousandth of memory and swap together.
    """
    total = facts.memory.mem_total_bytes
    if total is None or holder.oom_score_adjust is None:
        return None
    thousandth = (total + (facts.memory.swap_total_bytes or 0)) / 1000
    return counted_bytes(holder) + holder.oom_score_adjust * thousandth


def is_database(facts: HostFacts, holder: HolderFacts) -> bool:
    """Whether a process is one of a database's: by name, or by the unit it belongs to."""
    return _is_of(holder.process, *_databases(facts))


def large_others(facts: HostFacts) -> list[tuple[int, HolderFacts]]:
    """The large holders that are no database's, each with its index in `facts.holders`."""
    least = LARGE_SHARE * (facts.memory.mem_total_bytes or 0)
    found = [one for one in enumerate(facts.holders) if counted_bytes(one[1]) >= least]
    if not found:
        return found
    names, units = _databases(facts)
    return [one for one in found if not _is_of(one[1].process, names, units)]


def others_by_unit(facts: HostFacts) -> dict[str, int]:
    """What the seen processes of each unit hold (RSS plus swap), those of databases left out."""
    names, units = _databases(facts)
    held: dict[str, int] = {}
    for one in facts.holders:
        unit = one.process.unit
        if unit is not None and not _is_of(one.process, names, units):
            held[unit] = held.get(unit, 0) + counted_bytes(one)
    return held


def _databases(facts: HostFacts) -> tuple[set[str], set[str | None]]:
    """The names and the units of the databases' main processes."""
    processes = [one.process for one in facts.databases or ()]
    return {one.name for one in processes}, {one.unit for one in processes} - {None}


def _is_of(process: ProcessSample, names: Set[str], units: Set[str | None]) -> bool:
    return process.name in names or process.unit in units or process.name.startswith("ora_")


def counted_bytes(holder: HolderFacts) -> int:
    """RSS plus swap: what the OOM killer counts (page tables left out)."""
    return holder.process.rss_bytes + (holder.process.swap_bytes or 0)


def unkillable_large(facts: HostFacts) -> tuple[int, ...]:
    """Indexes of large holders that the OOM killer must not take."""
    return tuple(
        [
            index
            for index, holder in enumerate(facts.holders)
            if holder.oom_score_adjust == UNKILLABLE and _is_large(facts, holder)
        ]
    )


def spared_for_database(facts: HostFacts) -> tuple[int, ...]:
    """Indexes of large holders so low that the database is taken before them.

    That is where the database weighs more even once such a process has taken all that is left:
    of two low values the lower may still be the first, because a thousandth of memory and swap
    for each point is soon outgrown.
    """
    main = main_database(facts)
    left = facts.memory.headroom_bytes
    if main is None or left is None:
        return ()
    killable = heaviest_killable(facts, (facts.databases or ())[main])
    weight = None if killable is None else weight_bytes(facts, killable)
    if weight is None:
        return ()
    return tuple(
        index
        for index, holder in large_others(facts)
        if holder.oom_score_adjust != UNKILLABLE
        and (own := weight_bytes(facts, holder)) is not None
        and own + left < weight
    )


def hardly_killable(facts: HostFacts) -> tuple[int, ...]:
    """Indexes of large holders, not a database's, whose oom_score_adj is as good as -1000."""
    low = range(UNKILLABLE + 1, LOWEST_ADVISED)
    if not any(holder.oom_score_adjust in low for holder in facts.holders):
        return ()
    return tuple(index for index, holder in large_others(facts) if holder.oom_score_adjust in low)


def unseen_large(facts: HostFacts) -> str | None:
    """Why it is not known whom the OOM killer may take, as a clause; None where it is."""
    if facts.hidden_processes:
        return "other users' processes are hidden"
    unknown = next(
        (one for one in facts.holders if one.oom_score_adjust is None and _is_large(facts, one)),
        None,
    )
    if unknown is not None:
        return f"the oom_score_adj of {unknown.process.name} was not seen"
    if all(one.oom_score_adjust is None for one in facts.holders):
        return "no oom_score_adj was seen"
    return facts.unseen.get("holders")


def nothing_killable(facts: HostFacts) -> bool:
    """Whether the exempt processes alone can use up the host, with nobody large left to kill.

    True where every large process is exempt and together they hold half of the memory; a leak
    in any other process is still killed.
    """
    total = facts.memory.mem_total_bytes
    if total is None:
        return False
    least = LARGE_SHARE * total
    exempt = 0
    for holder in facts.holders:
        size = counted_bytes(holder)
        if size >= least:
            if holder.oom_score_adjust != UNKILLABLE:
                return False
            exempt += size
    return exempt >= EXEMPT_SHARE * total


def described(
    facts: HostFacts, holder: HolderFacts, *, pointer: str, first: bool = False
) -> Holder:
    """One process in the words of a report; `pointer` is its place in the HostFacts document."""
    total = facts.memory.mem_total_bytes
    adjust = holder.oom_score_adjust
    return Holder(
        name=holder.process.name,
        pid=holder.process.key.pid,
        memory_bytes=counted_bytes(holder),
        unit=holder.process.unit,
        share=counted_bytes(holder) / total if total else None,
        oom_score=holder.oom_score,
        oom_score_adjust=adjust,
        database=is_database(facts, holder),
        first_pick=first,
        killable=None if adjust is None else adjust != UNKILLABLE,
        pointer=pointer,
    )


def _is_inside(cgroup: str | None, within: str) -> bool:
    if within == "/":
        return True
    return cgroup is not None and (cgroup == within or cgroup.startswith(f"{within}/"))


def _is_large(facts: HostFacts, holder: HolderFacts) -> bool:
    total = facts.memory.mem_total_bytes
    return bool(total) and counted_bytes(holder) >= LARGE_SHARE * (total or 0)
