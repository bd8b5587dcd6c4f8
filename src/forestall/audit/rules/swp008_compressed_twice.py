"""Pages are compressed twice: zswap stands before a swap that is zram.

Both keep swapped pages in memory, compressed. zswap in front of zram takes memory for its pool,
compresses a page, decompresses it again when the pool is full, and hands it to zram, which
compresses it once more: processor time and memory for nothing, in the minutes when both are
short. Either alone is fine: zram where there is no disk for swap, zswap before a disk.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("Swap is the host's, not this container's.")
NOT_READ = unknown("Which swap devices there are could not be read.")


def judge(host: Posture) -> Judgement:
    """Without zram, zswap is only what stands before a disk, as it was made for."""
    if host.facts.container:
        return IN_CONTAINER
    if host.facts.swaps is None:
        return NOT_READ
    if not host.has_zram:
        return PASS
    if host.facts.zswap is None:
        return unknown("Swap is on zram, and whether zswap stands before it could not be read.")
    if not host.facts.zswap:
        return PASS
    return fail("zswap compresses pages before zram compresses them again.")


RULE = Rule(
    id="SWP-008",
    title="zswap before zram",
    severity=Severity.MEDIUM,
    reads=("/swaps", "/zswap"),
    expected="zram or zswap, not both",
    remedy="echo 0 > /sys/module/zswap/parameters/enabled, and zswap.enabled=0 on the kernel's "
    "command line",
    undo="echo 1 > /sys/module/zswap/parameters/enabled, and take zswap.enabled=0 away",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/mm/zswap.rst and blockdev/zram.rst",
    judge=judge,
)
