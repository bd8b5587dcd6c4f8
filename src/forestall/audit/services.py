"""Which services have a memory limit, and which of them matter: HostFacts -> Services."""

from forestall.audit.holders import counted_bytes, database_bytes
from forestall.model.facts import HostFacts, UnitFacts
from forestall.model.finding import Service

DISTRIBUTION_FOLDERS = ("/usr/lib/systemd/", "/lib/systemd/", "/run/systemd/generator")


def services(facts: HostFacts) -> tuple[Service, ...]:
    """The services that run, the site's own first, then by memory; () also where none is told."""
    databases = {database.process.unit for database in facts.databases or ()}
    found = [
        Service(
            name=unit.name,
            limited=is_limited(unit) if unit.limit_known else None,
            limit_bytes=unit.memory_max_bytes or unit.memory_high_bytes,
            memory_bytes=memory_bytes(facts, unit),
            restart=unit.restart,
            own=is_own(unit),
            database=unit.name in databases,
            pointer=f"/units/{index}",
        )
        for index, unit in enumerate(facts.units or ())
        if is_running(unit)
    ]
    return tuple(sorted(found, key=lambda service: (not service.own, -(service.memory_bytes or 0))))


def unlimited_text(facts: HostFacts, found: tuple[Service, ...]) -> str:
    """One sentence: how many services can take all of the memory, or why nobody can tell."""
    if facts.units is None:
        why = facts.unseen.get("units", "systemd could not be asked")
        return f"Unknown: {why}."
    known = [service for service in found if service.limited is not None]
    if not found:
        return "No service of systemd runs here."
    if not known:
        return "Unknown: systemd told of no limits."
    unlimited = [service for service in known if not service.limited]
    if not unlimited and len(known) == 1:
        return "The one running service has a memory limit."
    if not unlimited:
        return f"All {len(known)} running services have a memory limit."
    return (
        f"{len(unlimited)} of {len(known)} running services have no memory limit of their own: "
        "each may take all that is left."
    )


def is_running(unit: UnitFacts) -> bool:
    """Whether it has a process: a oneshot service stays "active" after it has ended."""
    return bool(unit.active) and (unit.main_pid is not None or bool(unit.memory_current_bytes))


def is_limited(unit: UnitFacts) -> bool:
    """Whether the unit itself has a limit; one of a slice above it is not in these facts."""
    return unit.memory_max_bytes is not None or unit.memory_high_bytes is not None


def is_own(unit: UnitFacts) -> bool:
    """Whether the site wrote this unit, rather than the distribution's package."""
    path = unit.fragment_path
    return path is not None and not path.startswith(DISTRIBUTION_FOLDERS)


def memory_bytes(facts: HostFacts, unit: UnitFacts) -> int | None:
    """What systemd accounts to the unit, else what its seen processes hold (RSS plus swap)."""
    if unit.memory_current_bytes is not None:
        return unit.memory_current_bytes
    for database in facts.databases or ():
        if database.process.unit == unit.name:
            # Its processes share most of what they hold, so their sum would count it many times.
            return database_bytes(facts, database)
    processes = [holder for holder in facts.holders if holder.process.unit == unit.name]
    return sum(counted_bytes(holder) for holder in processes) if processes else None
