"""Not rebooted for more than a year.

Kernel updates that were installed since then never ran, and nobody knows whether the host still
comes up, with its swap, its limits and its services: the first reboot is then the one of an
incident. A boot of 1970 is that of a clock that was not set. A livepatched kernel is left out,
though its reboot is as untried.
"""

from forestall.audit.exposure import NOT_OURS
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import DAY

LONGEST_DAYS = 20 * 365
"""Nothing runs for so long; a board without a clock boots in 1970, or in 2000."""


def judge(host: Posture) -> Judgement:
    """At the moment the facts were read, whenever they are judged."""
    facts = host.facts
    if facts.container:
        return not_applicable(NOT_OURS)
    if facts.booted_at is None:
        why = host.why_unseen("booted_at", "it was not read")
        return unknown(f"When this host was booted is not known: {why}.")
    days = (facts.at - facts.booted_at) / DAY
    if days > LONGEST_DAYS:
        return unknown(
            "When this host was booted is not known: its clock was not set by then.",
            "/booted_at",
            remedy="uptime -s, and journalctl --list-boots",
        )
    if days <= host.terms.uptime_limit_days or facts.livepatches or facts.effective_release:
        return PASS
    return fail(
        f"This host has not been rebooted for {days:.0f} days.",
        expected=f"a reboot within {host.terms.uptime_limit_days:.0f} days",
    )


RULE = Rule(
    id="KRN-006",
    title="not rebooted for a year",
    severity=Severity.LOW,
    reads=("/booted_at",),
    expected="a reboot within 365 days",
    remedy="reboot in a maintenance window; of a database pair the replica first, then switch over",
    undo="none needed",
    cost=Cost.REBOOT,
    reference="forestall's policy (uptime_limit_days)",
    judge=judge,
)
