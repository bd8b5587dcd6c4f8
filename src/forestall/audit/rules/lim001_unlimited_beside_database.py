"""A service of the site's own may take all the memory of a database host.

A leak ends somewhere: at the service's own limit, where the kernel kills inside its cgroup and the
database never notices, or at the host's, where it takes whatever the OOM killer picks or the whole
host. The limit comes from what the service was measured to need, plus a third.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Service, Severity

NEEDS_MEMORY_MAX = 231
"""systemd before this version has MemoryLimit= in its place."""


def judge(host: Posture) -> Judgement:
    """The distribution's own services are left out: they are not what leaks beside a database."""
    facts = host.facts
    if host.is_database_host is False and not facts.databases:
        return not_applicable("No database here.")
    if facts.databases is None and host.is_database_host is None:
        return unknown("Whether a database runs here could not be seen.")
    if facts.units is None:
        return _not_told(host.why_unseen("units", "systemd could not be asked"))
    found = [one for one in host.own_services if one.limited is False]
    if not found:
        untold = [one for one in host.own_services if one.limited is None]
        return _not_told(f"systemd tells none of {named(untold)}") if untold else PASS
    setting = "MemoryLimit" if (facts.systemd_version or 252) < NEEDS_MEMORY_MAX else "MemoryMax"
    return fail(
        f"{named(found)} may take all the memory beside the database: no limit.",
        *(f"{one.pointer}/memory_max_bytes" for one in found),
        remedy=f"systemctl set-property {found[0].name} {setting}=SIZE, with SIZE from what it "
        "needs at its busiest plus a third",
        undo=f"systemctl set-property {found[0].name} {setting}=infinity",
    )


def named(found: list[Service]) -> str:
    """The first three names, and how many more."""
    names = [service.name for service in found[:3]]
    more = len(found) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _not_told(why: str) -> Judgement:
    return unknown(
        f"Whether each service beside the database has a memory limit is unknown: {why}.",
        remedy="read the limits where the services are started",
    )


RULE = Rule(
    id="LIM-001",
    title="no memory limit beside a database",
    severity=Severity.CRITICAL,
    reads=("/units",),
    expected="a memory limit on each service beside a database",
    remedy="set MemoryMax= on each service, from what it needs at its busiest plus a third",
    undo="set it back to infinity",
    cost=Cost.NONE,
    reference="systemd.resource-control(5)",
    judge=judge,
)
