"""What let it happen, or was about to: factors, each with its measure, lesson and follow-up.

Most are the findings of audit over the host's facts, word for word; the others need to know
what the incident was. A factor is stated only where facts decide it, never where they are absent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from forestall.incident.review.case import SITE, Case
from forestall.incident.review.claims import Said, say
from forestall.incident.review.facts import TERMS, Fact, Source
from forestall.incident.review.sentences import host, service, timeline
from forestall.incident.review.templates import TEMPLATES
from forestall.model.action import Mode
from forestall.model.event import EventKind
from forestall.model.finding import Finding, FindingState, Severity
from forestall.model.verdict import LimitKind

GRAVITY = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One factor; `measure` and `lesson` may be shared by several and are then said once."""

    text: Said
    measure: Said
    lesson: Said
    follow_up: Said


def factors(case: Case) -> list[Factor]:
    """All that the facts decide, in the order of the rules."""
    found = [factor for rule in RULES if (factor := rule(case)) is not None]
    return found + [_of_finding(case, one) for one in _relevant(case)]


def _relevant(case: Case) -> list[Finding]:
    """What the audit found that is more than good to know, the gravest first.

    Only what was seen counts, not what is merely undecided; and only rules about memory
    exhaustion, which are those that the catalogue of sentences knows.
    """
    found = [
        one
        for one in case.findings
        if one.state is FindingState.FAIL
        and one.severity is not Severity.LOW
        and f"{_catalogued(one)} measure" in TEMPLATES
    ]
    return sorted(found, key=lambda one: GRAVITY.index(one.severity))


def _catalogued(finding: Finding) -> str:
    """Where the catalogue speaks of this rule: under its own name, else its family's."""
    own = f"{finding.rule} measure" in TEMPLATES
    return finding.rule if own else finding.rule.partition("-")[0]


def _of_finding(case: Case, finding: Finding) -> Factor:
    terms = Source(entry=SITE, pointer=TERMS)
    sources = (
        case.captured("host-facts.json"),
        terms,
        *(case.captured("host-facts.json", seen.pointer) for seen in finding.observed),
    )

    def fact(name: str, derivation: str) -> Fact:
        return case.fact(name, derivation, *sources, parameter=finding.rule)

    name = _catalogued(finding)
    return Factor(
        text=say("finding", finding=fact("finding", "what the rule found")),
        measure=say(f"{name} measure"),
        lesson=say(f"{name} lesson"),
        follow_up=say(
            f"{name} follow-up",
            host=host(case),
            remedy=fact("remedy", "remedy of the rule"),
            closing=case.fact(
                "closing", "what closes it", timeline("/key"), terms, parameter=finding.rule
            ),
        ),
    )


def _no_limit(case: Case) -> Factor | None:
    forecast = case.verdict.forecast if case.verdict else None
    if forecast is None or forecast.limit.kind is LimitKind.CGROUP:
        return None
    at = case.verdict_at
    return Factor(
        text=say(
            "no limit factor",
            service=service(case),
            limit_kind=case.fact(
                "limit_kind", "kind of limit in words", at("/forecast/limit/kind")
            ),
            limit=case.fact("limit", "size", at("/forecast/limit/limit_bytes")),
        ),
        measure=say("no limit measure"),
        lesson=say("no limit lesson"),
        follow_up=say("no limit follow-up", service=service(case), host=host(case)),
    )


def _beside_database(case: Case) -> Factor | None:
    if case.host_facts is None or not case.host_facts.databases:
        return None

    def fact(name: str, pointer: str) -> Fact:
        place = case.captured("host-facts.json", f"/databases/0/process/{pointer}")
        return case.fact(name, "as it is", place)

    database = fact("database", "name")
    return Factor(
        text=say(
            "database factor",
            database=database,
            pid=fact("pid", "key/pid"),
            service=service(case),
        ),
        measure=say("database measure"),
        lesson=say("database lesson"),
        follow_up=say("database follow-up", service=service(case), database=database),
    )


def _no_guard(case: Case) -> Factor | None:
    facts = case.host_facts
    if facts is None or facts.guards is None or facts.container:
        return None
    if any(guard != "forestall" for guard in facts.guards):
        return None
    if any(one.rule == "SWP-005" and one.state is FindingState.FAIL for one in case.findings):
        # That finding says it already, together with the swap that is missing too.
        return None
    return Factor(
        text=say("guard factor"),
        measure=say("guard measure"),
        lesson=say("guard lesson"),
        follow_up=say("guard follow-up", host=host(case)),
    )


def _not_allowed(case: Case) -> Factor | None:
    for plan in case.events(EventKind.PLAN):
        if plan.event.data.get("actions") and plan.event.data.get("mode") != Mode.ACT:
            mode = case.fact("mode", "as it is", timeline(f"{plan.pointer}/data/mode"))
            return Factor(
                text=say("mode factor", mode=mode),
                measure=say("mode measure"),
                lesson=say("mode lesson"),
                follow_up=say("mode follow-up", service=service(case)),
            )
    return None


RULES: tuple[Callable[[Case], Factor | None], ...] = (
    _no_limit,
    _beside_database,
    _no_guard,
    _not_allowed,
)
