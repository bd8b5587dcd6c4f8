"""Memory is nearly gone now.

Every other rule is about the next leak; this one is about the present. Below a tenth of memory
and swap the kernel reclaims what programs are about to use, and the host slows down before
anything is killed.
"""

from forestall.audit.headroom import headroom, left_and_total
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.model.finding import Cost, Severity

LOW_SHARE = 0.1


def judge(host: Posture) -> Judgement:
    """Left = available memory and free swap, or what the own cgroup's limit leaves."""
    left, total = left_and_total(host.facts)
    if left is None or not total:
        return unknown(headroom(host.facts, with_holders=False).text)
    if left >= LOW_SHARE * total:
        return PASS
    memory = host.facts.memory
    no_swap_read = memory.swap_free_bytes is None and memory.swap_total_bytes != 0
    if no_swap_read and left == memory.headroom_bytes:
        return unknown("Little memory is left, and how much swap is free could not be read.")
    room = headroom(host.facts, with_holders=False)
    reads = tuple(fact.pointer for fact in room.facts)
    return fail(f"Memory is nearly gone now: {room.text}", *reads)


RULE = Rule(
    id="MEM-001",
    title="memory nearly gone",
    severity=Severity.CRITICAL,
    reads=("/memory/mem_available_bytes", "/memory/swap_free_bytes", "/memory/mem_total_bytes"),
    expected="at least 10 % left",
    remedy="look at the largest holders (forestall look); forestall watch says who grows, and "
    "how fast",
    undo="nothing to undo",
    cost=Cost.NONE,
    reference="earlyoom's default: act below 10 % of memory and 10 % of swap",
    judge=judge,
)
