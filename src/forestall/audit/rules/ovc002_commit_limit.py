"""With strict overcommit the limit is near, and programs are about to be refused.

vm.overcommit_memory=2 trades the OOM killer for failing allocations: whoever asks when the limit
is reached gets an error, whether it leaks or not, and few programs survive that well. The ratio
alone means nothing: with the kernel's default mode the limit is shown in /proc/meminfo and
enforced nowhere, so hosts in modes 0 and 1 are left alone.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.overcommit import comfortable_ratio
from forestall.audit.settings import STRICT_OVERCOMMIT
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

NEAR_SHARE = 0.9

NOT_READ = unknown("vm.overcommit_memory could not be read.")
HEURISTIC = not_applicable("vm.overcommit_memory=0: the commit limit is not enforced.")
NO_NUMBERS = unknown("How much is promised could not be read.")


def judge(host: Posture) -> Judgement:
    """CommitLimit binds in mode 2 alone."""
    mode = host.number("vm.overcommit_memory")
    if mode == 0:
        return HEURISTIC
    if mode is None:
        return NOT_READ
    if mode != STRICT_OVERCOMMIT:
        return not_applicable(f"vm.overcommit_memory={mode}: the commit limit is not enforced.")
    limit, committed = host.facts.commit_limit_bytes, host.facts.committed_bytes
    if not limit or committed is None:
        return NO_NUMBERS
    if committed < NEAR_SHARE * limit:
        return PASS
    ratio = comfortable_ratio(host, committed)
    raised = "add swap" if ratio is None else f"sysctl -w vm.overcommit_ratio={ratio}, or add swap"
    return fail(
        f"Programs are about to be refused memory: {format_bytes(committed)} of "
        f"{format_bytes(limit)} is promised (vm.overcommit_memory=2).",
        remedy=f"{raised}, after a look at who promised it to itself (VmData in /proc/PID/status)",
    )


RULE = Rule(
    id="OVC-002",
    title="commit limit near",
    severity=Severity.HIGH,
    reads=("/sysctls/vm.overcommit_memory", "/committed_bytes", "/commit_limit_bytes"),
    expected="Committed_AS below 90 % of CommitLimit",
    remedy="raise vm.overcommit_ratio or add swap, after a look at who promised it to itself",
    undo="set vm.overcommit_ratio back to what it was",
    cost=Cost.NONE,
    reference="kernel documentation, mm/overcommit-accounting.rst; PostgreSQL documentation, Linux "
    "Memory Overcommit",
    judge=judge,
)
