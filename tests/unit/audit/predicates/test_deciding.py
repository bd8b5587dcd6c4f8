"""Answers: true, false and unknown, and which hosts made them so."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, seed_like, unit, with_sysctls

from forestall.audit.inputs.source import Seen
from forestall.audit.policy import Policy, role_of
from forestall.audit.predicates import evaluate, parse
from forestall.model.finding import Answer
from forestall.model.sample import HostSample

AT = 1_800_000_000.0
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
ROLES = Policy(hosts=(role_of("db=db*"), role_of("web=web*")))


def host(name="db01", swap=16 * GIB, age=60, **changes):
    memory = HostSample(mem_total_bytes=16 * GIB, swap_total_bytes=swap)
    facts = healthy(hostname=name, at=AT - age, memory=memory, **changes)
    return Seen(name=name, facts=facts)


def ask(text, *hosts, policy=ROLES, **options):
    return evaluate(parse(text), hosts, AT, policy=policy, **options)


SWAP = "all host where role=db: swap_total_bytes >= 16GiB"


def test_all():
    """True on every host that is meant, false with the host and its value."""
    assert ask(SWAP, host(), host("web1", swap=0)).answer is YES
    checked = ask(SWAP, host(), host("db02", swap=4 * GIB))
    assert checked.answer is NO
    assert [(one.host, one.text) for one in checked.failing] == [
        ("db02", "swap_total_bytes is 4.0 GiB")
    ]


def test_what_was_not_read_is_unknown_and_a_false_goes_before():
    """Unknown names the value; one false host decides against it all the same."""
    checked = ask(SWAP, host(), host("db02", swap=None))
    assert checked.answer is UNKNOWN
    assert [(one.host, one.text) for one in checked.unknown] == [
        ("db02", "swap_total_bytes was not read")
    ]
    assert ask(SWAP, host("db02", swap=None), host("db03", swap=0)).answer is NO


def test_facts_from_the_future_have_no_age():
    """Where an age is asked for, a clock that runs ahead does not make facts fresh for ever."""
    ahead = Seen(name="a", facts=replace(healthy(), at=AT + 10 * 86_400))
    assert ask("all host: psi", ahead, max_age_seconds=86_400).answer is UNKNOWN
    assert ask("all host: psi", ahead).answer is YES
    near = Seen(name="a", facts=replace(healthy(), at=AT + 60))
    assert ask("all host: psi", near, max_age_seconds=86_400).answer is YES


def test_a_rule_that_is_unknown_on_a_host_is_called_so():
    """A rule is judged, not read."""
    checked = ask(
        "all host: rule PAN-001 = pass",
        Seen(name="a", facts=with_sysctls(healthy(), vm__panic_on_oom=None)),
    )
    assert checked.unknown[0].text == "rule PAN-001 is unknown there"


def test_an_expected_host_that_did_not_come_is_unknown():
    """Its name is enough to know that it is meant; web hosts are not."""
    checked = ask(SWAP, host(), expected=["db01", "db02"])
    assert checked.answer is UNKNOWN
    assert checked.unknown[0].text == "it was expected and not seen"
    assert ask(SWAP, host(), expected=["web07"]).answer is YES


def test_a_host_that_could_not_be_read_is_unknown():
    """With the input's own reason."""
    checked = ask(SWAP, host(), Seen(name="db02", problem="timed out"))
    assert checked.answer is UNKNOWN
    assert checked.unknown[0].text == "timed out"


def test_stale_facts_are_unknown():
    """Facts at the limit count, older ones do not; without a limit all do."""
    assert ask(SWAP, host(age=3600), max_age_seconds=3600).answer is YES
    checked = ask(SWAP, host(age=3601), max_age_seconds=3600)
    assert checked.answer is UNKNOWN
    assert "1 h" in checked.unknown[0].text
    assert ask(SWAP, host(age=10**8)).answer is YES


@pytest.mark.parametrize("text", [SWAP, "no host where role=db: psi", "any host: psi"])
def test_no_host_answers_nothing(text):
    """A question about nobody is not true."""
    assert ask(text).answer is UNKNOWN


def test_a_question_that_means_no_host_checks_nothing():
    """`all host where role=db` over web hosts is unknown, in words."""
    checked = ask(SWAP, host("web1"))
    assert checked.answer is UNKNOWN
    assert "nothing was checked" in checked.text


def test_any_and_no():
    """any needs one; no needs none; each is unknown where one host leaves it open."""
    panics = host("a", sysctls={"vm.panic_on_oom": "1"})
    fine = host("b", sysctls={"vm.panic_on_oom": "0"})
    open_ = host("c", sysctls={})
    for text, found, answer in (
        ("any host: vm.panic_on_oom != 0", (panics, open_), YES),
        ("any host: vm.panic_on_oom != 0", (fine,), NO),
        ("any host: vm.panic_on_oom != 0", (fine, open_), UNKNOWN),
        ("no host: vm.panic_on_oom != 0", (fine,), YES),
        ("no host: vm.panic_on_oom != 0", (fine, open_), UNKNOWN),
        ("no host: vm.panic_on_oom != 0", (panics, open_), NO),
        ("no host where os_id = centos", (fine,), YES),
        ("any host where os_id = debian", (fine,), YES),
    ):
        assert ask(text, *found).answer is answer, (text, answer)


@pytest.mark.parametrize(
    ("op", "number", "answer"),
    [
        ("<=", 2, YES),
        ("<=", 1, UNKNOWN),
        ("<=", 0, NO),
        (">=", 1, YES),
        (">=", 2, UNKNOWN),
        (">=", 3, NO),
        ("=", 1, UNKNOWN),
        ("=", 3, NO),
        ("!=", 3, YES),
        ("!=", 2, UNKNOWN),
    ],
)
def test_a_count_stands_only_if_the_unknown_hosts_cannot_change_it(op, number, answer):
    """One host counts, one does not, one may: between 1 and 2."""
    found = (host("a", swap=0), host("b"), host("c", swap=None))
    assert ask(f"count(host: swap_total_bytes = 0) {op} {number}", *found).answer is answer


def test_roles_without_a_word_of_the_site():
    """A database shows itself; what else a host is for, it cannot tell."""
    database = Seen(name="x1", facts=seed_like(at=AT))
    for text, answer in (
        ("any host: role = db", YES),
        ("any host: role = web", UNKNOWN),
        ("any host: role != db", NO),
    ):
        assert ask(text, database, policy=Policy()).answer is answer, text


def test_a_rule_may_be_asked_for():
    """pass and fail are answers, unknown is unknown, and a waiver is neither."""
    fine, open_ = host("a"), Seen(name="b", facts=with_sysctls(healthy(), vm__panic_on_oom=None))
    bad = Seen(name="c", facts=with_sysctls(healthy(), vm__panic_on_oom="1"))
    for text, found, answer in (
        ("all host: rule PAN-001 = pass", (fine,), YES),
        ("all host: rule PAN-001 = pass", (bad,), NO),
        ("all host: rule PAN-001 = pass", (open_,), UNKNOWN),
        ("all host: rule PAN-001 != fail", (open_,), UNKNOWN),
        ("all host: rule PAN-001 = fail", (bad,), YES),
    ):
        assert ask(text, *found).answer is answer, text


def test_a_service_without_a_limit_is_unlimited_and_one_not_asked_is_unknown():
    """`infinity` is larger than any size; a service that is not there answers nothing."""
    text = 'all host: unit("a.service").memory_max_bytes <= 2GiB'
    for one, answer in (
        (unit("a.service", memory_max_bytes=GIB), YES),
        (unit("a.service", memory_max_bytes=3 * GIB), NO),
        (unit("a.service"), NO),
        (unit("a.service", limit_known=False), UNKNOWN),
        (unit("b.service"), UNKNOWN),
    ):
        checked = ask(text, host(units=(one,)))
        assert checked.answer is answer
    assert ask(text, host(units=None)).answer is UNKNOWN
    told = ask(text, host(units=(unit("a.service"),))).failing[0].text
    assert told == "unit(a.service).memory_max_bytes is unlimited"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("vm.swappiness = 60", YES),
        ("vm.swappiness = 60.0", YES),
        ("vm.swappiness < 100", YES),
        ("vm.swappiness = sixty", NO),
        ("vm.nothing = 1", UNKNOWN),
        ("kernel.core_pattern = '|/bin/false'", YES),
        ("kernel.core_pattern ~ '|*'", YES),
        ("kernel.core_pattern > 3", UNKNOWN),
        ("os_version_id >= 12", YES),
        ("os_version_id > 12.0", NO),
        ("kernel_release ~ 6.1.*", YES),
        ("kernel_release !~ 6.1.*", NO),
        ("guards has earlyoom", YES),
        ("guards has oomd", NO),
        ("modules has vfio", UNKNOWN),
        ("mem_total_bytes <= swap_total_bytes", YES),
        ("/swaps/0/kind = partition", YES),
        ("/swaps/9/kind = partition", UNKNOWN),
        ("/no/such = 1", UNKNOWN),
        ("/swaps = 1", UNKNOWN),
        ("host = db0?", YES),
        ("host = web*", NO),
        ("age_seconds < 2m", YES),
        ("psi and not zswap", UNKNOWN),
        ("psi or zswap", YES),
    ],
)
def test_comparisons(text, answer):
    """Numbers as numbers, versions as versions, patterns as globs, and the unread as unknown."""
    sysctls = {"vm.swappiness": "60", "kernel.core_pattern": "|/bin/false"}
    asked = host(sysctls=sysctls, modules=None, zswap=None)
    assert ask(f"all host: {text}", asked).answer is answer


def test_names_of_many_hosts_are_bounded_and_all_are_counted(monkeypatch):
    """The count is of all, the list is not."""
    monkeypatch.setattr("forestall.audit.predicates.deciding.NAMED_LIMIT", 3)
    checked = ask("no host: psi", *(host(f"h{number}") for number in range(10)))
    assert checked.failing_count == 10
    assert len(checked.failing) == 3


@pytest.mark.parametrize("text", ["any", "all", "no"])
def test_no_quantifier_is_answered_about_nobody(text):
    """Where no host is meant, nothing was checked, whichever way it is asked; nor by a count."""
    for asked in (f"{text} host where role=db: psi", "count(host where role=db: psi) = 0"):
        checked = ask(asked, host("web1"))
        assert checked.answer is UNKNOWN
        assert "nothing was checked" in checked.text
    assert ask("any host where os_id = centos", host("web1")).answer is NO
    assert ask("count(host where os_id = centos) = 0", host("web1")).answer is YES


@pytest.mark.parametrize(
    ("release", "text", "answer"),
    [
        ("3.10.0-1160.el7.x86_64", ">= 3.10.0-1160", YES),
        ("3.10.0-1160.el7.x86_64", "> 3.10.0-1160", NO),
        ("3.10.0-957.21.3.el7.x86_64", ">= 3.10.0-1160", NO),
        ("3.10.0-1160.119.1.el7.x86_64", "> 3.10.0-1160.el7", YES),
        ("4.18.0-553.el8_10.x86_64", ">= 3.10.0-1160", YES),
        ("4.18.0-553.el8_10.x86_64+rt", ">= 4.18.0-100", UNKNOWN),
        ("4.14.35-2047.el7uek.x86_64", ">= 3.10.0-1160", UNKNOWN),
        ("6.8.0-31-generic", ">= 3.10.0-1160", UNKNOWN),
        ("6.8.0-31-generic", "< 6.8.0-100-generic", YES),
        ("6.8.0-31-generic", "< 6.8.0-100-aws", UNKNOWN),
        ("6.8.0-31-generic", ">= 6.8", YES),
        ("6.8.0-31-generic", "<= 6.8.0", YES),
        ("6.10.3-arch1-2", "> 6.9", YES),
        ("6.10.3-custom", ">= 6.10.3-custom", UNKNOWN),
        ("none", ">= 6.8", UNKNOWN),
        ("6.8.0-31-generic", "= 6.8.0-31-generic", YES),
    ],
)
def test_kernel_releases_are_ordered_as_packages(release, text, answer):
    """Within one maker and flavour; a bare version is everybody's, a bare build Red Hat's."""
    assert ask(f"all host: kernel_release {text}", host(kernel_release=release)).answer is answer


def test_a_kernel_of_another_maker_is_named():
    """Why it is unknown: the release that was seen."""
    checked = ask("all host: kernel_release > 5.0.0-1", host(kernel_release="6.8.0-31-generic"))
    assert checked.unknown[0].text == "kernel_release is 6.8.0-31-generic, which cannot be compared"


def test_a_list_that_was_cut():
    """What is not in it may be in the rest: neither what it lacks nor what it has is decided."""
    cut = host(guards=(), unseen={"guards": "processes are hidden in part"})
    assert ask("no host: guards has earlyoom", cut).answer is UNKNOWN
    assert ask("no host: guards has earlyoom", host(guards=())).answer is YES
