"""What strict overcommit would allow on a host, computed before anybody switches it on."""

import math

from forestall.audit.posture import Posture

DEFAULT_RATIO = 50
HIGHEST_RATIO = 95
"""Above, the limit no longer leaves the kernel and the page cache anything."""

COMFORT_SHARE = 0.8
"""Committed_AS moves with the load; a limit that is four fifths used today is close enough."""


def limit_bytes(host: Posture) -> int | None:
    """CommitLimit in mode 2 with today's ratio: (memory - huge pages) * ratio + swap.

    From the kernel's mm/util.c (vm_commit_limit); vm.overcommit_kbytes takes the ratio's place
    where it is set.
    """
    memory = host.facts.memory
    if memory.mem_total_bytes is None or memory.swap_total_bytes is None:
        return None
    kilobytes = host.number("vm.overcommit_kbytes")
    if kilobytes:
        return kilobytes * 1024 + memory.swap_total_bytes
    ratio = host.number("vm.overcommit_ratio")
    share = (DEFAULT_RATIO if ratio is None else ratio) / 100
    return int(_counted(host, memory.mem_total_bytes) * share) + memory.swap_total_bytes


def comfortable_ratio(host: Posture, committed_bytes: int) -> int | None:
    """The lowest vm.overcommit_ratio that leaves a fifth of the limit; None where none does."""
    memory = host.facts.memory
    counted = _counted(host, memory.mem_total_bytes or 0)
    if not counted:
        return None
    wanted = committed_bytes / COMFORT_SHARE - (memory.swap_total_bytes or 0)
    ratio = math.ceil(100 * wanted / counted)
    return max(DEFAULT_RATIO, ratio) if ratio <= HIGHEST_RATIO else None


def _counted(host: Posture, total_bytes: int) -> int:
    return max(0, total_bytes - (host.facts.hugetlb_bytes or 0))
