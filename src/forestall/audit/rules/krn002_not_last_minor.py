"""The running kernel belongs to an older minor release.

A minor release gets fixes until the next one is out, or a while longer where that was paid for;
after that, fixes come only in the kernels of later minors.
"""

from forestall.audit.lifecycle import LAST_MINOR, minor_of_kernel
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable
from forestall.model.finding import Cost, Severity


def judge(host: Posture) -> Judgement:
    """Only closed majors have a last minor that stays the last."""
    minor = minor_of_kernel(host.facts.kernel_release)
    last = LAST_MINOR.get(minor.partition(".")[0]) if minor else None
    if minor is None or last is None:
        return not_applicable("No kernel of a closed Enterprise Linux major.")
    if minor == last:
        return PASS
    return fail(
        f"The running kernel {host.facts.kernel_release} is that of release {minor}; the last of "
        f"its line is {last}.",
        expected=f"a kernel of release {last}",
    )


RULE = Rule(
    id="KRN-002",
    title="kernel of an older minor release",
    severity=Severity.HIGH,
    reads=("/kernel_release",),
    expected="a kernel of the last minor release",
    remedy="update the kernel and reboot in a maintenance window",
    undo="boot the old kernel, which stays installed",
    cost=Cost.REBOOT,
    reference="Red Hat's release table, as in insights-core",
    judge=judge,
)
