"""What stands between a leak and the database, and what only seems to."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, cgroup, healthy, holder, seed_like, unit, with_sysctls

from forestall.audit.look.between import between, protected_text
from forestall.model.facts import SwapDevice
from forestall.model.finding import Answer
from forestall.model.sample import HostSample

MIB = 1024**2


def point(facts, name):
    """The point of that name, None where it was left out."""
    return next((found for found in between(facts) if found.name == name), None)


def memory(facts, **changes):
    return replace(facts, memory=replace(facts.memory, **changes))


ZRAM = SwapDevice(name="/dev/zram0", kind="zram", size_bytes=16 * GIB, used_bytes=0)


@pytest.mark.parametrize(
    ("facts", "answer", "words"),
    [
        (seed_like(), Answer.YES, "4.0 GiB (partition), 2.0 GiB free"),
        (memory(healthy(), swap_total_bytes=0), Answer.NO, "none"),
        (memory(healthy(), swap_free_bytes=GIB), Answer.NO, "nearly used up"),
        (memory(healthy(), swap_total_bytes=None), Answer.UNKNOWN, "could not be read"),
        (healthy(swaps=(ZRAM,)), Answer.NO, "kept in memory itself"),
        (memory(healthy(), swap_total_bytes=64 * 1024**2), Answer.NO, "too little to give"),
        (
            healthy(
                container="docker",
                own_cgroups=(cgroup("/", max_bytes=GIB, current_bytes=0, swap_max_bytes=0),),
            ),
            Answer.NO,
            "this container may not use any",
        ),
    ],
)
def test_swap(facts, answer, words):
    """Swap helps if there is some left, and is not of the memory itself."""
    found = point(facts, "swap")
    assert found.answer is answer
    assert words in found.text


@pytest.mark.parametrize(
    ("value", "answer", "words"),
    [
        ("0", Answer.NO, "only absurd requests are refused; a leak is not"),
        ("1", Answer.NO, "no request is ever refused"),
        ("2", Answer.YES, "(4.0 GiB of 12 GiB promised)"),
        (None, Answer.UNKNOWN, "could not be read"),
    ],
)
def test_overcommit(value, answer, words):
    """Only strict overcommit stands in the way of a leak."""
    facts = healthy(commit_limit_bytes=12 * GIB, committed_bytes=4 * GIB)
    found = point(with_sysctls(facts, vm__overcommit_memory=value), "overcommit")
    assert found.answer is answer
    assert words in found.text


@pytest.mark.parametrize(
    ("facts", "answer", "words"),
    [
        (seed_like(), Answer.NO, "feed-sync.service may take all that is left"),
        (healthy(), Answer.YES, "each of the site's own services has one"),
        (healthy(units=()), Answer.NO, "no other service"),
        (healthy(units=None, unseen={"units": "no systemd"}), Answer.UNKNOWN, "no systemd"),
        (
            healthy(units=(unit("a.service", main_pid=1, limit_known=False),)),
            Answer.UNKNOWN,
            "did not tell",
        ),
        (
            healthy(container="docker", own_cgroups=(cgroup("/", max_bytes=GIB, current_bytes=0),)),
            Answer.YES,
            "this container may take 1.0 GiB",
        ),
    ],
)
def test_limits(facts, answer, words):
    """A container's own limit, else those of the site's services, else those of any."""
    found = point(facts, "memory limits")
    assert found.answer is answer
    assert words in found.text


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        (healthy(), Answer.YES),
        (healthy(guards=()), Answer.NO),
        (healthy(guards=("forestall",)), Answer.NO),
        (healthy(guards=("systemd-oomd",)), Answer.UNKNOWN),
        (healthy(guards=None), Answer.UNKNOWN),
        (healthy(guards=(), hidden_processes=True), Answer.UNKNOWN),
        (healthy(guards=(), container="docker"), Answer.UNKNOWN),
    ],
)
def test_guard(facts, answer):
    """Only a guard that acts by itself counts; what cannot be seen is unknown."""
    assert point(facts, "OOM guard").answer is answer


def database_host(adjust, main_rss=6 * GIB, left=12 * GIB, sessions=()):
    """16 GiB of memory and as much swap, of which `left` bytes are left."""
    main = holder("postgres", 800, main_rss, 700, adjust)
    facts = healthy(databases=(main,), holders=(main, *sessions))
    return memory(facts, mem_available_bytes=left, swap_free_bytes=0)


@pytest.mark.parametrize(
    ("facts", "answer", "words"),
    [
        (database_host(-1000), Answer.YES, "the OOM killer never takes it"),
        (database_host(-900), Answer.YES, "any leak elsewhere is killed first"),
        (database_host(0), Answer.YES, "once it holds more than 6.0 GiB; 12 GiB is left"),
        (
            database_host(0, left=2 * GIB),
            Answer.NO,
            "less than postgres weighs (6.0 GiB), so postgres is killed for it",
        ),
        (database_host(None), Answer.UNKNOWN, "could not be read"),
        (
            database_host(-1000, left=GIB, sessions=(holder("postgres", 801, 4 * GIB, 700, 0),)),
            Answer.NO,
            "postgres has -1000, its other processes 0",
        ),
        (seed_like(), Answer.NO, "the host panics instead"),
        (replace(database_host(0), memory=HostSample()), Answer.UNKNOWN, "cannot be told"),
    ],
)
def test_score(facts, answer, words):
    """Who dies first is worked out from what the OOM killer weighs, session processes too."""
    found = point(facts, "oom_score_adj")
    assert found.answer is answer
    assert words in found.text


def test_without_a_database_no_score_is_compared():
    """The line is left out where it would be about nobody."""
    assert point(healthy(), "oom_score_adj") is None


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        (healthy(), Answer.NO),
        (healthy(guards=("earlyoom", "forestall")), Answer.UNKNOWN),
        (healthy(guards=None), Answer.UNKNOWN),
        (healthy(hidden_processes=True), Answer.UNKNOWN),
        (healthy(container="docker"), Answer.UNKNOWN),
    ],
)
def test_forestall_itself(facts, answer):
    """Running is not yet protecting: whether it may act is not to be seen."""
    assert point(facts, "forestall").answer is answer


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (seed_like(), "postgres (pid 800, 9.0 GiB, postgresql.service)."),
        (
            seed_like(databases=(holder("postgres", 6, GIB), holder("etcd", 7, GIB // 8))),
            "; 1 more is smaller.",
        ),
        (healthy(), "No database is seen here. The largest service is feed-sync.service (1.0 GiB)"),
        (healthy(units=()), "No database is seen here; what follows holds for whatever runs here."),
        (healthy(databases=None), "Whether a database runs here could not be seen."),
        (healthy(hidden_processes=True), "but other users' processes are hidden"),
    ],
)
def test_whom_this_is_about(facts, words):
    """The database by name, or one line that says there is none to be seen."""
    assert words in protected_text(facts)


def test_a_cgroups_limits_speak_for_a_container_alone():
    """On a host the shell's own cgroup is no word about the host's swap and services."""
    own = cgroup("/user", max_bytes=GIB, current_bytes=0, swap_max_bytes=0)
    host = seed_like(own_cgroups=(own,))
    assert point(host, "swap").text.startswith("4.0 GiB")
    assert "no limit" in point(host, "memory limits").text
    free = cgroup("/", max_bytes=GIB, current_bytes=0, swap_max_bytes=None)
    inside = healthy(container="docker", own_cgroups=(free,))
    assert point(inside, "swap").text.startswith("16 GiB")
    assert point(inside, "memory limits").text.startswith("this container may take 1.0 GiB")


def test_a_score_that_was_not_read_where_the_host_panics():
    """It would not help, and is not called None."""
    unread = replace(seed_like().databases[0], oom_score_adjust=None)
    found = point(
        with_sysctls(seed_like(databases=(unread,)), vm__panic_on_oom="1"), "oom_score_adj"
    )
    assert found.answer is Answer.NO
    assert "has an unknown one, which does not help here" in found.text


def test_whom_it_is_about_where_nothing_holds_memory():
    """A service that holds nothing is not called the largest."""
    idle = unit("idle.service", main_pid=1, memory_current_bytes=0)
    facts = healthy(databases=(), holders=(), units=(idle,), hidden_processes=False)
    assert protected_text(facts).endswith("what follows holds for whatever runs here.")
    large = unit("large.service", main_pid=2, memory_current_bytes=2 * GIB)
    small = unit("small.service", main_pid=3, memory_current_bytes=GIB)
    told = protected_text(replace(facts, units=(small, large, idle)))
    assert told.endswith("The largest service is large.service (2.0 GiB).")


@pytest.mark.parametrize("missing", ["commit_limit_bytes", "committed_bytes"])
def test_strict_overcommit_whose_numbers_were_not_read(missing):
    """The answer stands; how much is promised is left out."""
    facts = with_sysctls(healthy(**{missing: None}), vm__overcommit_memory="2")
    found = point(facts, "overcommit")
    assert found.answer is Answer.YES
    assert "promised" not in found.text


def test_swap_whose_free_part_was_not_read():
    """It is not counted on."""
    assert point(memory(healthy(), swap_free_bytes=None), "swap").answer is Answer.NO


@pytest.mark.parametrize(("left", "answer"), [(-1, Answer.NO), (0, Answer.YES)])
def test_a_leak_of_just_the_databases_weight(left, answer):
    """What is left must be less than the database weighs for it to be the first."""
    main = holder("postgres", 800, 4 * GIB, 100, 0)
    facts = healthy(databases=(main,), holders=(main,))
    facts = memory(facts, mem_available_bytes=4 * GIB + left, swap_total_bytes=0, swap_free_bytes=0)
    assert point(facts, "oom_score_adj").answer is answer


@pytest.mark.parametrize("missing", ["mem_available_bytes", "mem_total_bytes"])
def test_a_weight_that_cannot_be_compared(missing):
    """Without what is left, or the size of memory, nobody knows who dies first."""
    main = holder("postgres", 800, 4 * GIB, 100, -100)
    facts = memory(healthy(databases=(main,), holders=(main,)), **{missing: None})
    assert point(facts, "oom_score_adj").answer is Answer.UNKNOWN
