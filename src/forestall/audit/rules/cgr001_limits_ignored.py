"""Limits that are written down and do nothing.

Where the memory controller is on cgroup version 1, on its own or in the hybrid layout, systemd
applies MemoryMax= and silently leaves out MemoryHigh= and MemorySwapMax=, which only version 2
has. A service with nothing else is unlimited, whatever its unit says.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.services import NAMED_MOST
from forestall.model.facts import UnitFacts
from forestall.model.finding import Cost, Severity


def judge(host: Posture) -> Judgement:
    """Whoever wrote the unit: what it asks for does not happen."""
    facts = host.facts
    if facts.container:
        return not_applicable("cgroups are the host's, not this container's.")
    if facts.cgroup_version is None:
        return unknown("Which cgroup version is in use could not be seen.")
    if facts.cgroup_version == 2:
        return PASS
    if facts.units is None:
        why = host.why_unseen("units", "systemd could not be asked")
        return unknown(f"What units ask for is unknown: {why}.")
    found = [
        (index, unit) for index, unit in enumerate(facts.units) if unit.active and _ignored(unit)
    ]
    if not found:
        return PASS
    names = ", ".join(unit.name for _, unit in found[:NAMED_MOST])
    more = f" and {len(found) - NAMED_MOST} more" if len(found) > NAMED_MOST else ""
    bare = any(unit.memory_max_bytes is None for _, unit in found)
    layout = "the hybrid layout" if facts.cgroup_hybrid else "cgroup version 1"
    return fail(
        f"{layout} ignores the {_settings(found[0][1])} of {names}{more}"
        + (", and nothing else limits it." if bare and len(found) == 1 else "."),
        "/cgroup_version",
        *(f"/units/{index}/{_field(unit)}" for index, unit in found[:NAMED_MOST]),
        severity=Severity.MEDIUM if bare else Severity.LOW,
    )


def _ignored(unit: UnitFacts) -> bool:
    return unit.memory_high_bytes is not None or unit.swap_max_bytes is not None


def _settings(unit: UnitFacts) -> str:
    return "MemoryHigh=" if unit.memory_high_bytes is not None else "MemorySwapMax="


def _field(unit: UnitFacts) -> str:
    return "memory_high_bytes" if unit.memory_high_bytes is not None else "swap_max_bytes"


RULE = Rule(
    id="CGR-001",
    title="limits ignored by cgroup version 1",
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
