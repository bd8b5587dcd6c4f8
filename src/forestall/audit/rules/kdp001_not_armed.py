"""A panic leaves nothing to learn from.

Without a loaded crash kernel no dump is written, and nobody can say afterwards which process, or
which part of the kernel, held the memory. The next panic is then as surprising as this one. A
dump is also a copy of everybody's secrets, so STIG, OSPP and HIPAA profiles order kdump off: on a
host that must follow one the rule names the conflict and the third way instead of asking the site
to fail its own audit. Containers are dumped by their host, and a host below 2 GiB is not asked to
set a tenth of its memory aside. Nor is WSL, whose kernel is a program of Windows.
"""

from forestall.audit.baselines import KDUMP_OFF, THIRD_WAY
from forestall.audit.headroom import ROUNDING
from forestall.audit.kernels import EL_SYSTEMS, is_of_wsl
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.systems import system_of
from forestall.model.finding import Cost, Outcome, Severity
from forestall.units import GIB

LEAST_MEMORY_BYTES = 2 * GIB
"""crashkernel=auto began here on RHEL 7, the default does again on RHEL 10."""

IN_CONTAINER = not_applicable("The host dumps, not this container.")
OF_WINDOWS = not_applicable(
    "Windows runs the kernel of WSL, and keeps what is left of its crashes."
)
TOO_SMALL = not_applicable("A host this small has no memory to set aside for a crash kernel.")


def judge(host: Posture) -> Judgement:
    """Graver where memory exhaustion itself would be the panic."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if is_of_wsl(facts.kernel_release):
        return OF_WINDOWS
    armed = facts.crash_kernel_loaded
    if armed:
        return PASS
    if armed is None:
        return unseen(host, "crash_kernel_loaded", "Whether kdump is armed")
    total = facts.memory.mem_total_bytes
    if total is None:
        return unknown("kdump is not armed; whether there is memory for it could not be read.")
    if total < ROUNDING * LEAST_MEMORY_BYTES:
        return TOO_SMALL
    if "fadump=on" in (facts.cmdline or ""):
        return unknown(
            "Dumps are the firmware's here (fadump=on); whether one is registered was not read.",
            "/cmdline",
            "/crash_kernel_loaded",
            remedy="cat /sys/kernel/fadump/registered",
        )
    text = "A panic leaves no dump: kdump is not armed, so nobody will know what held the memory"
    severity = Severity.HIGH if host.outcome is Outcome.PANIC else Severity.LOW
    if host.baseline is not None and host.forbids(KDUMP_OFF):
        return fail(
            f"{text}; {host.baseline.name} orders it off.",
            severity=severity,
            expected="an exception with an owner and an end, and an encrypted target elsewhere",
            remedy=THIRD_WAY,
            undo="disarm kdump and let the exception end",
        )
    return fail(f"{text}.", severity=severity, remedy=_remedy(host))


def _remedy(host: Posture) -> str:
    """What is missing: memory for the crash kernel, or only the service."""
    service = "kdump-tools" if host.facts.os_id in ("debian", "ubuntu") else "kdump"
    start = f"systemctl enable --now {service}"
    if host.facts.crash_kernel_bytes:
        return f"memory for a crash kernel is set aside already: {start}"
    if service == "kdump-tools":
        return "apt install kdump-tools (it adds crashkernel= itself), then reboot"
    system = system_of(host.facts.os_id, host.facts.os_version_id, host.facts.os_name)
    major = (system.version or "").partition(".")[0]
    if system.id in ("sles", "sles_sap", "opensuse-leap"):
        return f"zypper install kdump, set crashkernel= (kdumptool calibrate), {start}, reboot"
    if system.id in EL_SYSTEMS and major in ("6", "7", "8"):
        # `kdumpctl reset-crashkernel` and the package kdump-utils are of later ones.
        auto = "grubby --update-kernel=ALL --args=crashkernel=auto"
        get = "dnf" if major == "8" else "yum"
        start = "chkconfig kdump on" if major == "6" else start
        return f"{get} install kexec-tools, {auto}, {start}, reboot"
    return f"dnf install kdump-utils or kexec-tools, kdumpctl reset-crashkernel, {start}, reboot"


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
