"""The slack is used up already.

What is swapped out is what was not needed lately; once swap is full, the next page that is needed
has nowhere to make room, and the time that swap was there to give is over.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

FULL_SHARE = 0.9


def judge(host: Posture) -> Judgement:
    """A host without swap has nothing that could fill."""
    total, free = host.facts.memory.swap_total_bytes, host.facts.memory.swap_free_bytes
    if total == 0:
        return not_applicable("There is no swap.")
    if total is None or free is None:
        return unknown("How full swap is could not be read.")
    if free > (1 - FULL_SHARE) * total:
        return PASS
    return fail(f"Swap is nearly full: {format_bytes(free)} of {format_bytes(total)} free.")


RULE = Rule(
    id="SWP-004",
    title="swap nearly full",
    severity=Severity.HIGH,
    reads=("/memory/swap_free_bytes", "/memory/swap_total_bytes"),
    expected="less than 90 % of swap used",
    remedy="find who grew: forestall watch; more swap only buys time",
    undo="nothing to undo",
    cost=Cost.NONE,
    reference="systemd-oomd's default, SwapUsedLimit=90%",
    judge=judge,
)
