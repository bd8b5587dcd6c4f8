"""LIM, SVC and OOM: who may take everything, who comes back, and who is killed for it."""

from forestall.audit.exhaustion import host_exhaustion
from forestall.audit.holders import (
    counted_bytes,
    database_bytes,
    main_database,
    unkillable_large,
)
from forestall.audit.reading import fact, of_process
from forestall.audit.services import services
from forestall.model.facts import HostFacts
from forestall.model.finding import Fact, Finding, FindingState, Outcome, Service, Severity
from forestall.units import format_bytes

PROTECTED_ADJUST = -500
"""At or below this a database is taken only when it holds half of all memory more than others."""

NEEDS_MEMORY_MAX = 231
"""systemd before this version has MemoryLimit= in its place."""


def unlimited_beside_database(facts: HostFacts) -> Finding | None:
    """LIM-001: a service of the site's own may take all the memory of a database host."""
    if not facts.databases:
        return None
    found = _own_services(facts, limited=False)
    if facts.units is None:
        why = facts.unseen.get("units", "systemd could not be asked")
        return _limits_unknown(facts, why)
    if not found:
        untold = _own_services(facts, limited=None)
        return _limits_unknown(facts, f"systemd tells none of {_named(untold)}") if untold else None
    names = _named(found)
    setting = "MemoryLimit" if (facts.systemd_version or 252) < NEEDS_MEMORY_MAX else "MemoryMax"
    return Finding(
        rule="LIM-001",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.CRITICAL,
        text=f"{names} may take all the memory beside the database: no limit.",
        observed=tuple(_limit_fact(facts, service) for service in found),
        expected="a memory limit on each service beside a database",
        remedy=f"systemctl set-property {found[0].name} {setting}=SIZE, with SIZE from what it "
        "needs at its busiest plus a third",
        reference="systemd.resource-control(5)",
    )


def stays_dead(facts: HostFacts) -> Finding | None:
    """SVC-001: a killed service of the site's own does not come back."""
    found = [
        service
        for service in services(facts)
        if service.own and service.restart == "no" and not service.database
    ]
    if not found:
        return None
    are = "is" if len(found) == 1 else "are"
    return Finding(
        rule="SVC-001",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.LOW,
        text=f"{_named(found)} {are} not started again after a kill: Restart=no.",
        observed=tuple(
            fact(
                facts,
                f"{service.pointer}/restart",
                name=f"{service.name} Restart",
                source="systemctl show",
            )
            for service in found
        ),
        expected="Restart=on-failure or always",
        remedy="set Restart=always and RestartSec= in a drop-in (systemctl edit "
        f"{found[0].name}); on-failure takes the SIGTERM of a guard for a clean end",
        reference="systemd.service(5)",
    )


def database_not_protected(facts: HostFacts) -> Finding | None:
    """OOM-001: the OOM killer judges the database like any other process."""
    index = main_database(facts)
    if index is None or facts.container or host_exhaustion(facts).outcome is Outcome.PANIC:
        # A host that panics kills nobody first, so no score protects anybody.
        return None
    database = (facts.databases or ())[index]
    adjust = database.oom_score_adjust
    if adjust is not None and adjust <= PROTECTED_ADJUST:
        return None
    name, pid = database.process.name, database.process.key.pid
    observed = fact(
        facts,
        f"/databases/{index}/oom_score_adjust",
        name=f"{name} oom_score_adj",
        source=f"/proc/{pid}/oom_score_adj",
    )
    size = format_bytes(database_bytes(facts, database))
    known = adjust is not None
    return Finding(
        rule="OOM-001",
        host=facts.hostname,
        state=FindingState.FAIL if known else FindingState.UNKNOWN,
        severity=Severity.HIGH,
        text=f"The OOM killer judges {name} (pid {pid}, {size}) like any other process: "
        f"oom_score_adj {adjust}."
        if known
        else f"Whether {name} (pid {pid}) is protected is unknown: its oom_score_adj is not seen.",
        observed=(observed,),
        expected="oom_score_adj -900 on the database's main process",
        remedy="set OOMScoreAdjust=-900 in the database's unit (systemctl edit); for PostgreSQL "
        "also Environment=PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0",
        reference="PostgreSQL documentation, Linux memory overcommit",
    )


def unkillable_holder(facts: HostFacts) -> Finding | None:
    """OOM-003: a large process that may not be killed makes everything else die for it."""
    found = unkillable_large(facts)
    if not found or facts.container:
        return None
    held = [facts.holders[index] for index in found]
    largest = held[0].process
    return Finding(
        rule="OOM-003",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.HIGH,
        text=f"{format_bytes(sum(counted_bytes(holder) for holder in held))} is held by "
        f"processes the kernel may not kill ({largest.name}, pid {largest.key.pid}"
        f"{', ...' if len(held) > 1 else ''}): if one of them leaks, the rest dies first.",
        observed=tuple(
            of_process(facts, index, "oom_score_adjust", file="oom_score_adj") for index in found
        ),
        expected="oom_score_adj above -1000 on every large process",
        remedy="use -900 instead of -1000, unless killing it is worse than a panic",
        reference="kernel documentation, filesystems/proc.rst",
    )


def _limits_unknown(facts: HostFacts, why: str) -> Finding:
    return Finding(
        rule="LIM-001",
        host=facts.hostname,
        state=FindingState.UNKNOWN,
        severity=Severity.HIGH,
        text=f"Whether each service beside the database has a memory limit is unknown: {why}.",
        observed=(fact(facts, "/units"),) if facts.units is None else (),
        expected="a memory limit on each service beside a database",
        remedy="read the limits where the services are started",
        reference="systemd.resource-control(5)",
    )


def _own_services(facts: HostFacts, *, limited: bool | None) -> list[Service]:
    """The site's own services but the databases, by what is known of their limit."""
    return [
        service
        for service in services(facts)
        if service.own and service.limited is limited and not service.database
    ]


def _limit_fact(facts: HostFacts, service: Service) -> Fact:
    return fact(
        facts,
        f"{service.pointer}/memory_max_bytes",
        name=f"{service.name} MemoryMax",
        source="systemctl show",
    )


def _named(found: list[Service]) -> str:
    names = [service.name for service in found[:3]]
    more = len(found) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


RULES = (
    unlimited_beside_database,
    database_not_protected,
    unkillable_holder,
    stays_dead,
)
