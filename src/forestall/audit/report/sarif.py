"""SARIF 2.1.0, for what gathers findings of many tools.

UNKNOWN is the standard's kind `open` (evaluated, too little information to decide), a waiver is
an external suppression, and what passes or does not apply is left out. The place of a result is
the file on the host that was read, below a folder of the host's name.
"""

import hashlib
import json
from typing import TextIO
from urllib.parse import quote

from forestall.audit.fleet import Fleet, HostAudit
from forestall.audit.report import About
from forestall.audit.report.lines import line
from forestall.audit.report.words import printable
from forestall.audit.rule import Rule
from forestall.audit.rules import reason
from forestall.model.codec import Json
from forestall.model.finding import Finding, FindingState, Severity

LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
SCORES = {
    Severity.CRITICAL: "9.0",
    Severity.HIGH: "7.0",
    Severity.MEDIUM: "5.0",
    Severity.LOW: "2.0",
}
TOLD = (FindingState.FAIL, FindingState.UNKNOWN, FindingState.WAIVED)


class Sarif:
    """Writes the results as they come; the rules and the run's end stand after them."""

    def __init__(self, out: TextIO, about: About) -> None:
        self._out = out
        self.about = about
        self._first = True
        self._unread: list[tuple[str, str]] = []
        head = '"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0"'
        out.write("{" + head + ',"runs":[{"columnKind":"unicodeCodePoints","results":[')

    def host(self, audit: HostAudit) -> None:
        """The results of one host."""
        if audit.posture is None:
            self._unread.append((audit.name, audit.problem or "not read"))
            return
        for index in range(len(audit.rules)):
            if audit.state(index) in TOLD:
                self._out.write("\n" if self._first else ",\n")
                self._first = False
                self._out.write(json.dumps(_result(audit, audit.finding(index), index)))

    def end(self, fleet: Fleet) -> None:
        """The rules, and which hosts could not be read."""
        driver = {
            "name": "forestall",
            "version": self.about.version,
            "rules": [_rule(rule) for rule in fleet.rules],
        }
        notes = [
            {"level": "error", "message": _message(f"{name} could not be read: {why}")}
            for name, why in self._unread
        ] + [{"level": "warning", "message": _message(notice)} for notice in self.about.notices]
        run = {
            "executionSuccessful": not self._unread,
            "toolExecutionNotifications": notes,
        }
        self._out.write(
            f'\n],"tool":{json.dumps({"driver": driver})},"invocations":[{json.dumps(run)}]}}]}}\n'
        )


def _result(audit: HostAudit, finding: Finding, index: int) -> dict[str, Json]:
    failed = finding.state is not FindingState.UNKNOWN
    if finding.state is FindingState.WAIVED:
        failed = audit.judged[index].state is FindingState.FAIL
    mark = hashlib.sha256(f"{finding.host}\0{finding.rule}".encode(errors="replace")).hexdigest()
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "kind": "fail" if failed else "open",
        "level": LEVELS[finding.severity] if failed else "none",
        "message": _message(f"{finding.host}: {finding.text}"),
        "locations": [_location(finding)],
        "partialFingerprints": {"hostAndRule/v1": mark},
        "properties": line(audit, finding),
    }
    if finding.waiver and finding.state is FindingState.WAIVED:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": finding.waiver}
        ]
    return result


def _message(text: str) -> dict[str, Json]:
    """Text that a viewer shows as it is: in SARIF's messages braces are placeholders, `[a](b)` is a
    link, and what a host says may hold either."""
    shown = printable(text).replace("{", "{{").replace("}", "}}")
    return {"text": shown.replace("](", "]\\(")}


def _location(finding: Finding) -> dict[str, Json]:
    """The first place that was read, and the host as a logical location."""
    source = next((fact.source for fact in finding.observed if fact.source), "facts")
    path = "/".join(quote(part, safe="") for part in source.strip("/").split("/"))
    uri = f"{quote(finding.host, safe='', errors='replace')}/{path}"
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
        "logicalLocations": [{"name": finding.host, "kind": "host"}],
    }


def _rule(rule: Rule) -> dict[str, Json]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.title.split()),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": reason(rule)},
        "help": {"text": f"Expected: {rule.expected}. Do: {rule.remedy}. Undo: {rule.undo}."},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "security-severity": SCORES[rule.severity],
            "severity": rule.severity.value,
            "cost": rule.cost.value,
            "reference": rule.reference,
        },
    }
