"""The innocent is killed.

With vm.oom_kill_allocating_task the kernel does not look for the process that took the memory: it
kills whichever asks next. Beside a busy database that is the database. It was made for systems
with so many tasks that looking through them takes too long, which servers are not.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.model.finding import Cost, Severity

SETTING = "vm.oom_kill_allocating_task"

NOT_READ = unknown(f"Whom the OOM killer takes is unknown: {SETTING} could not be read.")


def judge(host: Posture) -> Judgement:
    """Any value but 0 switches it on; in a container it is the host's, with the same victims."""
    value = host.number(SETTING)
    if value == 0:
        return PASS
    if value is None:
        return NOT_READ
    database = bool(host.facts.databases)
    victim = "the database is as likely as any other" if database else "any process may be it"
    where = "on the host, not in this container: " if host.facts.container else ""
    return fail(
        "The kernel kills whoever asks for memory next, not whoever took it "
        f"({SETTING}={value}): {victim}.",
        severity=None if database else Severity.LOW,
        remedy=f"{where}{RULE.remedy}",
    )


RULE = Rule(
    id="PAN-004",
    title="kills whoever asks",
    severity=Severity.MEDIUM,
    reads=(f"/sysctls/{SETTING}",),
    expected="vm.oom_kill_allocating_task=0",
    remedy="sysctl -w vm.oom_kill_allocating_task=0, and keep it in /etc/sysctl.d/",
    undo="sysctl -w vm.oom_kill_allocating_task=1, and take the line out of /etc/sysctl.d/",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/sysctl/vm.rst",
    judge=judge,
)
