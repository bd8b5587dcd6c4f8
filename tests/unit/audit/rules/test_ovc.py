"""OVC-001 to OVC-003: the three modes, for whom, and what the switch would do today."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, unit
from tests.fakes.postures import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    database,
    found,
    memory,
    state,
    sysctls,
)

from forestall.audit.posture import Posture
from forestall.audit.rules import (
    ovc001_heuristic,
    ovc002_commit_limit,
    ovc003_always_overcommit,
)
from forestall.audit.rules.shared import overcommit
from forestall.model.finding import Severity

HEURISTIC, NEAR, ALWAYS = (
    ovc001_heuristic.RULE,
    ovc002_commit_limit.RULE,
    (ovc003_always_overcommit.RULE),
)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("2", PASS), ("0", FAIL), ("1", NOT_APPLICABLE), (None, UNKNOWN)],
)
def test_heuristic(mode, expected):
    """PostgreSQL alone on its host wants 2; mode 1 is another rule's."""
    assert state(HEURISTIC, sysctls(database(), vm__overcommit_memory=mode)) is expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (healthy(), NOT_APPLICABLE),
        (healthy(databases=None), UNKNOWN),
        (database("mysqld"), NOT_APPLICABLE),
        (database(rss=GIB // 2), NOT_APPLICABLE),
        (database(container="docker"), NOT_APPLICABLE),
        (database(kubernetes=True), NOT_APPLICABLE),
        (replace(database(), units=None), UNKNOWN),
        (memory(database(), mem_total_bytes=None), UNKNOWN),
    ],
)
def test_heuristic_is_for_postgres(facts, expected):
    """Not for others, nodes, containers; whether it has the host for itself must be seen."""
    assert state(HEURISTIC, facts) is expected
    assert found(HEURISTIC, database("mysqld")).text.startswith("No host for PostgreSQL")


def test_co_tenants_would_be_refused():
    """A service of the site's, another database or a large stranger: not a host of its own."""
    own = unit("app.service", main_pid=7, fragment_path="/etc/systemd/system/app.service")
    told = found(HEURISTIC, replace(database(), units=(*database().units, own)))
    assert told.state is NOT_APPLICABLE
    assert "app.service" in told.text
    redis = replace(database(), databases=(*database().databases, holder("redis-server", 9, GIB)))
    assert found(HEURISTIC, redis).text == "PostgreSQL shares this host with redis-server."
    assert state(HEURISTIC, healthy(), roles=frozenset({"db"})) is NOT_APPLICABLE
    assert state(HEURISTIC, healthy(databases=None), roles=frozenset({"db"})) is UNKNOWN
    session = holder("postgres", 801, 2 * GIB, unit="db.service")
    sessions = replace(database(), holders=(*database().holders, session))
    assert state(HEURISTIC, sessions) is FAIL
    java = replace(database(), holders=(*database().holders, holder("java", 11, 2 * GIB)))
    assert state(HEURISTIC, java) is NOT_APPLICABLE
    small = replace(database(), holders=(*database().holders, holder("rsyslogd", 11, GIB // 10)))
    assert state(HEURISTIC, small) is FAIL


def test_a_stranger_counts_from_a_twentieth_on():
    """1 GiB of 20 is one, a page less is none."""
    facts = memory(database(), mem_total_bytes=20 * GIB)
    for size, expected in ((GIB, NOT_APPLICABLE), (GIB - 4096, FAIL)):
        beside = replace(facts, holders=(*facts.holders, holder("java", 11, size)))
        assert state(HEURISTIC, beside) is expected


def test_four_fifths_fit():
    """16 GiB promised of a limit of 20 fit, a page more is too near."""
    facts = database(hugetlb_bytes=8 * GIB, committed_bytes=16 * GIB)
    assert "it fits" in found(HEURISTIC, facts).text
    assert "too near" in found(HEURISTIC, replace(facts, committed_bytes=16 * GIB + 4096)).text


@pytest.mark.parametrize(
    ("committed", "says", "severity"),
    [
        (10 * GIB, "it fits", Severity.MEDIUM),
        (23 * GIB, "vm.overcommit_ratio=80", Severity.MEDIUM),
        (60 * GIB, "does not fit at any sensible ratio", Severity.LOW),
        (None, "PostgreSQL more memory than there is", Severity.MEDIUM),
    ],
)
def test_the_switch_is_simulated(committed, says, severity):
    """16 GiB of memory and 16 of swap make a limit of 24 at 50 %: does today's promise fit?"""
    facts = database(committed_bytes=committed)
    told = found(HEURISTIC, facts)
    assert told.state is FAIL
    assert says in told.text
    assert told.severity is severity
    if committed == 60 * GIB:
        assert "do not switch yet" in told.remedy


@pytest.mark.parametrize(
    ("settings", "hugetlb", "expected"),
    [
        ({}, 0, 24 * GIB),
        ({"vm__overcommit_ratio": None}, 0, 24 * GIB),
        ({}, 17 * GIB, 16 * GIB),
        ({"vm__overcommit_ratio": "80"}, 0, 16 * GIB + 16 * GIB * 80 // 100),
        ({"vm__overcommit_ratio": "50"}, 8 * GIB, 20 * GIB),
        ({"vm__overcommit_kbytes": str(4 * 1024**2)}, 0, 20 * GIB),
    ],
)
def test_commit_limit_of_the_kernel(settings, hugetlb, expected):
    """vm_commit_limit: huge pages are taken off first, kbytes take the ratio's place."""
    facts = sysctls(healthy(hugetlb_bytes=hugetlb), **settings)
    assert overcommit.limit_bytes(Posture(facts)) == pytest.approx(expected, rel=1e-9)
    assert overcommit.limit_bytes(Posture(memory(facts, mem_total_bytes=None))) is None


@pytest.mark.parametrize(
    ("committed", "changes", "ratio"),
    [
        (76 * GIB, {}, 95),
        (76 * GIB + 1, {}, None),
        (8 * GIB, {}, 50),
        (84 * GIB, {"swap_total_bytes": 10 * GIB}, 95),
        (84 * GIB, {"swap_total_bytes": 9 * GIB}, None),
        (60 * GIB, {"swap_total_bytes": None}, 75),
        (8 * GIB, {"mem_total_bytes": None}, None),
    ],
)
def test_a_ratio_that_leaves_a_fifth(committed, changes, ratio):
    """Of 100 GiB; none above 95, and never less than the kernel's own."""
    facts = memory(healthy(hugetlb_bytes=None), mem_total_bytes=100 * GIB, swap_total_bytes=0)
    assert overcommit.comfortable_ratio(Posture(memory(facts, **changes)), committed) == ratio
    half = replace(facts, hugetlb_bytes=50 * GIB)
    assert overcommit.comfortable_ratio(Posture(half), 38 * GIB) == 95


@pytest.mark.parametrize(
    ("mode", "committed", "expected"),
    [
        ("2", 9 * GIB, FAIL),
        ("2", 9 * GIB - 4096, PASS),
        ("2", None, UNKNOWN),
        ("0", 20 * GIB, NOT_APPLICABLE),
        ("1", 20 * GIB, NOT_APPLICABLE),
        (None, 20 * GIB, UNKNOWN),
    ],
)
def test_commit_limit_near(mode, committed, expected):
    """The commit limit only matters in mode 2; in mode 0 the same numbers mean nothing."""
    facts = sysctls(
        healthy(commit_limit_bytes=10 * GIB, committed_bytes=committed), vm__overcommit_memory=mode
    )
    assert state(NEAR, facts) is expected


def test_commit_limit_without_a_limit():
    """One that was not read, or is nothing, is no limit that is far."""
    facts = sysctls(healthy(committed_bytes=GIB), vm__overcommit_memory="2")
    assert state(NEAR, replace(facts, commit_limit_bytes=None)) is UNKNOWN
    assert state(NEAR, replace(facts, commit_limit_bytes=0)) is UNKNOWN
    other = sysctls(healthy(), vm__overcommit_memory="1")
    assert found(NEAR, other).text == "vm.overcommit_memory=1: the commit limit is not enforced."


def test_ratio_alone_is_no_finding():
    """A low vm.overcommit_ratio in mode 0 is not bad: nothing enforces it."""
    facts = sysctls(
        database(committed_bytes=9 * GIB, commit_limit_bytes=GIB), vm__overcommit_ratio="10"
    )
    assert state(NEAR, facts) is NOT_APPLICABLE


def test_commit_limit_remedy_is_computed():
    """A ratio that leaves a fifth is named; where none does, swap is."""
    near = sysctls(
        healthy(commit_limit_bytes=24 * GIB, committed_bytes=23 * GIB), vm__overcommit_memory="2"
    )
    assert "vm.overcommit_ratio=80" in found(NEAR, near).remedy
    full = replace(near, committed_bytes=60 * GIB)
    assert found(NEAR, full).remedy.startswith("add swap")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (healthy(), FAIL),
        (database(), FAIL),
        (database("redis-server"), NOT_APPLICABLE),
        (database("valkey-server"), NOT_APPLICABLE),
        (database("mongod"), NOT_APPLICABLE),
        (database("keydb-server"), NOT_APPLICABLE),
        (healthy(kubernetes=True), NOT_APPLICABLE),
        (healthy(container="docker"), NOT_APPLICABLE),
        (healthy(databases=None), UNKNOWN),
    ],
)
def test_always_overcommit(facts, expected):
    """1 is asked for by Redis, MongoDB and kubelets, and left over from a guide elsewhere."""
    assert state(ALWAYS, sysctls(facts, vm__overcommit_memory="1")) is expected


def test_who_asks_for_it_may_be_no_known_database():
    """A large keydb-server asks too; below hidepid nobody can tell."""
    asked = sysctls(healthy(), vm__overcommit_memory="1")
    keydb = replace(asked, holders=(holder("keydb-server", 801, 8 * GIB),))
    assert state(ALWAYS, keydb) is NOT_APPLICABLE
    assert state(ALWAYS, replace(asked, hidden_processes=True)) is UNKNOWN


def test_a_host_of_its_own_must_be_seen():
    """Below hidepid PostgreSQL looks alone, and may not be."""
    alone = sysctls(database(), vm__overcommit_memory="0")
    assert state(HEURISTIC, alone) is FAIL
    assert state(HEURISTIC, replace(alone, hidden_processes=True)) is UNKNOWN
    assert state(HEURISTIC, replace(alone, unseen={"holders": "half a list"})) is UNKNOWN


@pytest.mark.parametrize(("mode", "expected"), [("0", PASS), ("2", PASS), (None, UNKNOWN)])
def test_always_overcommit_is_mode_1_alone(mode, expected):
    """The other modes refuse something."""
    assert state(ALWAYS, sysctls(healthy(), vm__overcommit_memory=mode)) is expected


def test_no_memory_no_simulation():
    """Without the size of memory nothing is computed, and the remedy says to look first."""
    told = found(HEURISTIC, memory(database(committed_bytes=GIB), swap_total_bytes=None))
    assert told.state is FAIL
    assert "over a busy week first" in told.remedy
