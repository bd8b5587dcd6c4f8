"""Reports without their beginning, one after another, and of several hosts in one log."""

import itertools
import json

import pytest
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import chosen, explain

from forestall.audit.oom import parse
from forestall.audit.oom.account import Ending
from forestall.audit.oom.nouns import Kind
from forestall.audit.oom.shortage import Shortage
from forestall.audit.oom.tally import HolderKind
from forestall.errors import InputError

SPARED = oom.report(oom_hosts.el9_spared())
DOCKER = oom_hosts.docker_el7()
POD_CHOICE = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,"
    "oom_memcg=/pods/one,task_memcg=/pods/one/c1,task=node,pid=777,uid=1000"
)
POD_KILLED = (
    "Memory cgroup out of memory: Killed process 777 (node) total-vm:900000kB, anon-rss:510000kB, "
    "file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:1500kB oom_score_adj:999"
)
POD_KILL = [POD_CHOICE, POD_KILLED]
QUIET = [f"eth0: link is up, {number}" for number in range(parse.IDLE_AFTER_KILL_MAX + 2)]


def syslog(lines: list[str], host: str) -> list[str]:
    return [f"Mar  2 03:05:12 {host} kernel: {line}" for line in lines]


def first_of(lines: list[str], word: str) -> int:
    return next(index for index, line in enumerate(lines) if word in line)


@pytest.mark.parametrize("word", ["Mem-Info", "lowmem_reserve", "pages RAM", "Tasks state"])
def test_a_report_may_begin_anywhere(word):
    """What is left of it is used, and that its head is lost is said; so is who was killed."""
    left = SPARED[first_of(SPARED, word) :]
    report = explain(oom.stamped(left))
    assert report.events == 1
    (account,) = report.accounts
    assert account.kind is Kind.OOM
    assert account.victims[0].name == "report-batch"
    assert account.tasks[0].name == "feed-cache"
    assert "the log begins in the middle of the report" in account.unknown[0]


def test_a_head_that_is_lost_changes_no_culprit():
    """Zones, counters and table are whole; only who asked is not known."""
    whole = explain(oom.stamped(SPARED)).accounts[0]
    account = explain(oom.stamped(SPARED[1:])).accounts[0]
    assert account.culprits == whole.culprits
    assert account.ran_out.shortage is whole.ran_out.shortage is Shortage.HOST
    assert account.invoker is None


def test_rows_alone_are_a_report_and_no_all_clear():
    """A ring buffer that wrapped in the table: who held most of the host is not known."""
    rows = [line for line in SPARED if line.startswith("[ ")]
    (account,) = explain(oom.stamped(rows[3:])).accounts
    assert account.kind is Kind.OOM
    assert account.culprits == ()
    assert account.ran_out.shortage is Shortage.UNKNOWN


def test_a_head_that_is_lost_in_the_middle_of_a_log_is_told_by_its_line():
    """Many quiet lines before it: a gap, and not the log's beginning."""
    quiet = [f"eth0: link is up, {number}" for number in range(parse.FIRST_LINES + 50)]
    left = DOCKER[first_of(DOCKER, "Task in ") :]
    (account,) = explain(oom.stamped(quiet + left)).accounts
    assert account.line == len(quiet) + 1
    assert f"what stood before line {len(quiet) + 1} is not in the log" in account.unknown[0]
    assert account.cgroup is not None


@pytest.mark.parametrize("second", [POD_KILL, DOCKER[first_of(DOCKER, "Task in ") :]])
def test_what_follows_a_kill_is_another_event(second):
    """A cgroup's lines after the kill of a host's report are not that report's."""
    report = explain(oom.stamped(SPARED + second))
    assert [one.ran_out.shortage for one in report.accounts] == [Shortage.HOST, Shortage.CGROUP]
    assert report.accounts[0].victims[0].name == "report-batch"
    assert report.accounts[0].cgroup is None
    assert report.chosen == 1


def test_a_kill_that_says_the_host_does_not_end_a_cgroups_report():
    """`Out of memory` without the cgroup's words is never said at a cgroup's limit."""
    begun = DOCKER[: first_of(DOCKER, "Memory cgroup out of memory")]
    kill = "Out of memory: Kill process 99 (mysqld) score 60 or sacrifice child"
    report = explain(oom.stamped([*begun, kill]))
    assert [one.ran_out.shortage for one in report.accounts] == [Shortage.CGROUP, Shortage.UNKNOWN]
    assert report.accounts[0].victims == ()
    assert report.accounts[1].headline.startswith(
        "Only the kill is in the log, not the report before it. The host ran short of memory."
    )


def test_a_group_that_is_killed_stays_one_event_without_its_head():
    """memory.oom.group names its victims one by one."""
    group = "Tasks in /pods/one are going to be killed due to memory.oom.group set"
    more = POD_KILLED.replace("777", "778")
    report = explain(oom.stamped([*SPARED, *POD_KILL, group, POD_KILLED, more]))
    assert report.events == 2
    assert [kill.pid for kill in report.accounts[1].victims] == [777, 778]
    assert report.accounts[1].cgroup == "/pods/one"


def test_word_of_an_old_kill_is_no_event():
    """The reaper may come long after; the kill it speaks of is told already."""
    reaped = "oom_reaper: reaped process {} (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
    victim = explain(oom.stamped(SPARED)).accounts[0].victims[0].pid
    assert explain(oom.stamped([*SPARED, *QUIET, reaped.format(victim)])).events == 1
    alone = explain(oom.stamped([reaped.format(4711)])).accounts[0]
    assert (alone.kind, alone.victims[0].pid) == (Kind.KILL_LINE, 4711)


def test_word_of_an_unknown_kill_does_not_part_a_report():
    """The line of that kill was lost; what comes after it still belongs to the report around it."""
    reaped = "oom_reaper: reaped process 99 (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
    report = explain(oom.stamped([SPARED[0], reaped, *SPARED[1:]]))
    assert (report.events, report.accounts[0].victims[0].name) == (1, "report-batch")


def test_a_row_that_another_program_printed_is_no_report():
    """Numbers behind a number in brackets are not the kernel's alone."""
    lines = ["[ 12]  1  2  3  4  5  6 jobs", "[ 13]  1  2  3  4  5  6 more"]
    assert explain(oom.stamped([*lines, *QUIET])).events == 0


def test_what_a_person_had_shown_is_no_event():
    """SysRq-m prints the memory of a host that has some."""
    memory = SPARED[first_of(SPARED, "Mem-Info") : first_of(SPARED, "Tasks state")]
    shown = ["sysrq: Show Memory", *memory, *QUIET]
    assert explain(oom.stamped(shown)).events == 0
    assert explain(oom.stamped([*shown, *SPARED])).events == 1


@pytest.mark.parametrize("said", ["SysRq : ", "sysrq: SysRq : ", "sysrq: "])
def test_a_kill_by_hand_is_seen_in_every_writing(said):
    """The words before it changed with 4.x and 5.x."""
    (account,) = explain(oom.stamped([f"{said}Manual OOM execution", *SPARED])).accounts
    assert account.ran_out.shortage is Shortage.NOTHING
    assert account.headline.startswith("A person had the kernel kill by SysRq")


def test_hosts_of_one_log_are_told_apart():
    """Line by line in turns, as a log server writes them: two kernels, two stories."""
    turns = itertools.zip_longest(syslog(SPARED, "web07"), syslog(DOCKER, "db02"))
    report = explain("\n".join(line for pair in turns for line in pair if line) + "\n")
    assert report.events == 2
    by_host = {one.host: one for one in report.accounts}
    alone = explain("\n".join(syslog(SPARED, "web07")))
    assert by_host["web07"].headline == alone.accounts[0].headline
    assert by_host["db02"].victims[0].name == "worker"
    assert by_host["db02"].kernel != by_host["web07"].kernel
    assert {row.host for row in report.series} == {"web07", "db02"}


def test_more_hosts_than_are_kept_apart_lose_no_event(monkeypatch):
    """The one that was silent longest is closed, and its event is told as far as it got."""
    monkeypatch.setattr(parse, "HOSTS_MAX", 3)
    head = SPARED[: first_of(SPARED, "Tasks state")]
    lines = [line for number in range(8) for line in syslog(head, f"host-{number}")]
    report = explain("\n".join(lines))
    assert [one.host for one in report.accounts] == [f"host-{number}" for number in range(8)]


def test_a_line_without_a_host_is_of_the_one_before():
    """Counters over several lines have a stamp on the first alone."""
    lines = [
        line.removeprefix("Mar  2 03:05:12 web07 kernel: ") if "active_file" in line else line
        for line in syslog(SPARED, "web07")
    ]
    report = explain("\n".join(lines))
    assert (report.events, report.accounts[0].culprits[0].name) == (1, "feed-cache")


def test_boots_of_a_journal_are_told_apart():
    """A panic in the next boot has nothing to do with the kill in this one."""
    panic = "Kernel panic - not syncing: hung_task: blocked tasks"
    entries = [
        json.dumps(
            {
                "_TRANSPORT": "kernel",
                "_BOOT_ID": boot,
                "MESSAGE": line,
                "_SOURCE_MONOTONIC_TIMESTAMP": str(1_000_000 + number),
            }
        )
        for number, (boot, line) in enumerate([("a", one) for one in SPARED] + [("b", panic)])
    ]
    report = explain("\n".join(entries))
    assert [one.ending for one in report.accounts] == [Ending.KILLED]


def test_stamps_that_go_back_are_another_boot():
    """Without `Linux version`, a table that goes on under older stamps is another report."""
    end = first_of(SPARED, "Tasks state")
    text = oom.stamped(SPARED[:end], start=90_000.0) + oom.stamped(SPARED[end:], start=12.0)
    first, second = explain(text).accounts
    assert (first.ending, first.tasks) == (Ending.UNKNOWN, ())
    assert second.victims[0].name == "report-batch"


def test_neither_host_nor_cgroup_is_said_to_have_run_out_where_no_line_says():
    """`Out of memory and no killable processes` is printed for both up to 5.x."""
    lines = [SPARED[0], "Out of memory and no killable processes..."]
    (account,) = explain(oom.stamped(lines)).accounts
    assert account.ran_out.shortage is Shortage.UNKNOWN
    assert account.headline.startswith("Memory ran out in the host or a cgroup, which is not said;")
    frame = " mem_cgroup_out_of_memory+0xc2/0xd0"
    (account,) = explain(oom.stamped([lines[0], frame, lines[1]])).accounts
    assert account.ran_out.shortage is Shortage.CGROUP


def test_a_page_of_unknown_size_names_nobody():
    """The table counts pages; without free lists or a kill it may be 4 KiB or 64."""
    lines = [line for line in oom.report(oom_hosts.arm64_pages()) if "*" not in line]
    lines = [line for line in lines if "Node 0" not in line and "Killed" not in line]
    (account,) = explain(oom.stamped(lines)).accounts
    assert account.culprits == ()
    assert "The size of a page: 4 KiB is assumed." in account.unknown


def test_page_tables_tell_the_size_of_a_page():
    """In a cgroup's report that ends before the kill nothing else does."""
    rows = oom.report(oom_hosts.ubuntu_tmpfs())
    rows = rows[first_of(rows, "Tasks state") : first_of(rows, "oom-kill:")]
    (account,) = explain(oom.stamped(rows)).accounts
    assert not any("assumed" in text for text in account.unknown)


def test_huge_pages_are_named_where_a_report_has_no_line_of_them():
    """Kernels up to 3.9 do not print them, and they are the likeliest to have no name."""
    lines = oom.report(oom_hosts.unnamed_driver())
    assert not any(
        "huge pages first" in step for step in chosen(explain(oom.stamped(lines))).next_steps
    )
    lines = [line for line in lines if "hugepages_" not in line]
    account = chosen(explain(oom.stamped(lines)))
    assert account.culprits[0].name == "memory that no counter names"
    assert any("huge pages first" in step for step in account.next_steps)
    assert any("reserved as huge pages" in text for text in account.unknown)


@pytest.mark.parametrize(
    "line",
    [
        "Mar  2 03:05:12 h app[55]: upstream said: Out of memory: Killed process 99 (java)",
        "2026-03-02 03:05:12 ERROR Out of memory: Kill process 5 (x) score 1 or sacrifice child",
        "Mar  2 03:05:12 h systemd-oomd[6]: Killed /system.slice/a due to memory used (3) / total",
        'Mar  2 03:05:12 h earlyoom[5]: sending SIGTERM to process 12 uid 0 "java": badness 900',
        "Mar  2 03:05:12 h systemd[1]: a.service: A process has been killed by the OOM killer.",
        "[    1.000000] lowmemorykiller: Killing 'com.app' (12), adj 900, to free 550kB",
    ],
)
def test_what_tells_of_a_kill_and_cannot_be_explained_is_no_all_clear(line):
    """Beside a quiet kernel, too: at 03:05 one would conclude that memory was fine."""
    quiet = "Mar  2 03:05:12 h kernel: eth0: link is up\n"
    with pytest.raises(InputError, match="no all-clear: line 2 says"):
        explain(quiet + line + "\n")
    assert explain(quiet).events == 0


def test_memory_for_the_kernel_that_was_refused_is_an_event():
    """vmalloc asks for many pages at once; nobody is killed for it."""
    line = "modprobe: vmalloc: allocation failure: 17179869184 bytes, mode:0xcc0(GFP_KERNEL)"
    (account,) = explain(oom.stamped([line])).accounts
    assert (account.ending, account.invoker) == (Ending.REFUSED, "modprobe")


ENDS = [
    SPARED,
    DOCKER,
    oom_hosts.pod_el8_dirty(),
    oom.report(oom_hosts.lowmem()),
    oom.report(oom_hosts.fragmented()),
    oom.report(oom_hosts.ubuntu_tmpfs()),
]


@pytest.mark.parametrize("number", range(len(ENDS)))
def test_no_part_of_a_report_is_an_all_clear_or_blames_another(number):
    """Its first lines, its last, and 25 from its middle: less may be said, nothing else."""
    lines = ENDS[number]
    whole = {(one.kind, one.name) for one in chosen(explain(oom.stamped(lines))).culprits}
    for start in range(len(lines)):
        for part in (lines[start:], lines[: start + 1], lines[start : start + 25]):
            try:
                report = explain(oom.stamped(part))
            except InputError:
                continue
            assert report.events == 1, part
            blamed = {(one.kind, one.name) for one in report.accounts[0].culprits}
            assert {one for one in blamed if one[0] is not HolderKind.UNLISTED} <= whole, part
