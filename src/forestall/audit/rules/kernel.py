"""KRN: whether this system still gets fixes."""

from datetime import UTC, datetime

from forestall.audit.lifecycle import LAST_MINOR, end_of_maintenance, minor_of_kernel
from forestall.audit.reading import fact
from forestall.model.facts import HostFacts
from forestall.model.finding import Finding, FindingState, Severity
from forestall.units import DAY


def past_maintenance(facts: HostFacts) -> Finding | None:
    """KRN-001: no more ordinary fixes for this system."""
    end = end_of_maintenance(facts.os_id, facts.os_version_id)
    if end is None or facts.at < end.timestamp() + DAY:
        return None
    name = facts.os_name or f"{facts.os_id} {facts.os_version_id}"
    return Finding(
        rule="KRN-001",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.LOW,
        text=f"{name} has had no ordinary fixes since {end:%Y-%m-%d}; a paid extension would not "
        "show here.",
        observed=(fact(facts, "/os_id"), fact(facts, "/os_version_id")),
        expected=f"a system maintained after {datetime.fromtimestamp(facts.at, UTC):%Y-%m-%d}",
        remedy="plan the move to a maintained release",
        reference="endoflife.date",
    )


def not_the_last_minor(facts: HostFacts) -> Finding | None:
    """KRN-002: the running kernel belongs to an older minor release of a closed major."""
    minor = minor_of_kernel(facts.kernel_release)
    last = LAST_MINOR.get(minor.partition(".")[0]) if minor else None
    if minor is None or last is None or minor == last:
        return None
    return Finding(
        rule="KRN-002",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.LOW,
        text=f"The running kernel {facts.kernel_release} is that of release {minor}; the last of "
        f"its line is {last}.",
        observed=(fact(facts, "/kernel_release"),),
        expected=f"a kernel of release {last}",
        remedy="update the kernel and reboot in a maintenance window",
        reference="Red Hat's release table, as in insights-core",
    )


RULES = (past_maintenance, not_the_last_minor)
