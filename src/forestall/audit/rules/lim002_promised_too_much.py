"""More memory is promised than the host has.

A limit is a promise: up to there a service may grow, and beside a database the promises of all
services and what the database itself may take must fit. Where they do not, every limit is kept and
the host runs out all the same. Limits and shared buffers count as certain; that every connection
sorts at once is the worst case, and weighs less.
"""

from forestall.audit.engines import POSTGRES
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.beside_database import no_database
from forestall.audit.rules.shared.budget import (
    LINES_MOST,
    needs,
    promised,
    promised_table,
    settings_read,
)
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.services import named
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

MOST_SHARE = 0.9
TABLE_MOST = 10


def judge(host: Posture) -> Judgement:
    """Only PostgreSQL's settings are understood."""
    facts = host.facts
    elsewhere = no_database(host)
    if elsewhere is not None:
        return elsewhere
    if not facts.postgres:
        if facts.postgres is None and (facts.databases is None or host.runs(*POSTGRES)):
            why = host.why_unseen("postgres", "its files were not read")
            return unknown(f"What PostgreSQL may take is unknown: {why}.")
        return not_applicable("No PostgreSQL here, and of no other database are limits known.")
    if facts.units is None:
        return unseen(host, "units", "Which limits are promised")
    total = facts.memory.mem_total_bytes
    if not total:
        return unknown("How much memory there is could not be read.")
    servers = [one for server in facts.postgres if (one := needs(server)) is not None]
    if len(servers) < len(facts.postgres):
        return unknown("Not all of PostgreSQL's settings could be read.", "/postgres")
    limits = promised(facts)
    fixed = sum(one.size_bytes for one in limits) + sum(one.shared_bytes for one in servers)
    most = fixed + sum(one.most_bytes - one.shared_bytes for one in servers)
    if most <= MOST_SHARE * total:
        untold = [one for one in host.services if one.limited is None and not one.database]
        return unknown(f"Which limit {named(untold)} has is not told.") if untold else PASS
    table = [*promised_table(limits), *(line for one in servers for line in one.table())]
    return fail(
        f"Up to {format_bytes(most)} is promised on a host with {format_bytes(total)} of memory "
        f"({most / total:.0%}): {'; '.join(table[:TABLE_MOST])}.",
        "/memory/mem_total_bytes",
        *(one.pointer for one in limits[:LINES_MOST]),
        *settings_read(0),
        severity=Severity.HIGH if fixed > MOST_SHARE * total else Severity.MEDIUM,
        expected=f"at most {format_bytes(MOST_SHARE * total)} promised",
    )


RULE = Rule(
    id="LIM-002",
    title="more memory promised than there is",
    severity=Severity.HIGH,
    reads=("/memory/mem_total_bytes", "/units", "/slices", "/postgres"),
    expected="limits and the database's settings within 90 % of memory",
    remedy="lower the largest: MemoryMax= of what never needs it, max_connections behind a pool, "
    "or work_mem",
    undo="set the old values again",
    cost=Cost.RESTART,
    reference="PostgreSQL documentation, resource consumption; the 90 % is our advice",
    judge=judge,
)
