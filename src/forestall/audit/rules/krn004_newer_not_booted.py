"""A newer kernel is installed, and the older one still runs.

Whoever installed the fix believes it is in. Only a newer one of the same maker and flavour counts:
a rescue image, an older kernel that was kept, a debug kernel beside a default one, or another
maker's is nothing to boot into. A livepatched kernel gets its fixes while it runs.
"""

from forestall.audit.exposure import NOT_OURS
from forestall.audit.kernels import Kernel, kernel_of
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.systems import system_of
from forestall.model.finding import Cost, Severity


def judge(host: Posture) -> Judgement:
    """Within one line and flavour, compared as packages."""
    facts = host.facts
    if facts.container:
        return not_applicable(NOT_OURS)
    if facts.kernel_release is None:
        return unknown("The kernel's release was not read.")
    if facts.installed_kernels is None:
        why = host.why_unseen("installed_kernels", "they were not read")
        return unknown(f"Which kernels are installed is not known: {why}.")
    if facts.livepatches or facts.effective_release:
        return PASS
    system = system_of(facts.os_id, facts.os_version_id, facts.os_name)
    running = kernel_of(facts.kernel_release, system.id)
    if running is None:
        return unknown(f"{facts.kernel_release} is no release that can be compared.")
    newest, place = running, -1
    for index, release in enumerate(facts.installed_kernels):
        other = kernel_of(release, system.id)
        if other is not None and _newer(other, newest):
            newest, place = other, index
    if place < 0 and "installed_kernels" in facts.unseen:
        return unknown(f"A newer kernel may be installed: {facts.unseen['installed_kernels']}.")
    if place < 0:
        return PASS
    return fail(
        f"{newest.release} is installed, and {running.release} still runs.",
        "/kernel_release",
        f"/installed_kernels/{place}",
        expected=f"{newest.release} runs",
    )


def _newer(other: Kernel, running: Kernel) -> bool:
    same = other.line is running.line and other.flavour == running.flavour
    return same and other.order > running.order


RULE = Rule(
    id="KRN-004",
    title="newer kernel installed and not booted",
    severity=Severity.MEDIUM,
    reads=("/kernel_release",),
    expected="the newest installed kernel of its flavour runs",
    remedy="reboot in a maintenance window; of a database pair the replica first",
    undo="choose the old kernel at boot; it stays installed",
    cost=Cost.REBOOT,
    reference="forestall's policy",
    judge=judge,
)
