"""Limits that are written down and do nothing.

Where the memory controller is on cgroup version 1, on its own or in the hybrid layout, systemd
applies MemoryMax= and silently leaves out MemoryHigh= and MemorySwapMax=, which only version 2
has. A service with nothing else is unlimited, whatever its unit says. On a kernel that was started
with cgroup_disable=memory nothing is limited at all.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.services import NAMED_MOST, limits_are_off
from forestall.model.facts import UnitFacts
from forestall.model.finding import Cost, Severity

SETTINGS = {"memory_high_bytes": "MemoryHigh=", "swap_max_bytes": "MemorySwapMax="}
"""What cgroup version 1 does not have, by the field of UnitFacts."""


def judge(host: Posture) -> Judgement:
    """Whoever wrote the unit: what it asks for does not happen."""
    facts = host.facts
    if facts.container:
        return not_applicable("cgroups are the host's, not this container's.")
    if limits_are_off(facts):
        return fail(
            "The kernel was started with cgroup_disable=memory: no limit of any service does "
            "anything.",
            "/cmdline",
            severity=Severity.HIGH,
            expected="a memory controller that is switched on",
            remedy="take cgroup_disable=memory off the kernel's command line, and reboot",
            undo="put it back on the kernel's command line, and reboot",
        )
    if facts.cgroup_version is None:
        return unknown("Which cgroup version is in use could not be seen.")
    if facts.cgroup_version == 2:
        return PASS
    if facts.units is None:
        return unseen(host, "units", "What units ask for")
    found = [
        (index, unit, fields)
        for index, unit in enumerate(facts.units)
        if unit.active and (fields := _ignored(unit))
    ]
    if not found:
        return PASS
    names = ", ".join(unit.name for _, unit, _ in found[:NAMED_MOST])
    more = f" and {len(found) - NAMED_MOST} more" if len(found) > NAMED_MOST else ""
    asked = {field for _, _, fields in found for field in fields}
    settings = " and ".join(name for field, name in SETTINGS.items() if field in asked)
    bare = any(unit.memory_max_bytes is None for _, unit, _ in found)
    layout = "the hybrid layout" if facts.cgroup_hybrid else "cgroup version 1"
    return fail(
        f"{layout} ignores the {settings} of {names}{more}"
        + (", and nothing else limits it." if bare and len(found) == 1 else "."),
        "/cgroup_version",
        *(f"/units/{index}/{fields[0]}" for index, _, fields in found[:NAMED_MOST]),
        severity=Severity.MEDIUM if bare else Severity.LOW,
    )


def _ignored(unit: UnitFacts) -> list[str]:
    """The fields of what the unit asks for and does not get."""
    return [field for field in SETTINGS if getattr(unit, field) is not None]


RULE = Rule(
    id="CGR-001",
    title="limits that do nothing",
    severity=Severity.MEDIUM,
    reads=("/cgroup_version", "/cgroup_hybrid", "/units"),
    expected="cgroup version 2, or MemoryMax= on whatever is to be limited",
    remedy="set MemoryMax= too, or boot with systemd.unified_cgroup_hierarchy=1",
    undo="take the argument out of the kernel's command line",
    cost=Cost.REBOOT,
    reference="systemd.resource-control(5); systemd issue 16769",
    judge=judge,
    optional=True,
)
