"""The fleet matrix: hosts by rules, the worst first, in one file that needs nothing else.

No script, no font, no address outside: it opens from a mail or a locked-down desk. Each cell has
a letter as well as a colour. The page is bounded: beyond `MATRIX_HOSTS` rows, and beyond
`DETAIL_HOSTS` hosts told in full, it says how many it leaves out.
"""

from collections.abc import Iterator
from html import escape
from typing import TextIO

from forestall.audit.fleet import RANK, SEVERITIES, Fleet, HostAudit, HostRow
from forestall.audit.report import About
from forestall.audit.report.words import moment, observed, percent, plural, xml_text
from forestall.audit.rules import reason
from forestall.model.finding import Cost, Finding, FindingState, Severity
from forestall.units import format_duration

MATRIX_HOSTS = 2000
DETAIL_HOSTS = 200

LETTERS = {
    FindingState.PASS: ("·", "pass"),
    FindingState.NOT_APPLICABLE: (" ", "not applicable"),
    FindingState.UNKNOWN: ("?", "unknown"),
    FindingState.WAIVED: ("w", "waived"),
}
GRADES = {
    Severity.CRITICAL: "C",
    Severity.HIGH: "H",
    Severity.MEDIUM: "M",
    Severity.LOW: "L",
}
TOLD = (FindingState.FAIL, FindingState.UNKNOWN, FindingState.WAIVED)

STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --page: #fff; --line: #d5d8dc; --soft: #f3f4f6;
  --C: #b3261e; --H: #c25000; --M: #8a6d00; --L: #4d5a6b; --U: #d9e2f0; --W: #e7e0f2;
  --onU: #1f3a5f; --onW: #46306e; --link: #0b57d0; --dim: #5f656d; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6ea; --page: #15171a; --line: #3a3e45;
  --soft: #202328; --C: #c4362d; --H: #c25000; --M: #8a6d00; --L: #5a6678; --U: #24344b;
  --W: #372c4d; --onU: #c3d7f5; --onW: #dccdf7; --link: #8ab4f8; --dim: #9aa1ab; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; color: var(--text); background: var(--page);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
a { color: var(--link); }
.numbers { display: flex; flex-wrap: wrap; gap: .75rem; padding: 0;
  margin: 1rem 0; list-style: none; }
.numbers li { background: var(--soft); border-radius: .5rem; padding: .5rem .9rem; }
.numbers b { display: block; font-size: 1.3rem; }
.scroll { overflow: auto; max-height: 85vh; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
.matrix td { width: 1.9rem; min-width: 1.9rem; height: 1.7rem; text-align: center; padding: 0;
  border-right: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.matrix thead th { position: sticky; top: 0; background: var(--page); z-index: 2; padding: .4rem 0;
  border-bottom: 1px solid var(--line); vertical-align: bottom; font-weight: 500; }
.matrix thead th span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
.matrix th[scope=row], .matrix thead th:first-child { position: sticky; left: 0; z-index: 1;
  background: var(--page); text-align: left; padding: .1rem .6rem; white-space: nowrap;
  border-right: 1px solid var(--line); border-bottom: 1px solid var(--line); font-weight: 500;
  max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
.matrix thead th:first-child { z-index: 3; }
.C { background: var(--C); color: #fff; } .H { background: var(--H); color: #fff; }
.M { background: var(--M); color: #fff; } .L { background: var(--L); color: #fff; }
.U { background: var(--U); color: var(--onU); } .W { background: var(--W); color: var(--onW); }
td.P { color: var(--dim); } td a { color: inherit; display: block; text-decoration: none; }
.key span { display: inline-block; min-width: 1.5rem; text-align: center; margin: 0 .3rem 0 .9rem;
  border-radius: .2rem; border: 1px solid var(--line); }
.rules { width: 100%; } .rules td, .rules th { text-align: left; padding: .3rem .6rem;
  border-bottom: 1px solid var(--line); vertical-align: top; }
.rules td.n { text-align: right; } .tag { border-radius: .25rem; padding: .05rem .4rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0;
  padding: .4rem .8rem; }
summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
.finding { margin: .8rem 0; padding-left: .8rem; border-left: 4px solid var(--line); }
.finding:target { background: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .3rem 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
.note { background: var(--soft); border-radius: .5rem; padding: .5rem .9rem; }
"""


class Html:
    """Writes everything at the end: the worst hosts stand first."""

    def __init__(self, out: TextIO, about: About) -> None:
        self._out = out
        self.about = about

    def host(self, audit: HostAudit) -> None:
        """The fleet keeps what the page needs."""

    def end(self, fleet: Fleet) -> None:
        """The whole page."""
        details = fleet.worst[:DETAIL_HOSTS]
        anchors = {id(audit): number for number, audit in enumerate(details)}
        self._out.write(
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>forestall audit: {plural(len(fleet.rows), 'host')}</title>"
            f"<style>{STYLE}</style></head><body>\n"
        )
        self._out.writelines(_opening(fleet, self.about))
        self._out.writelines(_matrix(fleet, len(details)))
        self._out.writelines(_rules(fleet))
        self._out.write("<h2>What was found, host by host</h2>\n")
        if len(details) < len(fleet.rows):
            self._out.write(
                f'<p class="note">The {len(details)} worst of {len(fleet.rows):,} hosts are told '
                "in full here; <code>--json</code> tells every one.</p>\n"
            )
        for audit in details:
            self._out.writelines(_details(audit, anchors[id(audit)], len(details)))
        self._out.write("</body></html>\n")


def _opening(fleet: Fleet, about: About) -> Iterator[str]:
    yield (
        "<h1>forestall audit</h1>"
        f"<p>{plural(len(fleet.rows), 'host')} on {plural(len(fleet.rules), 'rule')}, judged "
        f"{moment(about.at)} by forestall {_text(about.version)}.</p>\n<ul class='numbers'>"
    )
    for severity in SEVERITIES:
        count = sum(
            fleet.count(index, FindingState.FAIL, severity) for index in range(len(fleet.rules))
        )
        yield f"<li><b>{count:,}</b>{severity.value}</li>"
    yield f"<li><b>{fleet.total(FindingState.UNKNOWN):,}</b>unknown</li>"
    yield f"<li><b>{fleet.total(FindingState.WAIVED):,}</b>waived</li>"
    yield f"<li><b>{percent(fleet.coverage)}</b>of what applies was decided</li>"
    yield f"<li><b>{fleet.unread:,}</b>hosts could not be read</li></ul>\n"
    for notice in about.notices:
        yield f'<p class="note">{_text(notice)}</p>\n'


def _matrix(fleet: Fleet, detailed: int) -> Iterator[str]:
    """Rows in the order of the details, so that a row's number is its anchor."""
    rows = fleet.worst_rows(MATRIX_HOSTS)
    yield "<h2>Hosts by rules</h2>\n"
    yield (
        '<p class="key">A cell: <span class="C">C</span>critical<span class="H">H</span>high'
        '<span class="M">M</span>medium<span class="L">L</span>low'
        '<span class="U">?</span>unknown, evidence is missing<span class="W">w</span>waived'
        "<span>·</span>pass<span>&nbsp;</span>not applicable</p>\n"
    )
    if len(rows) < len(fleet.rows):
        yield (
            f'<p class="note">The {len(rows):,} worst of {len(fleet.rows):,} hosts are shown; '
            f"{len(fleet.rows) - len(rows):,} are left out.</p>\n"
        )
    yield (
        '<div class="scroll" tabindex="0" role="region" aria-label="Hosts by rules">'
        '<table class="matrix"><caption hidden>Each host with the state of each rule</caption>'
        '<thead><tr><th scope="col">host</th>'
    )
    for rule in fleet.rules:
        yield f'<th scope="col" title="{_text(rule.title)}"><span>{rule.id}</span></th>'
    yield "</tr></thead>\n<tbody>\n"
    for number, row in enumerate(rows):
        yield _row(fleet, row, number if number < detailed else None)
    yield "</tbody></table></div>\n"


def _row(fleet: Fleet, row: HostRow, number: int | None) -> str:
    name = _text(row.name)
    head = f'<a href="#h{number}">{name}</a>' if number is not None else name
    unread = " (not read)" if row.age_seconds is None else ""
    cells = []
    for index, rule in enumerate(fleet.rules):
        state = row.state(index)
        if state is FindingState.FAIL:
            severity = row.severity(index)
            style, letter = GRADES[severity], GRADES[severity]
        else:
            letter = LETTERS[state][0]
            style = {"?": "U", "w": "W", "·": "P"}.get(letter, "")
        if number is not None and state in TOLD and row.age_seconds is not None:
            what = severity.value if state is FindingState.FAIL else LETTERS[state][1]
            letter = f'<a href="#h{number}-{rule.id}" aria-label="{rule.id} {what}">{letter}</a>'
        cells.append(f'<td class="{style}">{letter}' if style else "<td>")
    return f'<tr><th scope="row" title="{name}">{head}{unread}</th>{"".join(cells)}</tr>\n'


def _rules(fleet: Fleet) -> Iterator[str]:
    yield (
        "<h2>The rules</h2>\n<details><summary>What each rule is about, and how many hosts "
        'break it</summary><table class="rules"><thead><tr><th scope="col">rule</th>'
        '<th scope="col">about</th><th scope="col">fail</th><th scope="col">unknown</th>'
        '<th scope="col">waived</th></tr></thead><tbody>\n'
    )
    for index, rule in enumerate(fleet.rules):
        first, _, rest = reason(rule).partition("\n\n")
        yield (
            f'<tr><th scope="row">{rule.id}</th><td><b>{_text(rule.title)}</b> '
            f"({rule.severity.value}). {_text(first)} {_text(rest)}<br>"
            f"Expected: {_text(rule.expected)} [{_text(rule.reference)}]</td>"
            f'<td class="n">{fleet.count(index, FindingState.FAIL):,}</td>'
            f'<td class="n">{fleet.count(index, FindingState.UNKNOWN):,}</td>'
            f'<td class="n">{fleet.count(index, FindingState.WAIVED):,}</td></tr>\n'
        )
    yield "</tbody></table></details>\n"


def _details(audit: HostAudit, number: int, hosts: int) -> Iterator[str]:
    """One host; open where there is little else to see."""
    opened = " open" if hosts <= 20 else ""
    yield f'<details id="h{number}"{opened}><summary>{_text(audit.name)}</summary>\n'
    if audit.posture is None:
        yield f"<p>Could not be read: {_text(audit.problem or '')}</p></details>\n"
        return
    facts = audit.posture.facts
    told = [facts.os_name or facts.os_id or "unknown system", f"kernel {facts.kernel_release}"]
    told.append(f"read from {facts.origin} {format_duration(audit.age_seconds or 0)} before")
    yield f"<p>{_text(', '.join(told))}</p>\n"
    if audit.problem:
        yield f'<p class="note">Read in part: {_text(audit.problem)}</p>\n'
    order = {state: rank for rank, state in enumerate(TOLD)}
    found = sorted(audit.findings(*TOLD), key=lambda one: (order[one.state], RANK[one.severity]))
    for finding in found:
        yield _finding(finding, number)
    if not found:
        yield "<p>Every rule that applies passes.</p>\n"
    yield "</details>\n"


def _finding(finding: Finding, number: int) -> str:
    style, what = GRADES[finding.severity], finding.severity.value
    if finding.state is not FindingState.FAIL:
        style = "U" if finding.state is FindingState.UNKNOWN else "W"
        what = f"{finding.state.value} ({what})"
    rows = [("seen", observed(finding.observed)), ("expected", finding.expected)]
    rows += [("source", finding.reference), ("do", finding.remedy), ("undo", finding.undo)]
    if finding.cost is not Cost.NONE:
        rows.append(("costs", f"a {finding.cost.value}"))
    if finding.waiver:
        rows.append(("waiver", finding.waiver))
    sources = dict.fromkeys(fact.source for fact in finding.observed if fact.source)
    rows.append(("read from", ", ".join(list(sources)[:5])))
    told = "".join(f"<dt>{name}</dt><dd>{_text(text)}</dd>" for name, text in rows if text)
    return (
        f'<div class="finding" id="h{number}-{finding.rule}"><span class="tag {style}">{what}'
        f"</span> <b>{finding.rule}</b> {_text(finding.text)}<dl>{told}</dl></div>\n"
    )


def _text(text: str) -> str:
    return escape(xml_text(text))
