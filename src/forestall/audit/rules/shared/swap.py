"""How much swap the vendors' tables ask for, and the finding of less than that."""

from forestall.audit.headroom import ROUNDING
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, fail
from forestall.units import GIB, MIB, format_bytes

DATABASE_FROM_BYTES = 2 * GIB
DATABASE_AT_MOST_BYTES = 16 * GIB
SMALL_BYTES = 2 * GIB
MIDDLE_BYTES = 8 * GIB
LARGE_WANTED_BYTES = 4 * GIB


def red_hat_bytes(memory_bytes: int) -> int:
    """Red Hat's recommended swap without hibernation: twice, once, then at least 4 GiB."""
    if memory_bytes <= SMALL_BYTES:
        return 2 * memory_bytes
    return memory_bytes if memory_bytes <= MIDDLE_BYTES else LARGE_WANTED_BYTES


def database_bytes(memory_bytes: int) -> int:
    """Oracle's table for database hosts from 2 GiB of memory on: as much as memory, 16 GiB at most.

    Below 2 GiB the table says nothing.
    """
    return min(memory_bytes, DATABASE_AT_MOST_BYTES)


def compared(host: Posture, swap: int, wanted: int, *, where: str, why: str) -> Judgement:
    """`swap` bytes on disks against the `wanted` ones.

    `where` and `why` are parts of the text, `{}` in the second is what is wanted.
    """
    if swap >= ROUNDING * wanted:
        return PASS
    size = format_bytes(swap) if swap else "No"
    in_memory = " (zram is memory and not counted)" if host.has_zram else ""
    memory = format_bytes(host.facts.memory.mem_total_bytes or 0)
    return fail(
        f"{size} swap{in_memory} {where} with {memory} of memory; "
        f"{why.format(format_bytes(wanted))}.",
        expected=f"at least {format_bytes(wanted)} of swap",
        remedy=_adding(wanted - swap),
    )


def _adding(missing_bytes: int) -> str:
    """How to add swap. A file made by `dd` works on every file system, `fallocate` not on XFS."""
    return (
        f"add {format_bytes(missing_bytes)} of swap (dd if=/dev/zero of=/swapfile bs=1M "
        f"count={missing_bytes // MIB} && chmod 600 /swapfile && mkswap /swapfile && "
        "swapon /swapfile, and a line in /etc/fstab)"
    )


UNDO = "swapoff /swapfile && rm /swapfile, and take its line out of /etc/fstab"
