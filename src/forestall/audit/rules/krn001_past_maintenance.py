"""No more ordinary fixes for this system.

A kernel that gets no fixes keeps the faults it has, those of its memory management among them,
and a vendor asked about a panic answers with an upgrade. A paid extension brings the gravest fixes
for a while longer, and postpones the move rather than replacing it; with one, this is a matter for
the plan and not for tonight.
"""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.systems import System, system_of
from forestall.audit.tables import LIFE_CYCLES_STALE_DAYS, Tables
from forestall.audit.tables.nouns import Cycle, day, iso
from forestall.audit.versions import CACHED
from forestall.model.finding import Cost, FindingState, Severity
from forestall.units import DAY

EXTENSIONS = frozenset({"els", "tuxcare-els", "esm-infra", "ltss", "elts"})
"""Those that a host shows and that go on after the end; Red Hat's EUS and its like do not."""


def judge(host: Posture) -> Judgement:
    """By the last day of ordinary maintenance; a paid extension makes it MEDIUM."""
    facts = host.facts
    return _judged(
        _Case(
            facts.os_id,
            facts.os_version_id,
            facts.os_name,
            facts.extended_support,
            host.terms.extended_support_until,
            host.tables,
            host.at,
        )
    )


def _not_in_the_table(text: str, remedy: str) -> Judgement:
    """Less grave than a system known to be past its end: the gap is in our table."""
    return replace(unknown(text, remedy=remedy), severity=Severity.MEDIUM)


class _Case(NamedTuple):
    """All that the rule goes by; `paid_until` is what the site says of its paid extension."""

    os_id: str | None
    version: str | None
    os_name: str | None
    extension: str | None
    paid_until: float | None
    tables: Tables
    at: float


@lru_cache(CACHED)
def _judged(host: _Case) -> Judgement:
    """Kept, because a fleet has few different systems."""
    system = system_of(host.os_id, host.version, host.os_name)
    if system.rolling:
        return not_applicable("A rolling distribution has no releases that end.")
    if system.product is None or system.version is None:
        return _not_in_the_table(f"{_name(host)} is not in the table of life cycles.", BY_HAND)
    cycle = host.tables.cycle(system.product, system.version)
    if cycle is None:
        return _not_in_the_table(
            f"{_name(host)} is not in the table of life cycles{_aged(host, system)}.", REFRESH
        )
    if cycle.end is None or host.at < day(cycle.end) + DAY:
        aged = _aged(host, system)
        return PASS if not aged else Judgement(FindingState.PASS, f"Maintained{aged}.")
    return _past(host, system, cycle, cycle.end)


def _past(host: _Case, system: System, cycle: Cycle, end: str) -> Judgement:
    until = host.paid_until
    by_host = host.extension in EXTENSIONS and not (
        cycle.extended_end is not None and host.at >= day(cycle.extended_end) + DAY
    )
    paid = by_host if until is None else host.at < until
    text = f"{_name(host)} has had no ordinary fixes since {end}"
    if paid:
        last = cycle.extended_end if until is None else iso(until)
        extension = host.extension or system.extension or "a paid extension"
        text += f"; {extension} goes on" + (f" until {last}" if last else "")
    elif cycle.extended_end is not None:
        over = " has ended too" if host.at >= day(cycle.extended_end) + DAY else " was not seen"
        text += f", and {system.extension or 'its paid extension'}{over}"
    elif system.extension:
        text += f"; no {system.extension} is known for it"
    return fail(
        f"{text}{_aged(host, system)}.",
        *RULE.reads,
        *(["/extended_support"] if host.extension else []),
        severity=Severity.MEDIUM if paid else Severity.CRITICAL,
        expected=f"a system maintained after {iso(host.at)}",
    )


def _name(host: _Case) -> str:
    named = host.os_name or " ".join(word for word in (host.os_id, host.version) if word)
    # Whatever a host calls itself stays on one line.
    return " ".join(named.split()) or "A system without os-release"


def _aged(host: _Case, system: System) -> str:
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
