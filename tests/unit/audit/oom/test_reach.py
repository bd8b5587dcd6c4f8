"""What is a kernel's log and what is not, and from when to when it reaches."""

import pytest
from tests.fakes import oom
from tests.fakes.oom_logs import explain

from forestall.errors import InputError

KERNELS = [
    "[ 4711.250010] eth0: link up",
    "[ 4711.250010][ T1234] eth0: link up",
    "<4>[ 4711.250010] eth0: link up",
    "<6>eth0: link up",
    "[Mon Mar  2 03:05:12 2026] eth0: link up",
    "[dim. 19 avril 18:03:30 2026] eth0: link up",
    "[四 3月 18 18:47:12 2021] eth0: link up",
    "[Nov26 10:10] eth0: link up",
    "[  +0.000010] eth0: link up",
    "[ 7629.241967 <    0.000003>] eth0: link up",
    "[Thu Nov 26 10:10:56 2026 <    0.000003>] eth0: link up",
    "kern  :warn  : [ 4711.250010] eth0: link up",
    "kern  :warn  : [Thu Nov 26 10:10:56 2026] eth0: link up",
    "2026-03-02T03:05:12,123456+00:00 eth0: link up",
    "Mar  2 03:05:12 db-01 kernel: eth0: link up",
    "Mar  2 03:05:12 db-01 kernel:[ 4711.250010] eth0: link up",
    "mars 01 14:37:27 kernel: eth0: link up",
    "Mon 2026-03-02 03:05:12 UTC db kernel: eth0: link up",
    "1772420712.123456 db-01 kernel: eth0: link up",
    "[ 4711.250010] db-01 kernel: eth0: link up",
    "<4>1 2026-03-02T03:05:12Z db-01 kernel - - - eth0: link up",
    "6,3057,4711250010,-;eth0: link up",
    "\x1b[1m[ 4711.250010] eth0: link up",
    "\r[ 4711.250010] eth0: link up\r",
    # Without a stamp, as RHEL 6 has it, and `dmesg -t`.
    "Linux version 2.6.32-754.el6.x86_64 (mockbuild@x86) (gcc version 4.4.7) #1 SMP",
    "eth0: link up",
    "EXT4-fs (dm-0): mounted filesystem with ordered data mode. Opts: ",
    "device eth0 entered promiscuous mode",
    "type=1400 audit(1772420712.123:5): avc: denied",
    "RIP: 0033:0x7f9b98faf8bb",
]

OTHERS = [
    "",
    "hello",
    "# forestall",
    "2026-11-26 10:00:00 INFO com.example.Main - started, took [0.123456] s",
    "2026-11-26 10:00:00,123 ERROR kernel: of a matrix is empty",
    "[2026-11-26 10:00:00] production.ERROR: kernel panic in the test",
    "[26-Nov-2026 10:00:00] NOTICE: fpm is running, pid 1",
    "[Thu Nov 26 10:00:00.123456 2026] [core:notice] [pid 1] AH00094: Command line: httpd",
    "[Thu Nov 26 10:00:00 2026] [notice] Apache/2.2.15 configured",
    "Nov 26 10:00:00 db-01 sshd[991]: error: kernel: no such thing",
    "Nov 26 10:00:00 db-01 systemd[1]: Started Session 5 of user deploy.",
    "<30>Nov 26 10:00:00 db-01 app[7]: fine",
    "<4>1 2026-03-02T03:05:12Z db-01 app 12 - - Linux version is old",
    "[   12.345678] db-01 systemd[1]: Started Session 5 of user deploy.",
    "It depends on the kernel: it may",
    '192.0.2.7 - - [26/Nov/2026:10:00:00 +0000] "GET /kernel HTTP/1.1" 200 12',
    "<html><body>404 Not Found</body></html>",
    "LOG:  checkpoint complete: wrote 5 buffers",
    '{"level":"info","msg":"kernel: fine"}',
    '{"_TRANSPORT":"stdout","SYSLOG_IDENTIFIER":"kernel","MESSAGE":"eth0: link up"}',
    "dmesg: read kernel buffer failed: Operation not permitted",
]


@pytest.mark.parametrize("line", KERNELS)
def test_a_line_of_the_kernel_makes_a_log(line):
    """In every form that is understood, wherever in a file it stands."""
    for text in (line, f"{line}\n", f"restored from tape\n\n{line}\nend\n"):
        assert explain(text).events == 0


@pytest.mark.parametrize("line", OTHERS)
def test_what_other_programs_write_is_no_all_clear(line):
    """No OOM in a web server's log says nothing about memory."""
    with pytest.raises(
        InputError, match=r"empty|no line in it looks like a kernel message"
    ) as told:
        explain("\n".join([line] * 3 if line else []))
    assert "dmesg" in told.value.help


def test_blank_lines_are_no_log():
    """As empty as an empty file."""
    with pytest.raises(InputError, match="no line in it"):
        explain("\n \n\n")


def reach(text):
    report = explain(text)
    return report.kernel_from, report.kernel_until


def test_a_log_tells_from_when_to_when_the_kernel_speaks_in_it():
    """In the log's own words; another program's lines before and after do not count."""
    other = "Mar  1 00:00:01 db-01 sshd[991]: Accepted publickey for deploy\n"
    line = "Mar  {day} 03:05:12 db-01 kernel: eth0: link up\n"
    text = other + line.format(day=2) + other * 5 + line.format(day=7) + other
    assert reach(text) == ("Mar  2 03:05:12", "Mar  7 03:05:12")
    assert reach(oom.journal_json(["eth0: link up"] * 3))[0] == "2026-03-02 03:05:12 UTC"
    assert reach(oom.journal_export(["eth0: link up"] * 3))[1] == "2026-03-02 03:05:12 UTC"
    assert reach("<6>eth0: link up\n<6>eth0: link down\n") == (None, None)


@pytest.mark.parametrize("lines", [1, 50, 3_000, 40_000])
def test_the_last_line_is_found_wherever_it_stands(lines):
    """Behind a block, or several chunks, of what other programs said."""
    other = "Mar  3 00:00:01 db-01 sshd[991]: Accepted publickey for deploy\n" * lines
    first, last = (f"Mar  {day} 03:05:12 db-01 kernel: eth0: link up\n" for day in (2, 7))
    assert reach(first + other + last + other) == ("Mar  2 03:05:12", "Mar  7 03:05:12")
    assert reach(other + first + other)[0] == "Mar  2 03:05:12"
