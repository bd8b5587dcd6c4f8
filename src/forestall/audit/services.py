"""Which services have a memory limit, and which of them matter: HostFacts -> Services."""

from collections.abc import Iterator, Mapping, Set

from forestall.audit.holders import (
    LARGE_SHARE,
    counted_bytes,
    database_bytes,
    large_others,
    others_by_unit,
)
from forestall.model.facts import HostFacts, UnitFacts
from forestall.model.finding import Service
from forestall.units import MIB

DISTRIBUTION_FOLDERS = ("/usr/lib/systemd/", "/lib/systemd/", "/run/systemd/generator")

SNAP = "snap."
"""snapd writes the units of its packages, named so, below /etc/systemd/system."""

ALL_IN_ETC = ("nixos",)
"""Systems whose own units lie where elsewhere the site's do; there none is called the site's."""

ROOT_SLICES = (None, "", "-.slice", "system.slice")
"""Slices that systemd itself makes, which a site seldom limits."""

MUCH_BYTES = 512 * MIB

NAMED_MOST = 3
"""How many services a sentence names before it only counts."""


def services(facts: HostFacts) -> tuple[Service, ...]:
    """The services that run, the site's own first, then by memory; () also where none is told."""
    none_own, seen = facts.os_id in ALL_IN_ETC, units_of_holders(facts)
    running = [
        (index, unit, not none_own and is_own(unit))
        for index, unit in enumerate(facts.units or ())
        if is_running(unit, seen)
    ]
    found = _described(facts, running)
    return tuple(sorted(found, key=lambda service: (not service.own, -(service.memory_bytes or 0))))


def own_services(facts: HostFacts) -> tuple[Service, ...]:
    """The running services that the site wrote itself, by memory; the databases left out.

    Most units of a host are the distribution's, and a fleet is judged often: these are passed
    over before anything is worked out about them.
    """
    if facts.os_id in ALL_IN_ETC:
        return ()
    seen = units_of_holders(facts)
    # `is_own` is written out, once: a fleet of 100,000 hosts has millions of units.
    running = [
        (index, unit, True)
        for index, unit in enumerate(facts.units or ())
        if unit.active is not False
        and (path := unit.fragment_path) is not None
        and not path.startswith(DISTRIBUTION_FOLDERS)
        and not unit.name.startswith(SNAP)
        and is_running(unit, seen)
    ]
    found = [service for service in _described(facts, running) if not service.database]
    found.sort(key=lambda service: -(service.memory_bytes or 0))
    return tuple(found)


def services_beside(facts: HostFacts) -> tuple[Service, ...]:
    """What may grow beside a database: the site's own, then whatever else holds much already.

    A service that holds 5 % of the memory leaks no less for coming in a package, and a service of
    the site's is not seldom packed as one, or started by a script of SysV's. It must hold half a
    GiB too: on a small host everything is a twentieth.
    """
    own = own_services(facts)
    least = max(LARGE_SHARE * (facts.memory.mem_total_bytes or 0), MUCH_BYTES)
    large = {name for name, size in others_by_unit(facts).items() if size >= least}
    large -= {one.name for one in own}
    if not large:
        return own
    units = facts.units or ()
    found = _described(
        facts, [(at, unit, False) for at, unit in enumerate(units) if unit.name in large]
    )
    return (*own, *sorted(found, key=lambda service: -(service.memory_bytes or 0)))


def of_unknown_origin(facts: HostFacts) -> tuple[Service, ...]:
    """The running services of which nobody told whether they are the site's or the system's."""
    databases, seen = database_units(facts), units_of_holders(facts)
    return tuple(
        _described(
            facts,
            [
                (index, unit, False)
                for index, unit in enumerate(facts.units or ())
                if unit.fragment_path is None
                and is_running(unit, seen)
                and unit.name not in databases
            ],
        )
    )


def outside_services(facts: HostFacts) -> list[int]:
    """Indexes in `facts.holders` of what holds 5 % of the memory in no service that systemd tells.

    That is what runs in a container, in somebody's login, or under a user's own systemd; a slice
    or the user's service above it may limit it all the same. Databases are left out.
    """
    large = large_others(facts)
    if not large:
        return []
    known = {unit.name for unit in facts.units or ()}
    above = slice_limits(facts)
    above |= {one.name: limit for one in facts.units or () if (limit := _limit(facts, one))}
    total = facts.memory.mem_total_bytes
    return [
        index
        for index, one in large
        if one.process.unit not in known
        and not any(
            part in above and _below(above[part], total)
            for part in (one.process.cgroup or "").split("/")
        )
    ]


def limits_are_off(facts: HostFacts) -> bool:
    """Whether the kernel was started without its memory controller: no limit does anything."""
    if facts.cmdline is None or "cgroup_disable=" not in facts.cmdline:
        return False
    words = facts.cmdline.split()
    if "cgroup_enable=memory" in words:
        return False
    off = [word.partition("=")[2] for word in words if word.startswith("cgroup_disable=")]
    return any("memory" in value.split(",") for value in off)


def _described(facts: HostFacts, running: list[tuple[int, UnitFacts, bool]]) -> list[Service]:
    """Running units, each with its index in the facts and whether it is the site's own."""
    if not running:
        return []
    databases = database_units(facts)
    above = slice_limits(facts)
    held = held_by_unit(facts)
    return [
        Service(
            name=unit.name,
            limited=_ends(facts, unit, limit := limit_bytes(facts, unit, above)),
            limit_bytes=limit,
            memory_bytes=held.get(unit.name)
            if unit.memory_current_bytes is None
            else unit.memory_current_bytes,
            restart=unit.restart,
            own=own,
            database=unit.name in databases,
            pointer=f"/units/{index}",
        )
        for index, unit, own in running
    ]


def units_of_holders(facts: HostFacts) -> frozenset[str | None]:
    """The units that the largest processes run in."""
    return frozenset([one.process.unit for one in facts.holders])


def database_units(facts: HostFacts) -> set[str]:
    """The units that the seen databases run in."""
    return {one.process.unit for one in facts.databases or () if one.process.unit is not None}


def _ends(facts: HostFacts, unit: UnitFacts, limit: int | None) -> bool | None:
    """Whether `limit` ends the unit's growth before the host's memory does; None = not told."""
    if limits_are_off(facts):
        return False
    if limit is not None:
        return _below(limit, facts.memory.mem_total_bytes)
    if not unit.limit_known or (facts.slices is None and unit.slice not in ROOT_SLICES):
        return None
    return False


def _below(limit: int, total: int | None) -> bool:
    """Whether a limit is reached before the host's memory, which may be unknown, runs out."""
    return total is None or limit < total


def limit_bytes(facts: HostFacts, unit: UnitFacts, above: Mapping[str, int]) -> int | None:
    """The unit's limit, or the tightest of the slices above it where that is tighter."""
    own = _limit(facts, unit)
    if not above:
        return own
    found = [above[name] for name in slices_above(unit.slice) if name in above]
    return min([*found, *([] if own is None else [own])], default=None)


def slice_limits(facts: HostFacts) -> dict[str, int]:
    """The limits of slices by name, without those that hold a database as well.

    What shares its limit with the database can still take all that the database needs.
    """
    found = {
        one.name: limit
        for one in facts.slices or ()
        if (limit := _limit(facts, one)) is not None and one.name != "-.slice"
    }
    if not found:
        return found
    beside = database_units(facts)
    for database in facts.databases or ():
        for step in (database.process.cgroup or "").split("/"):
            found.pop(step, None)
    for unit in facts.units or ():
        if unit.name in beside:
            for name in slices_above(unit.slice):
                found.pop(name, None)
    return found


def slices_above(name: str | None) -> Iterator[str]:
    """`a-b.slice` -> `a-b.slice`, `a.slice`: systemd nests slices by their names."""
    stem = (name or "").removesuffix(".slice")
    while stem and stem != "-":
        yield f"{stem}.slice"
        stem = stem.rpartition("-")[0]


def _limit(facts: HostFacts, unit: UnitFacts) -> int | None:
    """MemoryMax=, else MemoryHigh=, which cgroup version 1 does not have (systemd ignores it)."""
    if unit.memory_max_bytes is not None:
        return unit.memory_max_bytes
    return None if facts.cgroup_version == 1 else unit.memory_high_bytes


def unit_of(facts: HostFacts, service: Service) -> UnitFacts:
    """The unit that a Service was made of."""
    return (facts.units or ())[int(service.pointer.removeprefix("/units/"))]


def named(found: list[Service], most: int = NAMED_MOST) -> str:
    """The first names, and how many more."""
    more = len(found) - most
    names = ", ".join([one.name for one in found[:most]])
    return f"{names} and {more} more" if more > 0 else names


def pointers(found: list[Service], field: str) -> tuple[str, ...]:
    """Where the field of the services that `named` names lies in the HostFacts document."""
    return tuple([f"{one.pointer}/{field}" for one in found[:NAMED_MOST]])


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
        f"{len(unlimited)} of {len(known)} running services have no memory limit: "
        "each may take all that is left."
    )


def is_running(unit: UnitFacts, seen: Set[str | None] = frozenset()) -> bool:
    """Whether it has a process: a oneshot service stays "active" after it has ended.

    Where nothing is accounted (RHEL 7) systemd may know no main process of what daemonised itself;
    `seen` are the units of processes that were seen themselves.
    """
    if unit.name in seen:
        return unit.active is not False
    if unit.active is None:
        return unit.main_pid is not None
    if unit.main_pid is None and unit.task_count is not None:
        return unit.active and unit.task_count > 0
    has_process = unit.main_pid or unit.memory_current_bytes
    return unit.active and bool(has_process or unit.service_type == "forking")


def is_own(unit: UnitFacts) -> bool:
    """Whether the site wrote this unit, rather than the distribution's package."""
    path = unit.fragment_path
    if path is None or path.startswith(DISTRIBUTION_FOLDERS):
        return False
    return not unit.name.startswith(SNAP)


def held_by_unit(facts: HostFacts) -> dict[str | None, int]:
    """What the seen processes of each unit hold (RSS plus swap); systemd may account nothing.

    A database's processes share most of what they hold, so their sum would count it many times.
    """
    held: dict[str | None, int] = {}
    for one in facts.holders:
        unit = one.process.unit
        held[unit] = held.get(unit, 0) + counted_bytes(one)
    for database in reversed(facts.databases or ()):
        held[database.process.unit] = database_bytes(facts, database)
    held.pop(None, None)
    return held
