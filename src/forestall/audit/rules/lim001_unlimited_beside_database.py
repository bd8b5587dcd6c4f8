"""A service of the site's own may take all the memory of a database host.

A leak ends somewhere: at the service's own limit, where the kernel kills inside its cgroup and the
database never notices, or at the host's, where it takes whatever the OOM killer picks or the whole
host. The limit comes from what the service was measured to need, plus a third. A limit on a slice
above the service counts, unless the database is in that slice too; MemoryHigh= counts only on
cgroup version 2, as version 1 has nothing like it. What a container beside the database may take is
not among the facts, and is called unknown.
"""

import re

from forestall.audit.holders import LARGE_SHARE, counted_bytes, is_database
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.audit.rules.shared.beside_database import graded, gravity, no_database
from forestall.audit.services import named, pointers
from forestall.model.finding import Cost, Severity

IN_CONTAINER = re.compile(r"/(?:docker|libpod|crio|cri-containerd)[-/]|/kubepods|/lxc[./]")
"""Paths of cgroups that a container's runtime made; systemd knows no limit of theirs."""

NEEDS_MEMORY_MAX = 231
"""systemd before this version has MemoryLimit= in its place."""


@graded(Severity.CRITICAL)
def judge(host: Posture) -> Judgement:
    """The distribution's own services are left out: they are not what leaks beside a database."""
    elsewhere = no_database(host)
    if elsewhere is not None:
        return elsewhere
    facts = host.facts
    if facts.units is None:
        return _not_told(host.why_unseen("units", "systemd could not be asked"))
    found = [one for one in host.own_services if one.limited is False]
    if not found:
        return _unlimited_unseen(host)
    setting = "MemoryLimit" if (facts.systemd_version or 252) < NEEDS_MEMORY_MAX else "MemoryMax"
    return fail(
        f"{named(found)} may take all the memory beside the database: no limit.",
        *pointers(found, "memory_max_bytes"),
        severity=gravity(host, Severity.CRITICAL),
        remedy=f"systemctl set-property {found[0].name} {setting}=SIZE, with SIZE from what it "
        "needs at its busiest plus a third",
        undo=f"systemctl set-property {found[0].name} {setting}=infinity",
    )


def _unlimited_unseen(host: Posture) -> Judgement:
    """No service is known to be without a limit: of some it may be unknown."""
    untold = [one for one in host.own_services if one.limited is None]
    if untold:
        return _not_told(f"systemd tells none of {named(untold)}")
    facts = host.facts
    large = LARGE_SHARE * (facts.memory.mem_total_bytes or 0)
    for index, holder in enumerate(facts.holders):
        inside = IN_CONTAINER.search(holder.process.cgroup or "")
        if inside and counted_bytes(holder) >= large and not is_database(facts, holder):
            name, pid = holder.process.name, holder.process.key.pid
            return unknown(
                f"{name} (pid {pid}) runs in a container beside the database, and the limit of "
                "that is not in these facts.",
                f"/holders/{index}/process/cgroup",
                remedy="ask the container's runtime (docker inspect, podman inspect: "
                "HostConfig.Memory)",
            )
    return PASS


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
