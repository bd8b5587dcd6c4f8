"""The running kernel has known faults of memory management that can be reached here.

A leak, a race in swap or a panic from the network takes the host down whatever the services do.
Only what can be reached counts: a fault in vhost_net where it is not loaded, or in zswap where it
is off, is listed by a scanner and harms nobody. Versions are those of the distribution's package,
because fixes are carried back to old upstream numbers.
"""

from forestall.audit.exposure import exposure, subject
from forestall.audit.posture import Posture
from forestall.audit.reach import places, reached
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.tables import ADVISORIES_STALE_DAYS, Fix
from forestall.audit.versions import rpm_key
from forestall.model.finding import Cost, Severity
from forestall.units import DAY

MOST_NAMED = 3
MOST_REFERENCES = 5


def judge(host: Posture) -> Judgement:
    """CRITICAL where a fault is a panic from the network. PASS needs a fresh table."""
    facts = host.facts
    which = subject(host)
    if which.kernel is None:
        return unknown(which.why) if which.applies else not_applicable(which.why)
    kernel = which.kernel
    found = exposure(kernel, facts.os_id, host.tables, host.at)
    if found is None:
        return unknown(f"No advisory about kernels like {kernel.release} is in the table.")
    open_here: list[Fix] = []
    unseen = 0
    for fix in found.open:
        answer = reached(fix.flaw.needs, facts)
        if answer:
            open_here.append(fix)
        elif answer is None:
            unseen += 1
    if open_here and facts.livepatches and not facts.effective_release:
        return unknown(
            f"{len(open_here)} faults would be open in {kernel.release}, but it is livepatched, "
            "and up to which update is not shown."
        )
    if open_here:
        return _open(host, kernel.release, found.open, open_here, unseen)
    if unseen:
        return unknown(
            f"{_faults(unseen)} of {kernel.release} may be reached: what they need (modules, "
            "mounts, settings) was not read."
        )
    doubtful = sum(1 for fix in found.undecided if reached(fix.flaw.needs, facts) is not False)
    if doubtful:
        return unknown(
            f"{_faults(doubtful)} may be open: {kernel.release} can be of a stream whose packages "
            "are not in the table."
        )
    until = host.tables.covered_until(kernel.el_major or 0)
    if until is None or host.at - until > ADVISORIES_STALE_DAYS * DAY:
        return unknown(
            f"No open fault is known, but the table of Enterprise Linux {kernel.el_major} is "
            f"older than {ADVISORIES_STALE_DAYS} days.",
            remedy="bring it up to date: forestall audit refresh",
        )
    return PASS


def _open(
    host: Posture, release: str, lacking: tuple[Fix, ...], open_here: list[Fix], unseen: int
) -> Judgement:
    """The gravest faults by name, the others by number."""
    open_here.sort(key=lambda fix: (not fix.flaw.remote_panic, fix.flaw.cve))
    panic = open_here[0].flaw.remote_panic
    named = "; ".join(f"{fix.flaw.cve} {fix.flaw.title}" for fix in open_here[:MOST_NAMED])
    more = len(open_here) - MOST_NAMED
    target = max((fix.advisory.fixed for fix in open_here), key=rpm_key)
    advisories = sorted({fix.advisory.id for fix in open_here})
    return fail(
        f"{release} lacks the fixes of {len(lacking)} known memory or panic faults, "
        f"{len(open_here)} of them reachable here: {named}"
        + (f"; and {more} more" if more > 0 else "")
        + (f" ({unseen} more could not be decided)" if unseen else "")
        + ".",
        *RULE.reads,
        *places((need for fix in open_here for need in fix.flaw.needs), host.facts),
        severity=Severity.CRITICAL if panic else Severity.HIGH,
        expected=f"kernel {target} or newer",
        reference=", ".join(advisories[:MOST_REFERENCES]),
    )


def _faults(count: int) -> str:
    return f"{count} known faults" if count > 1 else "A known fault"


RULE = Rule(
    id="KRN-005",
    title="known memory faults reachable in the running kernel",
    severity=Severity.HIGH,
    reads=("/kernel_release",),
    expected="no reachable fault that an update repairs",
    remedy="update the kernel and reboot in a maintenance window; a module that nobody needs can "
    "be kept from loading until then: /etc/modprobe.d/NAME.conf with  install NAME /bin/false",
    undo="boot the old kernel, which stays installed",
    cost=Cost.REBOOT,
    reference="RHSA and ALSA advisories, docs/reference/audit-tables.md",
    judge=judge,
)
