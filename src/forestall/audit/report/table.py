"""The report on a terminal: one host in full, a fleet by rule and by its worst hosts."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from forestall.audit.fleet import RANK, SEVERITIES, Fleet, HostAudit, HostRow
from forestall.audit.report import About
from forestall.audit.report.words import moment, observed, percent, plural, printable
from forestall.model.finding import Cost, Finding, FindingState, Severity
from forestall.units import HOUR, format_duration

IN_FULL = 3
"""Up to so many hosts are told in full."""

WORST_HOSTS = 20
UNREAD_HOSTS = 10
RED, YELLOW, BOLD = "31", "33", "1"
COLORS = {Severity.CRITICAL: RED, Severity.HIGH: YELLOW, Severity.MEDIUM: "", Severity.LOW: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the terminal can show."""

    width: int = 80
    color: bool = False

    def paint(self, text: str, color: str) -> str:
        """`text` in an SGR colour, where colour is wanted."""
        return f"\x1b[{color}m{text}\x1b[0m" if self.color and color else text


class Table:
    """Writes everything at the end, when it is known how many hosts there are."""

    def __init__(self, out: TextIO, about: About, look: Look) -> None:
        self._out = out
        self.about = about
        self._look = look

    def host(self, audit: HostAudit) -> None:
        """The fleet keeps what the table needs."""

    def end(self, fleet: Fleet) -> None:
        """All of it."""
        few = len(fleet.rows) <= IN_FULL
        parts = [_host(audit, self._look) for audit in fleet.worst] if few else []
        if not few:
            parts = [_head(fleet, self.about, self._look), _rules(fleet, self._look)]
            parts += [_hosts(fleet, self._look), _unread(fleet)]
        parts.append(_notices(self.about, self._look))
        texts = ["\n".join(part) for part in parts]
        self._out.write("\n\n".join(text for text in texts if text) + "\n")


def _host(audit: HostAudit, look: Look) -> Iterator[str]:
    """One host, the gravest findings first."""
    yield from _wrapped(_about_host(audit), look, "")
    if audit.posture is None:
        yield from _wrapped(f"could not be read: {audit.problem}", look, "  ")
        return
    if audit.problem:
        yield from _wrapped(f"read in part: {audit.problem}", look, "  ")
    yield from _wrapped(_tally(audit), look, "")
    for finding in sorted(audit.findings(FindingState.FAIL), key=lambda one: RANK[one.severity]):
        yield ""
        yield from _in_full(finding, look)
    for state, title in (
        (FindingState.UNKNOWN, "UNKNOWN: evidence is missing, which is not the same as fine"),
        (FindingState.WAIVED, "WAIVED"),
    ):
        found = sorted(audit.findings(state), key=lambda one: RANK[one.severity])
        if found:
            yield ""
            yield look.paint(title, BOLD)
        for finding in found:
            said = f"{finding.rule} {finding.severity.value}: {finding.text}"
            said += f" ({finding.waiver})" if finding.waiver else ""
            yield from _wrapped(said, look, "  ", "    ")


def _about_host(audit: HostAudit) -> str:
    facts = None if audit.posture is None else audit.posture.facts
    if facts is None:
        return f"{audit.name}:"
    system = facts.os_name or facts.os_id or "unknown system"
    kernel = f"kernel {facts.kernel_release}" if facts.kernel_release else "kernel unknown"
    age = audit.age_seconds or 0.0
    when = f", {format_duration(age)} ago" if age >= HOUR else ""
    return f"{audit.name}: {system}, {kernel}, read from {facts.origin}{when}"


def _tally(audit: HostAudit) -> str:
    states = [audit.state(index) for index in range(len(audit.rules))]
    grave = [
        f"{count} {severity.value}"
        for severity in SEVERITIES
        if (
            count := sum(
                state is FindingState.FAIL and audit.severity(index) is severity
                for index, state in enumerate(states)
            )
        )
    ]
    failed = f"{states.count(FindingState.FAIL)} failed" + (
        f" ({', '.join(grave)})" if grave else ""
    )
    about = len(states) - states.count(FindingState.NOT_APPLICABLE)
    unknown = states.count(FindingState.UNKNOWN)
    share = f"; {100 * (about - unknown) // about} % of what applies was decided" if about else ""
    return (
        f"{plural(len(states), 'rule')}: {failed}, {unknown} unknown, "
        f"{states.count(FindingState.WAIVED)} waived, {states.count(FindingState.PASS)} passed, "
        f"{states.count(FindingState.NOT_APPLICABLE)} not applicable{share}"
    )


def _in_full(finding: Finding, look: Look) -> Iterator[str]:
    head = f"{finding.severity.value.upper():<8}  {finding.rule}"
    yield look.paint(head, COLORS[finding.severity])
    yield from _wrapped(finding.text, look, "  ")
    if finding.waiver:
        yield from _wrapped(f"waiver  {finding.waiver}", look, "  ", " " * 10)
    if finding.observed:
        sources = dict.fromkeys(fact.source for fact in finding.observed if fact.source)
        where = f" ({', '.join(list(sources)[:3])})" if sources else ""
        yield from _wrapped(f"seen    {observed(finding.observed)}{where}", look, "  ", " " * 10)
    yield from _wrapped(f"want    {finding.expected} [{finding.reference}]", look, "  ", " " * 10)
    cost = "" if finding.cost is Cost.NONE else f" (costs a {finding.cost.value})"
    yield from _wrapped(f"do      {finding.remedy}{cost}", look, "  ", " " * 10)
    if finding.undo:
        yield from _wrapped(f"undo    {finding.undo}", look, "  ", " " * 10)


def _head(fleet: Fleet, about: About, look: Look) -> Iterator[str]:
    said = (
        f"{plural(len(fleet.rows), 'host')}, {plural(len(fleet.rules), 'rule')}, "
        f"judged {moment(about.at)}; {percent(fleet.coverage)} of what applies was decided"
    )
    yield from _wrapped(said, look, "")


def _rules(fleet: Fleet, look: Look) -> Iterator[str]:
    """A line per rule that is not fine on every host that was read, the gravest first."""
    unread = [row for row in fleet.rows if row.age_seconds is None]
    if len(unread) == len(fleet.rows):
        # Nothing was judged, which must not read like nothing was found.
        return
    lines = []
    for index, rule in enumerate(fleet.rules):
        failed = [fleet.count(index, FindingState.FAIL, severity) for severity in SEVERITIES]
        # Where a waiver covers a host that was not read, it is among the waived.
        untold = sum(row.state(index) is FindingState.UNKNOWN for row in unread)
        unknown = fleet.count(index, FindingState.UNKNOWN) - untold
        waived = fleet.count(index, FindingState.WAIVED)
        if sum(failed) or unknown or waived:
            gravest = next(
                (one for one, count in zip(SEVERITIES, failed, strict=True) if count),
                rule.severity,
            )
            order = (*(-count for count in failed), -unknown)
            numbers = f"{sum(failed):>7,}  {unknown:>7,}  {waived:>6,}"
            text = f"{rule.id:<8} {gravest.value:<8} {numbers}  {rule.title}"
            lines.append((order, look.paint(text, COLORS[gravest] if sum(failed) else "")))
    if not lines:
        yield f"Every rule that applies passes on every host{' that was read' if unread else ''}."
        return
    yield look.paint(f"{'RULE':<8} {'GRAVEST':<8} {'FAIL':>7}  {'UNKNOWN':>7}  {'WAIVED':>6}", BOLD)
    yield from (text for _, text in sorted(lines))


def _hosts(fleet: Fleet, look: Look) -> Iterator[str]:
    bad = [row for row in fleet.worst_rows(WORST_HOSTS) if _failed(row)]
    if not bad:
        return
    every = sum(bool(_failed(row)) for row in fleet.rows)
    of = f" ({len(bad)} of {every:,} with findings)" if every > len(bad) else ""
    yield look.paint(f"WORST HOSTS{of}", BOLD)
    width = min(40, max(len(printable(row.name)) for row in bad))
    for row in bad:
        rules = sorted(_failed(row), key=lambda index: RANK[row.severity(index)])
        counts = " ".join(
            f"{count} {severity.value}"
            for severity in SEVERITIES
            if (count := sum(row.severity(index) is severity for index in rules))
        )
        ids = [fleet.rules[index].id for index in rules]
        start = f"{printable(row.name):<{width}}  {counts}"
        yield f"{start}: {_fitting(ids, look.width - len(start) - 2)}"


def _fitting(ids: list[str], room: int) -> str:
    """The first six at most, as many as have room, and how many more there are."""
    for count in range(min(6, len(ids)), 0, -1):
        more = f" +{len(ids) - count}" if len(ids) > count else ""
        text = " ".join(ids[:count]) + more
        if len(text) <= room:
            return text
    return f"{ids[0]} +{len(ids) - 1}" if len(ids) > 1 else ids[0]


def _failed(row: HostRow) -> list[int]:
    return [index for index in range(len(row.codes)) if row.state(index) is FindingState.FAIL]


def _unread(fleet: Fleet) -> Iterator[str]:
    """The hosts that could not be read, and why."""
    unread = [row for row in fleet.rows if row.age_seconds is None]
    if unread:
        yield f"NOT READ ({plural(len(unread), 'host')})"
    for row in unread[:UNREAD_HOSTS]:
        yield f"{printable(row.name)}  {printable(row.problem or '')}"
    if len(unread) > UNREAD_HOSTS:
        yield f"... and {len(unread) - UNREAD_HOSTS:,} more; --json names each"


def _notices(about: About, look: Look) -> Iterator[str]:
    for notice in about.notices:
        yield from _wrapped(f"note: {notice}", look, "", "  ")


def _wrapped(text: str, look: Look, first: str, rest: str | None = None) -> Iterator[str]:
    yield from textwrap.wrap(
        printable(text),
        look.width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
    )
