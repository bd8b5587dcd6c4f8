"""What may be asked of a database host's memory at worst: limits, and the database's settings."""

from dataclasses import dataclass

from forestall.audit.services import database_units, is_running
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
class Budget:
    """One server's or host's worst case. `fixed_bytes` is taken for certain, `most_bytes` may be.

    `table` reads it out, `reads` are the pointers to what it is made of.
    """

    fixed_bytes: int
    most_bytes: int
    table: tuple[str, ...]
    reads: tuple[str, ...]


def postgres_budget(facts: HostFacts, index: int) -> Budget | None:
    """What one PostgreSQL server may take; None where not all of its settings were read.

    One operation per connection is counted (a query may use work_mem several times over, and
    most connections use none of it), and each autovacuum worker at its largest.
    """
    server = (facts.postgres or ())[index]
    if not server.complete:
        return None
    shared = _or(server.shared_buffers_bytes, SHARED_BUFFERS_BYTES)
    connections = _or(server.max_connections, MAX_CONNECTIONS)
    work = _or(server.work_mem_bytes, WORK_MEM_BYTES)
    workers = _or(server.autovacuum_max_workers, AUTOVACUUM_WORKERS)
    vacuum = _vacuum_bytes(server)
    return Budget(
        fixed_bytes=shared,
        most_bytes=shared + connections * work + workers * vacuum,
        table=(
            f"shared_buffers {format_bytes(shared)}",
            _times(f"{connections} connections x work_mem", connections, work),
            _times(f"{workers} autovacuum workers x", workers, vacuum),
        ),
        reads=tuple(
            f"/postgres/{index}/{field}"
            for field in ("shared_buffers_bytes", "max_connections", "work_mem_bytes")
        ),
    )


def limits_budget(facts: HostFacts) -> Budget:
    """The MemoryMax= of every running service that has one, the databases' left out."""
    databases = database_units(facts)
    found = sorted(
        (
            (unit.memory_max_bytes, unit.name, index)
            for index, unit in enumerate(facts.units or ())
            if unit.memory_max_bytes is not None and unit.name not in databases and is_running(unit)
        ),
        reverse=True,
    )
    total = sum(size for size, _, _ in found)
    lines = [f"{name} {format_bytes(size)}" for size, name, _ in found[:LINES_MOST]]
    if len(found) > LINES_MOST:
        rest = sum(size for size, _, _ in found[LINES_MOST:])
        lines.append(f"{len(found) - LINES_MOST} more limits {format_bytes(rest)}")
    return Budget(
        fixed_bytes=total,
        most_bytes=total,
        table=tuple(lines),
        reads=tuple(f"/units/{index}/memory_max_bytes" for _, _, index in found[:LINES_MOST]),
    )


def _vacuum_bytes(server: PostgresFacts) -> int:
    """-1 (the default) stands for maintenance_work_mem."""
    own = server.autovacuum_work_mem_bytes
    if own is not None and own > 0:
        return own
    return _or(server.maintenance_work_mem_bytes, MAINTENANCE_WORK_MEM_BYTES)


def _or(value: int | None, default: int) -> int:
    return default if value is None or value < 0 else value


def _times(what: str, count: int, each: int) -> str:
    return f"{what} {format_bytes(each)} = {format_bytes(count * each)}"
