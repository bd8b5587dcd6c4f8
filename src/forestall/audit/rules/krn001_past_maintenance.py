"""No more ordinary fixes for this system.

A kernel that gets no fixes keeps the faults it has, those of its memory management among them,
and a vendor asked about a panic answers with an upgrade. A paid extension brings the gravest fixes
for a while longer, and postpones the move rather than replacing it; with one, this is a matter for
the plan and not for tonight.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.systems import System, system_of
from forestall.audit.tables import LIFE_CYCLES_STALE_DAYS
from forestall.audit.tables.nouns import Cycle, day, iso
from forestall.model.finding import Cost, FindingState, Severity
from forestall.units import DAY

EXTENSIONS = frozenset({"els", "tuxcare-els", "esm-infra", "ltss", "elts"})
"""Those that a host shows and that go on after the end; Red Hat's EUS and its like do not."""


def judge(host: Posture) -> Judgement:
    """By the last day of ordinary maintenance; a paid extension makes it MEDIUM."""
    facts = host.facts
    system = system_of(facts.os_id, facts.os_version_id, facts.os_name)
    if system.rolling:
        return not_applicable("A rolling distribution has no releases that end.")
    if system.product is None or system.version is None:
        return unknown(f"{_name(host)} is not in the table of life cycles.", remedy=BY_HAND)
    cycle = host.tables.cycle(system.product, system.version)
    if cycle is None:
        return unknown(
            f"{_name(host)} is not in the table of life cycles{_aged(host, system)}.",
            remedy=REFRESH,
        )
    if cycle.end is None or host.at < day(cycle.end) + DAY:
        aged = _aged(host, system)
        return PASS if not aged else Judgement(FindingState.PASS, f"Maintained{aged}.")
    return _past(host, system, cycle, cycle.end)


def _past(host: Posture, system: System, cycle: Cycle, end: str) -> Judgement:
    facts, terms = host.facts, host.terms
    until = terms.extended_support_until
    by_host = facts.extended_support in EXTENSIONS and not (
        cycle.extended_end is not None and host.at >= day(cycle.extended_end) + DAY
    )
    paid = by_host if until is None else host.at < until
    text = f"{_name(host)} has had no ordinary fixes since {end}"
    if paid:
        last = cycle.extended_end if until is None else iso(until)
        extension = facts.extended_support or system.extension or "a paid extension"
        text += f"; {extension} goes on" + (f" until {last}" if last else "")
    elif cycle.extended_end is not None:
        over = " has ended too" if host.at >= day(cycle.extended_end) + DAY else " was not seen"
        text += f", and {system.extension or 'its paid extension'}{over}"
    elif system.extension:
        text += f"; {system.extension} was not seen"
    return fail(
        f"{text}{_aged(host, system)}.",
        *RULE.reads,
        *(["/extended_support"] if facts.extended_support else []),
        severity=Severity.MEDIUM if paid else Severity.CRITICAL,
        expected=f"a system maintained after {iso(host.at)}",
    )


def _name(host: Posture) -> str:
    facts = host.facts
    named = " ".join(word for word in (facts.os_id, facts.os_version_id) if word)
    return facts.os_name or named or "A system without os-release"


def _aged(host: Posture, system: System) -> str:
    """How old the dates are, where that is worth saying."""
    if system.product is None:
        return ""
    days = host.tables.life_cycle_age_days(system.product, host.at)
    return f" (dates {days:.0f} days old)" if days > LIFE_CYCLES_STALE_DAYS else ""


BY_HAND = (
    "ask its maker until when it gets fixes, and record that as a waiver with that day at most"
)
"""A refresh brings newer dates of the systems that are known, not other systems."""

REFRESH = "bring the table up to date: forestall audit refresh (docs/reference/audit-tables.md)"

RULE = Rule(
    id="KRN-001",
    title="system past maintenance",
    severity=Severity.CRITICAL,
    reads=("/os_id", "/os_version_id"),
    expected="a maintained system",
    remedy="plan the move to a maintained release; until then a paid extension, where there is one",
    undo="none: keep the old host until the new one has proved itself",
    cost=Cost.MIGRATION,
    reference="endoflife.date",
    judge=judge,
)
