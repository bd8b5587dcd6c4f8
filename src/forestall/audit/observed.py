"""What watches a host, in four parts: Posture -> what is missing, and what was not asked."""

import re
from dataclasses import dataclass
from functools import lru_cache

from forestall.audit.posture import Posture
from forestall.audit.services import NAMED_MOST
from forestall.model.finding import Severity
from forestall.units import DAY, format_duration

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


def scraped(host: Posture) -> Part | None:
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


def alerted(host: Posture) -> Part | None:
    """(b) Whether an alert watches the host's memory."""
    if host.facts.memory_alerts:
        return None
    return _ALERTS_UNASKED if host.facts.memory_alerts is None else _NO_ALERT


def pressure(host: Posture) -> Part | None:
    """(c) Whether the kernel tells pressure, where it could."""
    facts = host.facts
    if facts.psi or not _could_tell_pressure(facts.kernel_release):
        return None
    return _PRESSURE_UNSEEN if facts.psi is None else _NO_PRESSURE


def gated(host: Posture) -> Part | None:
    """(d) Whether each service of the site's own was tested for leaks."""
    if host.facts.units is None:
        return _SERVICES_UNSEEN
    names = [one.name for one in host.own_services]
    if not names:
        return None
    if host.facts.gated_services is None:
        return _GATE_UNASKED
    known = {_bare(name) for name in host.facts.gated_services}
    found = [name for name in names if _bare(name) not in known]
    if not found:
        return None
    more = f" and {len(found) - NAMED_MOST} more" if len(found) > NAMED_MOST else ""
    return Part(
        text=f"{', '.join(found[:NAMED_MOST])}{more} never passed a leak test",
        reads=("/gated_services",),
        remedy="test its memory before each release (forestall gate)",
        severity=Severity.MEDIUM,
    )


PARTS = (scraped, alerted, pressure, gated)


def _bare(name: str) -> str:
    return name.removesuffix(".service")


@lru_cache(maxsize=1024)
def _could_tell_pressure(release: str | None) -> bool:
    """PSI came with 4.20; Enterprise Linux 8 has it in its 4.18."""
    match = re.match(r"(\d{1,6})\.(\d{1,6})", release or "")
    if match is None:
        return False
    return (int(match[1]), int(match[2])) >= FIRST_WITH_PRESSURE or ".el8" in (release or "")
