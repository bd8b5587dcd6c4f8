"""Where events begin and end, and what is made of lines that are missing."""

from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import chosen, explain

from forestall.audit.oom.account import Ending
from forestall.audit.oom.nouns import Kind

KILL = "Out of memory: Killed process 4711 (sync) total-vm:9000kB, anon-rss:8000kB, file-rss:4kB"


def test_a_log_without_an_event_has_none():
    """A quiet log is fine, and tells how far it reaches."""
    quiet = explain("[    1.000000] Linux version 6.1.0\n[    2.000000] Mem-Info:\n")
    assert (quiet.events, quiet.chosen, quiet.accounts) == (0, None, ())
    assert quiet.kernel_from == "1.000000 s after the kernel's start"
    assert quiet.kernel_until == "2.000000 s after the kernel's start"


def test_a_kill_without_its_report_says_what_it_cannot():
    """The kernel prints at most ten reports in 5 s; the kills go on."""
    report = explain(f"[    1.000000] {KILL}\n")
    account = report.accounts[0]
    assert account.kind is Kind.KILL_LINE
    assert account.victims[0].name == "sync"
    assert account.culprits == ()
    assert "the report before the kill is not in this input" in account.unknown[0]


def test_a_kill_after_a_whole_report_is_one_more_event():
    """A second kill is not the first one's."""
    lines = [*oom.report(oom_hosts.el9_spared()), KILL]
    report = explain(oom.stamped(lines))
    assert [one.kind for one in report.accounts] == [Kind.OOM, Kind.KILL_LINE]


def test_the_panic_matters_more_than_what_came_before():
    """Among several events the one that took the host down is shown."""
    lines = oom.docker_lines = oom_hosts.docker_el7()
    lines = [*lines, *oom.report(oom_hosts.el9_spared())]
    lines += oom.report(oom_hosts.incident(), panic="Out of memory: system-wide panic_on_oom")
    lines += oom_hosts.docker_el7()
    report = explain(oom.stamped(lines))
    assert report.events == 4
    assert report.chosen == 3
    assert chosen(report).ending is Ending.PANICKED
    assert report.why_chosen == "the last that took the host down"


def test_the_host_matters_more_than_a_cgroup():
    """A container that died later does not hide it."""
    lines = [*oom.report(oom_hosts.el9_spared()), *oom_hosts.docker_el7()]
    report = explain(oom.stamped(lines))
    assert (report.events, report.chosen) == (2, 1)


def test_a_panic_of_another_kind_is_not_memorys():
    """A panic with nothing about memory before it is no event."""
    report = explain("[    1.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\n")
    assert report.events == 0


def test_a_boot_parts_a_kill_from_a_later_panic():
    """After a reboot a panic has nothing to do with the kill before it."""
    lines = [
        *oom.report(oom_hosts.el9_spared()),
        "Linux version 5.14.0-427.el9 (x) #1",
        "Kernel panic - not syncing: hung_task: blocked tasks",
    ]
    report = explain(oom.stamped(lines))
    assert [one.ending for one in report.accounts] == [Ending.KILLED]


def test_a_report_that_is_cut_says_so():
    """A console that died in the table: whom it would have killed is not known."""
    lines = oom.report(oom_hosts.rhel6())
    cut = lines[: next(i for i, line in enumerate(lines) if "sshd" in line) + 1]
    account = explain(oom.stamped(cut)).accounts[0]
    assert account.ending is Ending.UNKNOWN
    assert account.victims == ()
    assert "How it ended: the input ends inside the report." in account.unknown
    # 14 GiB of anonymous memory, and the rows that are there hold next to nothing of it.
    assert [one.kind.value for one in account.culprits] == ["unlisted-processes"]
    assert account.culprit.startswith("UNKNOWN: processes hold ")


def test_a_row_that_is_cut_is_left_out_and_counted():
    """Half a number would be taken for a small one."""
    lines = oom.report(oom_hosts.el9_spared())
    lines = [line[:38] if "feed-cache" in line and "[" in line[:1] else line for line in lines]
    account = explain(oom.stamped(lines)).accounts[0]
    assert all(task.name != "feed-cache" for task in account.tasks)
    assert "What 1 more processes held: their rows are cut." in account.unknown
    assert [one.kind.value for one in account.culprits] == ["unlisted-processes"]


def test_a_table_without_its_head_gives_only_what_is_the_same_everywhere():
    """Columns between RSS and oom_score_adj differ by kernel and are not guessed."""
    lines = [line for line in oom.report(oom_hosts.incident()) if "[ pid ]" not in line]
    account = explain(oom.stamped(lines)).accounts[0]
    (leak,) = [task for task in account.tasks if task.name == "inventory-sync"]
    assert (leak.swap_bytes, leak.page_table_bytes, leak.oom_score_adjust) == (None, None, 0)
    assert any("head line is missing" in text for text in account.unknown)


def test_lines_that_the_kernel_left_out_are_told():
    """`callbacks suppressed` inside a report means that it is not whole."""
    lines = oom.report(oom_hosts.incident())
    lines.insert(8, "** 42 printk messages dropped **")
    account = explain(oom.stamped(lines)).accounts[0]
    assert any("42 printk messages dropped" in text for text in account.unknown)


def test_foreign_lines_between_do_not_matter():
    """Other processors print in between."""
    lines = oom.report(oom_hosts.incident())
    mixed = []
    for line in lines:
        mixed += [line, "eth0: link is not ready", "audit: type=1400 audit(1.2:3): avc: denied"]
    assert chosen(explain(oom.stamped(mixed))).culprits[0].name == "inventory-sync"


def test_zones_and_their_reserves_in_one_line():
    """Some logs have lowmem_reserve behind its zone."""
    lines = oom.report(oom_hosts.rhel6())
    joined: list[str] = []
    for line in lines:
        if line.startswith("lowmem_reserve"):
            joined[-1] += " " + line
        else:
            joined.append(line)
    account = explain(oom.stamped(joined)).accounts[0]
    assert account.zones == explain(oom.stamped(lines)).accounts[0].zones


def test_names_with_blanks_brackets_and_digits():
    """A name is whatever the process calls itself."""
    for name in ("CPU 0/KVM", "(resolved)", "a) total-vm:1kB", "123 45", "Web Content"):
        procs = (oom.Proc(77, name, 3_000_000), *oom_hosts.small())
        for era in oom.ERAS:
            machine = oom.filled(
                oom.Machine(era=era, zones=oom_hosts.X86_16_GIB, procs=procs), name
            )
            account = explain(oom.stamped(oom.report(machine))).accounts[0]
            assert [one.name for one in account.culprits] == [name], era
            assert account.victims[0].pid == 77


def test_a_group_that_is_killed_is_one_event():
    """memory.oom.group kills all of a cgroup; the chosen one is named twice, and kept once."""
    from pathlib import Path

    data = Path(__file__).parents[3] / "data" / "oom" / "guest-6.1" / "memcg_group.console"
    report = explain(data.read_bytes())
    assert report.events == 1
    assert [(one.pid, one.group) for one in report.accounts[0].victims] == [
        (95, False),
        (94, True),
    ]


def test_what_grep_leaves_of_a_report():
    """`dmesg | grep -i oom` keeps the table's head and none of its rows."""
    lines = [line for line in oom.report(oom_hosts.el9_spared()) if "oom" in line.lower()]
    lines.append(oom.report(oom_hosts.el9_spared())[-2])
    account = explain(oom.stamped(lines)).accounts[0]
    assert account.victims[0].name == "report-batch"
    assert account.culprits == ()
    assert account.culprit.startswith("UNKNOWN: neither the table of tasks nor")
    assert any("the log was filtered" in text for text in account.unknown)
    assert any("the whole log" in step for step in account.next_steps)
