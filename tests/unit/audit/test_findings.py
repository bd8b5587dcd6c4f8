"""The rules over whole hosts: exactly the expected ones, the gravest first."""

import re
from pathlib import Path

from tests.fakes.facts import healthy, seed_like

from forestall.audit.findings import RULES, findings, needs_a_look
from forestall.model.codec import to_document
from forestall.model.finding import FindingState, Severity


def rules(facts):
    return [finding.rule for finding in findings(facts)]


def test_a_healthy_host_has_none():
    """Nothing to say is said by saying nothing."""
    assert findings(healthy()) == ()
    assert not needs_a_look(())


def test_the_host_of_the_incident():
    """A panicking, unlimited database host gives these and no other findings, in this order."""
    assert rules(seed_like()) == [
        "PAN-001",
        "LIM-001",
        "PAN-002",
        "KDP-001",
        "SWP-002",
        "SVC-001",
        "KRN-001",
        "KRN-002",
    ]
    assert needs_a_look(findings(seed_like()))


def test_notes_alone_do_not_ask_for_a_look():
    """An old system is worth knowing, and no reason to wake anybody."""
    found = findings(healthy(at=1_900_000_000.0))
    assert [finding.severity for finding in found] == [Severity.LOW]
    assert not needs_a_look(found)


def test_findings_point_at_what_they_say():
    """Each observed fact is, in the HostFacts document, where it says it is."""
    facts = seed_like()
    document = to_document(facts)
    for finding in findings(facts):
        assert finding.observed
        for fact in finding.observed:
            value = document
            for step in fact.pointer.split("/")[1:]:
                value = value[int(step)] if isinstance(value, list) else value[step]
            assert value == fact.value


def test_missing_evidence_is_never_fine():
    """What could not be read becomes UNKNOWN, for each rule that would have needed it."""
    facts = seed_like(
        sysctls={}, units=None, guards=None, unseen={"units": "systemd does not run here"}
    )
    unknown = {found.rule for found in findings(facts) if found.state is FindingState.UNKNOWN}
    assert {"PAN-001", "LIM-001"} <= unknown


def test_the_reference_page_lists_every_rule():
    """docs/reference/look.md has a row for each rule, and none for a rule that is gone."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "look.md").read_text()
    listed = re.findall(r"^\| ([A-Z]{3}-\d{3}) ", page, re.MULTILINE)
    assert sorted(listed) == sorted(rule.__doc__.partition(":")[0] for rule in RULES)
