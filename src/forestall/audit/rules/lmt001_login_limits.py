"""Limits for logins that a database runs into.

limits.conf holds for whoever logs in, su and cron among them, and not for services of systemd. A
limit on address space (as) refuses memory to what was started that way at a size that has nothing
to do with how much there is, and a memlock below its huge pages keeps an Oracle database from
using them: it starts without, on twice the memory.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable
from forestall.audit.rules.shared.unseen import unseen
from forestall.model.facts import UserLimit
from forestall.model.finding import Cost, Severity
from forestall.units import KIB, format_bytes

DATABASE_USERS = ("*", "postgres", "@postgres", "mysql", "oracle", "@oinstall", "@dba")
ORACLE_USERS = ("*", "oracle", "@oinstall", "@dba")
NO_LIMIT = ("unlimited", "infinity", "-1")
SHOWN_MOST = 3
DIGITS_MOST = 18


def judge(host: Posture) -> Judgement:
    """Values are in KiB. An Oracle database is known by its ora_ processes."""
    facts = host.facts
    if facts.user_limits is None:
        if facts.container:
            return not_applicable("Nobody logs in to a container.")
        return unseen(host, "user_limits", "How logins are limited")
    found = [
        (index, f"{limit.domain} {limit.kind} as {limit.value}")
        for index, limit in enumerate(facts.user_limits)
        if limit.item == "as" and limit.domain in DATABASE_USERS and limit.value not in NO_LIMIT
    ]
    wanted = (facts.hugepages_total or 0) * (facts.hugepage_bytes or 0)
    if wanted and _has_oracle(host):
        needed = f"huge pages need {format_bytes(wanted)}"
        found += [
            (index, f"{limit.domain} {limit.kind} memlock {limit.value}, {needed}")
            for index, limit in enumerate(facts.user_limits)
            if limit.item == "memlock" and limit.domain in ORACLE_USERS and _below(limit, wanted)
        ]
    if not found:
        return PASS
    shown = "; ".join(text for _, text in found[:SHOWN_MOST])
    return fail(
        f"limits.conf refuses memory to what is started from a login: {shown}.",
        *(f"/user_limits/{index}/value" for index, _ in found[:SHOWN_MOST]),
    )


def _has_oracle(host: Posture) -> bool:
    databases = host.facts.databases or ()
    return any(one.process.name.startswith("ora_") for one in (*databases, *host.facts.holders))


def _below(limit: UserLimit, wanted_bytes: int) -> bool:
    value = limit.value[:DIGITS_MOST]
    return value.isascii() and value.isdigit() and int(value) * KIB < wanted_bytes


RULE = Rule(
    id="LMT-001",
    title="login limits below what a database needs",
    severity=Severity.LOW,
    reads=("/user_limits",),
    expected="no address space limit, and memlock of at least the huge pages",
    remedy="take the line out of /etc/security/limits.conf or limits.d/, or raise it",
    undo="put the line back",
    cost=Cost.RESTART,
    reference="limits.conf(5); Oracle's installation guide for memlock",
    judge=judge,
    optional=True,
)
