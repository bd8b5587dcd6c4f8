"""The kernel rules over generated hosts: always an answer, never one without evidence."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.kernels import alma

from forestall.audit.exposure import exposure
from forestall.audit.findings import audit
from forestall.audit.kernels import HOMES, kernel_of
from forestall.audit.rules import RULES
from forestall.audit.tables import shipped
from forestall.audit.tables.nouns import day
from forestall.audit.terms import Terms
from forestall.model.finding import FindingState

KERNEL_RULES = tuple(rule for rule in RULES if rule.id.startswith("KRN"))
FAIL, PASS, UNKNOWN, NOT_APPLICABLE = (
    FindingState.FAIL,
    FindingState.PASS,
    FindingState.UNKNOWN,
    FindingState.NOT_APPLICABLE,
)

number = st.integers(0, 1200).map(str)
BASES = {7: "3.10.0", 8: "4.18.0", 9: "5.14.0", 10: "6.12.0"}
BUILDS = {
    el: sorted({one.build for one in shipped().releases.minors if one.base == base})
    for el, base in BASES.items()
}


@st.composite
def packages(draw, el):
    """A kernel package of a major: a build of the map or near it, and a z-stream or none."""
    build = draw(st.sampled_from(BUILDS[el])) + draw(st.sampled_from((0, 0, 0, 1, -1)))
    stream = draw(st.sampled_from(("", f".{draw(number)}.1", f".{draw(number)}.{draw(number)}.1")))
    return f"{BASES[el]}-{build}{stream}.el{el}"


releases = st.one_of(
    st.none(),
    st.text("0123456789.-+_elamdgnric", max_size=30),
    st.sampled_from((7, 8, 9, 10)).flatmap(packages).map(lambda one: f"{one}.x86_64"),
    st.sampled_from(
        (
            "6.1.0-28-amd64",
            "6.8.0-31-generic",
            "5.14.21-150500.55.7-default",
            "6.1.79-99.164.amzn2023.x86_64",
            "5.4.17-2136.307.3.1.el8uek.x86_64",
            "6.8.9-1.el9.elrepo.x86_64",
            "6.9.3",
        )
    ),
)
hosts = st.builds(
    alma,
    at=st.floats(day("2015-01-01"), day("2035-01-01")),
    os_id=st.one_of(st.none(), st.sampled_from(sorted(HOMES)), st.text(max_size=5)),
    os_version_id=st.one_of(st.none(), st.sampled_from(("7", "8.10", "9", "12", "24.04", "x"))),
    os_name=st.sampled_from((None, "CentOS Stream 9", "Something 1")),
    kernel_release=releases,
    effective_release=st.one_of(st.none(), releases),
    installed_kernels=st.one_of(st.none(), st.lists(releases.filter(bool), max_size=3).map(tuple)),
    livepatches=st.sampled_from((None, (), ("patch",))),
    booted_at=st.one_of(st.none(), st.floats(day("2014-01-01"), day("2035-01-01"))),
    modules=st.sampled_from((None, (), ("vhost_net", "zram"))),
    zswap=st.sampled_from((None, True, False)),
    extended_support=st.sampled_from((None, "els", "eus", "e4s", "ltss")),
)


@given(hosts)
def test_every_host_is_answered(facts):
    """No rule raises; whatever is not PASS says why, and points at facts that are there."""
    for found in audit(facts, Terms(), KERNEL_RULES):
        assert found.text or found.state is PASS
        assert "\n" not in found.text
        if found.state is FAIL:
            assert found.observed
            assert found.expected
            assert any(fact.value is not None for fact in found.observed)


@given(hosts)
def test_a_container_is_not_blamed_for_its_kernel(facts):
    """In a container every rule about the kernel is not applicable."""
    found = audit(replace(facts, container="docker"), Terms(), KERNEL_RULES[1:])
    assert {one.state for one in found} == {NOT_APPLICABLE}


@given(hosts)
def test_an_unread_kernel_never_passes(facts):
    """Without a release nothing about the kernel is fine."""
    blind = replace(facts, kernel_release=None, effective_release=None, container=None)
    for found in audit(blind, Terms(), KERNEL_RULES):
        if found.rule in ("KRN-002", "KRN-003", "KRN-004", "KRN-005"):
            assert found.state is UNKNOWN
        if found.rule == "KRN-007":
            assert found.state in (UNKNOWN, NOT_APPLICABLE)


@given(st.data(), st.sampled_from((7, 8, 9, 10)))
def test_a_newer_kernel_lacks_no_more(data, el):
    """Within one major and one day, updating never opens a fault or misses an update.

    But for faults that begin with a later build.
    """
    first, second = (kernel_of(f"{data.draw(packages(el))}.x86_64", "centos") for _ in range(2))
    older, newer = sorted((first, second), key=lambda one: one.order)
    lacks = []
    for kernel in (older, newer):
        found = exposure(kernel, "centos", shipped(), day("2026-10-01"))
        began = {fix.flaw.cve for fix in (*found.open, *found.undecided)} - {"CVE-2020-10757"}
        missed = {update.advisory.id for update in (*found.missed, *found.missed_undecided)}
        lacks.append((began, missed))
    assert lacks[1][0] <= lacks[0][0]
    assert lacks[1][1] <= lacks[0][1]
