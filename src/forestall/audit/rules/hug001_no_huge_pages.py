"""A large PostgreSQL cache is mapped in small pages.

Every session maps all of shared_buffers: with pages of 4 KiB, 8 GiB cost each of them up to 16 MiB
of page tables, and three hundred sessions hold gigabytes that no budget names and that the OOM
killer charges to whoever is large. Huge pages make that a hundredth. PostgreSQL asks for them from
large caches on; the 8 GiB are our threshold. They are memory that nobody else can use, so the
number must fit (HUG-002). Pages of another size than the default one count where meminfo tells of
them, but whether PostgreSQL is told to use them (huge_page_size) is not in the facts.
"""

import math

from forestall.audit.engines import POSTGRES
from forestall.audit.headroom import DEFAULT_HUGE_PAGE_BYTES, other_huge_pages_bytes
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import GIB, format_bytes

LARGE_BYTES = 8 * GIB

NO_POSTGRES = not_applicable("No PostgreSQL runs here.")
SMALL = not_applicable("shared_buffers is below 8 GiB.")
NO_DATABASES_READ = unknown("Whether PostgreSQL runs here could not be seen.")
IN_CONTAINER = not_applicable("Huge pages are the host's, not this container's.")


def judge(host: Posture) -> Judgement:
    """The largest server here; huge pages that do not hold all of it are not used at all."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if facts.databases is None:
        return NO_DATABASES_READ
    if not host.runs(*POSTGRES):
        return NO_POSTGRES
    if not facts.postgres:
        why = host.why_unseen("postgres", "its settings were not read")
        return unknown(f"How large shared_buffers is, is unknown: {why}.")
    index, server = max(enumerate(facts.postgres), key=lambda one: one[1].shared_buffers_bytes or 0)
    size = server.shared_buffers_bytes
    if size is None or size < LARGE_BYTES:
        if all(one.complete for one in facts.postgres):
            return SMALL
        return unknown(
            "How large shared_buffers is, is unknown: not all of its settings were read."
        )
    pages, page = facts.hugepages_total, facts.hugepage_bytes or DEFAULT_HUGE_PAGE_BYTES
    reads = (
        f"/postgres/{index}/shared_buffers_bytes",
        f"/postgres/{index}/huge_pages",
        "/hugepages_total",
    )
    if server.huge_pages == "off":
        return fail(f"{_told(size)} with huge_pages=off.", *reads, remedy=_remedy(size, page))
    if pages is None:
        return unknown("How many huge pages there are could not be read.", *reads)
    if pages * page >= size:
        return PASS
    others = other_huge_pages_bytes(facts)
    if others is not None and others >= size:
        return unknown(
            f"{format_bytes(others)} is reserved as huge pages of another size than the default "
            "one, which PostgreSQL uses only with huge_page_size; that was not read.",
            *reads,
            "/hugetlb_bytes",
            remedy="SHOW huge_page_size, and huge_pages_status (version 17 and later)",
        )
    have = f"{format_bytes(pages * page)} of huge pages" if pages else "no huge pages"
    return fail(f"{_told(size)}, and there are {have}.", *reads, remedy=_remedy(size, page))


def _told(size: int) -> str:
    return f"PostgreSQL maps {format_bytes(size)} of shared_buffers in small pages"


def _remedy(size: int, page: int) -> str:
    # While PostgreSQL holds its buffers, the pages would be taken from what is left.
    return (
        f"stop PostgreSQL, sysctl -w vm.nr_hugepages={math.ceil(1.05 * size / page)} (or what "
        "`postgres -C shared_memory_size_in_huge_pages` says, version 15 and later), keep it in "
        "/etc/sysctl.d/, huge_pages=try, and start PostgreSQL"
    )


RULE = Rule(
    id="HUG-001",
    title="large shared_buffers in small pages",
    severity=Severity.LOW,
    reads=("/postgres", "/hugepages_total"),
    expected="huge pages for all of shared_buffers from 8 GiB on",
    remedy="stop PostgreSQL, sysctl -w vm.nr_hugepages=N, and start it",
    undo="stop PostgreSQL, sysctl -w vm.nr_hugepages=0, and start it",
    cost=Cost.RESTART,
    reference="PostgreSQL documentation, Managing Kernel Resources, Linux Huge Pages; the 8 GiB "
    "are our advice",
    judge=judge,
)
