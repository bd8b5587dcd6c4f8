"""The OOM killer judges the database like any other process.

The killer takes what is large, and a database is large. PostgreSQL's documentation asks for an
oom_score_adj near -1000 on the main process, and for its sessions, which are restarted, to be set
back to 0.
"""

from forestall.audit.holders import database_bytes
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Outcome, Severity
from forestall.units import format_bytes

PROTECTED_ADJUST = -500
"""At or below this a database is taken only when it holds half of all memory more than others."""


def judge(host: Posture) -> Judgement:
    """A host that panics kills nobody first, so there no score protects anybody."""
    if host.facts.container:
        return not_applicable("The OOM killer is the host's, not this container's.")
    database = host.database
    if database is None:
        if host.facts.databases is None:
            return unknown("Whether a database runs here could not be seen.")
        return not_applicable("No database runs here.")
    if host.outcome is Outcome.PANIC:
        return not_applicable("This host panics before any process is picked.")
    name, pid = database.process.name, database.process.key.pid
    pointer = f"/databases/{host.main_database}/oom_score_adjust"
    adjust = database.oom_score_adjust
    if adjust is None:
        return unknown(
            f"Whether {name} (pid {pid}) is protected is unknown: its oom_score_adj is not seen.",
            pointer,
        )
    if adjust <= PROTECTED_ADJUST:
        return PASS
    size = format_bytes(database_bytes(host.facts, database))
    return fail(
        f"The OOM killer judges {name} (pid {pid}, {size}) like any other process: "
        f"oom_score_adj {adjust}.",
        pointer,
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
