"""COR-001: whether a Python service that leaks would leave a core to look into."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, unit, with_sysctls
from tests.fakes.seed import seed_host

from forestall.audit.posture import Posture
from forestall.audit.rules import cor001_cores_lost as cor001
from forestall.audit.terms import Terms
from forestall.model.facts import CoredumpFacts
from forestall.model.finding import FindingState

FAIL, UNKNOWN = FindingState.FAIL, FindingState.UNKNOWN
PASS, NOT_APPLICABLE = FindingState.PASS, FindingState.NOT_APPLICABLE
SYSTEMD = "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h"
OWN = "/etc/systemd/system/x.service"


def host(pattern=SYSTEMD, *, cores_allowed=True, coredump=None, rss=4 * GIB, **changes):
    """A host with one Python service of the site's own that holds `rss` bytes."""
    facts = healthy(
        units=(unit("x.service", main_pid=7, fragment_path=OWN, cores_allowed=cores_allowed),),
        holders=(holder("python3.11", 7, rss, unit="x.service"),),
        coredump=coredump or CoredumpFacts(),
    )
    facts = with_sysctls(facts, kernel__core_pattern=pattern)
    return with_sysctls(facts, **changes) if changes else facts


def judged(facts, terms=None):
    return cor001.RULE.judge(Posture(facts, terms))


@pytest.mark.parametrize(
    ("changes", "rss", "state"),
    [
        ({"coredump": None}, GIB, UNKNOWN),
        ({"systemd_version": None}, 4 * GIB, UNKNOWN),
        ({"systemd_version": None}, 2 * GIB, PASS),
        ({"systemd_version": None}, 2 * GIB + 1, UNKNOWN),
        ({}, 4 * GIB, PASS),
    ],
)
def test_settings_that_were_not_read_are_no_pass(changes, rss, state):
    """systemd-coredump cuts at 2G or at 32G, and who knows neither knows nothing."""
    assert judged(replace(host(rss=rss), **changes)).state is state


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (host(), PASS),
        (host("/var/crash/core.%p"), PASS),
        (host("|/bin/false"), FAIL),
        (host("|/bin/true %p"), FAIL),
        (host("|/usr/bin/false"), FAIL),
        (host("|/usr/bin/true"), FAIL),
        (replace(host("/var/crash/core"), coredump=None), PASS),
        (host("/dev/null"), FAIL),
        (host(""), FAIL),
        (host("", kernel__core_uses_pid="1"), PASS),
        (host(coredump=CoredumpFacts(storage="none")), FAIL),
        (host(coredump=CoredumpFacts(process_size_max_bytes=0)), FAIL),
        (host("/var/crash/core", coredump=CoredumpFacts(storage="none")), PASS),
        (host(cores_allowed=False), FAIL),
        (host("core", cores_allowed=False), FAIL),
        (host("|/usr/libexec/abrt-hook-ccpp %s", cores_allowed=False), PASS),
        (host(cores_allowed=None), PASS),
        (host(None), UNKNOWN),
    ],
)
def test_cores_lost(facts, state):
    """Thrown away by the kernel's pattern, by systemd-coredump, or not allowed to the unit."""
    assert judged(facts).state is state


@pytest.mark.parametrize(
    ("coredump", "systemd", "state"),
    [
        (CoredumpFacts(process_size_max_bytes=GIB, external_size_max_bytes=GIB), 252, FAIL),
        (CoredumpFacts(process_size_max_bytes=GIB, external_size_max_bytes=8 * GIB), 252, PASS),
        (CoredumpFacts(), 252, PASS),
        (CoredumpFacts(), 251, PASS),
        (CoredumpFacts(), 250, FAIL),
        (CoredumpFacts(), None, UNKNOWN),
    ],
)
def test_cut_to_less_than_the_service_holds(coredump, systemd, state):
    """4 GiB do not fit into systemd-coredump's 2 GiB of before version 251."""
    found = judged(replace(host(coredump=coredump), systemd_version=systemd))
    assert found.state is state
    assert state is not FAIL or "4.0 GiB held, and systemd-coredump cuts at" in found.text


@pytest.mark.parametrize(("systemd", "most"), [(250, 2 * GIB), (251, 32 * GIB)])
def test_the_largest_core_that_is_kept(systemd, most):
    """systemd-coredump's own limit, to the byte."""
    for size, state in ((most, PASS), (most + 1, FAIL)):
        assert judged(replace(host(rss=size), systemd_version=systemd)).state is state


def test_only_python_services_of_the_sites_own():
    """What is not Python, or not the site's, is not heap's business."""
    assert judged(healthy()).state is NOT_APPLICABLE
    java = replace(host("|/bin/false"), holders=(holder("java", 7, 4 * GIB, unit="x.service"),))
    assert judged(java).state is NOT_APPLICABLE


def test_services_not_told():
    """Without systemd nobody knows whose process a python is."""
    assert judged(healthy(units=None)).state is UNKNOWN
    assert judged(healthy(units=None, container="docker")).state is NOT_APPLICABLE


def test_a_large_and_a_small_service_where_settings_were_not_read():
    """What may be cut is judged service by service: one that may is enough."""
    small = unit("y.service", main_pid=8, fragment_path=OWN.replace("x", "y"), cores_allowed=True)
    both = replace(
        host(),
        units=(*host().units, small),
        holders=(*host().holders, holder("python3.11", 8, GIB, unit="y.service")),
        systemd_version=None,
    )
    assert judged(both).state is UNKNOWN


def test_processes_outside_of_services():
    """A python that no unit started is nobody's service."""
    stray = replace(host("|/bin/false"), holders=(holder("python3.11", 7, 4 * GIB),))
    assert judged(stray).state is NOT_APPLICABLE


def test_what_a_finding_reads():
    """The setting of the unit that loses its cores, not of the one beside it."""
    told = judged(host(cores_allowed=False))
    assert told.reads == ("/units/0/cores_allowed",)
    assert "LimitCORE=" in told.text


@pytest.mark.parametrize(
    ("baseline", "named"), [("stig", True), ("cis", True), ("hipaa", False), (None, False)]
)
def test_a_baseline_that_asks_for_it(baseline, named):
    """STIG and CIS order cores off: the conflict is named, and the remedy is an exception."""
    found = judged(host("|/bin/false"), Terms(baseline=baseline))
    assert found.state is FAIL
    assert ("KDP-004" in found.text) == named
    assert ("exception" in (found.remedy or "")) == named


def test_the_incidents_host_keeps_its_cores():
    """A file pattern and no LimitCORE=0: nothing to say."""
    assert judged(seed_host()).state is PASS
