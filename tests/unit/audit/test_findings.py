"""The rules over whole hosts: exactly the expected ones, the gravest first."""

import re
from pathlib import Path

from tests.fakes.facts import healthy, seed_like

from forestall.audit.findings import TONIGHT, UPKEEP, audit, findings, needs_a_look
from forestall.audit.rules import RULES
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
        "OOM-001",
        "OOM-002",
        "SVC-001",
        "KRN-001",
        "KRN-002",
    ]
    assert needs_a_look(findings(seed_like()))


def test_upkeep_alone_does_not_ask_for_a_look():
    """An old system is worth knowing, and no reason to wake anybody; the audit is less kind."""
    old = healthy(at=1_900_000_000.0)
    found = findings(old)
    assert [(one.rule, one.severity) for one in found] == [("KRN-001", Severity.LOW)]
    assert not needs_a_look(found)
    audited = {one.rule: one.severity for one in audit(old)}
    assert audited["KRN-001"] is Severity.CRITICAL


def test_upkeep_comes_last():
    """However grave the audit calls it, it pushes nothing of tonight off the top."""
    found = findings(seed_like())
    assert {one.rule for one in found[-2:]} == set(UPKEEP)


def test_the_audit_says_something_of_every_rule():
    """Each rule that is not optional has one finding, in the order of the rules."""
    assert [one.rule for one in audit(seed_like())] == [r.id for r in RULES if not r.optional]
    assert [one.rule for one in audit(seed_like(), rules=RULES)] == [rule.id for rule in RULES]


def test_the_rules_are_listed_by_their_ids():
    """Each id once, in order, and each is the beginning of its module's name."""
    ids = [rule.id for rule in RULES]
    assert ids == sorted(set(ids))
    for rule in RULES:
        module = rule.judge.__module__.rpartition(".")[2]
        assert module.startswith(rule.id.replace("-", "").lower() + "_")


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
    unknown = [found for found in findings(facts) if found.state is FindingState.UNKNOWN]
    assert {"PAN-001", "LIM-001"} <= {found.rule for found in unknown}
    assert {found.severity for found in unknown} == {Severity.HIGH}


def test_the_reference_page_lists_what_look_shows():
    """docs/reference/look.md has a row for each rule of `look`, and none for another."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "look.md").read_text()
    listed = re.findall(r"^\| ([A-Z]{3}-\d{3}) ", page, re.MULTILINE)
    assert sorted(listed) == sorted(TONIGHT)
