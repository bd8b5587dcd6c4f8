"""Parsers of /proc over bytes."""

import pytest
from tests.fakes.host import GIB, MIB, FakeHost

from forestall.errors import InputError
from forestall.sense import procfs

REST = b" S 1 7 7 0 -1 4194560 100 0 5 0 150 50 0 0 20 0 3 0 98765 1000 250 184467\n"


def test_meminfo_becomes_bytes_and_counts_stay_counts():
    """Lines in kB are multiplied, huge page counts are not."""
    values = procfs.parse_meminfo(b"MemTotal:  16 kB\nActive(anon): 4 kB\nHugePages_Total: 3\n\n")
    assert values == {"MemTotal": 16384, "Active(anon)": 4096, "HugePages_Total": 3}


@pytest.mark.parametrize(
    ("parse", "data", "where"),
    [
        (procfs.parse_meminfo, b"MemTotal: 1 kB\nMemFree: lots kB\n", "proc/meminfo line 2"),
        (procfs.parse_meminfo, b"MemTotal\n", "proc/meminfo line 1"),
        (procfs.parse_meminfo, b"MemTotal:\n", "proc/meminfo line 1"),
        (procfs.parse_meminfo, b"MemTotal: " + b"9" * 5000, "proc/meminfo line 1"),
        (procfs.parse_vmstat, b"pswpin 1\npswpout\n", "proc/vmstat line 2"),
        (procfs.parse_vmstat, b"pswpin one\n", "proc/vmstat line 1"),
        (procfs.parse_stat, b"7 (cut", "proc/PID/stat line 1"),
        (procfs.parse_stat, b"x (name)" + REST, "proc/PID/stat line 1"),
        (procfs.parse_stat, b"", "proc/PID/stat line 1"),
        (procfs.parse_status, b"Name:\tx\nUid:\t0\nVmRSS:\tmuch kB\n", "proc/PID/status line 3"),
        (procfs.parse_io, b"rchar: 1\nread_bytes: -1x\n", "proc/PID/io line 2"),
        (procfs.parse_rollup, b"00-ff ---p 0 00:00 0 [rollup]\n", "proc/PID/smaps_rollup"),
        (procfs.parse_cgroup, b"0::/\nnonsense\n", "proc/PID/cgroup line 2"),
        (procfs.parse_swaps, b"Filename\n/dev/sda2 partition big 0 -2\n", "proc/swaps line 2"),
        (procfs.parse_swaps, b"Filename\n/dev/sda2 partition\n", "proc/swaps line 2"),
        (procfs.parse_boot_time, b"cpu 1 2 3\nbtime x\n", "proc/stat line 2"),
    ],
)
def test_a_damaged_file_is_an_error_with_path_and_line(parse, data, where):
    """What cannot be understood says where it stands, and shows no traceback of ours."""
    with pytest.raises(InputError, match=where):
        parse(data)


def test_statm_is_damaged_without_three_numbers():
    """A statm that is cut is refused, not read as zero."""
    with pytest.raises(InputError, match="proc/PID/statm line 1"):
        procfs.parse_statm(b"12", 4096)


@pytest.mark.parametrize(
    "name",
    [
        b"plain",
        b"a b c",
        b") S 1 (",
        b"((()",
        b"line\nbreak",
        b"tab\there",
        b"caf\xc3\xa9",
        b"\xff\xfe\x00\x80",
        b"",
        b"0) R 99 99",
    ],
)
def test_a_name_ends_at_the_last_parenthesis(name):
    """Whatever a process calls itself, the fields behind its name are read right."""
    stat = procfs.parse_stat(b"7 (" + name + b")" + REST)
    assert stat.name == name.decode("utf-8", "backslashreplace")
    stat.name.encode("utf-8")
    assert (stat.pid, stat.state, stat.parent_pid) == (7, "S", 1)
    assert (stat.fault_count, stat.cpu_ticks, stat.thread_count) == (105, 200, 3)
    assert stat.start_ticks == 98765


def test_a_kernel_thread_is_told_by_its_flag():
    """The flag decides, not brackets in a name or an empty command line."""
    thread = REST.replace(b"4194560", str(0x00200000 | 0x40).encode())
    assert procfs.parse_stat(b"2 (kthreadd)" + thread).kernel_thread
    assert not procfs.parse_stat(b"2 ([kthreadd])" + REST).kernel_thread


def test_anonymous_memory_is_resident_less_shared():
    """Pages become bytes, and a difference that is negative for a moment is zero."""
    assert procfs.parse_statm(b"900 300 100 1 0 2 0\n", 4096) == (300 * 4096, 200 * 4096)
    assert procfs.parse_statm(b"900 300 100 1 0 2 0\n", 65536)[0] == 300 * 65536
    assert procfs.parse_statm(b"900 100 101 1 0 2 0\n", 4096) == (100 * 4096, 0)


def test_status_has_none_for_lines_a_kernel_does_not_print():
    """Linux 3.10 has no RssAnon; a kernel thread has no memory lines at all."""
    old = procfs.parse_status(b"Name:\tx\nUid:\t7\t8\t9\t9\nVmRSS:\t 12 kB\nThreads:\t2\n")
    assert old == procfs.ProcessStatus(7, 12288, None, None, 2)
    thread = procfs.parse_status(b"Name:\tx\nUid:\t0\t0\t0\t0\nThreads:\t1\n")
    assert (thread.rss_bytes, thread.swap_bytes) == (None, None)


def test_a_name_that_looks_like_a_field_does_not_speak_for_it():
    """Only the start of a line is a field: a name on the first line cannot pose as VmSwap."""
    data = b"Name:\tVmSwap: 99 kB\nUid:\t1\t1\t1\t1\nVmSwap:\t 4 kB\n"
    assert procfs.parse_status(data).swap_bytes == 4096


def test_io_is_read_and_may_lack_a_line():
    """Bytes that reached storage, not the bytes of read(2)."""
    data = b"rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 5\n"
    assert procfs.parse_io(data) == (4096, 8192)
    assert procfs.parse_io(b"read_bytes: 1\n") == (1, None)


def test_rollup_becomes_bytes():
    """The sums of smaps_rollup, by their field's name and not a longer one's."""
    data = (
        b"55d0-7ffe ---p 00000000 00:00 0    [rollup]\n"
        b"Rss:  10 kB\nPss:  8 kB\nPss_Anon: 7 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 6 kB\n"
        b"Anonymous: 6 kB\nSwap: 2 kB\nSwapPss: 1 kB\n"
    )
    assert procfs.parse_rollup(data) == (10240, 8192, 6144, 1024, 6144, 2048)


def test_words_end_in_nul_and_may_be_empty():
    """An empty argument is an argument; bytes that are no text become valid text."""
    assert procfs.parse_words(b"a\0\0b c\0") == ("a", "", "b c")
    assert procfs.parse_words(b"cut off") == ("cut off",)
    assert procfs.parse_words(b"") == ()
    assert procfs.parse_words(b"\xff\0") == ("\\xff",)


def test_cgroup_paths_may_hold_colons():
    """Each controller has its path; a removed cgroup's mark is not part of it."""
    data = b"4:cpu,memory:/a:b/c\n1:name=systemd:/x\n0::/user.slice/gone (deleted)\n"
    assert procfs.parse_cgroup(data) == {
        "cpu": "/a:b/c",
        "memory": "/a:b/c",
        "name=systemd": "/x",
        "": "/user.slice/gone",
    }


def test_swaps_know_zram_and_names_with_spaces():
    """kB become bytes, zram is told from a partition, \\040 is a space."""
    devices = procfs.parse_swaps(
        b"Filename Type Size Used Priority\n"
        b"/dev/zram0 partition 8 4 100\n/swap\\040file file 1024 0 -2\n"
    )
    assert [(d.name, d.kind, d.size_bytes, d.used_bytes, d.priority) for d in devices] == [
        ("/dev/zram0", "zram", 8192, 4096, 100),
        ("/swap file", "file", 1024 * 1024, 0, -2),
    ]
    assert procfs.parse_swaps(b"Filename Type Size Used Priority\n") == ()


def test_os_release_is_unquoted():
    """Shell quoting is taken off, comments and other lines are passed over."""
    data = b'# c\nNAME="A \\"B\\""\nID=rhel\n\nVERSION_ID=\'7.6\'\nnonsense\n'
    assert procfs.parse_os_release(data) == {"NAME": 'A "B"', "ID": "rhel", "VERSION_ID": "7.6"}


def test_a_process_that_is_gone_reads_as_none(tmp_path):
    """Every reader answers absence with a value."""
    host = FakeHost(tmp_path).host()
    assert procfs.read_stat(host, 99) is None
    assert procfs.read_statm(host, 99) is None
    assert procfs.read_status(host, 99) is None
    assert procfs.read_io(host, 99) == (None, None)
    assert procfs.read_cgroup(host, 99) == {}
    assert procfs.read_rollup(host, 99) is None
    assert procfs.read_cmdline(host, 99) is None
    assert procfs.read_environ(host, 99) is None
    assert procfs.read_key(host, 99) is None


def test_sysctls_are_those_that_can_be_read(tmp_path):
    """A setting that this kernel lacks is left out, not guessed."""
    fake = FakeHost(tmp_path).sysctl("vm.panic_on_oom", 1).sysctl("kernel.core_pattern", "|x %p")
    assert procfs.read_sysctls(fake.host()) == {
        "vm.panic_on_oom": "1",
        "kernel.core_pattern": "|x %p",
    }


def test_the_hosts_memory_comes_from_three_files(tmp_path):
    """Each value lands in its field; an absent line is None."""
    fake = FakeHost(tmp_path).meminfo(available=3 * GIB, swap_free=GIB, slab=7 * MIB)
    host = fake.host()
    sample = procfs.host_sample(procfs.read_meminfo(host), {"pgmajfault": 5}, None)
    assert sample.mem_available_bytes == 3 * GIB
    assert sample.headroom_bytes == 4 * GIB
    assert sample.slab_unreclaimable_bytes == 7 * MIB
    assert (sample.major_fault_count, sample.oom_kill_count) == (5, None)


def test_a_key_is_the_boot_the_pid_and_the_start(tmp_path):
    """What tells a process from a later one of the same pid."""
    fake = FakeHost(tmp_path, boot_id="boot-a").process(5, start_ticks=123)
    key = procfs.read_key(fake.host(), 5)
    assert (key.boot_id, key.pid, key.start_ticks) == ("boot-a", 5, 123)
