"""MEM-001, and the optional LMT-001 and CGR-001."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, cgroup, healthy, holder, seed_like, unit

from forestall.audit.posture import Posture
from forestall.audit.rules import cgr001_limits_ignored as cgr001
from forestall.audit.rules import lmt001_login_limits as lmt001
from forestall.audit.rules import mem001_little_left as mem001
from forestall.model.facts import SwapDevice, UserLimit
from forestall.model.finding import FindingState, Severity
from forestall.model.sample import HostSample

FAIL, UNKNOWN = FindingState.FAIL, FindingState.UNKNOWN
PASS, NOT_APPLICABLE = FindingState.PASS, FindingState.NOT_APPLICABLE
MIB = 1024**2


def judged(rule, facts):
    return rule.RULE.judge(Posture(facts))


def memory(facts, **changes):
    return replace(facts, memory=replace(facts.memory, **changes))


@pytest.mark.parametrize(
    ("available", "swap_free", "state"),
    [
        (GIB, GIB, FAIL),
        (3 * GIB, GIB, PASS),
        (None, GIB, UNKNOWN),
        (GIB, None, UNKNOWN),
        (9 * GIB, None, PASS),
    ],
)
def test_little_left_is_now(available, swap_free, state):
    """Below a tenth of 32 + 4 GiB it is not about tonight, and nothing is graver."""
    facts = memory(seed_like(), mem_available_bytes=available, swap_free_bytes=swap_free)
    found = judged(mem001, facts)
    assert found.state is state
    assert mem001.RULE.severity is Severity.CRITICAL
    assert state is not FAIL or "GiB of 36 GiB left" in found.text


def test_little_left_where_swap_was_not_read():
    """A host without swap has none free; a limit that is tighter does not ask for swap."""
    facts = memory(seed_like(), mem_available_bytes=GIB, swap_free_bytes=None)
    assert judged(mem001, memory(facts, swap_total_bytes=0)).state is FAIL
    assert judged(mem001, memory(facts, swap_total_bytes=None)).state is UNKNOWN
    tight = cgroup("/", max_bytes=GIB, current_bytes=GIB - MIB, file_bytes=0)
    inside = replace(facts, container="docker", own_cgroups=(tight,))
    assert judged(mem001, inside).state is FAIL


def test_little_left_to_the_byte():
    """A tenth is enough."""
    facts = memory(healthy(), mem_total_bytes=10 * GIB, swap_total_bytes=0, swap_free_bytes=0)
    assert judged(mem001, memory(facts, mem_available_bytes=GIB)).state is PASS
    assert judged(mem001, memory(facts, mem_available_bytes=GIB - 1)).state is FAIL


def test_little_left_below_a_limit():
    """A container is judged by its own limit, a host never by that of the unit an audit runs in."""
    tight = cgroup("/", max_bytes=512 * MIB, current_bytes=500 * MIB, file_bytes=0)
    found = judged(mem001, healthy(container="docker", own_cgroups=(tight,)))
    assert found.state is FAIL
    assert "12 MiB of 512 MiB left below this container's limit" in found.text
    assert judged(mem001, healthy(own_cgroups=(tight,))).state is PASS
    wide = cgroup("/", max_bytes=512 * MIB, current_bytes=100 * MIB, file_bytes=0)
    assert judged(mem001, healthy(own_cgroups=(wide,))).state is PASS


def test_a_host_is_not_judged_by_the_audits_own_limit():
    """400 MiB of 32 GiB are left, though the timer's unit has most of its 200 MiB."""
    own = cgroup("/system.slice/audit.service", max_bytes=200 * MIB, current_bytes=40 * MIB)
    facts = replace(seed_like(), own_cgroups=(own,))
    gone = memory(facts, mem_available_bytes=400 * MIB, swap_free_bytes=0)
    found = judged(mem001, gone)
    assert found.state is FAIL
    assert "400 MiB of 36 GiB left" in found.text


def with_swap(kind, used):
    """16 GiB with 0.3 available and 16 of swap."""
    swap = SwapDevice(name="/dev/x", kind=kind, size_bytes=16 * GIB, used_bytes=used)
    return memory(
        healthy(swaps=(swap,)),
        mem_available_bytes=300 * MIB,
        swap_total_bytes=16 * GIB,
        swap_free_bytes=16 * GIB - used,
    )


def test_free_zram_is_no_free_memory():
    """How far it goes depends on what pages compress to; where that decides, nobody can tell."""
    assert judged(mem001, with_swap("partition", GIB)).state is PASS
    told = judged(mem001, with_swap("zram", GIB))
    assert told.state is UNKNOWN
    assert "how well zram compresses" in told.text
    assert judged(mem001, with_swap("zram", 15 * GIB)).state is FAIL
    unread = replace(with_swap("zram", GIB), swaps=None)
    assert "was not read" in judged(mem001, unread).text
    plenty = memory(with_swap("zram", GIB), mem_available_bytes=2 * GIB)
    assert judged(mem001, plenty).state is PASS


def test_enough_is_enough_on_any_host():
    """552 GiB of 6 TiB are not nearly nothing, 31 GiB are."""
    huge = memory(healthy(), mem_total_bytes=6 * 1024 * GIB, swap_total_bytes=0, swap_free_bytes=0)
    assert judged(mem001, memory(huge, mem_available_bytes=552 * GIB)).state is PASS
    assert judged(mem001, memory(huge, mem_available_bytes=31 * GIB)).state is FAIL


def test_huge_pages_are_no_ordinary_memory():
    """Of 128 GiB 120 are set aside: 2 of the other 8 are left."""
    facts = replace(
        memory(healthy(), mem_total_bytes=128 * GIB, swap_total_bytes=0, swap_free_bytes=0),
        hugetlb_bytes=120 * GIB,
    )
    assert judged(mem001, memory(facts, mem_available_bytes=2 * GIB)).state is PASS
    assert judged(mem001, memory(facts, mem_available_bytes=MIB)).state is FAIL


def test_a_host_without_memory_was_not_read():
    """MemTotal 0 is nobody's: every rule takes it for one that was not read."""
    none = memory(healthy(), mem_total_bytes=0)
    assert judged(mem001, none).state is UNKNOWN
    assert Posture(none).facts.memory.mem_total_bytes is None


def test_nothing_read_is_unknown():
    """A host whose meminfo was not read has an unknown amount left."""
    assert judged(mem001, healthy(memory=HostSample())).state is UNKNOWN


def limit(item, value, domain="*", kind="hard"):
    return UserLimit(domain=domain, kind=kind, item=item, value=value)


@pytest.mark.parametrize(
    ("limits", "state"),
    [
        ((), PASS),
        ((limit("as", "4194304"),), FAIL),
        ((limit("as", "unlimited"),), PASS),
        ((limit("as", "4194304", "guest"),), PASS),
        ((limit("nofile", "1024"),), PASS),
        ((limit("memlock", "64"),), PASS),
        (None, UNKNOWN),
    ],
)
def test_login_limits(limits, state):
    """A limit on address space for all, or for a database's user."""
    assert judged(lmt001, healthy(user_limits=limits)).state is state


@pytest.mark.parametrize(
    ("value", "state"),
    [("64", FAIL), ("8388608", PASS), ("unlimited", PASS), ("rubbish", PASS)],
)
def test_memlock_below_the_huge_pages_of_oracle(value, state):
    """4096 pages of 2 MiB need 8 GiB locked; only Oracle asks limits.conf for that."""
    facts = healthy(
        user_limits=(limit("memlock", value, "oracle"),),
        hugepages_total=4096,
        hugepage_bytes=2 * MIB,
        databases=(holder("ora_pmon_ORCL", 9),),
    )
    assert judged(lmt001, facts).state is state
    assert judged(lmt001, replace(facts, databases=())).state is PASS


@pytest.mark.parametrize(
    "user", ["*", "postgres", "@postgres", "mysql", "oracle", "@oinstall", "@dba"]
)
def test_whose_address_space(user):
    """Everybody's, or one of those that databases run as."""
    assert judged(lmt001, healthy(user_limits=(limit("as", "1", user),))).state is FAIL


@pytest.mark.parametrize("value", ["unlimited", "infinity", "-1"])
def test_no_limit_is_none(value):
    """However it is written."""
    assert judged(lmt001, healthy(user_limits=(limit("as", value),))).state is PASS


@pytest.mark.parametrize(
    ("user", "state"),
    [("*", FAIL), ("oracle", FAIL), ("@oinstall", FAIL), ("@dba", FAIL), ("postgres", PASS)],
)
def test_whose_locked_memory(user, state):
    """That of Oracle's users, to the KiB; a process of it is enough to know it by."""
    facts = healthy(
        user_limits=(limit("memlock", "8388607", user),),
        hugepages_total=4096,
        hugepage_bytes=2 * MIB,
        holders=(holder("ora_dbw0_ORCL", 9),),
    )
    assert judged(lmt001, facts).state is state
    enough = replace(facts, user_limits=(limit("memlock", "8388608", user),))
    assert judged(lmt001, enough).state is PASS
    files = replace(facts, user_limits=(limit("nofile", "64", "oracle"),))
    assert judged(lmt001, files).state is PASS
    unread = replace(facts, hugepage_bytes=None)
    assert judged(lmt001, unread).state is PASS


def test_login_limits_are_named():
    """Three of them, each as it is written, and their places."""
    rest = [limit("as", str(n)) for n in range(1, 5)]
    found = judged(lmt001, healthy(user_limits=(limit("nofile", "1"), *rest)))
    assert found.text.endswith(": * hard as 1; * hard as 2; * hard as 3.")
    assert found.reads == tuple(f"/user_limits/{n}/value" for n in (1, 2, 3))
    unread = judged(lmt001, healthy(user_limits=None))
    assert unread.text == "How logins are limited is unknown: limits.conf was not read."


def test_login_limits_of_a_container():
    """Nobody logs in there."""
    facts = healthy(container="docker", user_limits=None)
    assert judged(lmt001, facts).state is NOT_APPLICABLE


HIGH = unit("x.service", main_pid=1, memory_high_bytes=GIB)
BOTH = unit("x.service", main_pid=1, memory_high_bytes=GIB, memory_max_bytes=2 * GIB)
SWAP = unit("x.service", main_pid=1, swap_max_bytes=0, memory_max_bytes=GIB)
PLAIN = unit("x.service", main_pid=1, memory_max_bytes=GIB)


@pytest.mark.parametrize(
    ("version", "units", "state", "severity"),
    [
        (1, (HIGH,), FAIL, Severity.MEDIUM),
        (1, (BOTH,), FAIL, Severity.LOW),
        (1, (SWAP,), FAIL, Severity.LOW),
        (1, (PLAIN,), PASS, None),
        (2, (HIGH,), PASS, None),
        (None, (HIGH,), UNKNOWN, None),
        (1, None, UNKNOWN, None),
    ],
)
def test_limits_ignored(version, units, state, severity):
    """Version 1 has neither setting; a service with nothing else is unlimited."""
    found = judged(cgr001, healthy(cgroup_version=version, cgroup_hybrid=False, units=units))
    assert (found.state, found.severity) == (state, severity)


def test_the_hybrid_layout_is_named():
    """There the memory controller is on version 1, although version 2 is mounted."""
    found = judged(cgr001, healthy(cgroup_version=1, cgroup_hybrid=True, units=(HIGH,)))
    assert found.text.startswith("the hybrid layout ignores the MemoryHigh= of x.service")
    inside = healthy(cgroup_version=1, units=(HIGH,), container="docker")
    assert judged(cgr001, inside).state is NOT_APPLICABLE


def test_ignored_limits_are_named_with_their_settings():
    """Each setting that is asked for; of one bare service that nothing else holds it."""
    one = judged(cgr001, healthy(cgroup_version=1, units=(HIGH,)))
    assert one.text.endswith("MemoryHigh= of x.service, and nothing else limits it.")
    assert judged(cgr001, healthy(cgroup_version=1, units=(BOTH,))).text.endswith("of x.service.")
    idle = unit("y.service", active=False, memory_high_bytes=GIB)
    several = judged(cgr001, healthy(cgroup_version=1, units=(idle, SWAP, HIGH)))
    assert several.severity is Severity.MEDIUM
    assert several.text == (
        "cgroup version 1 ignores the MemoryHigh= and MemorySwapMax= of x.service, x.service."
    )
    assert several.reads == (
        "/cgroup_version",
        "/units/1/swap_max_bytes",
        "/units/2/memory_high_bytes",
    )
    three = judged(cgr001, healthy(cgroup_version=1, units=(SWAP,) * 3))
    assert three.text.endswith("MemorySwapMax= of x.service, x.service, x.service.")
    four = judged(cgr001, healthy(cgroup_version=1, units=(SWAP,) * 4))
    assert four.text.endswith("x.service and 1 more.")
    assert len(four.reads) == 4


def test_they_run_only_when_asked_for():
    """Both are optional."""
    assert lmt001.RULE.optional
    assert cgr001.RULE.optional


def test_a_kernel_without_the_memory_controller():
    """Whatever the cgroup version: nothing is limited, and a container cannot change that."""
    cmdline = "ro cgroup_disable=memory"
    found = judged(cgr001, healthy(cgroup_version=2, cmdline=cmdline))
    assert (found.state, found.severity) == (FAIL, Severity.HIGH)
    assert found.reads == ("/cmdline",)
    assert judged(cgr001, healthy(cmdline=cmdline, container="lxc")).state is not FAIL
