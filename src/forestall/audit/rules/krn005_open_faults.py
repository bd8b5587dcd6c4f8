"""The running kernel has known faults of memory management that can be reached here.

A leak, a race in swap or a panic from the network takes the host down whatever the services do.
Only what can be reached counts: a fault in vhost_net where it is not loaded, or in zswap where it
is off, is listed by a scanner and harms nobody. Versions are those of the distribution's package,
because fixes are carried back to old upstream numbers.
"""

from functools import lru_cache

from forestall.audit.exposure import Exposure, exposure, reservations, subject
from forestall.audit.fault_needs import places, reached
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.tables import ADVISORIES_STALE_DAYS
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
    found = exposure(kernel, which.system, host.tables, host.at)
    if found is None:
        return unknown(f"No advisory about kernels like {kernel.release} is in the table.")
    answers = tuple(reached(needs, facts) for needs in found.needs)
    if True in answers:
        if facts.livepatches and not facts.effective_release:
            return unknown(
                f"Known faults would be open in {kernel.release}, but it is livepatched, and up "
                "to which update is not shown."
            )
        evidence = places(_met(found, answers), facts)
        reads = (*(EFFECTIVE if facts.effective_release else RULE.reads), *evidence)
        aged = reservations(host, kernel.el_major or 0)
        return _open(kernel.release, found, answers, reads, aged)
    if None in answers:
        return unknown(
            f"Known faults of {kernel.release} may be reached here: what they need (modules, "
            "mounts, settings) was not read."
        )
    if any(reached(fix.flaw.needs, facts) is not False for fix in found.undecided):
        return unknown(
            f"Known faults may be open: {kernel.release} can be of a stream whose packages are "
            "not in the table."
        )
    until = host.tables.covered_until(kernel.el_major or 0)
    if until is None or host.at - until > ADVISORIES_STALE_DAYS * DAY:
        return unknown(
            f"No open fault is known, but the table of Enterprise Linux {kernel.el_major} is "
            f"older than {ADVISORIES_STALE_DAYS} days.",
            remedy="bring it up to date: forestall audit refresh",
        )
    return PASS


@lru_cache(1024)
def _open(
    release: str,
    found: Exposure,
    answers: tuple[bool | None, ...],
    reads: tuple[str, ...],
    aged: str,
) -> Judgement:
    """The gravest faults by name, the others by number.

    Of a fleet, many hosts have the same kernel and the same answers.
    """
    told = dict(zip(found.needs, answers, strict=True))
    here = [fix for fix in found.open if told[fix.flaw.needs]]
    unseen = sum(1 for fix in found.open if told[fix.flaw.needs] is None)
    named = "; ".join(f"{fix.flaw.cve} {fix.flaw.title}" for fix in here[:MOST_NAMED])
    more = len(here) - MOST_NAMED
    target = max((fix.advisory.fixed for fix in here), key=rpm_key)
    advisories = sorted({fix.advisory.id for fix in here})
    return fail(
        f"{release} lacks the fixes of {len(found.open)} known memory or panic faults, "
        f"{len(here)} of them reachable here: {named}"
        + (f"; and {more} more" if more > 0 else "")
        + (f" ({unseen} more could not be decided)" if unseen else "")
        + f".{aged}",
        *reads,
        severity=Severity.CRITICAL if here[0].flaw.remote_panic else Severity.HIGH,
        expected=f"kernel {target} or newer",
        reference=", ".join(advisories[:MOST_REFERENCES]),
    )


@lru_cache(1024)
def _met(found: Exposure, answers: tuple[bool | None, ...]) -> tuple[str, ...]:
    """What the faults that are reached here need, each once."""
    told = zip(found.needs, answers, strict=True)
    return tuple(dict.fromkeys(need for needs, answer in told if answer for need in needs))


EFFECTIVE = ("/kernel_release", "/effective_release")

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
