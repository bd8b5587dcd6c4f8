"""Nothing slows a service down before its limit kills it.

MemoryMax= alone is a wall: at the limit a process of the service is killed. MemoryHigh= below it
makes the kernel reclaim and slow the service down first, which shows in its latency and pressure
while there is still time. Without MemorySwapMax= what is over the wall goes to swap first, and the
host loses that.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.services import named, pointers
from forestall.model.facts import UnitFacts
from forestall.model.finding import Cost, Severity

NEEDS_MEMORY_HIGH = 231


def judge(host: Posture) -> Judgement:
    """cgroup version 1 has neither setting, nor has systemd before 231."""
    facts = host.facts
    if facts.units is None:
        if facts.container:
            return not_applicable("Limits are the host's, not this container's.")
        return unseen(host, "units", "How services are limited")
    if facts.cgroup_version == 1:
        return not_applicable("cgroup version 1 knows no MemoryHigh=.")
    if facts.systemd_version is None:
        return unknown(
            "Whether this systemd knows MemoryHigh= is unknown: its version is not seen."
        )
    if facts.systemd_version < NEEDS_MEMORY_HIGH:
        return not_applicable(f"systemd {facts.systemd_version} knows no MemoryHigh=.")
    if facts.cgroup_version is None:
        return unknown("Which cgroup version is in use could not be seen.")
    walls = [
        (one, unit)
        for one, unit in zip(host.own_services, host.own_units, strict=True)
        if _is_a_wall(unit)
    ]
    if not walls:
        untold = [one for one in host.own_services if one.limited is None]
        return unknown(f"Which limit {named(untold)} has is not told.") if untold else PASS
    found = [one for one, _ in walls]
    swap = bool(facts.memory.swap_total_bytes) and any(
        unit.swap_max_bytes is None for _, unit in walls
    )
    more = ", and swap without end (no MemorySwapMax=)" if swap else ""
    have = "has" if len(found) == 1 else "have"
    return fail(
        f"{named(found)} {have} a hard limit and nothing that slows down before it "
        f"(no MemoryHigh=){more}.",
        *pointers(found, "memory_high_bytes"),
        remedy=f"systemctl set-property {found[0].name} MemoryHigh=SIZE, with SIZE about 85 % of "
        "its MemoryMax=",
        undo=f"systemctl set-property {found[0].name} MemoryHigh=infinity",
    )


def _is_a_wall(unit: UnitFacts) -> bool:
    return unit.memory_max_bytes is not None and unit.memory_high_bytes is None


RULE = Rule(
    id="LIM-003",
    title="hard limit without a soft one",
    severity=Severity.LOW,
    reads=("/units",),
    expected="MemoryHigh= below MemoryMax=",
    remedy="set MemoryHigh= to about 85 % of MemoryMax=",
    undo="set MemoryHigh=infinity",
    cost=Cost.NONE,
    reference="systemd.resource-control(5)",
    judge=judge,
)
