"""A kernel update has been out for a quarter of a year and does not run here.

One update missed is a maintenance window that did not come; a quarter of a year of them says that
nobody boots this host into what is fixed. Of older days the table knows the updates that bear on
memory alone, which is enough to accuse; to acquit it must know every update of the last days before
those 90.
"""

from dataclasses import replace
from functools import lru_cache

from forestall.audit.exposure import exposure, has_paid_stream, reservations, subject
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.tables import Update
from forestall.audit.tables.nouns import iso
from forestall.model.finding import Cost, Severity
from forestall.units import DAY

DAYS_TO_BOOT = 90
FIRST_MAJOR = 8


def judge(host: Posture) -> Judgement:
    """Package against package. PASS needs every update from before the 90 days to within them."""
    facts = host.facts
    which = subject(host)
    if which.kernel is None:
        return unknown(which.why) if which.applies else not_applicable(which.why)
    kernel, major = which.kernel, which.kernel.el_major or 0
    if major < FIRST_MAJOR:
        return not_applicable(f"The updates of Enterprise Linux {major} are not all in the table.")
    found = exposure(kernel, which.system, host.tables, host.at)
    if found is None:
        return unknown(f"No update of kernels like {kernel.release} is in the table.")
    limit = host.at - DAYS_TO_BOOT * DAY
    late = _older(found.missed, limit)
    if found.minor is not None and not late and found.missed_undecided:
        late = _older(found.missed_undecided, limit)
        if late and has_paid_stream(found.minor, which.system, True, host.at):
            return unknown(f"The paid stream of {found.minor.name} is not in the table.")
    if late and facts.livepatches and not facts.effective_release:
        return unknown("The kernel is livepatched, and up to which update is not shown.")
    if late:
        aged = reservations(host, major)
        # Who misses the first of the days that are all known may miss more from before them.
        first = min(update.at for update in late) - 1
        every = host.tables.knows_every_update(major, first, limit)
        judged = _missed(kernel.release, late, every, host.at // DAY, aged)
        return replace(judged, reads=EFFECTIVE) if facts.effective_release else judged
    until = host.tables.covered_until(major)
    if until is None or until < limit:
        return unknown(
            "No missed update is known, but the table of advisories is older than "
            f"{DAYS_TO_BOOT} days.",
            remedy=REFRESH,
        )
    own = found.own_at
    newer = own is not None and own >= limit
    # A kernel that came out since cannot have missed what came before it.
    if not newer and not host.tables.knows_every_update(major, limit - 1, limit):
        return unknown(
            f"No missed update is known, but of those before {iso(limit)} the table has only some.",
            remedy=REFRESH,
        )
    if found.minor is None:
        return unknown(f"{kernel.release} is not in the map of minor releases.")
    return PASS


def _older(updates: tuple[Update, ...], limit: float) -> tuple[Update, ...]:
    return tuple(update for update in updates if update.at < limit)


@lru_cache(1024)
def _missed(
    release: str, late: tuple[Update, ...], every: bool, today: float, aged: str
) -> Judgement:
    """Of a fleet, many hosts miss the same updates on the same day; `every` = no others are."""
    first = min(late, key=lambda update: update.at)
    days = today - first.at / DAY
    newest = late[-1].advisory
    count = f"{len(late)} kernel updates" if len(late) > 1 else "A kernel update"
    if not every:
        count = f"At least {count[0].lower()}{count[1:]}"
    return fail(
        f"{count} out for more than {DAYS_TO_BOOT} days: {release} runs, the oldest missed one "
        f"known is {first.advisory.id} of {first.advisory.date}, {days:.0f} days before.{aged}",
        expected=f"kernel {newest.fixed} or newer",
        reference=f"{first.advisory.id}, {newest.id}" if len(late) > 1 else first.advisory.id,
    )


EFFECTIVE = ("/kernel_release", "/effective_release")
REFRESH = "bring it up to date: forestall audit refresh"

RULE = Rule(
    id="KRN-003",
    title="kernel updates missed for a quarter of a year",
    severity=Severity.HIGH,
    reads=("/kernel_release",),
    expected="no kernel update older than 90 days missing",
    remedy="dnf update kernel, and reboot in a maintenance window",
    undo="boot the old kernel, which stays installed: grubby --set-default",
    cost=Cost.REBOOT,
    reference="AlmaLinux errata; packages of RHEL, Rocky and Oracle's RHCK have the same numbers",
    judge=judge,
)
