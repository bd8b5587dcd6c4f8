"""Nobody would see the next leak coming.

A leak takes hours, and each of four things shows it in time: (a) somebody takes samples of the
host, (b) an alert watches its memory, (c) the kernel tells how long programs wait for memory, and
(d) the services were tested for leaks before they came here. What a host cannot say of itself is
asked of Prometheus and of the gate's records; where nobody could be asked, the answer is unknown.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.services import named
from forestall.model.finding import Cost, Severity
from forestall.units import DAY, format_duration

GRAVITY = tuple(Severity)
STALE_SECONDS = DAY
FIRST_WITH_PRESSURE = (4, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an answer. `severity` None = nobody could be asked, else how grave it is."""

    text: str
    reads: tuple[str, ...]
    remedy: str
    severity: Severity | None = None


_ASK = "ask the Prometheus: forestall audit prometheus URL"

# What is the same for every host is made once: a fleet is judged far more often than told about.
_SCRAPE_UNASKED = Part(
    text="whether its exporter is scraped", reads=("/scraped_at", "/monitors"), remedy=_ASK
)
_MONITORS_UNSEEN = Part(
    text="whether an exporter runs", reads=("/monitors",), remedy="read its processes, as root"
)
_NO_MONITOR = Part(
    text="no exporter or agent runs on it",
    reads=("/monitors",),
    remedy="enrol it: run an exporter, or forestall watch, and scrape it",
    severity=Severity.HIGH,
)
_ALERTS_UNASKED = Part(
    text="whether an alert watches its memory", reads=("/memory_alerts",), remedy=_ASK
)
_NO_ALERT = Part(
    text="no alert watches its memory",
    reads=("/memory_alerts",),
    remedy="add an alert on its memory, such as MemAvailable below a tenth of MemTotal",
    severity=Severity.HIGH,
)
_PRESSURE_UNSEEN = Part(
    text="whether it tells pressure", reads=("/psi",), remedy="read /proc/pressure/memory"
)
_NO_PRESSURE = Part(
    text="pressure (PSI) is switched off",
    reads=("/psi",),
    remedy='grubby --update-kernel=ALL --args="psi=1", then reboot',
    severity=Severity.LOW,
)
_GATE_UNASKED = Part(
    text="which services were tested for leaks",
    reads=("/gated_services",),
    remedy="give the records of forestall gate",
)

_SERVICES_UNSEEN = Part(
    text="which services it runs", reads=("/units",), remedy="ask systemd on the host itself"
)


def judge(host: Posture) -> Judgement:
    """As grave as the gravest part. A kernel that is too old to tell pressure is not blamed.

    A host with neither a database nor a service of the site's own, such as a laptop, has less to
    lose.
    """
    if host.facts.container:
        return not_applicable("The host is what is watched, not this container.")
    parts = [part for look in _PARTS if (part := look(host)) is not None]
    if not parts:
        return PASS
    missing = [part for part in parts if part.severity is not None]
    unasked = [part.text for part in parts if part.severity is None]
    if not missing:
        return unknown(
            f"Not known: {', '.join(unasked)}.",
            *(pointer for part in parts for pointer in part.reads),
            remedy=parts[0].remedy,
        )
    gravest = min((part.severity for part in missing if part.severity), key=GRAVITY.index)
    if gravest is Severity.HIGH and not host.is_database_host and not host.own_services:
        gravest = Severity.MEDIUM
    rest = f" Not known: {', '.join(unasked)}." if unasked else ""
    return fail(
        f"The next leak would not be seen: {', '.join(part.text for part in missing)}.{rest}",
        *(pointer for part in missing for pointer in part.reads),
        severity=gravest,
        remedy="; ".join(part.remedy for part in missing),
    )


def _scraped(host: Posture) -> Part | None:
    """(a) Whether anything takes samples of the host; None = yes."""
    facts = host.facts
    if facts.scraped_at is not None:
        # What ran is told as of when it was read: no facts are as old as they are unobserved.
        age = facts.at - facts.scraped_at
        if age <= STALE_SECONDS:
            return None
        return Part(
            text=f"no sample of it for {format_duration(age)}",
            reads=("/scraped_at",),
            remedy="see why Prometheus no longer scrapes it",
            severity=Severity.HIGH,
        )
    if facts.monitors or "forestall" in (facts.guards or ()):
        return _SCRAPE_UNASKED
    if facts.monitors is None or facts.hidden_processes:
        return _MONITORS_UNSEEN
    return _NO_MONITOR


def _alerted(host: Posture) -> Part | None:
    """(b) Whether an alert watches the host's memory."""
    if host.facts.memory_alerts:
        return None
    return _ALERTS_UNASKED if host.facts.memory_alerts is None else _NO_ALERT


def _pressure(host: Posture) -> Part | None:
    """(c) Whether the kernel tells pressure, where it could."""
    facts = host.facts
    if facts.psi or not _could_tell_pressure(facts.kernel_release):
        return None
    return _PRESSURE_UNSEEN if facts.psi is None else _NO_PRESSURE


def _gated(host: Posture) -> Part | None:
    """(d) Whether each service of the site's own was tested for leaks."""
    if host.facts.units is None:
        return _SERVICES_UNSEEN
    if not host.own_services:
        return None
    if host.facts.gated_services is None:
        return _GATE_UNASKED
    known = {_bare(name) for name in host.facts.gated_services}
    found = [one for one in host.own_services if _bare(one.name) not in known]
    if not found:
        return None
    return Part(
        text=f"{named(found)} never passed a leak test",
        reads=("/gated_services",),
        remedy="test its memory before each release (forestall gate)",
        severity=Severity.MEDIUM,
    )


_PARTS = (_scraped, _alerted, _pressure, _gated)


def _bare(name: str) -> str:
    return name.removesuffix(".service")


@lru_cache(maxsize=1024)
def _could_tell_pressure(release: str | None) -> bool:
    """PSI came with 4.20; Enterprise Linux 8 has it in its 4.18."""
    match = re.match(r"(\d{1,6})\.(\d{1,6})", release or "")
    if match is None:
        return False
    return (int(match[1]), int(match[2])) >= FIRST_WITH_PRESSURE or ".el8" in (release or "")


RULE = Rule(
    id="OBS-001",
    title="leaks unseen",
    severity=Severity.HIGH,
    reads=("/scraped_at", "/monitors", "/memory_alerts", "/psi", "/gated_services"),
    expected="samples younger than a day, an alert on memory, pressure told, and services tested",
    remedy="run an exporter or forestall watch, scrape it, and alert on memory",
    undo="take it out of the scrape configuration",
    cost=Cost.NONE,
    reference="kernel documentation, accounting/psi.rst; the day is our advice",
    judge=judge,
)
