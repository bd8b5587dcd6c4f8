"""After a panic nobody but a person brings the host back, or nothing does for long.

kernel.panic=0, the kernel's default, waits for ever: the outage lasts until someone finds the
console; 86400 is a day of it. Ten seconds or more leave time for the console to be logged before
the host reboots, and a minute is enough. With kdump armed a crash kernel takes over and reboots by
itself, unless kdump.conf tells it to halt; then the setting is found only where memory exhaustion
itself panics the host, since a crash kernel short of memory is just what may not come up. A
kubelet sets 10 on its node.
"""

from dataclasses import replace

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_duration

SETTING = "kernel.panic"
STAYS_DOWN = ("halt", "poweroff", "shell")

IN_CONTAINER = not_applicable("The setting is the host's, not this container's.")
NOT_READ = unknown("Whether the host comes back is unknown: its panic settings could not be read.")

LONGEST_SECONDS = 60
"""How long a console needs at most to be read or logged: our advice."""

NO_ACTION_READ = unknown(
    "Whether the host comes back is unknown: what kdump does after a dump was not read."
)


def judge(host: Posture) -> Judgement:
    """Graver where memory exhaustion itself would be the panic."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    action = (facts.kdump and facts.kdump.final_action) or ""
    if action in STAYS_DOWN and facts.crash_kernel_loaded is not False:
        return _dumps_and_halts(host, action)
    value, armed = host.number(SETTING), facts.crash_kernel_loaded
    if value is None:
        return NOT_READ
    soon = value < 0 or 0 < value <= LONGEST_SECONDS
    if facts.kdump is None and (armed or (armed is None and soon)):
        return NO_ACTION_READ
    if soon:
        return PASS
    if armed:
        return _only_kdump(host, value)
    if armed is None and host.number("vm.panic_on_oom") == 0:
        return replace(_maybe_kdump(value), severity=_severity(host))
    return fail(
        f"After any panic this host {_down(value)}: kernel.panic={value}.",
        severity=_severity(host),
        undo=_undo(value),
    )


def _undo(value: int) -> str:
    return RULE.undo.replace("panic=0", f"panic={value}")


def _down(value: int) -> str:
    if value == 0:
        return "stays down until someone resets it"
    return f"stands still for {format_duration(value)} before it reboots"


def _maybe_kdump(value: int) -> Judgement:
    return unknown(
        f"kernel.panic={value}: unless kdump is armed, which could not be read, this host "
        f"{_down(value)}.",
        remedy="read /sys/kernel/kexec_crash_loaded, or set kernel.panic=10",
    )


def _dumps_and_halts(host: Posture, action: str) -> Judgement:
    if host.facts.crash_kernel_loaded is None:
        return unknown(f"kdump is told to {action}, and whether it is armed is unknown.")
    return fail(
        f"After a dump this host stays down until someone starts it: final_action {action}.",
        "/kdump/final_action",
        "/crash_kernel_loaded",
        severity=_severity(host),
        expected="final_action reboot",
        remedy="final_action reboot in /etc/kdump.conf, then kdumpctl restart",
        undo=f"final_action {action} in /etc/kdump.conf, then kdumpctl restart",
        reference="kdump.conf(5)",
    )


def _only_kdump(host: Posture, value: int) -> Judgement:
    """kernel.panic=0, or a long wait, behind an armed kdump."""
    panics = host.number("vm.panic_on_oom")
    if panics == 0:
        return PASS
    if panics is None:
        return NOT_READ
    return fail(
        "Only the crash kernel brings this host back after a panic; where that fails (its memory "
        f"too small, the disk full), it {_down(value)}: kernel.panic={value}.",
        severity=Severity.MEDIUM,
        undo=_undo(value),
    )


def _severity(host: Posture) -> Severity:
    return Severity.HIGH if host.outcome.takes_host_down else Severity.LOW


RULE = Rule(
    id="PAN-002",
    title="stays down after a panic",
    severity=Severity.HIGH,
    reads=(f"/sysctls/{SETTING}", "/crash_kernel_loaded"),
    expected="kernel.panic up to 60 (seconds), and not 0; 10 leave time for the console",
    remedy="sysctl -w kernel.panic=10, and keep it in /etc/sysctl.d/",
    undo="sysctl -w kernel.panic=0, and take the line out of /etc/sysctl.d/",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/sysctl/kernel.rst",
    judge=judge,
)
