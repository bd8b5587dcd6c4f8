"""Prometheus text format, for node_exporter's textfile collector or any scraper.

All samples of one metric stand together, so those that come after the findings are kept as
numbers until the end. Of a host that was read twice the first is told: two series with the same
labels would cost the collector the whole file.
"""

from typing import TextIO

from forestall.audit.fleet import Fleet, HostAudit, HostRow
from forestall.audit.report import About
from forestall.audit.report.words import printable
from forestall.model.finding import FindingState

TOLD = (FindingState.FAIL, FindingState.UNKNOWN, FindingState.WAIVED)


class Textfile:
    """One series per finding that is not fine, and per host what was read and decided."""

    def __init__(self, out: TextIO, about: About) -> None:
        self._out = out
        self._about = about
        self._named: set[str] = set()
        _head(out, "forestall_audit_finding", "A rule that fails, is unknown or waived on a host.")

    def host(self, audit: HostAudit) -> None:
        """The findings of one host."""
        name = label(audit.name)
        if name in self._named:
            return
        self._named.add(name)
        for index, rule in enumerate(audit.rules):
            state = audit.state(index)
            if state in TOLD:
                self._out.write(
                    f'forestall_audit_finding{{host="{name}",rule="{rule.id}",'
                    f'severity="{audit.severity(index).value}",state="{state.value}"}} 1\n'
                )

    def end(self, fleet: Fleet) -> None:
        """What is told of hosts and of the run."""
        out = self._out
        rows: dict[str, HostRow] = {}
        for row in fleet.rows:
            rows.setdefault(label(row.name), row)
        _head(out, "forestall_audit_coverage_ratio", "Share of the rules that could be decided.")
        for name, row in rows.items():
            out.write(f'forestall_audit_coverage_ratio{{host="{name}"}} {row.coverage:.4f}\n')
        _head(out, "forestall_audit_age_seconds", "Age of the facts when they were judged.")
        for name, row in rows.items():
            if row.age_seconds is not None:
                out.write(f'forestall_audit_age_seconds{{host="{name}"}} {row.age_seconds:.0f}\n')
        _head(out, "forestall_audit_hosts", "Hosts by whether they could be read.")
        for read, count in (("yes", len(fleet.rows) - fleet.unread), ("no", fleet.unread)):
            out.write(f'forestall_audit_hosts{{read="{read}"}} {count}\n')
        _head(out, "forestall_audit_run_timestamp_seconds", "When the hosts were judged.")
        out.write(f"forestall_audit_run_timestamp_seconds {self._about.at:.0f}\n")


def label(text: str) -> str:
    """A label's value, escaped as the text format asks for, without what a terminal would obey."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _head(out: TextIO, name: str, help: str) -> None:
    out.write(f"# HELP {name} {help}\n# TYPE {name} gauge\n")
