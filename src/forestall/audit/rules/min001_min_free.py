"""The kernel keeps too little free to work with, or so much that programs run out.

vm.min_free_kbytes is what only the kernel's urgent requests may touch. Below what the kernel would
choose by itself (four times the square root of memory in KiB, at most 64 MiB) network drivers and
reclaim itself fail under load; above a twentieth of memory, programs run into the OOM killer with
memory free. The kernel's own choice is therefore never a finding, whichever version made it, and a
higher value that a database vendor asks for is none either.
"""

import math

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import KIB, MIB, format_bytes

SETTING = "vm.min_free_kbytes"
HIGHEST_SHARE = 0.05
FLOOR_AT_MOST_BYTES = 64 * MIB
SLACK = 0.75
"""The kernel counts memory that it manages below its high watermarks, which MemTotal exceeds."""

IN_CONTAINER = not_applicable("The setting is the host's, not this container's.")
NOT_READ = unknown(f"{SETTING} or the size of memory could not be read.")


def judge(host: Posture) -> Judgement:
    """Between the kernel's own minimum and a twentieth of memory."""
    if host.facts.container:
        return IN_CONTAINER
    kilobytes, total = host.number(SETTING), host.facts.memory.mem_total_bytes
    if kilobytes is None or not total:
        return NOT_READ
    size, own_choice = kilobytes * KIB, _own_choice(total)
    if size > HIGHEST_SHARE * total:
        text = (
            f"{format_bytes(size)} of {format_bytes(total)} is kept from every program "
            f"({SETTING}={kilobytes}): they run out of memory with memory free."
        )
    elif size >= SLACK * own_choice:
        return PASS
    else:
        text = (
            f"The kernel keeps only {format_bytes(size)} free to work with "
            f"({SETTING}={kilobytes}); by itself it would keep {format_bytes(own_choice)}."
        )
    return fail(
        text,
        remedy=f"sysctl -w {SETTING}={own_choice // KIB}, and take the old line out of "
        "/etc/sysctl.d/",
        undo=f"sysctl -w {SETTING}={kilobytes}",
    )


def _own_choice(total: int) -> int:
    """What the kernel would set, bytes: mm/page_alloc.c, calculate_min_free_kbytes."""
    return min(FLOOR_AT_MOST_BYTES, int(4 * math.sqrt(total / KIB)) * KIB)


RULE = Rule(
    id="MIN-001",
    title="min_free_kbytes out of range",
    severity=Severity.MEDIUM,
    reads=(f"/sysctls/{SETTING}", "/memory/mem_total_bytes"),
    expected="at least what the kernel would choose itself, at most 5 % of memory",
    remedy=f"sysctl -w {SETTING}=N, and keep it in /etc/sysctl.d/",
    undo=f"sysctl -w {SETTING}=OLD",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/sysctl/vm.rst (too low deadlocks, too high "
    "OOMs at once); 5 % is the cap of its own choice (mm/khugepaged.c)",
    judge=judge,
)
