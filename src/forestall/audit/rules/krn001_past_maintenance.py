"""No more ordinary fixes for this system.

A kernel that gets no fixes keeps the faults it has, those of its memory management among them,
and a vendor asked about a panic answers with an upgrade.
"""

from datetime import UTC, datetime

from forestall.audit.lifecycle import end_of_maintenance
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import DAY


def judge(host: Posture) -> Judgement:
    """The end is that of maintenance without a paid extension."""
    facts = host.facts
    end = end_of_maintenance(facts.os_id, facts.os_version_id)
    if end is None:
        return unknown("This system is not in the table of life cycles.")
    if host.at < end.timestamp() + DAY:
        return PASS
    name = facts.os_name or f"{facts.os_id} {facts.os_version_id}"
    return fail(
        f"{name} has had no ordinary fixes since {end:%Y-%m-%d}; a paid extension would not "
        "show here.",
        expected=f"a system maintained after {datetime.fromtimestamp(host.at, UTC):%Y-%m-%d}",
    )


RULE = Rule(
    id="KRN-001",
    title="system past maintenance",
    severity=Severity.CRITICAL,
    reads=("/os_id", "/os_version_id"),
    expected="a maintained system",
    remedy="plan the move to a maintained release",
    undo="none: keep the old host until the new one has proved itself",
    cost=Cost.MIGRATION,
    reference="endoflife.date",
    judge=judge,
)
