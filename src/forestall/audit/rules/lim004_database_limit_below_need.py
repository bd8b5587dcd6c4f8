"""The database's own limit is below what its settings let it take.

A limit on the database is meant to protect the host. Below what shared_buffers alone may take it
kills the database on an ordinary busy day, with memory to spare on the host.
"""

from forestall.audit.engines import POSTGRES
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.budget import needs, settings_read
from forestall.audit.rules.shared.unseen import unseen
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

NEEDED_SHARE = 0.9
"""Of the limit, what shared buffers may take; the sessions need the rest."""


def judge(host: Posture) -> Judgement:
    """Where one server runs, and systemd limits its unit; which settings are whose is else a guess.

    That every connection sorts at once is the worst case, and weighs less.
    """
    facts = host.facts
    found = _limited_unit(host)
    if found is None:
        if facts.databases is None:
            return unseen(host, "databases", "Whether a PostgreSQL runs here")
        if facts.units is None and host.runs(*POSTGRES):
            return unseen(host, "units", "Whether the database has a limit")
        return not_applicable("No unit of a PostgreSQL here has a limit.")
    index, name, limit = found
    if facts.postgres is not None and len(facts.postgres) > 1:
        return not_applicable("More than one PostgreSQL: whose settings are whose is not told.")
    budget = needs(facts.postgres[0]) if facts.postgres else None
    if budget is None:
        return unknown("Not all of PostgreSQL's settings could be read.", "/postgres")
    if budget.most_bytes <= limit:
        return PASS
    return fail(
        f"{name} may take {format_bytes(limit)}, and its settings up to "
        f"{format_bytes(budget.most_bytes)}: {'; '.join(budget.table())}.",
        f"/units/{index}/memory_max_bytes",
        *settings_read(0),
        severity=Severity.HIGH if budget.shared_bytes > NEEDED_SHARE * limit else Severity.LOW,
        expected=f"MemoryMax= of at least {format_bytes(budget.most_bytes)}",
        undo=f"systemctl set-property {name} MemoryMax={limit}",
    )


def _limited_unit(host: Posture) -> tuple[int, str, int] | None:
    """Index, name and MemoryMax= of the PostgreSQL unit that has one; None where there is none."""
    names = {one.process.unit for one in host.facts.databases or () if one.process.name in POSTGRES}
    for index, unit in enumerate(host.facts.units or () if names else ()):
        if unit.name in names and unit.memory_max_bytes is not None:
            return index, unit.name, unit.memory_max_bytes
    return None


RULE = Rule(
    id="LIM-004",
    title="database's limit below its settings",
    severity=Severity.HIGH,
    reads=("/units", "/postgres"),
    expected="MemoryMax= above what the settings may take",
    remedy="raise MemoryMax= of the database, or lower shared_buffers, max_connections or work_mem",
    undo="set the old limit again",
    cost=Cost.NONE,
    reference="PostgreSQL documentation, resource consumption",
    judge=judge,
)
