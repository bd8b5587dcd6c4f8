"""A panic leaves nothing to learn from.

Without a loaded crash kernel no dump is written, and nobody can say afterwards which process, or
which part of the kernel, held the memory. The next panic is then as surprising as this one.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Outcome, Severity


def judge(host: Posture) -> Judgement:
    """Graver where memory exhaustion itself would be the panic."""
    if host.facts.container:
        return not_applicable("The host dumps, not this container.")
    armed = host.facts.crash_kernel_loaded
    if armed is None:
        why = host.why_unseen("crash_kernel_loaded", "it was not read")
        return unknown(f"Whether kdump is armed is unknown: {why}.")
    if armed:
        return PASS
    return fail(
        "A panic leaves no dump: kdump is not armed, so nobody will know what held the memory.",
        severity=Severity.HIGH if host.outcome is Outcome.PANIC else Severity.LOW,
    )


RULE = Rule(
    id="KDP-001",
    title="kdump not armed",
    severity=Severity.HIGH,
    reads=("/crash_kernel_loaded", "/crash_kernel_bytes"),
    expected="/sys/kernel/kexec_crash_loaded is 1",
    remedy="install kdump, reserve memory with crashkernel=, and: systemctl enable --now kdump; "
    "where a security baseline forbids it, dump to an encrypted remote target",
    undo="systemctl disable --now kdump, and take crashkernel= out of the kernel's command line",
    cost=Cost.REBOOT,
    reference="Red Hat, kernel crash dump guide",
    judge=judge,
)
