"""After a panic nobody but a person brings the host back.

kernel.panic=0, the kernel's default, waits for ever: the outage lasts until someone finds the
console. Ten seconds or more leave time for the console to be logged before the host reboots. With
kdump armed a crash kernel takes over and reboots by itself, and the setting counts only if that
fails.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

SETTING = "kernel.panic"


def judge(host: Posture) -> Judgement:
    """Graver where memory exhaustion itself would be the panic."""
    if host.facts.container:
        return not_applicable("The setting is the host's, not this container's.")
    value = host.number(SETTING)
    if value is None:
        return unknown("Whether the host comes back is unknown: kernel.panic could not be read.")
    if value != 0 or host.facts.crash_kernel_loaded:
        return PASS
    return fail(
        "After any panic this host stays down until someone resets it: kernel.panic=0.",
        severity=Severity.HIGH if host.outcome.takes_host_down else Severity.LOW,
    )


RULE = Rule(
    id="PAN-002",
    title="stays down after a panic",
    severity=Severity.HIGH,
    reads=(f"/sysctls/{SETTING}", "/crash_kernel_loaded"),
    expected="kernel.panic between 10 and 60 (seconds)",
    remedy="sysctl -w kernel.panic=10, and keep it in /etc/sysctl.d/",
    undo="sysctl -w kernel.panic=0, and take the line out of /etc/sysctl.d/",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/sysctl/kernel.rst",
    judge=judge,
)
