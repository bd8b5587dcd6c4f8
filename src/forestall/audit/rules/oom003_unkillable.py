"""Large processes that may not be killed make everything else die for them.

oom_score_adj -1000 exempts a process altogether. If it leaks, the kernel kills the rest of the
host one by one, and where nothing killable is left it panics even with vm.panic_on_oom=0.
"""

from forestall.audit.holders import counted_bytes, unkillable_large
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes


def judge(host: Posture) -> Judgement:
    """Large = 5 % of the host's memory."""
    facts = host.facts
    if facts.container:
        return not_applicable("The OOM killer is the host's, not this container's.")
    if not facts.holders:
        return unknown("Which processes hold memory could not be seen.")
    found = unkillable_large(facts)
    if not found:
        return PASS
    held = [facts.holders[index] for index in found]
    largest = held[0].process
    return fail(
        f"{format_bytes(sum(counted_bytes(holder) for holder in held))} is held by "
        f"processes the kernel may not kill ({largest.name}, pid {largest.key.pid}"
        f"{', ...' if len(held) > 1 else ''}): if one of them leaks, the rest dies first.",
        *(f"/holders/{index}/oom_score_adjust" for index in found),
    )


RULE = Rule(
    id="OOM-003",
    title="large processes exempt from the OOM killer",
    severity=Severity.HIGH,
    reads=("/holders",),
    expected="oom_score_adj above -1000 on every large process",
    remedy="use -900 instead of -1000, unless killing it is worse than a panic",
    undo="set OOMScoreAdjust=-1000 again",
    cost=Cost.RESTART,
    reference="kernel documentation, filesystems/proc.rst",
    judge=judge,
)
