"""Who holds memory, and whom the kernel's OOM killer would take first.

Memory here is RSS plus swap, because that is what the OOM killer counts; memory that several
processes share, such as PostgreSQL's shared buffers, is in the RSS of each.
"""

from forestall.model.facts import HolderFacts, HostFacts
from forestall.model.finding import Holder

DATABASES = {
    "postgres": "PostgreSQL",
    "postmaster": "PostgreSQL",
    "mysqld": "MySQL",
    "mariadbd": "MariaDB",
    "mongod": "MongoDB",
    "oracle": "Oracle",
    "redis-server": "Redis",
    "valkey-server": "Valkey",
    "sqlservr": "SQL Server",
    "clickhouse-serv": "ClickHouse",
    "etcd": "etcd",
}
"""Process names (at most 15 characters, as the kernel keeps them) of programs that keep data."""

UNKILLABLE = -1000
"""oom_score_adj that exempts a process from the OOM killer altogether."""

LARGE_SHARE = 0.05
"""From this share of the host's memory on, a process matters to what happens at the end."""


def holders(facts: HostFacts) -> tuple[Holder, ...]:
    """The processes that `facts` knows, largest first, as the OOM killer sees them."""
    first = first_pick_index(facts)
    found = [
        _holder(facts, index, holder, first=index == first)
        for index, holder in enumerate(facts.holders)
    ]
    return tuple(sorted(found, key=lambda holder: -holder.memory_bytes))


def first_pick_index(facts: HostFacts) -> int | None:
    """Index in `facts.holders` of the process the OOM killer would take now; None if unknown.

    The kernel takes the highest /proc/PID/oom_score, never one whose oom_score_adj is -1000,
    never PID 1. The file is coarser than the kernel's own points, so of equals the larger counts.
    """
    candidates = [
        (holder.oom_score, counted_bytes(holder), -index)
        for index, holder in enumerate(facts.holders)
        if holder.oom_score is not None
        and holder.oom_score_adjust != UNKILLABLE
        and holder.process.key.pid != 1
    ]
    return -max(candidates)[2] if candidates else None


def database_product(name: str) -> str | None:
    """What kind of database a process of this name is, None for any other process."""
    if name.startswith("ora_"):
        return "Oracle"
    return DATABASES.get(name)


def counted_bytes(holder: HolderFacts) -> int:
    """RSS plus swap: what the OOM killer counts (page tables left out)."""
    return holder.process.rss_bytes + (holder.process.swap_bytes or 0)


def unkillable_large(facts: HostFacts) -> tuple[int, ...]:
    """Indexes of large holders that the OOM killer must not take."""
    return tuple(
        index
        for index, holder in enumerate(facts.holders)
        if _is_large(facts, holder) and holder.oom_score_adjust == UNKILLABLE
    )


def nothing_killable(facts: HostFacts) -> bool:
    """Whether every large process is exempt, so that killing the rest frees next to nothing."""
    large = [holder for holder in facts.holders if _is_large(facts, holder)]
    return bool(large) and all(holder.oom_score_adjust == UNKILLABLE for holder in large)


def _is_large(facts: HostFacts, holder: HolderFacts) -> bool:
    total = facts.memory.mem_total_bytes
    return bool(total) and counted_bytes(holder) >= LARGE_SHARE * (total or 0)


def _holder(facts: HostFacts, index: int, holder: HolderFacts, *, first: bool) -> Holder:
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
        database=database_product(holder.process.name) is not None,
        first_pick=first,
        killable=None if adjust is None else adjust != UNKILLABLE,
        pointer=f"/holders/{index}",
    )
