"""The hardening baseline orders off what would explain the next panic.

STIG, OSPP and HIPAA profiles disable kdump, because a dump holds everything that was in memory.
Both sides are right, and a host cannot satisfy both silently: either a panic stays unexplained, or
the host differs from its baseline. The rule stays open until somebody has decided which, with an
owner and an end: STIG itself accepts what is documented with the security officer as an
operational need. CIS and ANSSI profiles leave kdump alone; their orders about cores are COR-001's.
"""

from forestall.audit.baselines import KDUMP_OFF, THIRD_WAY
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("The host dumps, not this container.")
NO_BASELINE = not_applicable("The site names no hardening baseline, and no trace of one was found.")
SECRET_TARGETS = ("ssh", "sftp")


def judge(host: Posture) -> Judgement:
    """A conflict is there whichever side won; only a waiver with an owner and an end settles it."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    baseline = host.baseline
    if baseline is None:
        named = host.terms.baseline or facts.baseline
        if named is None:
            return NO_BASELINE
        return unknown(f"Whether the baseline {named} orders kdump off is not known here.")
    if not host.forbids(KDUMP_OFF):
        return PASS
    if facts.crash_kernel_loaded is None:
        return unseen(
            host, "crash_kernel_loaded", f"{baseline.name} orders kdump off; whether it is,"
        )
    if not facts.crash_kernel_loaded:
        return fail(
            f"{baseline.name} orders kdump off, and so it is: a panic here stays unexplained.",
            remedy=THIRD_WAY,
        )
    target = None if facts.kdump is None else facts.kdump.target
    if target in SECRET_TARGETS:
        return fail(
            f"{baseline.name} orders kdump off, and it dumps over {target}: the third way, once "
            "the exception is on record.",
            remedy="record the exception as a waiver of this rule, with its owner and end",
        )
    return fail(
        f"{baseline.name} orders kdump off, and it dumps to {target or 'a local file system'}, "
        "where the dump keeps every secret of this host.",
        remedy=THIRD_WAY,
    )


RULE = Rule(
    id="KDP-004",
    title="kdump against the baseline",
    severity=Severity.LOW,
    reads=("/baseline", "/crash_kernel_loaded", "/kdump"),
    expected="a waiver of this rule with an owner and an end, whichever way it was decided",
    remedy=THIRD_WAY,
    undo="let the waiver end",
    cost=Cost.NONE,
    reference="ComplianceAsCode, service_kdump_disabled (STIG, OSPP, HIPAA)",
    judge=judge,
)
