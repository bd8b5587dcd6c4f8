"""The running kernel belongs to an older minor release.

A minor release gets fixes until the next one is out, or a while longer where that was paid for;
after that, fixes come only in the kernels of later minors. Red Hat CoreOS has the kernel of its
cluster's version, whose support no table here holds.
"""

from functools import lru_cache

from forestall.audit.exposure import NOT_OURS, has_paid_stream
from forestall.audit.kernels import Line, kernel_of
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.systems import KERNEL_OF_A_CLUSTER, WITH_A_CLUSTER, system_of
from forestall.audit.tables import RELEASES_STALE_DAYS, Tables
from forestall.audit.tables.nouns import Minor, day, iso
from forestall.audit.versions import CACHED
from forestall.model.finding import Cost, Severity
from forestall.units import DAY

DAYS_TO_FOLLOW = 90
"""How long after the next minor release the old one is still no finding. Our policy."""

PAID = frozenset({"eus", "e4s", "aus", "tus"})


def judge(host: Posture) -> Judgement:
    """By the kernel's suffix elX_Y or its build; never by what os-release says."""
    facts = host.facts
    if facts.container:
        return not_applicable(NOT_OURS)
    if facts.kernel_release is None:
        return unknown("The kernel's release was not read.")
    return _judged(
        facts.kernel_release,
        (facts.os_id, facts.os_version_id, facts.os_name),
        facts.extended_support in PAID or (host.terms.extended_support_until or 0) > host.at,
        host.tables,
        host.at,
    )


@lru_cache(CACHED)
def _judged(
    release: str,
    os_release: tuple[str | None, str | None, str | None],
    paid: bool,
    tables: Tables,
    at: float,
) -> Judgement:
    """Kept, because a fleet has few different kernels."""
    system = system_of(*os_release)
    kernel = kernel_of(release, system.id)
    if kernel is None or kernel.line is not Line.EL or kernel.el_major is None:
        return not_applicable("No kernel of Enterprise Linux, which alone has minor releases.")
    if system.id in WITH_A_CLUSTER:
        return unknown(KERNEL_OF_A_CLUSTER)
    if system.stream:
        return not_applicable("CentOS Stream has no minor releases.")
    minor = tables.minor_of(kernel)
    last = tables.last_minor(kernel.el_major, at)
    if minor is None or last is None:
        return unknown(f"{kernel.release} is not in the map of minor releases.")
    closed = tables.is_closed(kernel.el_major)
    if minor.name == last.name:
        until = tables.mapped_until(kernel.el_major)
        if closed or at - until <= RELEASES_STALE_DAYS * DAY:
            return PASS
        return unknown(
            f"{minor.name} is the last that is known, by a map of {iso(until)}, older than "
            f"{RELEASES_STALE_DAYS} days.",
            remedy="bring it up to date: forestall audit refresh",
        )
    if has_paid_stream(minor, system.id, paid, at) or _just_followed(tables, minor, at):
        return PASS
    if system.id is None and has_paid_stream(minor, "rhel", paid, at):
        return unknown(
            f"{kernel.release} is that of release {minor.name}, which Red Hat still extends; whose "
            "system this is was not read."
        )
    extension = f"; its EUS ended on {minor.eus_until}" if minor.eus_until else ""
    return fail(
        f"The running kernel {kernel.release} is that of release {minor.name}; the last of its "
        f"line {'is' if closed else 'so far is'} {last.name}"
        f"{extension if system.id == 'rhel' else ''}.",
        expected=f"a kernel of release {last.name}",
    )


def _just_followed(tables: Tables, minor: Minor, at: float) -> bool:
    """Whether the next minor release came out a short while ago."""
    following = tables.next_minor(minor)
    if following is None or following.released is None:
        return False
    return at < day(following.released) + DAYS_TO_FOLLOW * DAY


RULE = Rule(
    id="KRN-002",
    title="kernel of an older minor release",
    severity=Severity.HIGH,
    reads=("/kernel_release",),
    expected="a kernel of the last minor release",
    remedy="update the kernel and reboot in a maintenance window",
    undo="boot the old kernel, which stays installed",
    cost=Cost.REBOOT,
    reference="Red Hat's release dates and life cycle policy; builds as in insights-core",
    judge=judge,
)
