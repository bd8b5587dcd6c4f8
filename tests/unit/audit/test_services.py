"""Which services have a limit, and which of them are the site's own."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, seed_like, unit

from forestall.audit.services import (
    is_running,
    own_services,
    services,
    services_beside,
    slices_above,
    unlimited_text,
)
from forestall.units import MIB


def test_the_sites_own_come_first_then_the_larger():
    """A reader looks for what the site itself put there."""
    facts = healthy(
        units=(
            unit(
                "big-distro.service",
                main_pid=1,
                memory_current_bytes=4 * GIB,
                fragment_path="/usr/lib/systemd/system/big-distro.service",
            ),
            unit(
                "own-small.service",
                main_pid=2,
                memory_current_bytes=GIB,
                fragment_path="/etc/systemd/system/own-small.service",
            ),
            unit(
                "own-large.service",
                main_pid=3,
                memory_current_bytes=2 * GIB,
                fragment_path="/run/systemd/transient/own-large.service",
            ),
        )
    )
    names = [service.name for service in services(facts)]
    assert names == ["own-large.service", "own-small.service", "big-distro.service"]


def test_only_what_runs():
    """A oneshot that ended is active and holds nothing; a stopped service is no danger tonight."""
    facts = healthy(
        units=(
            unit("ended.service"),
            unit("stopped.service", active=False, main_pid=5),
            unit("runs.service", main_pid=6),
            unit("accounted.service", memory_current_bytes=GIB),
        )
    )
    assert {service.name for service in services(facts)} == {"runs.service", "accounted.service"}


def test_limit_is_max_or_high_or_unknown():
    """MemoryHigh is a limit too, and what systemd did not tell is not "no limit"."""
    facts = healthy(
        units=(
            unit("max.service", main_pid=1, memory_max_bytes=GIB),
            unit("high.service", main_pid=2, memory_high_bytes=GIB),
            unit("none.service", main_pid=3),
            unit("untold.service", main_pid=4, limit_known=False),
        )
    )
    found = {service.name: service.limited for service in services(facts)}
    assert found == {
        "max.service": True,
        "high.service": True,
        "none.service": False,
        "untold.service": None,
    }


def test_memory_without_accounting_comes_from_processes():
    """systemd 219 does not account by default; then the seen processes are added up."""
    facts = seed_like(
        units=(unit("feed-sync.service", main_pid=1),),
        holders=(
            holder("a", 1, GIB, unit="feed-sync.service"),
            holder("b", 2, 2 * GIB, unit="feed-sync.service"),
        ),
    )
    assert services(facts)[0].memory_bytes == 3 * GIB


def test_a_databases_shared_memory_is_not_added_up():
    """Each PostgreSQL process shows the shared buffers; their sum would count them many times."""
    main = holder("postgres", 1, 4 * GIB, unit="postgresql.service")
    facts = seed_like(
        units=(unit("postgresql.service", main_pid=1),),
        databases=(main,),
        holders=(main, holder("postgres", 2, 4 * GIB, unit="postgresql.service")),
    )
    assert services(facts)[0].memory_bytes == 4 * GIB


def test_unknown_says_why():
    """No systemd, no services: the reason is given, not "all fine"."""
    facts = healthy(units=None, unseen={"units": "systemd does not run here"})
    assert unlimited_text(facts, services(facts)) == "Unknown: systemd does not run here."


def test_counts_in_words():
    """The sentence counts running services only."""
    facts = seed_like()
    assert unlimited_text(facts, services(facts)) == (
        "2 of 2 running services have no memory limit: each may take all that is left."
    )
    assert unlimited_text(healthy(), services(healthy())) == (
        "The one running service has a memory limit."
    )


def test_a_limit_of_a_slice_counts():
    """The tightest of a service's own limit and those of the slices above it."""
    facts = healthy(
        units=(
            unit("inside.service", main_pid=1, slice="work-feeds.slice"),
            unit("tighter.service", main_pid=2, slice="work.slice", memory_max_bytes=GIB),
            unit("outside.service", main_pid=3, slice="system.slice"),
        ),
        slices=(unit("work.slice", memory_max_bytes=2 * GIB), unit("system.slice")),
    )
    found = {one.name: (one.limited, one.limit_bytes) for one in services(facts)}
    assert found == {
        "inside.service": (True, 2 * GIB),
        "tighter.service": (True, GIB),
        "outside.service": (False, None),
    }


def test_units_of_packages_below_etc_are_not_the_sites():
    """snapd writes its units there, and NixOS all of them."""
    path = "/etc/systemd/system/x.service"
    snap = unit("snap.lxd.daemon.service", main_pid=1, fragment_path=path)
    other = unit("x.service", main_pid=2, fragment_path=path)
    assert [one.name for one in own_services(healthy(units=(snap, other)))] == ["x.service"]
    nix = healthy(units=(other,), os_id="nixos")
    assert own_services(nix) == ()
    assert [one.own for one in services(nix)] == [False]


def test_own_services_are_those_of_services():
    """Passing over the distribution's units changes nothing about the site's own."""
    facts = seed_like()
    expected = tuple(one for one in services(facts) if one.own and not one.database)
    assert own_services(facts) == expected
    assert [one.name for one in expected] == ["feed-sync.service"]


def test_slices_nest_by_name():
    """a-b-c.slice lies in a-b.slice, which lies in a.slice."""
    assert list(slices_above("a-b-c.slice")) == ["a-b-c.slice", "a-b.slice", "a.slice"]
    assert list(slices_above("-.slice")) == []
    assert list(slices_above(None)) == []


@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        ({"active": True, "main_pid": 7}, True),
        ({"active": True, "memory_current_bytes": 4096}, True),
        ({"active": True, "task_count": 3}, True),
        ({"active": True, "service_type": "forking"}, True),
        ({"active": True, "service_type": "oneshot", "task_count": 0}, False),
        ({"active": True, "memory_current_bytes": 4096, "task_count": 0}, False),
        ({"active": True}, False),
        ({"active": False, "main_pid": 7}, False),
        ({"active": None, "main_pid": 7}, True),
        ({"active": None, "service_type": "forking"}, False),
    ],
)
def test_what_runs(fields, runs):
    """Any sign of a process; what daemonised itself has none where systemd accounts nothing."""
    assert is_running(unit("x.service", **fields)) is runs


def test_a_process_that_was_seen_is_proof():
    """Of what daemonised itself systemd may know nothing; a unit that was stopped has none."""
    own = unit("x.service", fragment_path="/etc/systemd/system/x.service")
    facts = healthy(units=(own,), holders=(holder("java", 77, GIB, unit="x.service"),))
    assert [one.name for one in own_services(facts)] == ["x.service"]
    assert own_services(healthy(units=(own,), holders=())) == ()
    assert not is_running(unit("x.service", active=False), frozenset(["x.service"]))


def test_a_database_is_not_beside_itself():
    """One whose main process's unit was not seen is known by its sessions' unit."""
    main = holder("postgres", 800, 8 * GIB)
    session = holder("postgres", 801, 8 * GIB, unit="postgresql.service")
    java = holder("java", 900, 8 * GIB, unit="tomcat.service")
    facts = healthy(
        units=(unit("postgresql.service"), unit("tomcat.service")),
        databases=(main,),
        holders=(main, session, java),
    )
    assert [one.name for one in services_beside(facts)] == ["tomcat.service"]


def test_on_a_small_host_everything_is_a_twentieth():
    """A journal of 200 MiB is no leak that came in a package; 600 MiB are much on any host."""
    journal = holder("systemd-journal", 400, 200 * MIB, unit="systemd-journald.service")
    facts = healthy(
        memory=replace(healthy().memory, mem_total_bytes=2 * GIB),
        units=(unit("systemd-journald.service"),),
        holders=(journal,),
    )
    assert services_beside(facts) == ()
    process = replace(journal.process, rss_bytes=600 * MIB)
    large = replace(facts, holders=(replace(journal, process=process),))
    assert [one.name for one in services_beside(large)] == ["systemd-journald.service"]
