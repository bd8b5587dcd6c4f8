"""Who holds the memory: nothing counted twice, nothing left out."""

import dataclasses

import pytest
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import chosen, explain

from forestall.audit.oom.tally import HolderKind

MACHINES = {name: machine for name, (machine, _, _) in oom_hosts.BLAMED.items()}


def told(machine):
    return chosen(explain(oom.stamped(oom.report(machine))))


@pytest.mark.parametrize("name", MACHINES)
def test_the_parts_add_up_to_the_memory(name):
    """RAM is what the parts come to, to the page."""
    machine = MACHINES[name]
    account = told(machine)
    page = machine.page_kib * 1024
    if machine.era != "2.6.32":
        assert sum(part.bytes for part in account.parts) == machine.managed * page
    used = machine.swap_total - machine.swap_free
    assert account.whole_bytes == sum(part.bytes for part in account.parts) + used * page


@pytest.mark.parametrize(
    ("name", "machine", "who", "kind"), [(name, *rest) for name, rest in oom_hosts.BLAMED.items()]
)
def test_each_machine_has_its_culprit(name, machine, who, kind):
    """A process, many of one name, or what no process holds."""
    account = told(machine)
    assert [(one.name, one.kind.value) for one in account.culprits] == [(who, kind)]


@pytest.mark.parametrize("era", ["3.10", "6.8"])
def test_what_many_share_is_counted_once(era):
    """300 processes with 24 pages of their own on 1,000 that all have touched."""
    machine = oom.Machine(
        era=era,
        zones=oom_hosts.X86_16_GIB,
        procs=tuple(oom.Proc(100 + i, "pg", 9_000, file=0, shmem=400_000) for i in range(300)),
        shared=400_000,
        slab=600_000,
    )
    (database,) = [one for one in told(machine).holders if one.name == "pg"]
    own = 300 * 9_000 + 400_000 + 300 * machine.procs[0].tables
    assert database.bytes == pytest.approx(own * 4096, rel=0.01)
    assert database.most_bytes == (300 * (409_000 + machine.procs[0].tables)) * 4096


def test_huge_pages_in_use_are_nobodys_fault():
    """Somebody uses them, and no column of the table says who."""
    machine = dataclasses.replace(oom_hosts.el9_huge(), huge_free=0)
    account = told(machine)
    assert account.culprits[0].kind is HolderKind.HUGE_PAGES_USED
    assert "by which process, the log does not say" in account.headline
    assert not account.culprit.startswith("No process")


def test_one_row_a_thread_group():
    """The same process twice, as in logs that were merged, is one process."""
    lines = oom.report(oom_hosts.el9_spared())
    (row,) = [line for line in lines if line.endswith(" feed-cache") and line.startswith("[")]
    lines.insert(lines.index(row), row)
    account = chosen(explain(oom.stamped(lines)))
    assert account.culprits[0].count == 1


def test_nobody_stands_out_where_all_hold_alike():
    """Twelve that hold a twelfth each: no blame."""
    procs = tuple(oom.Proc(100 + i, f"job-{i}", 320_000) for i in range(12))
    account = told(oom.Machine(era="5.14", zones=oom_hosts.X86_16_GIB, procs=procs))
    assert account.culprits == ()
    assert account.culprit.startswith("Nobody stands out: the largest, job-")


def test_two_that_hold_alike_are_both_named():
    """The second is not hidden behind the first."""
    procs = (oom.Proc(10, "a-cache", 1_900_000), oom.Proc(11, "b-cache", 1_800_000))
    account = told(oom.Machine(era="5.14", zones=oom_hosts.X86_16_GIB, procs=procs))
    assert [one.name for one in account.culprits] == ["a-cache", "b-cache"]
    assert account.headline.startswith("a-cache (pid 10) and b-cache (pid 11) held ")


def test_without_counters_the_largest_is_not_called_the_culprit():
    """A table alone does not say what the kernel itself holds."""
    lines = oom.report(oom_hosts.incident())
    start = next(i for i, line in enumerate(lines) if line.startswith("Mem-Info"))
    table = next(i for i, line in enumerate(lines) if "[ pid ]" in line)
    account = chosen(explain(oom.stamped(lines[:start] + lines[table:])))
    assert account.culprits == ()
    assert account.culprit.startswith("UNKNOWN: inventory-sync (pid 4711)")


def test_without_a_table_the_line_of_the_kill_still_says_what_it_held():
    """vm.oom_dump_tasks=0: of the others only their sum is known."""
    machine = dataclasses.replace(oom_hosts.el9_spared(), tasks_shown=False)
    account = told(machine)
    assert account.culprits[0].kind is HolderKind.UNLISTED
    assert account.victims[0].name == "report-batch"
    assert "vm.oom_dump_tasks=0" in account.unknown[0]


def test_a_cgroup_v1_and_its_page_cache():
    """Dirty page cache of a pod: no process holds it."""
    account = chosen(explain(oom.stamped(oom_hosts.pod_el8_dirty())))
    assert [one.kind for one in account.culprits] == [HolderKind.PAGE_CACHE]
    assert account.cgroup == "/kubepods/pod7"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("Out of memory: system-wide panic_on_oom is enabled", "vm.panic_on_oom=1"),
        ("Out of memory: compulsory panic_on_oom is enabled", "vm.panic_on_oom=2"),
        ("out of memory. Compulsory panic_on_oom is selected.", "vm.panic_on_oom=2"),
        ("Out of memory and no killable processes...", "Nobody was left to kill"),
        ("System is deadlocked on memory", "Nobody was left to kill"),
    ],
)
def test_panics_of_all_generations(words, says):
    """By the kernel's own words, from 2.6.32 to 6.x."""
    account = chosen(explain(oom.stamped(oom.report(oom_hosts.incident(), panic=words))))
    assert says in account.why_panic[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("softlockup: hung tasks", "kernel.softlockup_panic=1"),
        ("Watchdog detected hard LOCKUP on cpu 3", "kernel.hardlockup_panic=1"),
        ("Attempted to kill init! exitcode=0x00000009", "Process 1 ended"),
        ("Something else", "is not known to this program"),
    ],
)
def test_a_panic_soon_after_a_kill_is_likely_memorys(words, says):
    """What the kernel does not say is called likely."""
    lines = [*oom.report(oom_hosts.incident()), f"Kernel panic - not syncing: {words}"]
    account = chosen(explain(oom.stamped(lines)))
    told = " ".join(account.why_panic)
    assert says in told
    assert "is likely, and not said by the kernel" in told
