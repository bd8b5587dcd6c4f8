"""A service goes on after the kernel killed a part of it.

With OOMPolicy=continue systemd leaves a service of several processes alone when one of them is
killed for memory. What is left may be a master without workers, or half of a queue: it looks
alive and does no work, and nothing starts it again.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.services import named, pointers
from forestall.model.facts import UnitFacts
from forestall.model.finding import Cost, Severity

NEEDS_OOM_POLICY = 243


def judge(host: Posture) -> Judgement:
    """Several processes must be seen: systemd counts threads along with them."""
    facts = host.facts
    if facts.units is None:
        if facts.container:
            return not_applicable("Services are the host's business, not this container's.")
        return unseen(host, "units", "What an OOM kill does to services")
    if facts.systemd_version is None:
        return unknown("Whether this systemd knows OOMPolicy= is unknown: its version is not seen.")
    if facts.systemd_version < NEEDS_OOM_POLICY:
        return not_applicable(f"systemd {facts.systemd_version} knows no OOMPolicy=.")
    asked = [
        (one, unit)
        for one, unit in zip(host.own_services, host.own_units, strict=True)
        if unit.oom_policy == "continue"
    ]
    if not asked:
        return PASS
    found = [one for one, unit in asked if _has_several(host, unit)]
    if found:
        go = "goes" if len(found) == 1 else "go"
        return fail(
            f"{named(found)} {go} on when the kernel has killed one of several processes: "
            "OOMPolicy=continue.",
            *pointers(found, "oom_policy"),
            remedy="set OOMPolicy=stop (or kill, if what is left must not end in order) in a "
            f"drop-in (systemctl edit {found[0].name}), with Restart=on-failure",
        )
    untold = [one for one, unit in asked if unit.task_count != 1]
    if untold:
        return unknown(
            f"{named(untold)} has OOMPolicy=continue, and whether it is more than one process is "
            "not seen."
        )
    return PASS


def _has_several(host: Posture, unit: UnitFacts) -> bool:
    processes = {one.process.key.pid for one in host.facts.holders if one.process.unit == unit.name}
    return len(processes | {unit.main_pid} - {None}) > 1


RULE = Rule(
    id="SVC-002",
    title="goes on after an OOM kill inside it",
    severity=Severity.LOW,
    reads=("/units",),
    expected="OOMPolicy=stop or kill on a service of several processes",
    remedy="set OOMPolicy=stop in a drop-in, with Restart=on-failure",
    undo="take the drop-in away, then systemctl daemon-reload",
    cost=Cost.NONE,
    reference="systemd.service(5); systemd issue 43439",
    judge=judge,
)
