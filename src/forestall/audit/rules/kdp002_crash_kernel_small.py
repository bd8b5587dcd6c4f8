"""The crash kernel is armed and too small to write the dump.

A crash kernel that runs out of its own memory ends without a dump, and only at the one moment
when it counted. The minimum is Red Hat's table, by major version, architecture and memory; it is
applied to its family alone, because Debian's and Ubuntu's packages set aside other amounts for an
initramfs of another size. `crashkernel=auto` and the ranges that installers write are read as the
kernel reads them; what counts is what it set aside.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.crash_kernel import (
    RED_HAT_FAMILY,
    needed_bytes,
    options,
    reserved_bytes,
)
from forestall.audit.rules.shared.unseen import unseen
from forestall.model.facts import HostFacts
from forestall.model.finding import Cost, Severity
from forestall.units import MIB, format_bytes

IN_CONTAINER = not_applicable("The host dumps, not this container.")
BY_TEST = {
    "debian": "`kdump-config test`",
    "ubuntu": "`kdump-config test`",
    "fedora": "`kdumpctl estimate`",
    "sles": "`kdumptool calibrate`",
    "sles_sap": "`kdumptool calibrate`",
    "opensuse-leap": "`kdumptool calibrate`",
}
"""What tells the need where Red Hat's table does not; elsewhere a test dump."""
NOT_IN_TABLE = not_applicable("Red Hat's table says nothing of a host like this one.")
NOTHING_RESERVED = not_applicable("No memory is set aside for a crash kernel, see KDP-001.")
NO_OS = unknown("The system's name, version or memory could not be read.")
UEK = not_applicable("Oracle's UEK kernels have other needs than Red Hat's table.")


def judge(host: Posture) -> Judgement:
    """What the kernel set aside, else what the command line asks for, against the table."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if facts.os_id not in RED_HAT_FAMILY:
        return NO_OS if facts.os_id is None else _no_table(facts.os_id)
    if "uek" in (facts.kernel_release or ""):
        return UEK
    total = facts.memory.mem_total_bytes
    if total is None or facts.os_version_id is None or facts.machine is None:
        return NO_OS
    major = facts.os_version_id.partition(".")[0]
    needed = needed_bytes(
        int(major) if major.isdecimal() else 0, facts.machine, total, facts.page_bytes
    )
    reserved = _reserved_bytes(facts, total)
    if reserved == 0:
        return NOTHING_RESERVED
    if needed is None:
        return NOT_IN_TABLE
    if reserved is None:
        return unseen(host, "crash_kernel_bytes", "How much is set aside for the crash kernel")
    if reserved >= needed:
        return PASS
    if facts.cmdline is None:
        return unknown(
            f"{format_bytes(reserved)} is set aside for the crash kernel; whether the "
            "kernel chose that itself (crashkernel=auto) was not read."
        )
    if options(facts.cmdline)[-1:] == ["auto"]:
        # The kernel's own choice, from the table of its minor version.
        return PASS
    return fail(
        f"{format_bytes(reserved)} is set aside for the crash kernel; with "
        f"{format_bytes(total)} of memory it needs {format_bytes(needed)}.",
        expected=f"at least {format_bytes(needed)}",
        remedy=f'grubby --update-kernel=ALL --args="crashkernel={needed // MIB}M" (RHEL 9 and '
        "later: kdumpctl reset-crashkernel), reboot, then test it: kdumpctl estimate",
    )


def _no_table(os_id: str) -> Judgement:
    how = BY_TEST.get(os_id, "a test dump")
    return not_applicable(f"The table is Red Hat's for its Enterprise Linux; here {how} tells.")


def _reserved_bytes(facts: HostFacts, memory_bytes: int) -> int | None:
    """What the kernel set aside; None where neither it nor its command line tells.

    Memory is set aside as asked or not at all, and a crash kernel that is armed lies in it.
    """
    if facts.crash_kernel_bytes is not None:
        return facts.crash_kernel_bytes
    asked, armed = _asked_for(facts.cmdline, memory_bytes), facts.crash_kernel_loaded
    return asked if (armed if asked else armed is False) else None


def _asked_for(cmdline: str | None, memory_bytes: int) -> int | None:
    """Of several `crashkernel=` the last counts; `,low` only adds to a `,high`."""
    if cmdline is None:
        return None
    found = [value for value in options(cmdline) if not value.endswith(",low")]
    return reserved_bytes(found[-1], memory_bytes) if found else 0


RULE = Rule(
    id="KDP-002",
    title="crash kernel too small",
    severity=Severity.MEDIUM,
    reads=("/crash_kernel_bytes", "/cmdline", "/memory/mem_total_bytes", "/os_version_id"),
    expected="RHEL 9 on x86-64: 192 MiB from 1 GiB, 256 MiB from 4 GiB, 512 MiB from 64 GiB",
    remedy="raise crashkernel= on the kernel's command line, reboot, test it",
    undo="set crashkernel= back to what it was, and reboot",
    cost=Cost.REBOOT,
    reference="Red Hat, Managing, monitoring and updating the kernel: memory requirements for "
    "kdump (RHEL 7 to 10)",
    judge=judge,
)
