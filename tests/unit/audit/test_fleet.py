"""Judging many hosts: states, waivers, order, exit codes, and what is kept."""

from datetime import UTC, date, datetime

import pytest
from tests.fakes.facts import healthy, seed_like, with_sysctls

from forestall.audit.fleet import (
    TOGETHER,
    Fleet,
    chosen_rules,
    exit_code,
    judge_host,
    judge_hosts,
)
from forestall.audit.inputs.source import Seen
from forestall.audit.policy import Policy, role_of
from forestall.audit.rule import PASS, Rule, fail, unknown
from forestall.audit.rules import RULES
from forestall.audit.tables import shipped
from forestall.audit.waivers import Waiver, Waivers
from forestall.model.finding import Cost, FindingState, Severity
from forestall.units import DAY

AT = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
PANIC = chosen_rules(["PAN-001"])


def seen(name="db01", **sysctls):
    facts = healthy(hostname=name, at=AT - 60)
    return Seen(name=name, facts=with_sysctls(facts, **sysctls))


def made(judge, severity=Severity.HIGH):
    return Rule(
        id="XXX-001",
        title="made for a test",
        severity=severity,
        reads=("/kernel_release",),
        expected="",
        remedy="",
        undo="",
        cost=Cost.NONE,
        reference="",
        judge=judge,
    )


def waived(*listed):
    return Policy(waivers=Waivers(listed))


def waiver(expires=date(2027, 1, 1), rule="PAN-001"):
    return Waiver(host="db*", rule=rule, owner="Ana", reason="fenced", expires=expires)


def test_a_host_that_was_not_read_passes_nothing():
    """Every rule is UNKNOWN, with the reason."""
    audit = judge_host(Seen(name="db01", problem="timed out"), Policy(), chosen_rules(), AT)
    findings = list(audit.findings())
    assert len(findings) == len(chosen_rules())
    assert {one.state for one in findings} == {FindingState.UNKNOWN}
    assert all("timed out" in one.text for one in findings)
    assert audit.age_seconds is None


def test_a_waiver_makes_waived_what_fails_or_is_unknown_and_nothing_else():
    """FAIL and UNKNOWN become WAIVED with the owner; PASS stays PASS."""
    policy = waived(waiver())
    for value in ("1", None):
        audit = judge_host(seen(vm__panic_on_oom=value), policy, PANIC, AT)
        (found,) = audit.findings()
        assert found.state is FindingState.WAIVED
        assert found.waiver == "Ana, until 2027-01-01: fenced"
    (fine,) = judge_host(seen(vm__panic_on_oom="0"), policy, PANIC, AT).findings()
    assert fine.state is FindingState.PASS
    assert fine.waiver is None


def test_an_expired_waiver_counts_again_and_says_so():
    """FAIL, with whose waiver it was."""
    policy = waived(waiver(expires=date(2026, 11, 25)))
    (found,) = judge_host(seen(vm__panic_on_oom="1"), policy, PANIC, AT).findings()
    assert found.state is FindingState.FAIL
    assert found.waiver == "expired on 2026-11-25 (Ana: fenced)"
    assert "expired on 2026-11-25" in policy.waivers.notices(AT)[0]


def test_a_rule_that_stumbles_is_unknown_and_the_fleet_goes_on():
    """An error of ours over strange facts is no PASS and no traceback."""

    def stumble(host):
        return int(host.facts.kernel_release) and PASS

    rules = (made(stumble), *PANIC)
    audit = judge_host(seen(), Policy(), rules, AT)
    first, second = audit.findings()
    assert first.state is FindingState.UNKNOWN
    assert "ValueError" in first.text
    assert second.state is FindingState.PASS


def test_hosts_judged_together_are_judged_as_each_alone():
    """Whatever their number, order and state: one that was not read, one that a rule stumbles over.

    Only a group is read ahead, so that a fleet of any size fits in memory.
    """

    def judge(host):
        return PASS if host.number("vm.panic_on_oom") else fail(f"{1 / len(host.facts.hostname)}")

    rules = (made(judge), *PANIC)
    found = [seen(f"h{number}", vm__panic_on_oom=str(number % 2)) for number in range(50)]
    found[3:3] = [Seen(name="gone", problem="timed out"), seen("", vm__panic_on_oom="0")]
    policy, read = waived(waiver()), []

    def reader():
        for one in found:
            read.append(one.name)
            yield one

    for place, audit in enumerate(judge_hosts(reader(), policy, rules, AT)):
        alone = judge_host(found[place], policy, rules, AT)
        assert tuple(audit.findings()) == tuple(alone.findings())
        assert (audit.name, audit.problem) == (found[place].name, found[place].problem)
        assert len(read) <= place + TOGETHER
    assert place == len(found) - 1
    stumbled = next(iter(judge_host(found[4], policy, rules, AT).findings()))
    assert "ZeroDivisionError" in stumbled.text


def test_without_rules_hosts_are_still_counted():
    """Every rule may be skipped; the hosts are there all the same."""
    audits = list(judge_hosts([seen("a"), Seen(name="b", problem="x")], Policy(), (), AT))
    assert [(audit.name, audit.judged) for audit in audits] == [("a", ()), ("b", ())]


def test_worst_hosts_come_first():
    """Critical before high before unread before medium; of equals the first to come."""
    by_name = {
        "critical": fail("", severity=Severity.CRITICAL),
        "high": fail("", severity=Severity.HIGH),
        "medium": fail("", severity=Severity.MEDIUM),
        "low": fail("", severity=Severity.LOW),
        "fine": PASS,
        "fine too": PASS,
    }
    rules = (made(lambda host: by_name[host.facts.hostname]),)
    fleet = Fleet(rules, keep=3)
    for name in reversed(by_name):
        fleet.add(judge_host(Seen(name=name, facts=healthy(hostname=name)), Policy(), rules, AT))
    fleet.add(judge_host(Seen(name="unread", problem="x"), Policy(), rules, AT))
    order = [row.name for row in fleet.worst_rows()]
    assert order == ["critical", "high", "unread", "medium", "low", "fine too", "fine"]
    assert [audit.name for audit in fleet.worst] == order[:3]
    assert [row.name for row in fleet.worst_rows(2)] == order[:2]


def test_counts_and_coverage():
    """Counts by rule, state and severity; coverage leaves out what does not apply."""
    rules = chosen_rules(["PAN-001", "PAN-002", "SWP-002"])
    fleet = Fleet(rules)
    fleet.add(judge_host(seen("a", vm__panic_on_oom="1", kernel__panic="0"), Policy(), rules, AT))
    fleet.add(judge_host(seen("b", vm__panic_on_oom=None), Policy(), rules, AT))
    fleet.add(judge_host(seen("c"), Policy(), rules, AT))
    panic = next(index for index, rule in enumerate(rules) if rule.id == "PAN-001")
    assert fleet.count(panic, FindingState.FAIL) == 1
    assert fleet.count(panic, FindingState.FAIL, Severity.CRITICAL) == 1
    assert fleet.count(panic, FindingState.UNKNOWN) == 1
    assert fleet.total(FindingState.FAIL, Severity.CRITICAL) == 1
    # No database anywhere, so SWP-002 is about none of them: 6 that apply, 1 not decided.
    assert fleet.total(FindingState.NOT_APPLICABLE) == 3
    assert fleet.coverage == 1 - 1 / 6
    assert [row.coverage for row in fleet.rows] == [1.0, 0.5, 1.0]


def test_exit_codes():
    """1 from the asked severity on, else 3 for missing evidence, else 0; 1 goes before 3."""
    high, low = Severity.HIGH, Severity.LOW
    cases = [
        ([fail("", severity=high)], high, 1),
        ([fail("", severity=low)], high, 0),
        ([fail("", severity=low)], low, 1),
        ([fail("", severity=Severity.CRITICAL)], None, 0),
        ([PASS], high, 0),
        (["unread"], high, 3),
        (["unread"], None, 3),
        (["unread", fail("", severity=high)], high, 1),
    ]
    for judged, fail_on, code in cases:
        said = {f"h{index}": one for index, one in enumerate(judged)}
        rules = (made(lambda host, said=said: said[host.facts.hostname]),)
        fleet = Fleet(rules)
        for name, one in said.items():
            facts = None if one == "unread" else healthy(hostname=name)
            fleet.add(judge_host(Seen(name=name, facts=facts, problem="x"), Policy(), rules, AT))
        assert exit_code(fleet, fail_on) == code, (judged, fail_on)


def test_unknown_counts_by_the_severity_of_its_rule():
    """UNKNOWN of a critical rule is missing evidence at --fail-on high, of a low one it is not."""
    for severity, code in ((Severity.CRITICAL, 3), (Severity.HIGH, 3), (Severity.MEDIUM, 0)):
        rules = (made(lambda host: unknown("not read"), severity),)
        fleet = Fleet(rules)
        fleet.add(judge_host(seen(), Policy(), rules, AT))
        assert fleet.total(FindingState.UNKNOWN) == 1
        assert exit_code(fleet, Severity.HIGH) == code


def test_a_stated_role_decides_what_is_judged():
    """A web role turns the database rules off, though a database runs there."""
    rules = chosen_rules(["SWP-002"])
    states = [
        judge_host(Seen(name="db01", facts=seed_like()), Policy(hosts=hosts), rules, AT).state(0)
        for hosts in ((role_of("db=db*"),), (role_of("web=db*"),), ())
    ]
    assert states == [FindingState.FAIL, FindingState.NOT_APPLICABLE, FindingState.FAIL]


def test_which_rules_run():
    """Optional ones by name or with all; named ones alone; skipped ones never."""
    every = {rule.id for rule in chosen_rules(every=True)}
    usual = {rule.id for rule in chosen_rules()}
    assert "TMP-001" in every - usual
    assert {rule.id for rule in chosen_rules(optional=["TMP-001"])} - usual == {"TMP-001"}
    assert [rule.id for rule in chosen_rules(["TMP-001"])] == ["TMP-001"]
    assert "PAN-001" not in {rule.id for rule in chosen_rules(skipped=["PAN-001"])}


def test_the_name_is_the_inputs():
    """A host is called what its input calls it, not what it calls itself."""
    audit = judge_host(Seen(name="10.0.0.5", facts=healthy()), Policy(), PANIC, AT)
    assert next(audit.findings()).host == "10.0.0.5"


def test_only_tables_that_these_hosts_were_judged_by_are_called_stale():
    """A Debian host says nothing of Alpine's dates and RHEL's advisories; nor does one rule."""
    late = AT + 400 * DAY

    def stale(*facts, only=()):
        fleet = Fleet(chosen_rules(only))
        for one in facts:
            fleet.add(judge_host(Seen(name="h", facts=one), Policy(), fleet.rules, late))
        return " ".join(fleet.stale(shipped(), late))

    debian, rhel = stale(healthy()), stale(seed_like())
    assert "life cycles of debian are" in debian
    assert "Enterprise Linux" not in debian
    assert "map of minor releases" not in debian
    assert "life cycles of rhel are" in rhel
    assert "map of minor releases" in rhel
    assert "Enterprise Linux 7 end" in rhel
    assert "Enterprise Linux 8" not in rhel
    assert "life cycles of debian, rhel are" in stale(healthy(), seed_like())
    assert stale(seed_like(), only=["PAN-001"]) == ""
    assert stale() == stale(None) == ""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_can_be_waived(rule):
    """A host that could not be read is UNKNOWN on the rule; with a waiver it is WAIVED."""
    policy, unread = waived(waiver(rule=rule.id)), Seen(name="db01", problem="timed out")
    (found,) = judge_host(unread, policy, (rule,), AT).findings()
    assert (found.rule, found.state) == (rule.id, FindingState.WAIVED)
    (other,) = judge_host(Seen(name="web1", problem="timed out"), policy, (rule,), AT).findings()
    assert other.state is FindingState.UNKNOWN
