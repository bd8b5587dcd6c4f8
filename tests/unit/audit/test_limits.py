"""Limits of the cgroups above this process, and the guards and settings that end a leak."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, cgroup, healthy, with_sysctls

from forestall.audit.limits import limit_comes_first, limit_file, limit_source, tightest_limit
from forestall.audit.settings import kills_who_asks, prompt_guards
from forestall.model.sample import HostSample


def below(left):
    """A cgroup that leaves so much."""
    return cgroup("/box", max_bytes=8 * GIB, current_bytes=8 * GIB - left, file_bytes=0)


def test_the_tightest_limit_is_the_one_that_leaves_least():
    """Whatever its size; cgroups without a limit are none."""
    cgroups = (cgroup("/a"), below(2 * GIB), below(GIB), below(3 * GIB))
    assert tightest_limit(healthy(own_cgroups=cgroups)) == 2
    assert tightest_limit(healthy(own_cgroups=cgroups[:1])) is None
    assert tightest_limit(healthy(own_cgroups=())) is None


@pytest.mark.parametrize(("left", "first"), [(GIB - 4096, True), (GIB, False), (GIB + 1, False)])
def test_a_limit_that_comes_before_the_hosts_end(left, first):
    """Only where less is left below it than on the whole host."""
    memory = HostSample(
        mem_total_bytes=8 * GIB, mem_available_bytes=GIB, swap_total_bytes=0, swap_free_bytes=0
    )
    facts = healthy(memory=memory)
    assert limit_comes_first(facts, below(left)) is first
    assert not limit_comes_first(facts, cgroup("/a"))
    unread = replace(facts, memory=HostSample())
    assert limit_comes_first(unread, below(left))
    assert not limit_comes_first(unread, cgroup("/a"))


def test_where_the_limit_is_found():
    """The file has another name in each version."""
    assert limit_file(healthy(cgroup_version=1)) == "memory.limit_in_bytes"
    assert limit_source(healthy(cgroup_version=2), below(GIB)) == "/box memory.max"


def test_guards_that_act_by_themselves():
    """systemd-oomd and forestall act only where they were told to."""
    guards = ("systemd-oomd", "earlyoom", "nohang", "oomd", "forestall")
    assert prompt_guards(healthy(guards=guards)) == ("earlyoom", "nohang", "oomd")
    assert prompt_guards(healthy(guards=None)) == ()


@pytest.mark.parametrize(("value", "asks"), [("0", False), ("1", True), ("2", True), (None, False)])
def test_who_asks_is_killed(value, asks):
    """By any value but 0; one that was not read is not called so."""
    assert kills_who_asks(with_sysctls(healthy(), vm__oom_kill_allocating_task=value)) is asks
