"""A service that may leak is as protected as the database beside it.

Of two processes with the same oom_score_adj the OOM killer takes the larger, and until the leak has
outgrown it that is the database. A positive oom_score_adj on what can be started again turns the
order round without a restart of the database. A service with a memory limit is left out: it is
killed inside its own cgroup, long before it is compared with anybody.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, unknown
from forestall.audit.rules.shared.beside_database import graded, gravity, scored_database
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.services import NAMED_MOST, named, unit_of
from forestall.model.facts import HolderFacts
from forestall.model.finding import Cost, Service, Severity


@graded(Severity.HIGH)
def judge(host: Posture) -> Judgement:
    """Compared are the main processes, as they run, else as their units would start them."""
    database = scored_database(host)
    if isinstance(database, Judgement):
        return database
    if host.facts.units is None:
        return unseen(host, "units", "Which services run beside the database")
    beside = [one for one in host.services_beside if not one.limited]
    if not beside:
        strange = [one for one in host.services_of_unknown_origin if not one.limited]
        return unknown(f"Whose service {named(strange)} is was not told.") if strange else PASS
    protected = database.oom_score_adjust
    place = f"/databases/{host.main_database}/oom_score_adjust"
    if protected is None:
        return unknown("The oom_score_adj of the database is not seen.", place)
    seen = [(one, *_adjust(host, one)) for one in beside]
    low = [(one, where) for one, adjust, where in seen if _as_low(adjust, protected)]
    found = [(one, where) for one, where in low if one.limited is False]
    if found:
        return _found(host, database, found, place)
    if low:
        return unknown(f"Whether {named([one for one, _ in low])} has a memory limit is not told.")
    untold = [one for one, adjust, _ in seen if adjust is None]
    if untold:
        return unknown(f"The oom_score_adj of {named(untold)} is not seen.")
    return PASS


def _as_low(adjust: int | None, protected: int) -> bool:
    return adjust is not None and adjust <= protected


def _adjust(host: Posture, service: Service) -> tuple[int | None, str]:
    """The oom_score_adj of a service's main process, and where it was seen."""
    facts = host.facts
    unit = unit_of(facts, service)
    for index, holder in enumerate(facts.holders):
        if holder.process.key.pid == unit.main_pid and holder.oom_score_adjust is not None:
            return holder.oom_score_adjust, f"/holders/{index}/oom_score_adjust"
    if not facts.holders:
        # Not small, but not seen.
        return None, f"{service.pointer}/oom_score_adjust"
    return unit.oom_score_adjust, f"{service.pointer}/oom_score_adjust"


def _found(
    host: Posture, database: HolderFacts, found: list[tuple[Service, str]], place: str
) -> Judgement:
    services = [one for one, _ in found]
    have = "has" if len(services) == 1 else "have"
    name = database.process.name
    first = services[0].name
    return fail(
        f"{named(services)} {have} no higher oom_score_adj than {name}, so the larger of them "
        "would be killed, whichever leaks.",
        place,
        *(where for _, where in found[:NAMED_MOST]),
        severity=gravity(host, Severity.HIGH),
        remedy=f"set OOMScoreAdjust=500 in a drop-in (systemctl edit {first}) and restart it; "
        "the database need not be restarted",
        undo=f"take the line out of the drop-in (systemctl edit {first}), and restart it",
    )


RULE = Rule(
    id="OOM-002",
    title="service as protected as the database",
    severity=Severity.HIGH,
    reads=("/databases", "/units", "/holders"),
    expected="a higher oom_score_adj on each service without a limit than on the database",
    remedy="set OOMScoreAdjust=500 in a drop-in of the service, and restart it",
    undo="take the line out of the drop-in, and restart the service",
    cost=Cost.RESTART,
    reference="kernel documentation, filesystems/proc.rst; systemd.exec(5)",
    judge=judge,
)
