"""The slack is used up already.

What is swapped out is what was not needed lately; once swap is full, the next page that is needed
has nowhere to make room, and the time that swap was there to give is over. systemd-oomd acts at
nine tenths, and only where memory is as full; a small swap that filled with idle pages over months
beside plenty of available memory is a note, not an alarm. Free zram is no slack, because it is
memory itself: beside it swap on disks alone is judged; where all is zram, only that it is full.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

FULL_SHARE = 0.9

NO_SWAP = not_applicable("There is no swap.")
ZRAM_ALONE = not_applicable(
    "All swap is zram, which is memory itself: MEM-001 judges what is left."
)
NOT_READ = unknown("How full swap is could not be read.")


def judge(host: Posture) -> Judgement:
    """A host without swap has nothing that could fill."""
    memory = host.facts.memory
    total, free = memory.swap_total_bytes, memory.swap_free_bytes
    if total == 0:
        return NO_SWAP
    if total is None or free is None:
        return NOT_READ
    zram = [one for one in host.facts.swaps or () if one.kind == "zram"]
    if not _is_full(total, free) and zram:
        # What the kernel tells of all swap, less what it tells of zram, is what disks hold.
        total -= sum(one.size_bytes for one in zram)
        free -= sum(one.size_bytes - one.used_bytes for one in zram)
        if total <= 0:
            return ZRAM_ALONE
    if not _is_full(total, free):
        return PASS
    available, memory_total = memory.mem_available_bytes, memory.mem_total_bytes
    where = "Swap on disk" if zram and total < (memory.swap_total_bytes or 0) else "Swap"
    text = f"{where} is nearly full: {format_bytes(free)} of {format_bytes(total)} free"
    if available is None or not memory_total or _is_full(memory_total, available):
        return fail(f"{text}.")
    return fail(
        f"{text}; {format_bytes(available)} of memory is still available, so it holds what nobody "
        "uses, but it will give no time when a leak comes.",
        severity=Severity.LOW,
    )


def _is_full(total: int, free: int) -> bool:
    return total - free >= FULL_SHARE * total


RULE = Rule(
    id="SWP-004",
    title="swap nearly full",
    severity=Severity.HIGH,
    reads=(
        "/memory/swap_free_bytes",
        "/memory/swap_total_bytes",
        "/memory/mem_available_bytes",
    ),
    expected="less than 90 % of swap used",
    remedy="find who grew: forestall watch; more swap only buys time",
    undo="nothing to undo",
    cost=Cost.NONE,
    reference="systemd-oomd's default, SwapUsedLimit=90% of memory and of swap (oomd.conf(5))",
    judge=judge,
)
