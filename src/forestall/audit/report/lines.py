"""JSON lines: one line per host and rule, whatever the state.

docs/reference/audit.md describes the schema `forestall/audit-finding/1`.
"""

import json
from typing import TextIO

from forestall.audit.fleet import Fleet, HostAudit
from forestall.audit.report import About
from forestall.audit.report.words import bounded
from forestall.model.codec import Json
from forestall.model.finding import Finding

SCHEMA = "forestall/audit-finding/1"

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


class Lines:
    """Writes each finding as it comes."""

    def __init__(self, out: TextIO, about: About) -> None:
        self._out = out
        self._about = about

    def host(self, audit: HostAudit) -> None:
        """All findings of one host."""
        self._out.writelines(_encode(line(audit, one)) + "\n" for one in audit.findings())

    def end(self, fleet: Fleet) -> None:
        """Nothing: lines stand for themselves."""


def line(audit: HostAudit, found: Finding) -> dict[str, Json]:
    """One finding as the schema has it."""
    age = audit.age_seconds
    age = None if age is None else round(age, 1)
    seen = [(fact, bounded(fact.value)) for fact in found.observed]
    return {
        "schema": SCHEMA,
        "host": found.host,
        "rule": found.rule,
        "state": found.state.value,
        "severity": found.severity.value,
        "text": found.text,
        "observed": {fact.name: value for fact, value in seen},
        "expected": found.expected,
        "evidence": [
            {
                "source": fact.source,
                "pointer": fact.pointer,
                "value": value,
                "age_seconds": age,
            }
            for fact, value in seen
        ],
        "remedy": found.remedy,
        "undo": found.undo,
        "cost": found.cost.value,
        "reference": found.reference,
        "waiver": found.waiver,
        "origin": audit.origin,
        "at": found.at,
    }
