"""What may be asked of a database host's memory at worst: limits, and the database's settings."""

from dataclasses import dataclass
from typing import NamedTuple

from forestall.audit.services import (
    database_units,
    is_running,
    slice_limits,
    slices_above,
    units_of_holders,
)
from forestall.model.facts import HostFacts, PostgresFacts
from forestall.units import MIB, format_bytes

WORK_MEM_BYTES = 4 * MIB
MAINTENANCE_WORK_MEM_BYTES = 64 * MIB
SHARED_BUFFERS_BYTES = 128 * MIB
MAX_CONNECTIONS = 100
AUTOVACUUM_WORKERS = 3
"""PostgreSQL's defaults for what its files do not set."""

LINES_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one PostgreSQL server may take: `shared_bytes` for certain, the rest at worst.

    One operation per connection is counted (a query may use work_mem several times over, and
    most connections use none of it), and each autovacuum worker at its largest.
    """

    shared_bytes: int
    connections: int
    work_bytes: int
    workers: int
    vacuum_bytes: int

    @property
    def most_bytes(self) -> int:
        """All of it at once."""
        sessions = self.connections * self.work_bytes
        return self.shared_bytes + sessions + self.workers * self.vacuum_bytes

    def table(self) -> tuple[str, ...]:
        """Part by part."""
        return (
            f"shared_buffers {format_bytes(self.shared_bytes)}",
            _times(f"{self.connections} connections x work_mem", self.connections, self.work_bytes),
            _times(f"{self.workers} autovacuum workers x", self.workers, self.vacuum_bytes),
        )


def needs(server: PostgresFacts) -> Needs | None:
    """What a server's settings let it take; None where not all of them were read."""
    if not server.complete:
        return None
    vacuum = server.autovacuum_work_mem_bytes
    if vacuum is None or vacuum <= 0:
        # -1, the default, stands for maintenance_work_mem.
        vacuum = _or(server.maintenance_work_mem_bytes, MAINTENANCE_WORK_MEM_BYTES)
    return Needs(
        shared_bytes=_or(server.shared_buffers_bytes, SHARED_BUFFERS_BYTES),
        connections=_or(server.max_connections, MAX_CONNECTIONS),
        work_bytes=_or(server.work_mem_bytes, WORK_MEM_BYTES),
        workers=_or(server.autovacuum_max_workers, AUTOVACUUM_WORKERS),
        vacuum_bytes=vacuum,
    )


def settings_read(index: int) -> tuple[str, ...]:
    """Where the settings that weigh most lie in the HostFacts document."""
    fields = ("shared_buffers_bytes", "max_connections", "work_mem_bytes")
    return tuple(f"/postgres/{index}/{field}" for field in fields)


class Promise(NamedTuple):
    """Up to where something may grow, its name, and where that limit lies in the document."""

    size_bytes: int
    name: str
    pointer: str


def promised(facts: HostFacts) -> list[Promise]:
    """What the running units may take by their limits, largest first, the databases left out.

    A slice with a limit promises that once, whatever the units in it are promised beside: of
    nested slices the outermost counts, and only where the units in it may reach its limit.
    """
    found: list[Promise] = []
    inside: dict[str, list[Promise | None]] = {}
    databases, sliced = database_units(facts), slice_limits(facts)
    seen = units_of_holders(facts)
    for index, unit in enumerate(facts.units or ()):
        if not is_running(unit, seen) or unit.name in databases:
            continue
        own = None
        if unit.memory_max_bytes is not None:
            own = Promise(unit.memory_max_bytes, unit.name, f"/units/{index}/memory_max_bytes")
        above = [name for name in slices_above(unit.slice) if name in sliced]
        if above:
            inside.setdefault(above[-1], []).append(own)
        elif own is not None:
            found.append(own)
    for index, one in enumerate(facts.slices or ()):
        members = inside.get(one.name, [])
        known = [own for own in members if own is not None]
        if len(known) == len(members) and sum(own.size_bytes for own in known) <= sliced.get(
            one.name, 0
        ):
            found.extend(known)
        elif members:
            field = "memory_high_bytes" if one.memory_max_bytes is None else "memory_max_bytes"
            found.append(Promise(sliced[one.name], one.name, f"/slices/{index}/{field}"))
    return sorted(found, reverse=True)


def promised_table(found: list[Promise]) -> tuple[str, ...]:
    """The largest limits by name, and what the others come to."""
    lines = [f"{name} {format_bytes(size)}" for size, name, _ in found[:LINES_MOST]]
    if len(found) > LINES_MOST:
        rest = sum(size for size, _, _ in found[LINES_MOST:])
        lines.append(f"{len(found) - LINES_MOST} more limits {format_bytes(rest)}")
    return tuple(lines)


def _or(value: int | None, default: int) -> int:
    return default if value is None or value < 0 else value


def _times(what: str, count: int, each: int) -> str:
    return f"{what} {format_bytes(each)} = {format_bytes(count * each)}"
