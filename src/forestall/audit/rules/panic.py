"""PAN and KDP: whether memory exhaustion, or anything else, becomes a panic, and what follows."""

from forestall.audit.exhaustion import host_exhaustion
from forestall.audit.reading import fact, sysctl, sysctl_number
from forestall.audit.settings import kills_who_asks
from forestall.model.facts import HostFacts
from forestall.model.finding import Finding, FindingState, Outcome, Severity

VM_DOCS = "kernel documentation, admin-guide/sysctl/vm.rst"
KERNEL_DOCS = "kernel documentation, admin-guide/sysctl/kernel.rst"
OTHER_PANICS = ("kernel.panic_on_oops", "kernel.hung_task_panic", "kernel.softlockup_panic")


def panic_on_oom(facts: HostFacts) -> Finding | None:
    """PAN-001: a leak becomes a panic."""
    value = sysctl_number(facts, "vm.panic_on_oom")
    if value == 0:
        return None
    where = "on the host, not in this container: " if facts.container else ""
    setting = sysctl(facts, "vm.panic_on_oom")
    if value is None:
        text = "Whether an OOM panics this host is unknown: vm.panic_on_oom could not be read."
        remedy = f"{where}cat /proc/sys/vm/panic_on_oom"
        state = FindingState.UNKNOWN
    else:
        text = f"A leak takes the whole host down: vm.panic_on_oom={value} turns OOM into a panic."
        remedy = (
            f"{where}sysctl -w vm.panic_on_oom=0, and keep it in /etc/sysctl.d/; "
            "leave it only where a cluster wants the panic and fences the host"
        )
        state = FindingState.FAIL
    return Finding(
        rule="PAN-001",
        host=facts.hostname,
        state=state,
        severity=Severity.CRITICAL if state is FindingState.FAIL else Severity.HIGH,
        text=text,
        observed=(setting,),
        expected="vm.panic_on_oom=0",
        remedy=remedy,
        reference=VM_DOCS,
    )


def stays_down(facts: HostFacts) -> Finding | None:
    """PAN-002: after a panic nobody but a person brings the host back."""
    if sysctl_number(facts, "kernel.panic") != 0 or facts.crash_kernel_loaded or facts.container:
        return None
    expects_panic = host_exhaustion(facts).outcome.takes_host_down
    return Finding(
        rule="PAN-002",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.HIGH if expects_panic else Severity.LOW,
        text="After any panic this host stays down until someone resets it: kernel.panic=0.",
        observed=(sysctl(facts, "kernel.panic"), fact(facts, "/crash_kernel_loaded")),
        expected="kernel.panic between 10 and 60 (seconds)",
        remedy="sysctl -w kernel.panic=10, and keep it in /etc/sysctl.d/",
        reference=KERNEL_DOCS,
    )


def other_panics(facts: HostFacts) -> Finding | None:
    """PAN-003: other troubles panic too, and no dump will tell which."""
    set_ones = [name for name in OTHER_PANICS if (sysctl_number(facts, name) or 0) > 0]
    if not set_ones or facts.crash_kernel_loaded is not False or facts.container:
        return None
    named = ", ".join(f"{name}={facts.sysctls[name]}" for name in set_ones)
    return Finding(
        rule="PAN-003",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.LOW,
        text=f"A host that thrashes may panic for other reasons ({named}), without a dump.",
        observed=(
            *(sysctl(facts, name) for name in set_ones),
            fact(facts, "/crash_kernel_loaded"),
        ),
        expected="kdump armed where panics are asked for",
        remedy="arm kdump, so that the next panic can be explained",
        reference=KERNEL_DOCS,
    )


def allocating_task(facts: HostFacts) -> Finding | None:
    """PAN-004: the innocent is killed."""
    if not kills_who_asks(facts):
        return None
    database = bool(facts.databases)
    victim = "the database is as likely as any other" if database else "any process may be it"
    return Finding(
        rule="PAN-004",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.HIGH,
        text="The kernel kills whoever asks for memory next, not whoever took it "
        f"(vm.oom_kill_allocating_task={facts.sysctls['vm.oom_kill_allocating_task']}): {victim}.",
        observed=(sysctl(facts, "vm.oom_kill_allocating_task"),),
        expected="vm.oom_kill_allocating_task=0",
        remedy="sysctl -w vm.oom_kill_allocating_task=0, and keep it in /etc/sysctl.d/",
        reference=VM_DOCS,
    )


def kdump_not_armed(facts: HostFacts) -> Finding | None:
    """KDP-001: a panic leaves nothing to learn from."""
    if facts.crash_kernel_loaded is not False or facts.container:
        return None
    expects_panic = host_exhaustion(facts).outcome is Outcome.PANIC
    return Finding(
        rule="KDP-001",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.HIGH if expects_panic else Severity.LOW,
        text="A panic leaves no dump: kdump is not armed, so nobody will know what held the "
        "memory.",
        observed=(fact(facts, "/crash_kernel_loaded"), fact(facts, "/crash_kernel_bytes")),
        expected="/sys/kernel/kexec_crash_loaded is 1",
        remedy="install kdump, reserve memory with crashkernel=, and: systemctl enable --now "
        "kdump; where a security baseline forbids it, dump to an encrypted remote target",
        reference="Red Hat, kernel crash dump guide",
    )


RULES = (panic_on_oom, stays_down, other_panics, allocating_task, kdump_not_armed)
