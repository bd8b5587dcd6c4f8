"""The OOM killer judges the database like any other process.

The killer takes what is large, and a database is large. PostgreSQL's documentation asks for an
oom_score_adj of -900 to -1000 on the main process, and for its sessions, which can be started
again, to be set back to 0: a session that inherits -1000 can run away and never be killed. A host
that panics on OOM kills nobody today, but does as soon as the panic is switched off; so the
database is protected first.
"""

from forestall.audit.holders import UNKILLABLE, database_bytes, sessions
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.audit.rules.shared.beside_database import graded, gravity, scored_database
from forestall.model.facts import HolderFacts
from forestall.model.finding import Cost, Outcome, Severity
from forestall.units import format_bytes

PROTECTED_ADJUST = -500
"""At or below this a database is taken only when it holds half of all memory more than others."""


@graded(Severity.HIGH)
def judge(host: Posture) -> Judgement:
    """The largest database's main process, then its sessions."""
    database = scored_database(host)
    if isinstance(database, Judgement):
        return database
    name, pid = database.process.name, database.process.key.pid
    pointer = f"/databases/{host.main_database}/oom_score_adjust"
    adjust = database.oom_score_adjust
    if adjust is None:
        return unknown(
            f"Whether {name} (pid {pid}) is protected is unknown: its oom_score_adj is not seen.",
            pointer,
        )
    if adjust <= PROTECTED_ADJUST:
        return _sessions(host, database) if adjust == UNKILLABLE else PASS
    size = format_bytes(database_bytes(host.facts, database))
    who = f"{name} (pid {pid}, {size}) like any other process: oom_score_adj {adjust}."
    if host.outcome is Outcome.PANIC:
        text = f"Once this host no longer panics on OOM, the OOM killer judges {who}"
    else:
        text = f"The OOM killer judges {who}"
    return fail(text, pointer, severity=gravity(host, Severity.HIGH))


def _sessions(host: Posture, database: HolderFacts) -> Judgement:
    """An exempt main process whose sessions are exempt too."""
    found = [
        index
        for index in sessions(host.facts, database)
        if host.facts.holders[index].oom_score_adjust == UNKILLABLE
    ]
    if not found:
        return PASS
    name = database.process.name
    return fail(
        f"The sessions of {name} have oom_score_adj -1000 as well: one that runs away is never "
        "killed, and everything else is.",
        *(f"/holders/{index}/oom_score_adjust" for index in found[:3]),
        severity=Severity.MEDIUM,
        expected="oom_score_adj 0 on the database's sessions",
    )


RULE = Rule(
    id="OOM-001",
    title="database not protected",
    severity=Severity.HIGH,
    reads=("/databases",),
    expected="oom_score_adj -900 on the database's main process",
    remedy="set OOMScoreAdjust=-900 in the database's unit (systemctl edit); for PostgreSQL also "
    "Environment=PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0",
    undo="take the lines out of the drop-in, then systemctl daemon-reload",
    cost=Cost.RESTART,
    reference="PostgreSQL documentation, Linux memory overcommit",
    judge=judge,
)
