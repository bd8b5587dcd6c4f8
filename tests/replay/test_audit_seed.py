"""The host of the incident: what the audit says of it, and what the review's own remedies left."""

import json
import re
from pathlib import Path

import pytest
from tests.fakes import leak
from tests.fakes.seed import remedied, repaired, seed_host

from forestall.audit.findings import audit
from forestall.audit.inputs.source import Seen
from forestall.audit.predicates import evaluate
from forestall.audit.predicates import parse as parse_predicate
from forestall.audit.terms import Terms
from forestall.incident.review.compose import compose
from forestall.incident.review.lint import lint
from forestall.incident.review.parse import parse
from forestall.incident.review.render import render
from forestall.incident.review.verify import compare
from forestall.model.codec import from_document, to_document
from forestall.model.facts import HostFacts
from forestall.model.finding import Answer, FindingState

DOCUMENTS = Path(__file__).parents[1] / "data" / "audit"
DB = Terms(roles=frozenset(("db",)))

AT_FIRST = {
    "KRN-001": "critical",
    "KRN-002": "high",
    "KRN-005": "critical",
    "SWP-002": "high",
    "PAN-001": "critical",
    "PAN-002": "medium",
    "LIM-001": "critical",
    "OOM-001": "high",
    "OOM-002": "high",
    "SVC-001": "medium",
    "OBS-001": "high",
}
"""Of a host whose tuning is fine; that PAN-002 is not graver is because kdump is armed there."""

LEFT = {"KRN-001", "KRN-005", "PAN-001", "PAN-002", "LIM-001", "OOM-001", "OOM-002", "SVC-001"}
"""After 7.9's kernel, 16 GiB of swap, alerts and a gate: nobody touched what made it an outage.

The first kernel of 7.9 has leaks of its own, repaired in later ones."""

HOSTS = {
    "seed-at-first": seed_host,
    "seed-remedied": lambda: remedied(seed_host()),
    "seed-repaired": lambda: repaired(remedied(seed_host())),
}


def failing(facts, terms=DB):
    """The severity of each rule that the host breaks."""
    found = audit(facts, terms)
    return {one.rule: one.severity.value for one in found if one.state is FindingState.FAIL}


@pytest.mark.parametrize("name", HOSTS)
def test_the_documents_are_these_hosts(name):
    """tests/data/audit holds what `forestall audit facts` can be given, and it reads back whole."""
    document = json.loads((DOCUMENTS / f"{name}.json").read_text())
    assert from_document(HostFacts, document) == HOSTS[name]()


@pytest.mark.parametrize("terms", [DB, Terms()], ids=["by its role", "by what runs there"])
def test_exactly_these_findings(terms):
    """The incident's own, and no other: not swap by the general table, which its 4 GiB pass."""
    assert failing(seed_host(), terms) == AT_FIRST


def test_what_the_reviews_remedies_did_not_close():
    """7.9 itself is past maintenance, its first kernel leaks, and settings and limit stand."""
    assert set(failing(remedied(seed_host()))) == LEFT


def test_what_would_have_closed_it():
    """With the audit's remedies only the move to another release remains."""
    assert set(failing(repaired(remedied(seed_host())))) == {"KRN-001"}


def test_a_paid_extension_is_taken_at_its_word():
    """With ELS the release is no longer critical: that is stated, not seen."""
    until = Terms(roles=DB.roles, extended_support_until=1_900_000_000.0)
    assert failing(repaired(remedied(seed_host())), until).get("KRN-001") != "critical"


def review_of(facts, site=leak.SITE):
    """The review drafted from an incident on that host."""
    evidence = leak.captured(**{"host-facts.json": to_document(facts)})
    draft = compose(leak.review_entries(site=site, evidence=evidence))
    return draft, render(draft.review).decode()


def contributing(document):
    """The factors of a review, as one text."""
    return document.split("Contributing Factors")[1].split("Incident Details")[0]


def test_the_review_says_so():
    """Each contributing factor of the host is in the review drafted from its facts."""
    _, document = review_of(seed_host())
    said = contributing(document)
    for expected in (
        "Red Hat Enterprise Linux Server 7.6 (Maipo)",
        "3.10.0-957.el7.x86_64",
        "4.0 GiB swap beside a database on a host with 32 GiB of memory",
        "vm.panic_on_oom=1 turns OOM into a panic",
        "kernel.panic=0",
        "feed-sync.service may take all the memory beside the database: no limit.",
        "the OOM killer judges postgres (pid 800, 8.0 GiB) like any other process",
        "feed-sync.service has no higher oom_score_adj than postgres",
        "feed-sync.service is not started again after a kill: Restart=no.",
        "The next leak would not be seen: no exporter or agent runs on it",
    ):
        assert expected in said


def test_each_factor_has_the_fact_behind_it():
    """A factor's claim points at the facts of the captured host, at the very value it names."""
    draft, _ = review_of(seed_host())
    factors = [one for one in draft.claims if one.where.startswith("/causes/contributing/")]
    pointers = {source.pointer for one in factors for fact in one.facts for source in fact.sources}
    assert {
        "/sysctls/vm.panic_on_oom",
        "/sysctls/kernel.panic",
        "/memory/swap_total_bytes",
        "/kernel_release",
        "/units/1/memory_max_bytes",
        "/units/1/restart",
        "/databases/0/oom_score_adjust",
    } <= pointers


def test_each_follow_up_can_be_asked_of_the_host():
    """A follow-up from a finding names the command that says when it is done."""
    _, document = review_of(seed_host())
    items = document.split("### **Follow-Up Actions**")[1]
    for rule in ("KRN-001", "SWP-002", "PAN-001", "PAN-002", "LIM-001", "OOM-001", "OOM-002"):
        assert (
            f'`forestall audit check "all host where host = {leak.HOST}: rule {rule} = pass or '
            f'rule {rule} = not-applicable"`'
        ) in items


def answers(document, facts):
    """What `audit check` says of each predicate of the follow-ups, by rule."""
    found = re.findall(r'`forestall audit check "(all host[^"]*: rule (\S+) = [^"]*)"`', document)
    seen = [Seen(name=leak.HOST, facts=facts)]
    return {rule: evaluate(parse_predicate(text), seen, facts.at).answer for text, rule in found}


def test_the_follow_ups_close_themselves():
    """Each says no of the host as it was, and yes of it once it was repaired; but for two.

    The system stays past maintenance, and of RHEL 7's faults since 2020 the table has only some.
    """
    _, document = review_of(seed_host())
    before = answers(document, seed_host())
    assert set(before) == set(AT_FIRST)
    assert set(before.values()) == {Answer.NO}
    after = answers(document, repaired(remedied(seed_host())))
    not_yes = {rule: answer for rule, answer in after.items() if answer is not Answer.YES}
    assert not_yes == {"KRN-001": Answer.NO, "KRN-005": Answer.UNKNOWN}
    nobody = evaluate(
        parse_predicate(f"all host where host = {leak.HOST}: rule PAN-001 = pass"), [], 0.0
    )
    assert nobody.answer is Answer.UNKNOWN


def test_the_review_after_the_remedies():
    """What they closed is no factor any more; what stands is said again."""
    _, document = review_of(remedied(seed_host()))
    said = contributing(document)
    for gone in ("3.10.0-957", "4.0 GiB swap", "The next leak would not be seen"):
        assert gone not in said
    for stands in ("7.9 (Maipo)", "vm.panic_on_oom=1", "no limit", "like any other process"):
        assert stands in said


def test_the_review_is_verified_from_its_bundle_alone():
    """What it says of the host is derived again from the bundle, and a changed word is noticed."""
    draft, document = review_of(seed_host())
    assert compare(document.encode(), draft).unresolved == ()
    changed = document.replace("vm.panic_on_oom=1 turns", "vm.panic_on_oom=0 turns")
    assert compare(changed.encode(), draft).unresolved


def test_a_careful_reader_finds_nothing_to_ask():
    """Lint has no doubt about a review with all of these factors."""
    _, document = review_of(seed_host())
    assert [one.rule for one in lint(parse(document.encode()))] == []


WEB = leak.SITE + '\n[host]\nroles = ["web"]\n'


def test_the_site_says_what_the_host_is_for():
    """A role in site.toml is part of the bundle, and decides which factors there are."""
    _, document = review_of(seed_host(), site=WEB)
    said = contributing(document)
    assert "swap beside a database" not in said
    assert "vm.panic_on_oom=1" in said
