"""Other troubles panic too, and no dump will tell which.

A host that thrashes blocks tasks and processors for minutes; with hung_task_panic, softlockup_panic
or panic_on_oops set that ends in a panic that does not mention memory. Baselines such as OSPP set
panic_on_oops; with kdump armed the dump shows what was behind it.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

SETTINGS = ("kernel.panic_on_oops", "kernel.hung_task_panic", "kernel.softlockup_panic")


def judge(host: Posture) -> Judgement:
    """A setting that this kernel does not have cannot panic."""
    if host.facts.container:
        return not_applicable("The settings are the host's, not this container's.")
    values = {name: host.number(name) for name in SETTINGS}
    on = [name for name, value in values.items() if (value or 0) > 0]
    if not on:
        if all(value is None for value in values.values()):
            return unknown("What else panics is unknown: no panic setting could be read.")
        return PASS
    if host.facts.crash_kernel_loaded:
        return PASS
    if host.facts.crash_kernel_loaded is None:
        return unknown("Whether a dump would explain such a panic is unknown: kdump is not seen.")
    named = ", ".join(f"{name}={values[name]}" for name in on)
    reads = (*(f"/sysctls/{name}" for name in on), "/crash_kernel_loaded")
    return fail(
        f"A host that thrashes may panic for other reasons ({named}), without a dump.", *reads
    )


RULE = Rule(
    id="PAN-003",
    title="other panics without a dump",
    severity=Severity.LOW,
    reads=(*(f"/sysctls/{name}" for name in SETTINGS), "/crash_kernel_loaded"),
    expected="kdump armed where panics are asked for",
    remedy="arm kdump, so that the next panic can be explained",
    undo="systemctl disable --now kdump",
    cost=Cost.REBOOT,
    reference="kernel documentation, admin-guide/sysctl/kernel.rst",
    judge=judge,
)
