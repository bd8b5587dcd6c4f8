"""Transparent huge pages are set against what the database's vendor asks.

With `always` the kernel makes 2 MiB of memory out of a few KiB a program touched: the database
holds more than it uses, waits while memory is compacted, and a fork that copies pages copies huge
ones. PostgreSQL, Oracle and Redis therefore ask for `never` (or `madvise`, which leaves it to the
program); SQL Server asks for `always`, or for `madvise` with several instances. The rule says
nothing of MongoDB, whose advice turned round with version 8.0, nor of hosts that only happen to
run a small database.
"""

from forestall.audit.engines import HUGE_PAGES, NAMES
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

FILE = "/sys/kernel/mm/transparent_hugepage/enabled"

IN_CONTAINER = not_applicable("The setting is the host's, not this container's.")
NO_DATABASE = not_applicable("No database host.")
NONE_KNOWN = not_applicable("No database that is known by name runs here.")
NO_ADVICE = not_applicable("The vendor of this database gives no one advice for all versions.")
NO_ROLE = unknown("Whether this is a database host, and of which database, is unknown.")


def judge(host: Posture) -> Judgement:
    """By the largest database here."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if host.is_database_host is False:
        return NO_DATABASE
    engine = host.engine
    if engine is None:
        return NO_ROLE if facts.databases is None else NONE_KNOWN
    advice = HUGE_PAGES.get(engine)
    if advice is None:
        return NO_ADVICE
    if host.is_database_host is None:
        return NO_ROLE
    value = _chosen(facts.transparent_hugepage)
    if value is None:
        why = host.why_unseen("transparent_hugepage", f"{FILE} was not read")
        return unknown(f"Whether transparent huge pages are on is unknown: {why}.")
    if value in advice.allowed:
        return PASS
    name = NAMES[engine]
    return fail(
        f"Transparent huge pages are `{value}` beside {name}, which asks for "
        f"{' or '.join(advice.allowed)}.",
        expected=f"transparent huge pages {' or '.join(advice.allowed)}",
        remedy=f"echo {advice.wanted} > {FILE}, and transparent_hugepage={advice.wanted} on the "
        "kernel's command line or tuned's profile for this database; the database keeps what it "
        "has until it is restarted",
        undo=f"echo {value} > {FILE}, and take the setting away again",
        reference=advice.reference,
    )


def _chosen(text: str | None) -> str | None:
    """`always [madvise] never` -> madvise; one word stays as it is."""
    if text is not None and "[" in text:
        return text.partition("[")[2].partition("]")[0] or None
    return text or None


RULE = Rule(
    id="THP-001",
    title="transparent huge pages unfit for the database",
    severity=Severity.MEDIUM,
    reads=("/transparent_hugepage",),
    expected="PostgreSQL, Oracle and Redis: never or madvise; SQL Server: always or madvise",
    remedy=f"echo never > {FILE}, and transparent_hugepage=never on the kernel's command line",
    undo=f"echo always > {FILE}, and take the setting away again",
    cost=Cost.RESTART,
    reference="tuned's profiles postgresql, oracle and mssql; the vendors' documentation",
    judge=judge,
)
