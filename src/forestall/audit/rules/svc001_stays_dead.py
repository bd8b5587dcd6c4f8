"""A killed service of the site's own does not come back, or comes back without end.

The OOM killer, or a guard, ends a leaking service so that the host lives; what that service did
then waits for a person unless its unit says Restart=. The other extreme is a service that is
started again at once for ever: without a start limit a service that dies at its start burns the
host for as long as nobody looks. What a timer or a socket starts comes back with that, and what
Pacemaker manages has Restart=no because Pacemaker starts it.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.services import NAMED_MOST, named, pointers
from forestall.model.facts import HostFacts, UnitFacts
from forestall.model.finding import Cost, Service, Severity

STAYS_DEAD = ("no", "on-success", "on-watchdog")
"""A SIGKILL is no clean end, and no watchdog's; `on-abort` and the rest answer to it."""

PACEMAKER = "pacemaker.service"

HOT_SECONDS = 1.0
"""From this pause on, starting again for ever is a policy and no loop."""


def judge(host: Posture) -> Judgement:
    """A database's restart is its cluster manager's business, and a oneshot is no service."""
    facts = host.facts
    if facts.units is None:
        if facts.container:
            return not_applicable("What starts this container again is the host's business.")
        return unseen(host, "units", "Whether services are started again")
    dead: list[Service] = []
    loops: list[Service] = []
    untold: list[Service] = []
    for one, unit in zip(host.own_services, host.own_units, strict=True):
        if unit.service_type == "oneshot" or unit.triggered:
            continue
        if unit.restart is None:
            untold.append(one)
        elif unit.restart in STAYS_DEAD:
            dead.append(one)
        elif _loops(unit):
            loops.append(one)
    if dead and not loops and _has_pacemaker(facts):
        return unknown(
            f"{named(dead)} may be Pacemaker's, which starts what it manages again itself.",
            *pointers(dead, "restart"),
            remedy="see whether `pcs resource status` names it; if not, set Restart=",
        )
    if dead or loops:
        return _found(dead, loops)
    untold += [one for one in host.services_of_unknown_origin if one.restart in (None, *STAYS_DEAD)]
    if untold:
        return unknown(f"Whether {named(untold)} is to be started again was not told.")
    return PASS


def _has_pacemaker(facts: HostFacts) -> bool:
    return any(unit.name == PACEMAKER and unit.active for unit in facts.units or ())


def _loops(unit: UnitFacts) -> bool:
    """Whether a unit that is started again would be so at once and without end."""
    if unit.start_limit_burst != 0 and unit.start_limit_interval_seconds != 0:
        return False
    return unit.restart_seconds is not None and unit.restart_seconds < HOT_SECONDS


def _found(dead: list[Service], loops: list[Service]) -> Judgement:
    said: list[str] = []
    remedies: list[str] = []
    reads: list[str] = []
    if dead:
        are = "is" if len(dead) == 1 else "are"
        settings = sorted({f"Restart={one.restart}" for one in dead[:NAMED_MOST]})
        with_them = " or ".join(settings)
        said.append(f"{named(dead)} {are} not started again after a kill: {with_them}.")
        remedies.append(
            "set Restart=always and RestartSec= in a drop-in (systemctl edit "
            f"{dead[0].name}); on-failure takes the SIGTERM of a guard for a clean end"
        )
        reads.extend(pointers(dead, "restart"))
    if loops:
        are = "is" if len(loops) == 1 else "are"
        said.append(f"{named(loops)} {are} started again at once and without end: no start limit.")
        remedies.append(
            f"set RestartSec= of some seconds, or StartLimitBurst=, for {loops[0].name}"
        )
        reads.extend(pointers(loops, "start_limit_burst"))
        reads.extend(pointers(loops, "restart_seconds"))
    return fail(" ".join(said), *reads, remedy="; ".join(remedies))


RULE = Rule(
    id="SVC-001",
    title="not started again, or without end",
    severity=Severity.MEDIUM,
    reads=("/units",),
    expected="Restart=on-failure or always, with a pause or a start limit",
    remedy="set Restart=always and RestartSec= in a drop-in",
    undo="take the drop-in away, then systemctl daemon-reload",
    cost=Cost.NONE,
    reference="systemd.service(5), systemd.unit(5)",
    judge=judge,
)
