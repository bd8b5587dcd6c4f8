"""A service of the site's own may take all the memory of a database host.

A leak ends somewhere: at the service's own limit, where the kernel kills inside its cgroup and the
database never notices, or at the host's, where it takes whatever the OOM killer picks or the whole
host. The limit comes from what the service was measured to need, plus a third. A limit on a slice
above the service counts, unless the database is in that slice too; MemoryHigh= counts only on
cgroup version 2, as version 1 has nothing like it. A limit as large as the host's memory is none,
and where the kernel was started with cgroup_disable=memory nothing is. What a container, a login or
a user's own systemd may take beside the database is not among the facts: where such a process
holds 5 % of the memory, it is called unknown.
"""

import re

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.audit.rules.shared.beside_database import graded, gravity, no_database
from forestall.audit.services import limits_are_off, named, outside_services, pointers
from forestall.model.facts import HolderFacts
from forestall.model.finding import Cost, Service, Severity
from forestall.units import format_bytes

IN_CONTAINER = re.compile(r"/(?:docker|libpod|crio|cri-containerd)[-/]|/kubepods|/lxc[./]")
"""Paths of cgroups that a container's runtime made; systemd knows no limit of theirs."""

NEEDS_MEMORY_MAX = 231
"""systemd before this version has MemoryLimit= in its place."""


@graded(Severity.CRITICAL)
def judge(host: Posture) -> Judgement:
    """The distribution's own services are left out unless one holds much already."""
    elsewhere = no_database(host)
    if elsewhere is not None:
        return elsewhere
    facts = host.facts
    if facts.units is None:
        return _not_told(host.why_unseen("units", "systemd could not be asked"))
    found = [one for one in host.services_beside if one.limited is False]
    if not found:
        return _unlimited_unseen(host)
    if limits_are_off(facts):
        return _off(host, found)
    setting = "MemoryLimit" if (facts.systemd_version or 252) < NEEDS_MEMORY_MAX else "MemoryMax"
    before = found[0].limit_bytes
    return fail(
        f"{named(found)} may take all the memory beside the database: {_no_limit(found)}.",
        *pointers(found, "memory_max_bytes"),
        severity=gravity(host, Severity.CRITICAL),
        remedy=f"systemctl set-property {found[0].name} {setting}=SIZE, with SIZE from what it "
        "needs at its busiest plus a third",
        undo=f"systemctl set-property {found[0].name} {setting}={before or 'infinity'}",
    )


def _no_limit(found: list[Service]) -> str:
    limits = [one.limit_bytes for one in found if one.limit_bytes is not None]
    if not limits:
        return "no limit"
    return f"no limit below the host's memory (at most {format_bytes(max(limits))} is set)"


def _off(host: Posture, found: list[Service]) -> Judgement:
    return fail(
        f"{named(found)} may take all the memory beside the database: the kernel was started with "
        "cgroup_disable=memory, and keeps no limit.",
        "/cmdline",
        severity=gravity(host, Severity.CRITICAL),
        remedy="take cgroup_disable=memory off the kernel's command line and reboot, then set "
        f"MemoryMax= on {named(found)}",
        undo="put cgroup_disable=memory back on the kernel's command line, and reboot",
        cost=Cost.REBOOT,
    )


def _unlimited_unseen(host: Posture) -> Judgement:
    """No service is known to be without a limit: of some, and of what is in none, it is unknown."""
    untold = [one for one in host.services_beside if one.limited is None]
    if untold:
        return _not_told(f"systemd tells none of {named(untold)}")
    strange = [one for one in host.services_of_unknown_origin if not one.limited]
    if strange:
        return _not_told(f"{named(strange)} has none, and whose service it is was not told")
    outside = [] if host.is_database_host is False else outside_services(host.facts)
    if not outside:
        return PASS
    index = outside[0]
    return _outside(host.facts.holders[index], f"/holders/{index}/process/cgroup")


def _outside(holder: HolderFacts, where: str) -> Judgement:
    name, pid, cgroup = holder.process.name, holder.process.key.pid, holder.process.cgroup
    if IN_CONTAINER.search(cgroup or ""):
        return unknown(
            f"{name} (pid {pid}) runs in a container beside the database, and the limit of that is "
            "not in these facts.",
            where,
            remedy="ask the container's runtime (docker or podman inspect: HostConfig.Memory)",
        )
    place = f"in {cgroup}" if cgroup else "in no cgroup that was seen"
    return unknown(
        f"{name} (pid {pid}) holds much beside the database and runs {place}, which is no service "
        "whose limit systemd told.",
        where,
        remedy="start it as a service with MemoryMax= (or systemd-run -p MemoryMax=SIZE)",
    )


def _not_told(why: str) -> Judgement:
    return unknown(
        f"Whether each service beside the database has a memory limit is unknown: {why}.",
        remedy="read the limits where the services are started",
    )


RULE = Rule(
    id="LIM-001",
    title="no memory limit beside a database",
    severity=Severity.CRITICAL,
    reads=("/units", "/holders"),
    expected="a memory limit on each service beside a database",
    remedy="set MemoryMax= on each service, from what it needs at its busiest plus a third",
    undo="set it back to infinity",
    cost=Cost.NONE,
    reference="systemd.resource-control(5)",
    judge=judge,
)
