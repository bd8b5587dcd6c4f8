"""Memory is set aside as huge pages that nobody uses.

What vm.nr_hugepages reserves is gone for every program that does not ask for it by name, and the
kernel can neither reclaim nor swap it: a host runs out of memory with gigabytes of it idle. Pages
that a database has been promised and not touched yet are not idle; the kernel counts them among
the free, so they are taken off first. Nodes that reserve them for pods or guests to come are a
case for a waiver. meminfo counts pages of the default size alone; where it tells of more (Hugetlb),
what is free of the other sizes is unknown.
"""

from forestall.audit.headroom import DEFAULT_HUGE_PAGE_BYTES, other_huge_pages_bytes
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

IDLE_SHARE = 0.2
NONE_RESERVED = not_applicable("No huge pages are reserved.")
IN_CONTAINER = not_applicable("Huge pages are the host's, not this container's.")
NOT_READ = unknown("How many huge pages are reserved, or free, could not be read.")


def judge(host: Posture) -> Judgement:
    """Free huge pages less the promised ones, of all that are reserved."""
    facts = host.facts
    total, free = facts.hugepages_total, facts.hugepages_free
    if facts.container:
        return IN_CONTAINER
    others = other_huge_pages_bytes(facts)
    if total == 0:
        return _other_sizes(others) if others else NONE_RESERVED
    if total is None or free is None:
        return NOT_READ
    fine = _other_sizes(others) if others else PASS
    if free <= IDLE_SHARE * total:
        return fine
    promised = facts.hugepages_reserved
    if promised is None:
        return unknown(
            f"{free} of {total} huge pages are free; how many of them somebody was promised is "
            "unknown.",
            remedy="grep HugePages_Rsvd /proc/meminfo",
        )
    idle = max(0, free - promised)
    if idle <= IDLE_SHARE * total:
        return fine
    page = facts.hugepage_bytes or DEFAULT_HUGE_PAGE_BYTES
    return fail(
        f"{format_bytes(idle * page)} of memory lies idle as huge pages: {idle} of {total}.",
        remedy=f"sysctl -w vm.nr_hugepages={total - idle}, and the same in /etc/sysctl.d/",
        undo=f"sysctl -w vm.nr_hugepages={total} (after a reboot, while memory is not fragmented)",
    )


def _other_sizes(size: int) -> Judgement:
    return unknown(
        f"{format_bytes(size)} is reserved as huge pages of another size than the default one; how "
        "many of them are free was not read.",
        "/hugepages_total",
        "/hugetlb_bytes",
        remedy="grep . /sys/kernel/mm/hugepages/*/*_hugepages",
    )


RULE = Rule(
    id="HUG-002",
    title="idle huge pages",
    severity=Severity.MEDIUM,
    reads=("/hugepages_free", "/hugepages_reserved", "/hugepages_total", "/hugepage_bytes"),
    expected="at most 20 % of the reserved huge pages idle",
    remedy="sysctl -w vm.nr_hugepages=N, with N what is in use",
    undo="sysctl -w vm.nr_hugepages=OLD",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/mm/hugetlbpage.rst; the share is our advice",
    judge=judge,
)
