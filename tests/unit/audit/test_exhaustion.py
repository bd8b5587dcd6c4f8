"""What exhaustion means: every row of the kernel's own table, and nothing guessed."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, cgroup, healthy, holder, process, seed_like, with_sysctls

from forestall.audit.exhaustion import cgroup_exhaustion, exhaustion, host_exhaustion
from forestall.model.codec import from_document, to_document
from forestall.model.finding import Exhaustion, Outcome

MIB = 1024**2


def test_the_sentence_of_the_readme():
    """A host that panics, stays down and keeps no dump is said to, in one line."""
    found = exhaustion(seed_like())
    assert found.headline == (
        "PANIC, not an OOM kill: vm.panic_on_oom=1; and it stays down: kernel.panic=0; "
        "no dump: kdump not armed"
    )
    assert found.outcome is Outcome.PANIC
    assert (found.stays_down, found.reboot_seconds, found.dump) == (True, None, False)


@pytest.mark.parametrize(
    ("panic_on_oom", "overcommit", "outcome"),
    [
        ("0", "0", Outcome.KILL),
        ("0", "1", Outcome.KILL),
        ("0", "2", Outcome.ALLOCATION_FAILS),
        ("1", "0", Outcome.PANIC),
        ("2", "0", Outcome.PANIC),
        ("1", "2", Outcome.PANIC),
        (None, "0", Outcome.UNKNOWN),
        ("rubbish", "0", Outcome.UNKNOWN),
    ],
)
def test_outcome_follows_the_settings(panic_on_oom, overcommit, outcome):
    """panic_on_oom decides first, then strict overcommit; what cannot be read is UNKNOWN."""
    facts = with_sysctls(healthy(), vm__panic_on_oom=panic_on_oom, vm__overcommit_memory=overcommit)
    assert host_exhaustion(facts).outcome is outcome


@pytest.mark.parametrize(
    ("panic", "armed", "stays_down", "reboot_seconds", "words"),
    [
        ("0", False, True, None, "it stays down: kernel.panic=0"),
        ("10", False, False, 10, "it reboots after 10 s: kernel.panic=10"),
        ("-1", False, False, 0, "it reboots at once: kernel.panic=-1"),
        (None, False, None, None, "whether it comes back is unknown"),
        ("0", True, None, None, "kdump is armed: it saves a dump and then reboots"),
        ("0", None, True, None, "whether a dump is kept is unknown"),
    ],
)
def test_what_follows_a_panic(panic, armed, stays_down, reboot_seconds, words):
    """kernel.panic decides, except where an armed crash kernel takes over."""
    facts = with_sysctls(seed_like(crash_kernel_loaded=armed), kernel__panic=panic)
    found = host_exhaustion(facts)
    assert (found.stays_down, found.reboot_seconds) == (stays_down, reboot_seconds)
    assert found.dump is armed
    assert words in found.headline


def test_a_kill_says_nothing_of_reboots():
    """Where no panic is expected, nothing is claimed about what follows one."""
    found = host_exhaustion(with_sysctls(healthy(), kernel__panic="0"))
    assert found.outcome is Outcome.KILL
    assert (found.stays_down, found.reboot_seconds, found.dump) == (None, None, None)


def test_victim_is_the_highest_score_not_the_largest():
    """The kernel goes by score: a small process that volunteers is taken before a large one."""
    facts = healthy(
        holders=(
            holder("postgres", 800, 9 * GIB, 300, -900),
            holder("browser", 900, GIB, 866, 300),
        )
    )
    victim = host_exhaustion(facts).victim
    assert victim is not None
    assert victim.name == "browser"


def test_the_unkillable_and_init_are_never_victims():
    """oom_score_adj -1000 and PID 1 are exempt, whatever score the file shows."""
    facts = healthy(
        holders=(
            holder("systemd", 1, GIB, 999, 0),
            holder("sshd", 20, GIB, 900, -1000),
            holder("worker", 30, GIB, 5, 0),
        )
    )
    victim = host_exhaustion(facts).victim
    assert victim is not None
    assert victim.name == "worker"


def test_a_database_as_victim_is_named_as_one():
    """The reader must see at once that the database is who dies."""
    postgres = (holder("postgres", 800, 9 * GIB, 870, 0),)
    facts = healthy(holders=postgres, databases=postgres)
    assert "as things stand postgres (pid 800), the database" in host_exhaustion(facts).headline


def test_allocating_task_has_no_foreseeable_victim():
    """With oom_kill_allocating_task=1 whoever asks next is killed, and nobody is named."""
    found = host_exhaustion(with_sysctls(healthy(), vm__oom_kill_allocating_task="1"))
    assert found.victim is None
    assert "whichever asks for memory next: vm.oom_kill_allocating_task=1" in found.headline


def test_nothing_killable_is_a_panic_in_the_end():
    """If every large process is exempt, killing the small ones frees nothing and it panics."""
    facts = healthy(
        holders=(holder("java", 5, 9 * GIB, 0, -1000), holder("cron", 6, MIB, 666, 0)),
        crash_kernel_loaded=False,
    )
    found = host_exhaustion(facts)
    assert found.outcome is Outcome.PANIC_NOTHING_KILLABLE
    assert found.stays_down is False
    assert any("java (pid 5) holds 9.0 GiB and is exempt" in r.text for r in found.because)


def test_a_small_exempt_process_leaves_somebody_to_kill():
    """An exempt process that holds little cannot use up the host; any other leak is killed."""
    facts = healthy(holders=(holder("sshd", 5, 2 * GIB, 0, -1000),))
    assert host_exhaustion(facts).outcome is Outcome.KILL


def test_one_large_killable_process_is_enough_for_a_kill():
    """An exempt process beside a killable large one leaves the kernel somebody to take."""
    facts = healthy(
        holders=(holder("java", 5, 9 * GIB, 0, -1000), holder("worker", 6, 2 * GIB, 700, 0))
    )
    assert host_exhaustion(facts).outcome is Outcome.KILL


def test_a_containers_limit_comes_first():
    """A container's tighter limit kills inside, and the host's own fate is told beside it."""
    facts = seed_like(
        container="docker",
        own_cgroups=(cgroup("/", max_bytes=512 * MIB, current_bytes=100 * MIB),),
    )
    found = exhaustion(facts)
    assert found.outcome is Outcome.CGROUP_KILL
    assert found.host_outcome is Outcome.PANIC
    assert found.limit_bytes == 512 * MIB
    assert found.headline == (
        "This container's limit of 512 MiB is reached first: "
        "the kernel kills ONE process inside it, and the host goes on; "
        "as things stand python (pid 900)"
    )
    assert found.host_headline.startswith("PANIC, not an OOM kill")


def test_panic_on_oom_2_panics_for_a_cgroup_too():
    """With 2 even a container's limit takes the whole host down; with 1 it does not."""
    facts = with_sysctls(
        seed_like(
            container="docker",
            own_cgroups=(cgroup("/", max_bytes=512 * MIB, current_bytes=100 * MIB),),
        ),
        vm__panic_on_oom="2",
    )
    found = exhaustion(facts)
    assert found.outcome is Outcome.PANIC
    assert found.stays_down is True
    assert found.headline.startswith("PANIC of the whole host")


def test_the_tightest_of_nested_limits_counts():
    """Of several limits above a process the one with the least left is the one it meets."""
    facts = healthy(
        own_cgroups=(
            cgroup("/a/b", max_bytes=4 * GIB, current_bytes=GIB),
            cgroup("/a", max_bytes=2 * GIB, current_bytes=GIB),
            cgroup("/", current_bytes=4 * GIB),
        )
    )
    assert exhaustion(facts).limit_bytes == 2 * GIB


def test_page_cache_below_a_limit_counts_as_left():
    """A cgroup full of page cache is not about to be killed."""
    facts = healthy(
        own_cgroups=(
            cgroup("/cache", max_bytes=4 * GIB, current_bytes=4 * GIB, file_bytes=3 * GIB),
            cgroup("/", max_bytes=4 * GIB, current_bytes=2 * GIB, file_bytes=0),
        )
    )
    assert exhaustion(facts).limit_source == "/ memory.max"


def test_a_limit_wider_than_the_host_is_not_reached_first():
    """A limit above what the host has left does not matter."""
    facts = seed_like(own_cgroups=(cgroup("/", max_bytes=30 * GIB, current_bytes=GIB),))
    assert exhaustion(facts).outcome is Outcome.PANIC


def test_any_cgroup_can_be_asked_about():
    """The review asks about the service's own cgroup, which is not among the reader's own."""
    found = cgroup_exhaustion(healthy(), cgroup("/feed-sync", max_bytes=256 * MIB))
    assert found.outcome is Outcome.CGROUP_KILL
    assert found.headline == (
        "At the limit of 256 MiB on cgroup /feed-sync the kernel kills ONE process inside it, "
        "and the host goes on"
    )


def test_only_processes_inside_a_cgroup_die_for_its_limit():
    """The victim of a cgroup's limit is the highest score inside, not that of the whole host."""
    inside = replace(holder("worker", 6, GIB, 500), process=process("worker", 6, cgroup="/a/b"))
    beside = replace(holder("other", 7, GIB, 900), process=process("other", 7, cgroup="/ab"))
    facts = healthy(holders=(beside, inside))
    victim = cgroup_exhaustion(facts, cgroup("/a", max_bytes=GIB)).victim
    assert victim is not None
    assert victim.name == "worker"


def test_v1_names_its_own_file():
    """On cgroup v1 the limit is memory.limit_in_bytes, as the reader will find it."""
    facts = healthy(cgroup_version=1, own_cgroups=(cgroup("/x", max_bytes=GIB, current_bytes=0),))
    assert exhaustion(facts).limit_source == "/x memory.limit_in_bytes"


def test_guards_act_first():
    """A running userspace guard is named in the headline, and none is invented."""
    assert "earlyoom should act before that" in exhaustion(healthy()).headline
    assert "should act" not in exhaustion(healthy(guards=None)).headline


@pytest.mark.parametrize("guard", ["systemd-oomd", "forestall"])
def test_guards_that_must_be_told_to_act_are_not_counted_on(guard):
    """systemd-oomd acts only on units that opted in, forestall only in act mode."""
    found = exhaustion(healthy(guards=(guard,)))
    assert found.guards == ()
    assert "should act" not in found.headline


@pytest.mark.parametrize("facts", [healthy(), seed_like(), seed_like(container="docker")])
def test_reasons_point_at_what_they_say(facts):
    """Each fact's pointer leads, in the HostFacts document, to the value it states."""
    document = to_document(facts)
    seen = 0
    for reason in exhaustion(facts).because:
        for fact in reason.facts:
            value = document
            for step in fact.pointer.split("/")[1:]:
                value = value[int(step)] if isinstance(value, list) else value[step]
            assert value == fact.value
            assert fact.source
            seen += 1
    assert seen >= 3


@pytest.mark.parametrize("facts", [healthy(), seed_like(), replace(healthy(), sysctls={})])
def test_document_round_trip(facts):
    """An Exhaustion survives JSON."""
    found = exhaustion(facts)
    assert from_document(Exhaustion, to_document(found)) == found
