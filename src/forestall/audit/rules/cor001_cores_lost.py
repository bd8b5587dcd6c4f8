"""A Python service that leaks would leave no core to look into.

What a process holds can only be told from its memory, and a core is how the memory outlives it:
`forestall heap` reads one and names what retains what. A core is lost where kernel.core_pattern
throws it away, where the unit or systemd-coredump keeps none, or where it is cut to less than the
process holds.
"""

from forestall.audit.baselines import CORES_NOT_STORED, USER_CORES_OFF
from forestall.audit.cores import PATTERN, lost_everywhere, lost_for, may_be_cut
from forestall.audit.holders import counted_bytes
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.services import NAMED_MOST, named, unit_of
from forestall.model.facts import UnitFacts
from forestall.model.finding import Cost, Service, Severity

PYTHON = ("python", "pypy", "gunicorn", "uwsgi", "uvicorn", "celery")
"""How the names of processes begin that are Python, or are mostly used with it."""

NOT_READ = "systemd-coredump's settings or version could not be read."


def judge(host: Posture) -> Judgement:
    """Only services of the site's own whose processes are seen to be Python."""
    facts = host.facts
    if facts.units is None:
        if facts.container:
            return not_applicable("Cores are the host's, not this container's.")
        why = host.why_unseen("units", "systemd could not be asked")
        return unknown(f"Which services would leave a core is unknown: {why}.")
    python = _python_services(host)
    if not python:
        return not_applicable("No large Python service of the site's own is seen here.")
    if PATTERN not in facts.sysctls:
        return unknown(f"Whether cores are kept is unknown: {PATTERN} could not be read.")
    everywhere = lost_everywhere(facts)
    if everywhere is not None:
        why, reads = everywhere
        return _lost(host, [one for one, _, _ in python], why, reads)
    found = [
        (one, *said)
        for one, unit, held in python
        if (said := lost_for(facts, unit, held)) is not None
    ]
    if not found:
        if any(may_be_cut(facts, held) for _, _, held in python):
            return unknown("Whether cores are kept whole is unknown: " + NOT_READ)
        return PASS
    reads = tuple(f"{one.pointer}/{field}" for one, _, field in found[:NAMED_MOST])
    return _lost(host, [one for one, _, _ in found], found[0][1], reads)


def _python_services(host: Posture) -> list[tuple[Service, UnitFacts, int]]:
    """Services, their units, and what their largest Python process holds."""
    held: dict[str, int] = {}
    for holder in host.facts.holders:
        unit = holder.process.unit
        if unit is not None and holder.process.name.startswith(PYTHON):
            held[unit] = max(held.get(unit, 0), counted_bytes(holder))
    if not held:
        return []
    return [
        (one, unit_of(host.facts, one), held[one.name])
        for one in host.own_services
        if one.name in held
    ]


def _lost(host: Posture, found: list[Service], why: str, reads: tuple[str, ...]) -> Judgement:
    text = f"A leak in {named(found)} would leave no whole core: {why}."
    baseline = host.baseline
    if baseline is None or not (host.forbids(CORES_NOT_STORED) or host.forbids(USER_CORES_OFF)):
        return fail(text, *reads)
    return fail(
        f"{text} {baseline.name} asks for that (KDP-004).",
        *reads,
        remedy="do not keep cores against the baseline: ask its authority for an exception with a "
        "reason, an owner and an end, keep them on an encrypted file system for this service "
        "alone, and record it as a waiver of this rule",
    )


RULE = Rule(
    id="COR-001",
    title="cores lost",
    severity=Severity.MEDIUM,
    reads=(f"/sysctls/{PATTERN}", "/coredump", "/units"),
    expected="a core as large as the service is kept",
    remedy="set Storage=external and ExternalSizeMax= and ProcessSizeMax= above what the service "
    "holds in a drop-in below /etc/systemd/coredump.conf.d/, and LimitCORE=infinity in the unit's",
    undo="take the drop-ins away, then systemctl daemon-reload",
    cost=Cost.RESTART,
    reference="core(5), coredump.conf(5)",
    judge=judge,
)
