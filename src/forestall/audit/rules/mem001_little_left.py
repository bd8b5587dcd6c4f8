"""Memory is nearly gone now.

Every other rule is about the next leak; this one is about the present. Below a tenth of memory
and swap the kernel reclaims what programs are about to use, and the host slows down before
anything is killed. On a large host a tenth is much: 32 GiB left are enough anywhere. Judged is the
host, or a container by its own limit, never the unit that the audit runs in. Free zram is memory
only as far as pages compress: where it decides, the answer is unknown.
"""

from forestall.audit.headroom import Room, audited_headroom, rooms
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import GIB

LOW_SHARE = 0.1
ENOUGH_BYTES = 32 * GIB
"""Left, this is enough on a host of any size: our advice, an hour of a leak of 9 MiB a second."""


def judge(host: Posture) -> Judgement:
    """Left = available memory and free swap, or what a container's own limit leaves."""
    found = rooms(host.facts)
    if not found:
        return unknown(audited_headroom(host.facts).text)
    low = [room for room in found if _is_low(room)]
    if not low:
        return PASS
    memory = host.facts.memory
    no_swap_read = memory.swap_free_bytes is None and memory.swap_total_bytes != 0
    room = audited_headroom(host.facts)
    if no_swap_read and room.limit_source is None:
        return unknown("Little memory is left, and how much swap is free could not be read.")
    reads = tuple(fact.pointer for fact in room.facts)
    if len(low) == len(found):
        return fail(f"Memory is nearly gone now: {room.text}", *reads)
    if host.facts.swaps is None:
        return unknown(
            "Little memory is left but for swap, and whether that is zram, which is memory "
            "itself, was not read.",
            *reads,
            remedy="swapon --show",
        )
    return unknown(
        f"Whether memory is nearly gone depends on how well zram compresses: {room.text}",
        *reads,
        "/swaps",
        remedy="zramctl (DATA against TOTAL is how well), and forestall look for who holds memory",
    )


def _is_low(room: Room) -> bool:
    return room.left_bytes < min(LOW_SHARE * room.total_bytes, ENOUGH_BYTES)


RULE = Rule(
    id="MEM-001",
    title="memory nearly gone",
    severity=Severity.CRITICAL,
    reads=("/memory/mem_available_bytes", "/memory/swap_free_bytes", "/memory/mem_total_bytes"),
    expected="at least 10 % left, or 32 GiB",
    remedy="look at the largest holders (forestall look); forestall watch says who grows, and "
    "how fast",
    undo="nothing to undo",
    cost=Cost.NONE,
    reference="earlyoom's default: act below 10 % of memory and 10 % of swap; the 32 GiB are our "
    "advice",
    judge=judge,
)
