"""What hangs on a thing that was not seen is UNKNOWN, and nothing else is."""

from dataclasses import replace

import pytest
from bench.audit_hosts import hosts
from tests.fakes.facts import healthy, holder, seed_like, unit
from tests.fakes.postures import database, rhel
from tests.fakes.seed import seed_host

from forestall.audit.doubt import BY_LIST, settled
from forestall.audit.findings import judge
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS as PASSED
from forestall.audit.rule import Rule, fail
from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.model.finding import Cost, FindingState, Severity

PASS, FAIL = FindingState.PASS, FindingState.FAIL
UNKNOWN, NOT_APPLICABLE = FindingState.UNKNOWN, FindingState.NOT_APPLICABLE


def states(facts, **terms):
    """Rule id to state, as a report has it."""
    return {rule.id: said.state for rule, said in judge(Posture(facts, Terms(**terms)), RULES)}


def test_a_host_that_may_be_a_container_keeps_what_is_true_of_both():
    """Swap is the host's; that an OOM does not panic holds inside as well."""
    sure = states(healthy(container=None))
    unsure = states(healthy(container=None, unseen={"container": "its root was not recorded"}))
    assert (sure["SWP-005"], unsure["SWP-005"]) == (PASS, UNKNOWN)
    assert sure["PAN-001"] is unsure["PAN-001"]
    assert all(said in (sure[rule], UNKNOWN) for rule, said in unsure.items())


def test_the_reason_and_the_gravity_are_those_of_the_doubt():
    """An UNKNOWN that may be a finding is as grave as that."""
    # Two years before the facts were read.
    unseen = {"livepatches": "sys/kernel was lost"}
    facts = rhel(livepatches=None, booted_at=1_668_000_000.0, unseen=unseen)
    found = {rule.id: said for rule, said in judge(Posture(facts), RULES)}
    assert found["KRN-006"].state is UNKNOWN
    assert "livepatched is unknown, and it decides here: sys/kernel was lost." in (
        found["KRN-006"].text
    )
    assert found["KRN-006"].severity is not None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("kubernetes", {"kubernetes": None}),
        ("swaps", {"swaps": None}),
        ("units", {"unseen": {"units": "systemctl did not end"}}),
        ("virtualization", {"virtualization": None, "unseen": {"virtualization": "no dmi"}}),
        ("databases", {"databases": None}),
    ],
)
def test_only_unknown_is_new(field, changes):
    """Whatever is in doubt, verdicts stay or become UNKNOWN, and some do."""
    facts = database(facts=healthy(units=(unit("x.service"),), virtualization="kvm"))
    before, after = states(facts), states(replace(facts, **changes))
    assert all(said in (before[rule], UNKNOWN) for rule, said in after.items()), field
    assert after != before


def test_half_a_list_of_services_shows_no_absence():
    """Each service that was listed may be fine; another may not be."""
    fine = healthy(unseen={"units": "the answer was cut"})
    assert states(healthy())["SVC-001"] is PASS
    assert states(fine)["SVC-001"] is UNKNOWN


def test_a_stated_baseline_is_no_doubt():
    """What the site says of a host need not be seen on it."""
    unseen = {"baseline": "needs root"}
    assert states(healthy(unseen=unseen))["KDP-004"] is UNKNOWN
    assert states(healthy(unseen=unseen), baseline="cis")["KDP-004"] is not UNKNOWN


def test_of_two_databases_either_may_be_the_larger():
    """Where not all of their size is seen, what is asked of the largest is asked of each."""
    one = holder("redis-server", 800, 2 << 30, unit="redis.service")
    two = replace(holder("mysqld", 900, 1 << 30), process=replace(one.process, name="mysqld"))
    unplaced = replace(two, process=replace(two.process, unit=None, cgroup=None))
    facts = healthy(
        databases=(one, unplaced), holders=(one, unplaced), transparent_hugepage="always"
    )
    assert states(facts)["THP-001"] is UNKNOWN


def test_a_small_database_in_a_container_is_no_doubt():
    """Its size was seen: no scope is ever in systemd's list of services."""
    one = holder("postgres", 800, 8 << 30, unit="postgresql.service")
    two = holder("redis-server", 900, 30 << 20, unit="docker-0123.scope")
    placed = replace(two, process=replace(two.process, cgroup="/system.slice/docker-0123.scope"))
    units = (unit("postgresql.service", memory_current_bytes=8 << 30),)
    facts = healthy(
        units=units, databases=(one, placed), holders=(one, placed), transparent_hugepage="always"
    )
    assert states(facts)["THP-001"] is FAIL


@pytest.mark.parametrize("one", BY_LIST, ids=lambda one: one.field)
def test_which_rules_ask(one):
    """Those that are named, and no other, say something else where it is otherwise."""
    told = {"kubernetes": False, "livepatches": ()}
    facts = [*hosts(300), seed_host(), seed_like(), database(), rhel()]
    askers = set()
    for host in facts:
        before = replace(host, **told)
        after = replace(before, **{one.field: one.otherwise})
        askers |= {
            rule.id for rule in RULES if rule.judge(Posture(before)) != rule.judge(Posture(after))
        }
    assert askers
    assert all(rule.startswith(one.asked_by) for rule in askers), askers


def test_a_rule_of_somebody_else_is_settled_too():
    """No rule needs to know of this."""
    rule = Rule(
        id="PAN-003", title="x", severity=Severity.LOW, reads=(), expected="", remedy="", undo="",
        cost=Cost.NONE, reference="",
        judge=lambda host: fail("no kubelet") if not host.kubernetes else fail("a kubelet"),
    )  # fmt: skip
    host = Posture(healthy(kubernetes=None))
    (said,) = settled(host, [rule], [rule.judge(host)])
    assert said.text == "no kubelet"
    better = replace(
        rule, judge=lambda host: fail("no kubelet.") if not host.kubernetes else PASSED
    )
    (said,) = settled(host, [better], [better.judge(host)])
    assert (said.state, said.severity) == (UNKNOWN, Severity.LOW)
