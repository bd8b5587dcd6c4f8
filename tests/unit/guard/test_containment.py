"""What a containment sets: tight enough to hold a leak, never looser than before, never others."""

import dataclasses

import pytest

from forestall.errors import InputError
from forestall.guard.containment import (
    GROWTH_BYTES_MAX,
    GROWTH_BYTES_MIN,
    Containment,
    ContainMethod,
    Surroundings,
    containment_of,
    from_parameters,
    own_folder,
    to_parameters,
    unit_folder,
)
from forestall.model.sample import CgroupSample
from forestall.units import GIB, MIB

CGROUP = "/system.slice/feed-sync.service"
HELD = CgroupSample(path=CGROUP, current_bytes=400 * MIB, file_bytes=100 * MIB)
AROUND = Surroundings(
    cgroup=CGROUP,
    version=2,
    headroom_bytes=1 * GIB,
    sample=HELD,
    unit="feed-sync.service",
    unit_cgroup=CGROUP,
    systemd=True,
)


def around(**changes):
    return dataclasses.replace(AROUND, **changes)


def test_a_unit_is_slowed_down_from_what_it_holds_and_limited_an_eighth_above():
    """300 MiB are its own, 100 MiB cache of which as much stays as it may grow: 128 MiB."""
    found = containment_of(AROUND)
    assert found == Containment(
        method=ContainMethod.SYSTEMD,
        unit="feed-sync.service",
        cgroup=CGROUP,
        version=2,
        high_bytes=400 * MIB,
        max_bytes=528 * MIB,
    )
    assert found.sentence == (
        "contain feed-sync.service: slow it down from 400 MiB and limit it to 528 MiB"
    )


def test_what_a_contained_service_may_take_is_bounded_by_what_is_left():
    """At most a quarter of the headroom, in place of its cache and above; never nothing."""
    for headroom in (0, 1 * MIB, 100 * MIB, 1 * GIB, 100 * GIB):
        found = containment_of(around(headroom_bytes=headroom))
        unreclaimable = found.max_bytes - (HELD.current_bytes - HELD.file_bytes)
        assert unreclaimable <= max(headroom / 4, 2 * GROWTH_BYTES_MIN)
        assert unreclaimable <= 2 * GROWTH_BYTES_MAX
        assert found.max_bytes - found.high_bytes >= GROWTH_BYTES_MIN


def test_under_panic_on_oom_2_it_is_only_slowed_down():
    """A cgroup's OOM panics the host then, so no limit is set that could bring one about."""
    found = containment_of(around(panic_on_oom=2))
    assert found.high_bytes == 400 * MIB
    assert found.max_bytes is None


def test_v1_has_a_hard_limit_only_and_none_under_panic_on_oom_2():
    """Nothing on v1 slows down, so where a limit would panic there is nothing to do."""
    found = containment_of(around(version=1))
    assert found.high_bytes is None
    assert found.max_bytes == 528 * MIB
    assert "panic_on_oom=2" in containment_of(around(version=1, panic_on_oom=2))


def test_a_tighter_limit_stays():
    """A cgroup that cannot take the host's memory is contained already; a tighter high stays."""
    sample = dataclasses.replace(HELD, max_bytes=450 * MIB)
    assert "contained already" in containment_of(around(sample=sample))
    sample = dataclasses.replace(HELD, max_bytes=4 * GIB, high_bytes=350 * MIB)
    found = containment_of(around(sample=sample))
    assert found.high_bytes == found.before_high_bytes == 350 * MIB
    assert found.max_bytes == 528 * MIB
    assert found.before_max_bytes == 4 * GIB


@pytest.mark.parametrize(
    ("changes", "method", "cgroup"),
    [
        ({"systemd": False}, ContainMethod.CGROUP, CGROUP),
        ({"user_unit": True}, ContainMethod.CGROUP, CGROUP),
        ({"cgroup": f"{CGROUP}/worker"}, ContainMethod.SYSTEMD, CGROUP),
        (
            {"unit": None, "unit_cgroup": None, "cgroup": "/docker/abc"},
            ContainMethod.CGROUP,
            "/docker/abc",
        ),
        (
            {"unit": None, "unit_cgroup": None, "cgroup": "/shared", "shared": True},
            ContainMethod.OWN_CGROUP,
            "/shared",
        ),
        ({"unit": None, "unit_cgroup": None, "cgroup": "/"}, ContainMethod.OWN_CGROUP, "/"),
        (
            {"unit": None, "unit_cgroup": None, "cgroup": "/a.slice"},
            ContainMethod.OWN_CGROUP,
            "/a.slice",
        ),
        # RHEL 7: a unit that is not accounted for lies in the root of the memory hierarchy.
        ({"unit_cgroup": None, "cgroup": "/", "version": 1}, ContainMethod.OWN_CGROUP, "/"),
        (
            {"unit": "cron.service", "unit_cgroup": "/system.slice/cron.service"},
            ContainMethod.OWN_CGROUP,
            CGROUP,
        ),
        (
            {"unit": "session-3.scope", "unit_cgroup": "/user.slice/session-3.scope"},
            ContainMethod.OWN_CGROUP,
            CGROUP,
        ),
    ],
)
def test_how_it_is_contained_follows_from_where_it_lies(changes, method, cgroup):
    """A unit by systemd, a cgroup of its own by its files, and else a new one for its tree."""
    found = containment_of(around(**changes))
    assert (found.method, found.cgroup) == (method, cgroup)


def test_an_own_cgroup_is_limited_by_what_it_may_grow():
    """It starts empty, and lies where the limits above go on to hold."""
    shared = around(unit=None, unit_cgroup=None, cgroup="/a.slice/shared", shared=True)
    found = containment_of(shared)
    assert (found.high_bytes, found.max_bytes) == (128 * MIB, 256 * MIB)
    assert (found.before_high_bytes, found.before_max_bytes) == (None, None)
    assert own_folder(found, 7) == "/a.slice/forestall-contain-7"
    assert own_folder(dataclasses.replace(found, version=1), 7) == (
        "/a.slice/shared/forestall-contain-7"
    )
    assert own_folder(dataclasses.replace(found, cgroup="/"), 7) == "/forestall-contain-7"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"problem": "it is read-only"}, "it is read-only"),
        ({"version": None}, "no memory controller"),
        ({"cgroup": None}, "no memory controller"),
        ({"headroom_bytes": None}, "not known"),
        ({"sample": None}, "not accounted for"),
    ],
)
def test_what_cannot_be_contained_is_a_sentence(changes, words):
    """No guess is made where something is not known."""
    found = containment_of(around(**changes))
    assert isinstance(found, str)
    assert words in found
    assert found.endswith(".")


@pytest.mark.parametrize(
    "containment",
    [
        containment_of(AROUND),
        containment_of(around(panic_on_oom=2)),
        containment_of(around(version=1)),
        containment_of(around(cgroup="/", unit=None, unit_cgroup=None)),
    ],
)
def test_parameters_hold_all_of_a_containment(containment):
    """The plan in the ledger is enough to undo it."""
    parameters = to_parameters(containment)
    assert all(isinstance(value, str) for value in parameters.values())
    assert from_parameters(parameters) == containment


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "wish"},
        {"version": "3"},
        {"cgroup": "../etc"},
        {"cgroup": "/a/../../etc"},
        {"cgroup": "//etc"},
        {"cgroup": "/"},
        {"cgroup": "/a\nb"},
        {"max_bytes": "-1"},
        {"max_bytes": "1e9"},
        {"high_bytes": ""},
        {"unit": "--now"},
        {"unit": "a b.service"},
    ],
)
def test_damaged_parameters_are_refused(changes):
    """What would lead out of the hierarchy, or be an option to systemctl, is no containment."""
    with pytest.raises(InputError, match="no containment in"):
        from_parameters({**to_parameters(containment_of(AROUND)), **changes})


def test_the_folder_of_a_unit_is_found_above_its_processes():
    """A service may have cgroups of its own below; the limit is set on the whole."""
    assert unit_folder(f"{CGROUP}/a/b", "feed-sync.service") == CGROUP
    assert unit_folder("/x/_feed.service", "feed.service") == "/x/_feed.service"
    assert unit_folder("/", "feed-sync.service") is None
    assert unit_folder(None, "feed-sync.service") is None
