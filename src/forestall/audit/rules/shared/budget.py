"""What may be asked of a database host's memory at worst: limits, and the database's settings."""

from dataclasses import dataclass

from forestall.audit.services import database_units, is_running
from forestall.model.facts import HostFacts, PostgresFacts
from forestall.units import MIB, format_bytes

POSTGRES = ("postgres", "postmaster")
"""How the main process of a PostgreSQL is called."""

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


def promised(facts: HostFacts) -> list[tuple[int, str, int]]:
    """MemoryMax=, name and index of every running unit that has one, the databases left out."""
    found = [
        (unit.memory_max_bytes, unit.name, index)
        for index, unit in enumerate(facts.units or ())
        if unit.memory_max_bytes is not None and is_running(unit)
    ]
    databases = database_units(facts) if found else set()
    return sorted((one for one in found if one[1] not in databases), reverse=True)


def promised_table(found: list[tuple[int, str, int]]) -> tuple[str, ...]:
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
