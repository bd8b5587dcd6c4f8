"""A Python service that leaks would leave no core to look into.

What a process holds can only be told from its memory, and a core is how the memory outlives it:
`forestall heap` reads one and names what retains what. A core is lost where kernel.core_pattern
throws it away, where the unit or systemd-coredump keeps none, or where it is cut to less than the
process holds.
"""

from forestall.audit.baselines import CORES_NOT_STORED, USER_CORES_OFF
from forestall.audit.holders import counted_bytes
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.services import NAMED_MOST, named, unit_of
from forestall.model.facts import HostFacts, UnitFacts
from forestall.model.finding import Cost, Service, Severity
from forestall.units import GIB, format_bytes

PATTERN = "kernel.core_pattern"
THROWN_AWAY = ("|/bin/false", "|/bin/true", "|/usr/bin/false", "|/usr/bin/true")
"""What hardening baselines write there, so that no core is kept."""

DEFAULT_SIZE_BYTES, OLD_DEFAULT_SIZE_BYTES = 32 * GIB, 2 * GIB
NEEDS_LARGE_DEFAULT = 251
"""systemd raised ProcessSizeMax= and ExternalSizeMax= from 2G to 32G in this version."""

PYTHON = ("python", "pypy", "gunicorn", "uwsgi", "uvicorn", "celery")
"""How the names of processes begin that are Python, or are mostly used with it."""

NOT_READ = "systemd-coredump's settings or version could not be read."


def judge(host: Posture) -> Judgement:
    """Only services of the site's own whose processes are seen to be Python."""
    facts = host.facts
    if facts.units is None:
        if facts.container:
            return not_applicable("Cores are the host's, not this container's.")
        return unseen(host, "units", "Which services would leave a core")
    python = _python_services(host)
    if not python and host.own_services and (not facts.holders or "holders" in facts.unseen):
        why = host.why_unseen("holders", "no process was seen")
        return unknown(f"Which services are Python is unknown: {why}.")
    if not python:
        return not_applicable("No large Python service of the site's own is seen here.")
    if PATTERN not in facts.sysctls:
        return unknown(f"Whether cores are kept is unknown: {PATTERN} could not be read.")
    everywhere = _lost_everywhere(facts)
    if everywhere is not None:
        why, reads = everywhere
        return _lost(host, [one for one, _, _ in python], why, reads)
    found = [
        (one, *said)
        for one, unit, held in python
        if (said := _lost_for(facts, unit, held)) is not None
    ]
    if not found:
        if any(_may_be_cut(facts, held) for _, _, held in python):
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


def _lost_everywhere(facts: HostFacts) -> tuple[str, tuple[str, ...]] | None:
    """Why no process leaves a core here, and what says so; None where one may."""
    pattern = facts.sysctls.get(PATTERN)
    if pattern is None:
        return None
    place = f"/sysctls/{PATTERN}"
    words = pattern.split()
    program = words[0] if words else ""
    if not program and facts.sysctls.get("kernel.core_uses_pid", "0") == "0":
        return f"{PATTERN} is empty", (place,)
    if program in THROWN_AWAY or program.startswith("/dev/null"):
        return f"{PATTERN}={program} throws them away", (place,)
    if _uses_systemd(pattern) and facts.coredump is not None:
        if facts.coredump.storage == "none":
            return "systemd-coredump keeps none (Storage=none)", (place, "/coredump/storage")
        if facts.coredump.process_size_max_bytes == 0:
            size = "/coredump/process_size_max_bytes"
            return "systemd-coredump keeps none (ProcessSizeMax=0)", (place, size)
    return None


def _lost_for(facts: HostFacts, unit: UnitFacts, held_bytes: int) -> tuple[str, str] | None:
    """Why a process of `unit` that holds this much leaves no whole core, and what says so.

    The kernel gives a pipe the core whatever LimitCORE= says, but systemd-coredump keeps to it.
    """
    pattern = facts.sysctls.get(PATTERN, "")
    if unit.cores_allowed is False and (not pattern.startswith("|") or _uses_systemd(pattern)):
        return "its limit on the size of cores is 0 (LimitCORE=)", "cores_allowed"
    most = _kept_bytes(facts) if _uses_systemd(pattern) else None
    if most is not None and held_bytes > most:
        held = format_bytes(held_bytes)
        return f"{held} held, and systemd-coredump cuts at {format_bytes(most)}", "main_pid"
    return None


def _may_be_cut(facts: HostFacts, held_bytes: int) -> bool:
    """Whether systemd-coredump's settings would decide, and were not read."""
    if not _uses_systemd(facts.sysctls.get(PATTERN, "")) or _kept_bytes(facts) is not None:
        return False
    return facts.coredump is None or held_bytes > OLD_DEFAULT_SIZE_BYTES


def _uses_systemd(pattern: str) -> bool:
    """Whether systemd-coredump takes the cores."""
    return pattern.startswith("|") and "systemd-coredump" in pattern.split()[0]


def _kept_bytes(facts: HostFacts) -> int | None:
    """The largest core that systemd-coredump keeps whole; None where its files were not read."""
    if facts.coredump is None:
        return None
    default = DEFAULT_SIZE_BYTES
    if facts.systemd_version is None:
        return None
    if facts.systemd_version < NEEDS_LARGE_DEFAULT:
        default = OLD_DEFAULT_SIZE_BYTES
    sizes = (facts.coredump.process_size_max_bytes, facts.coredump.external_size_max_bytes)
    return max(default if size is None else size for size in sizes)


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
