"""JUnit XML: a suite per host, a case per rule, for CI that shows test results.

What is as grave as --fail-on fails (FAIL) or errs (UNKNOWN: missing evidence is not a pass);
what is less grave passes with its text as output. NOT_APPLICABLE and WAIVED are skipped cases.
"""

from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from forestall.audit.fleet import RANK, Fleet, HostAudit
from forestall.audit.report import About
from forestall.audit.report.words import observed, xml_text
from forestall.model.finding import Finding, FindingState


class Junit:
    """Writes each host's suite as it comes."""

    def __init__(self, out: TextIO, about: About) -> None:
        self._out = out
        self._limit = -1 if about.fail_on is None else RANK[about.fail_on]
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="forestall audit">\n')

    def host(self, audit: HostAudit) -> None:
        """One suite."""
        cases = [(finding, self._kind(finding)) for finding in audit.findings()]
        kinds = [kind for _, kind in cases]
        self._out.write(
            f"<testsuite name={_attribute(audit.name)} tests={_attribute(len(cases))} "
            f"failures={_attribute(kinds.count('failure'))} "
            f"errors={_attribute(kinds.count('error'))} "
            f"skipped={_attribute(kinds.count('skipped'))}>\n"
        )
        for finding, kind in cases:
            self._out.write(
                f"<testcase classname={_attribute(audit.name)} name={_attribute(finding.rule)}>"
                f"{_body(finding, kind)}</testcase>\n"
            )
        self._out.write("</testsuite>\n")

    def end(self, fleet: Fleet) -> None:
        """Close the document."""
        self._out.write("</testsuites>\n")

    def _kind(self, finding: Finding) -> str:
        if finding.state in (FindingState.NOT_APPLICABLE, FindingState.WAIVED):
            return "skipped"
        if finding.state is FindingState.PASS:
            return ""
        if RANK[finding.severity] > self._limit:
            return "system-out"
        return "failure" if finding.state is FindingState.FAIL else "error"


def _body(finding: Finding, kind: str) -> str:
    if not kind:
        return ""
    text = finding.text + (f" ({finding.waiver})" if finding.waiver else "")
    if kind == "skipped":
        return f"<skipped message={_attribute(text)}/>"
    if kind == "system-out":
        said = f"{finding.severity.value}, {finding.state.value}: {text}\ndo: {finding.remedy}"
        return f"<system-out>{escape(xml_text(said))}</system-out>"
    body = (
        f"{finding.severity.value}: {text}\nseen: {observed(finding.observed)}\n"
        f"expected: {finding.expected}\ndo: {finding.remedy}"
    )
    if finding.undo:
        body += f"\nundo: {finding.undo}"
    return (
        f"<{kind} type={_attribute(finding.severity.value)} message={_attribute(text)}>"
        f"{escape(xml_text(body))}</{kind}>"
    )


def _attribute(value: object) -> str:
    return quoteattr(xml_text(str(value)))
