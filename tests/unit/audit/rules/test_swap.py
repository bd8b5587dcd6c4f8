"""SWP, OVC and MEM, each on both sides of its threshold."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, seed_like, with_sysctls

from forestall.audit.rules import swap
from forestall.model.finding import FindingState, Severity
from forestall.model.sample import HostSample


def memory(facts, **changes):
    return replace(facts, memory=replace(facts.memory, **changes))


@pytest.mark.parametrize(
    ("total", "swap_total", "found"),
    [
        (32 * GIB, 4 * GIB, True),
        (32 * GIB, 15 * GIB, True),
        (32 * GIB, 16 * GIB - 4096, False),
        (8 * GIB, 4 * GIB, True),
        (8 * GIB, 8 * GIB, False),
        (GIB, 0, False),
    ],
)
def test_database_table(total, swap_total, found):
    """As much swap as memory up to 16 GiB, 16 GiB above; rounding is no shortage."""
    facts = memory(seed_like(), mem_total_bytes=total, swap_total_bytes=swap_total)
    assert (swap.swap_below_database_table(facts) is not None) == found


def test_database_table_is_for_database_hosts():
    """No database, a small one beside much memory, or a container: the table does not apply."""
    assert swap.swap_below_database_table(seed_like(databases=())) is None
    small = holder("postgres", 800, GIB)
    facts = seed_like(databases=(small,), holders=(small,), units=())
    assert swap.swap_below_database_table(facts) is None
    assert swap.swap_below_database_table(seed_like(container="docker")) is None


def test_remedy_adds_what_is_missing():
    """4 of 16 GiB are there, so 12 are to be added."""
    found = swap.swap_below_database_table(seed_like())
    assert found is not None
    assert "add 12 GiB of swap" in found.remedy
    assert "count=12288" in found.remedy


@pytest.mark.parametrize(("free", "found"), [(0, True), (GIB // 10, True), (3 * GIB, False)])
def test_swap_nearly_full(free, found):
    """Found above nine tenths used."""
    facts = memory(healthy(), swap_total_bytes=16 * GIB, swap_free_bytes=free)
    assert (swap.swap_nearly_full(facts) is not None) == found


def test_no_swap_is_not_full_swap():
    """A host without swap is not told that its swap is full."""
    assert swap.swap_nearly_full(memory(healthy(), swap_total_bytes=0, swap_free_bytes=0)) is None


@pytest.mark.parametrize(
    ("swap_total", "guards", "state"),
    [
        (0, (), FindingState.FAIL),
        (0, ("forestall",), FindingState.FAIL),
        (0, None, FindingState.UNKNOWN),
        (0, ("earlyoom",), None),
        (0, ("systemd-oomd",), None),
        (GIB, (), None),
        (None, (), None),
    ],
)
def test_nothing_before_the_kernel(swap_total, guards, state):
    """Found only where there is neither; forestall observes by default and is not counted."""
    facts = memory(healthy(guards=guards), swap_total_bytes=swap_total)
    found = swap.nothing_before_the_kernel(facts)
    assert (found.state if found else None) == state


@pytest.mark.parametrize(
    ("mode", "committed", "found"),
    [("2", 9 * GIB, True), ("2", 8 * GIB, False), ("0", 20 * GIB, False), ("2", None, False)],
)
def test_commit_limit(mode, committed, found):
    """The commit limit only matters in mode 2; in mode 0 the same numbers mean nothing."""
    facts = with_sysctls(
        healthy(commit_limit_bytes=10 * GIB, committed_bytes=committed), vm__overcommit_memory=mode
    )
    assert (swap.commit_limit_near(facts) is not None) == found


def test_always_overcommit_is_redis_own_wish():
    """1 is a note, and none where Redis asks for it."""
    facts = with_sysctls(healthy(), vm__overcommit_memory="1")
    assert swap.always_overcommit(facts) is not None
    assert swap.always_overcommit(replace(facts, databases=(holder("redis-server", 9),))) is None


def test_little_left_is_now():
    """Below a tenth it is not about tonight, and nothing is graver."""
    facts = memory(seed_like(), mem_available_bytes=GIB, swap_free_bytes=GIB)
    found = swap.little_left(facts)
    assert found is not None
    assert found.severity is Severity.CRITICAL
    assert swap.little_left(seed_like()) is None
    assert swap.little_left(healthy(memory=HostSample())) is None
