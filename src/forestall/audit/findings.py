"""All rules over one host: HostFacts -> Findings, the gravest first."""

from collections.abc import Callable

from forestall.audit.rules import kernel, panic, services, swap
from forestall.model.facts import HostFacts
from forestall.model.finding import Finding, Severity

Rule = Callable[[HostFacts], Finding | None]

RULES: tuple[Rule, ...] = (
    swap.little_left,
    *panic.RULES,
    *swap.RULES,
    *services.RULES,
    *kernel.RULES,
)
"""Of equally grave findings the earlier rule's is shown first: what is wrong now, then tonight."""

ORDER = tuple(Severity)


def findings(facts: HostFacts) -> tuple[Finding, ...]:
    """What the rules find, the gravest first, else in the rules' order."""
    found = [finding for rule in RULES if (finding := rule(facts)) is not None]
    return tuple(sorted(found, key=lambda finding: ORDER.index(finding.severity)))


def needs_a_look(found: tuple[Finding, ...]) -> bool:
    """Whether anything critical or high was found."""
    return any(finding.severity in (Severity.CRITICAL, Severity.HIGH) for finding in found)
