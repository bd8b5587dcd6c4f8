"""A killed service of the site's own does not come back.

The OOM killer, or a guard, ends a leaking service so that the host lives; what that service did
then waits for a person unless its unit says Restart=.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.audit.rules.lim001_unlimited_beside_database import named
from forestall.model.finding import Cost, Severity


def judge(host: Posture) -> Judgement:
    """A database's restart is its cluster manager's business."""
    if host.facts.units is None:
        why = host.why_unseen("units", "systemd could not be asked")
        return unknown(f"Whether services are started again is unknown: {why}.")
    found = [one for one in host.own_services if one.restart == "no"]
    if not found:
        return PASS
    are = "is" if len(found) == 1 else "are"
    return fail(
        f"{named(found)} {are} not started again after a kill: Restart=no.",
        *(f"{one.pointer}/restart" for one in found),
        remedy="set Restart=always and RestartSec= in a drop-in (systemctl edit "
        f"{found[0].name}); on-failure takes the SIGTERM of a guard for a clean end",
    )


RULE = Rule(
    id="SVC-001",
    title="not started again",
    severity=Severity.LOW,
    reads=("/units",),
    expected="Restart=on-failure or always",
    remedy="set Restart=always and RestartSec= in a drop-in",
    undo="take the drop-in away, then systemctl daemon-reload",
    cost=Cost.NONE,
    reference="systemd.service(5)",
    judge=judge,
)
