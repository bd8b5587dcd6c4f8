"""What a panic's log says, read from the lines of a real one."""

import pytest
from drills.panic.console import Tail, parse_event, parse_panic

# Lines of a panic of Linux 6.1, some shortened.
LOG = """\
[    3.900417] EXT4-fs (vda): mounted filesystem without journal. Quota mode: none.
[   44.298313] postgres invoked oom-killer: gfp_mask=0x140dca(__GFP_ZERO), order=0
[   44.298400] CPU: 0 PID: 95 Comm: postgres Not tainted 6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2
[   44.299181]  dump_stack_lvl+0x44/0x5c
[   44.299491]  out_of_memory.cold+0x42/0x7e
[   44.601455] Mem-Info:
[   44.604335] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[   44.604626] [     95]     0    95     5541     4256    86016        0             0 postgres
[   44.604720] [     96]     0    96    38886    95852   352256        0 -900 inventory-sync
[   44.604725] [     97]     0    97    38886       12   352256        0             0 two words
[   44.604915] Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled
[   44.605037] CPU: 0 PID: 96 Comm: inventory-sync Not tainted
"""
# Linux 6.8 and newer print where the resident pages are.
NEWER = (
    "[    9.000001] sh invoked oom-killer: gfp_mask=0x1, order=0, oom_score_adj=0\n"
    "[    9.000002] [  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem "
    "pgtables_bytes swapents oom_score_adj name\n"
    "[    9.000003] [     96]     0    96    38886    37629    35000     2629         0   "
    "352256        0             0 leaker\n"
    "[    9.000004] Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled\n"
)


def test_the_log_names_who_asked_and_its_table_who_held():
    """They are two processes, and only the table knows the culprit."""
    panic = parse_panic(LOG.splitlines())
    assert panic is not None
    assert panic.at == 44.604915
    assert panic.why == "Out of memory: system-wide panic_on_oom is enabled"
    assert panic.invoked_by == "postgres"
    assert panic.largest is not None
    assert (panic.largest.name, panic.largest.pid) == ("inventory-sync", 96)
    assert panic.largest.rss_bytes == 95852 * 4096
    assert [task.name for task in panic.tasks] == ["postgres", "inventory-sync", "two words"]
    assert panic.stack == ("dump_stack_lvl", "out_of_memory.cold")


def test_the_table_of_newer_kernels_is_read_too():
    """Three more columns do not shift the resident pages or the name."""
    panic = parse_panic(NEWER.splitlines())
    assert panic is not None
    assert panic.largest is not None
    assert (panic.largest.name, panic.largest.rss_bytes) == ("leaker", 37629 * 4096)


def test_a_killed_process_is_no_panic():
    """With panic_on_oom=0 the same lines come, and life goes on."""
    assert parse_panic(LOG.splitlines()[:-2]) is None


def test_a_panic_of_another_kind_blames_nobody():
    """No one is named where memory was not the reason."""
    panic = parse_panic(["[    1.857188] Kernel panic - not syncing: Attempted to kill init!"])
    assert panic is not None
    assert panic.invoked_by is None
    assert panic.largest is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        '{"event": 1, "at": 2}',
        '{"event": "up"}',
        '{"event": "up", "at": true}',
        '{"event": "up", "at": "1"}',
        "x" * 10_000,
    ],
)
def test_what_is_no_event_is_none(line):
    """The guest may be cut off in the middle of a line, and another program may write there."""
    assert parse_event(line) is None


def test_the_tail_gives_each_whole_line_once(tmp_path):
    """A line that is still being written waits for its end."""
    path = tmp_path / "console.log"
    tail = Tail(str(path))
    assert tail.lines() == []
    path.write_bytes(b"one\r\ntw")
    assert tail.lines() == ["one"]
    with open(path, "ab") as file:
        file.write(b"o\nthree\n")
    assert tail.lines() == ["two", "three"]
    assert tail.lines() == []
