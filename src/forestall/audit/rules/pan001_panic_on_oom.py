"""Running out of memory panics the host.

With vm.panic_on_oom=0 the kernel kills one process and the host goes on. With 1 a leak in any
program takes every program down, the database first of all, and with 2 even one that ended at the
limit of its own cgroup. The setting makes sense only where a cluster fences the host and moves
its work elsewhere faster than the OOM killer would; such a site waives the rule with an owner.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.model.finding import Cost, Severity

SETTING = "vm.panic_on_oom"


def judge(host: Posture) -> Judgement:
    """In a container the setting is the host's, and so is the panic."""
    value = host.number(SETTING)
    if value == 0:
        return PASS
    where = "on the host, not in this container: " if host.facts.container else ""
    if value is None:
        return unknown(
            "Whether an OOM panics this host is unknown: vm.panic_on_oom could not be read.",
            remedy=f"{where}cat /proc/sys/vm/panic_on_oom",
        )
    return fail(
        f"A leak takes the whole host down: vm.panic_on_oom={value} turns OOM into a panic.",
        remedy=f"{where}{RULE.remedy}",
        undo=f"sysctl -w vm.panic_on_oom={value}, and take the line out of /etc/sysctl.d/",
    )


RULE = Rule(
    id="PAN-001",
    title="panic on OOM",
    severity=Severity.CRITICAL,
    reads=(f"/sysctls/{SETTING}",),
    expected="vm.panic_on_oom=0",
    remedy="sysctl -w vm.panic_on_oom=0, and keep it in /etc/sysctl.d/; leave it only where a "
    "cluster wants the panic and fences the host",
    undo="sysctl -w vm.panic_on_oom=1, and take the line out of /etc/sysctl.d/",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/sysctl/vm.rst",
    judge=judge,
)
