"""The kernel is not the distribution's own, so its advisories say nothing about it.

kernel.org's, ELRepo's or Oracle's UEK may be newer and better, but whether a fault is repaired in
it must be asked of whoever builds it, and the distribution's support ends where it begins. While it
runs, the rules about updates and open faults stay undecided.
"""

from forestall.audit.exposure import NOT_OURS
from forestall.audit.kernels import HOMES, Line, is_of_wsl, kernel_of
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.systems import system_of
from forestall.model.finding import Cost, Severity

OF_WINDOWS = not_applicable("The kernel of WSL is Microsoft's, and Windows updates it.")


def judge(host: Posture) -> Judgement:
    """By the form of the release string; a flavour of the distribution's own is its own."""
    facts = host.facts
    if facts.container:
        return not_applicable(NOT_OURS)
    if facts.kernel_release is None:
        return unknown("The kernel's release was not read.")
    system = system_of(facts.os_id, facts.os_version_id, facts.os_name)
    if system.id is None:
        return unknown("Whose kernel it should be is unknown: no os-release was read.")
    homes = HOMES.get(system.id)
    if homes is None:
        name = " ".join(system.id.split())
        return not_applicable(f"How {name} names its own kernels is not known.")
    if is_of_wsl(facts.kernel_release):
        return OF_WINDOWS
    kernel = kernel_of(facts.kernel_release, system.id)
    if kernel is not None and kernel.line in homes:
        return PASS
    maker = Line.OTHER if kernel is None else kernel.line
    if maker is Line.UEK and system.id == "ol":
        return fail(
            f"{facts.kernel_release} is Oracle's UEK: maintained, but under numbers of its own, "
            "which no table here holds.",
            remedy="look up its errata (ELSA) with Oracle, or boot the Red Hat compatible kernel",
        )
    return fail(
        f"{facts.kernel_release} is a kernel of {maker.value}, not of {facts.os_name or system.id}."
    )


RULE = Rule(
    id="KRN-007",
    title="kernel from elsewhere",
    severity=Severity.LOW,
    reads=("/kernel_release", "/os_id"),
    expected="a kernel of the distribution",
    remedy="boot the distribution's kernel, or follow the announcements of who builds this one",
    undo="boot this kernel again",
    cost=Cost.REBOOT,
    reference="the release string's form, docs/reference/audit-tables.md",
    judge=judge,
)
