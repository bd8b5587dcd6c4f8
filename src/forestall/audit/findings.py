"""All rules over one host: facts -> Findings."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from forestall.audit.doubt import settled
from forestall.audit.posture import Posture
from forestall.audit.reading import fact
from forestall.audit.rule import Judgement, Rule
from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.model.facts import HostFacts
from forestall.model.finding import Cost, Fact, Finding, FindingState, Severity

TONIGHT = (
    "MEM-001",
    "PAN-001",
    "PAN-002",
    "PAN-003",
    "PAN-004",
    "KDP-001",
    "SWP-002",
    "SWP-004",
    "SWP-005",
    "OVC-002",
    "OVC-003",
    "LIM-001",
    "OOM-001",
    "OOM-002",
    "OOM-003",
    "SVC-001",
    "KRN-001",
    "KRN-002",
)
"""What `look` shows, of equally grave findings the earlier first: what is wrong now, then tonight.

The other rules are about the fleet's upkeep and are the audit's.
"""

UPKEEP = ("KRN-001", "KRN-002")
"""The rules of TONIGHT about what no one can repair tonight: `look` shows them last, as notes.

A laptop of an old release is no reason to wake anybody; the audit calls it as grave as it is.
"""

DOUBTS = ("PAN-001", "SWP-005", "LIM-001", "OOM-001")
"""The rules of TONIGHT where not knowing is itself worth a line of `look`."""

BY_ID = {rule.id: rule for rule in RULES}
STANDARD = tuple(rule for rule in RULES if not rule.optional)
"""The rules that run unless others are asked for."""

TO_SEE = "give the audit this evidence: on the host itself as root, or `audit ssh --sudo HOST`"
"""The remedy of an UNKNOWN whose rule knows no better one."""

GRAVITY = tuple(Severity)


def judge(posture: Posture, rules: Iterable[Rule] = STANDARD) -> Iterator[tuple[Rule, Judgement]]:
    """What each rule says of the host, in the rules' order."""
    rules = tuple(rules)
    said = [rule.judge(posture) for rule in rules]
    yield from zip(rules, settled(posture, rules, said), strict=True)


def finding(
    posture: Posture | None,
    rule: Rule,
    judged: Judgement,
    *,
    host: str | None = None,
    state: FindingState | None = None,
    waiver: str | None = None,
    tell: Callable[[HostFacts, str], Fact] = fact,
) -> Finding:
    """A judgement with everything a report tells of it.

    `host` and `state` where they are not the facts' own (a name from an inventory, a waiver);
    `posture` is None for a host that could not be read. `tell` looks up each of `observed`.
    """
    facts = None if posture is None else posture.facts
    reads = rule.reads if judged.reads is None else judged.reads
    # What would repair a finding repairs nothing where there may be none.
    open_question = judged.state is FindingState.UNKNOWN
    return Finding(
        rule=rule.id,
        host=host or (facts.hostname if facts else ""),
        state=state or judged.state,
        severity=judged.severity or rule.severity,
        text=judged.text,
        observed=() if facts is None else tuple(tell(facts, pointer) for pointer in reads),
        expected=rule.expected if judged.expected is None else judged.expected,
        remedy=judged.remedy or (TO_SEE if open_question else rule.remedy),
        reference=rule.reference if judged.reference is None else judged.reference,
        undo="" if open_question else judged.undo or rule.undo,
        cost=Cost.NONE if open_question else judged.cost or rule.cost,
        at=facts.at if facts else None,
        waiver=waiver,
    )


def audit(
    facts: HostFacts, terms: Terms | None = None, rules: Iterable[Rule] = STANDARD
) -> tuple[Finding, ...]:
    """What every rule says of one host, whatever its state; the optional ones where asked for."""
    posture = Posture(facts, terms)
    return tuple(finding(posture, rule, judged) for rule, judged in judge(posture, rules))


def findings(facts: HostFacts) -> tuple[Finding, ...]:
    """What bears on tonight and is not fine, the gravest first, else in the order of TONIGHT."""
    found = audit(facts, rules=(BY_ID[name] for name in TONIGHT))
    troubles = [
        replace(one, severity=_tonight(one))
        for one in found
        if one.state is FindingState.FAIL
        or (one.state is FindingState.UNKNOWN and one.rule in DOUBTS)
    ]
    return tuple(sorted(troubles, key=lambda one: GRAVITY.index(one.severity)))


def _tonight(one: Finding) -> Severity:
    """How grave a finding is tonight: upkeep is a note, and a doubt is no alarm."""
    if one.rule in UPKEEP:
        return Severity.LOW
    if one.state is FindingState.UNKNOWN and one.severity is Severity.CRITICAL:
        return Severity.HIGH
    return one.severity


def needs_a_look(found: tuple[Finding, ...]) -> bool:
    """Whether anything critical or high was found."""
    return any(one.severity in (Severity.CRITICAL, Severity.HIGH) for one in found)
