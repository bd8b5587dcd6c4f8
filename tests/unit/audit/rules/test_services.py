"""LIM, SVC and OOM, each on both sides of its threshold."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, seed_like, unit, with_sysctls

from forestall.audit.rules import services
from forestall.model.finding import FindingState

OWN = "/etc/systemd/system/x.service"


def test_unlimited_beside_a_database():
    """The site's own service without a limit is found, with the setting this systemd knows."""
    found = services.unlimited_beside_database(seed_like())
    assert found is not None
    assert "feed-sync.service may take all the memory" in found.text
    assert "feed-sync.service MemoryLimit=SIZE" in found.remedy
    newer = services.unlimited_beside_database(seed_like(systemd_version=252))
    assert newer is not None
    assert "MemoryMax=SIZE" in newer.remedy


@pytest.mark.parametrize(
    "units",
    [
        (unit("x.service", main_pid=1, fragment_path=OWN, memory_max_bytes=GIB),),
        (unit("x.service", main_pid=1, fragment_path="/usr/lib/systemd/system/x.service"),),
        (unit("postgresql.service", main_pid=1, fragment_path=OWN),),
        (unit("x.service", active=False, fragment_path=OWN),),
    ],
    ids=["limited", "distribution's", "the database itself", "stopped"],
)
def test_not_unlimited_beside_a_database(units):
    """Each of these is no danger that a limit on a service of the site would avert."""
    assert services.unlimited_beside_database(seed_like(units=units)) is None


def test_without_a_database_a_missing_limit_is_no_finding():
    """Every distribution ships services without limits; beside a database it matters."""
    assert services.unlimited_beside_database(seed_like(databases=())) is None


@pytest.mark.parametrize(
    "units", [None, (unit("x.service", main_pid=1, limit_known=False, fragment_path=OWN),)]
)
def test_limits_not_told_are_unknown(units):
    """No systemd, or one that names no limit: UNKNOWN with its reason."""
    facts = seed_like(units=units, unseen={"units": "systemd does not run here"})
    found = services.unlimited_beside_database(facts)
    assert found is not None
    assert found.state is FindingState.UNKNOWN


def test_stays_dead():
    """Restart=no of the site's own service, but not that of the database or a distribution's."""
    found = services.stays_dead(seed_like())
    assert found is not None
    assert found.text == "feed-sync.service is not started again after a kill: Restart=no."
    again = unit("x.service", main_pid=1, fragment_path=OWN, restart="always")
    assert services.stays_dead(seed_like(units=(again,))) is None


def database_host(adjust):
    """A host whose OOM killer judges a database with `adjust`."""
    main = holder("postgres", 800, GIB, 700, adjust)
    return healthy(databases=(main,), holders=(main,))


@pytest.mark.parametrize(
    ("adjust", "state"),
    [(0, FindingState.FAIL), (-100, FindingState.FAIL), (None, FindingState.UNKNOWN)],
)
def test_database_not_protected(adjust, state):
    """Judged like any other, or not known: both are found."""
    found = services.database_not_protected(database_host(adjust))
    assert found is not None
    assert found.state is state


@pytest.mark.parametrize("adjust", [-500, -900, -1000])
def test_database_protected(adjust):
    """From -500 down it is protected."""
    assert services.database_not_protected(database_host(adjust)) is None


def test_no_score_helps_against_a_panic():
    """Where the host panics nobody is picked, so an unprotected database is no finding."""
    facts = with_sysctls(database_host(0), vm__panic_on_oom="1")
    assert services.database_not_protected(facts) is None


def test_unkillable_holder():
    """A large exempt process makes the rest die for it; a small one does not matter."""
    large = holder("java", 5, 4 * GIB, 0, -1000)
    found = services.unkillable_holder(healthy(holders=(large,)))
    assert found is not None
    assert "4.0 GiB" in found.text
    small = replace(large, process=replace(large.process, rss_bytes=GIB // 4))
    assert services.unkillable_holder(healthy(holders=(small,))) is None
