"""Whatever a host says of itself, every rule judges it and points at what it says."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.any_facts import any_facts

from forestall.audit.findings import audit, findings
from forestall.audit.posture import Posture
from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.model.codec import from_document, to_document
from forestall.model.facts import HostFacts
from forestall.model.finding import FindingState

terms = st.builds(
    Terms,
    at=st.none() | st.floats(0, 4e9),
    roles=st.none() | st.sets(st.sampled_from(["db", "web", "k8s"])).map(frozenset),
    extended_support_until=st.none() | st.floats(0, 4e9),
    baseline=st.none() | st.sampled_from(["stig", "cis", "x"]),
)


@settings(max_examples=150, deadline=None)
@given(any_facts, terms)
def test_no_rule_ever_raises(facts, terms):
    """Every rule, optional ones too, gives one finding whose text and pointers hold."""
    # A posture takes impossible values (no memory at all) for ones that were not read.
    document = to_document(Posture(facts, terms).facts)
    found = audit(facts, terms, RULES)
    assert [one.rule for one in found] == [rule.id for rule in RULES]
    for one in found:
        assert one.state is FindingState.PASS or one.text
        assert one.state is not FindingState.FAIL or (one.remedy and one.expected and one.reference)
        for fact in one.observed:
            value = document
            for step in fact.pointer.split("/")[1:]:
                key = step.replace("~1", "/").replace("~0", "~")
                value = value[int(key)] if isinstance(value, list) else value.get(key)
                if value is None:
                    break
            assert value == fact.value
            assert fact.name


@settings(max_examples=50, deadline=None)
@given(any_facts)
def test_facts_that_went_through_a_file_are_judged_alike(facts):
    """Reading a document back changes no verdict."""
    assert audit(from_document(HostFacts, to_document(facts))) == audit(facts)


@settings(max_examples=50, deadline=None)
@given(any_facts)
def test_what_is_told_of_a_host_is_bounded(facts):
    """However many services and processes there are, a finding names a few and counts the rest."""
    many = facts.units * 1_000 if facts.units else facts.units
    for one in audit(HostFacts(at=facts.at, hostname="h", units=many, databases=facts.databases)):
        assert len(one.text) < 2_000
        assert len(one.observed) <= 12
    assert len(findings(facts)) <= len(RULES)
