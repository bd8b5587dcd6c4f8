"""Lines of every kind of log, down to what the kernel said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestall.audit.oom.prefix import PIECES_MAX, split

SAID = "Mem-Info:"


@pytest.mark.parametrize(
    ("line", "at", "seconds"),
    [
        (SAID, None, None),
        ("[ 4711.250010] Mem-Info:", None, 4711.25001),
        ("[ 4711.250010][ T1234] Mem-Info:", None, 4711.25001),
        ("[ 4711.250010][    C0] Mem-Info:", None, 4711.25001),
        ("<4>[ 4711.250010] Mem-Info:", None, 4711.25001),
        ("<6>Mem-Info:", None, None),
        ("[Mon Mar  2 03:05:12 2026] Mem-Info:", "Mon Mar  2 03:05:12 2026", None),
        ("[dim. 19 avril 18:03:30 2026] Mem-Info:", "dim. 19 avril 18:03:30 2026", None),
        ("[四 3月 18 18:47:12 2021] Mem-Info:", "四 3月 18 18:47:12 2021", None),
        ("[Mar 2 03:05] Mem-Info:", "Mar 2 03:05", None),
        ("[  +0.000010] Mem-Info:", None, None),
        ("[<    0.000010>] Mem-Info:", None, None),
        ("[ 7629.241967 <    0.000003>] Mem-Info:", None, 7629.241967),
        ("[Mon Mar  2 03:05:12 2026 <    0.01>] Mem-Info:", "Mon Mar  2 03:05:12 2026", None),
        ("kern  :warn  : [ 4711.250010] Mem-Info:", None, 4711.25001),
        ("2026-03-02T03:05:12,123456+00:00 Mem-Info:", "2026-03-02T03:05:12,123456+00:00", None),
        ("Mar  2 03:05:12 db-01 kernel: Mem-Info:", "Mar  2 03:05:12", None),
        ("Mar  2 03:05:12 db-01 kernel: [ 4711.250010] Mem-Info:", "Mar  2 03:05:12", 4711.25001),
        ("Mar  2 03:05:12 db-01 kernel:[ 4711.250010] Mem-Info:", "Mar  2 03:05:12", 4711.25001),
        ("mars 01 14:37:27 kernel: Mem-Info:", "mars 01 14:37:27", None),
        ("Mar  2 03:05:12 db-01 kern.warn kernel: Mem-Info:", "Mar  2 03:05:12", None),
        ("Mon 2026-03-02 03:05:12 UTC db kernel: Mem-Info:", "Mon 2026-03-02 03:05:12 UTC", None),
        ("1772420712.123456 db-01 kernel: Mem-Info:", "1772420712.123456", None),
        ("2026-03-02T03:05:12+0000 db-01 kernel: Mem-Info:", "2026-03-02T03:05:12+0000", None),
        ("[ 4711.250010] db-01 kernel: Mem-Info:", None, 4711.25001),
        ("<4>1 2026-03-02T03:05:12Z db-01 kernel - - - Mem-Info:", "2026-03-02T03:05:12Z", None),
        ("6,3057,4711250010,-;Mem-Info:", None, 4711.25001),
        ("db-01 login: [ 4711.250010] Mem-Info:\r", None, 4711.25001),
        ("\x1b[0;32m  OK  \x1b[0m[ 4711.250010] \x1b[1mMem-Info:\x1b[0m", None, 4711.25001),
        ("\x00\x00[ 4711.250010] Mem-Info:", None, 4711.25001),
        ("kernel: Mem-Info:", None, None),
        (
            "Fri 2026-03-02 03:05:12 UTC db kernel[n/a]: Mem-Info:",
            "Fri 2026-03-02 03:05:12 UTC",
            None,
        ),
        ("messages-20260302.gz:Mar  2 03:05:12 db-01 kernel: Mem-Info:", "Mar  2 03:05:12", None),
        (
            "17:Mar  2 03:05:12 db-01 kernel: [ 4711.250010] Mem-Info:",
            "Mar  2 03:05:12",
            4711.25001,
        ),
        ("> > [Mon Mar  2 03:05:12 2026] Mem-Info:", "Mon Mar  2 03:05:12 2026", None),
        ('"7","[4711.250010] Mem-Info:","x"', None, 4711.25001),
        ('7,"Mar  2 03:05:12 db-01 kernel: Mem-Info:"', "Mar  2 03:05:12", None),
        ("[ 4711.250010] Mem-Info:<br />", None, 4711.25001),
        ("<pre>Mem-Info:</pre>", None, None),
        (
            "Mon Mar  2 03:05:12 2026 kern.warn kernel: [4711.250010] Mem-Info:",
            "Mar  2 03:05:12",
            4711.25001,
        ),
        ("3月  2 03:05:12 db-01 kernel: Mem-Info:", "3月  2 03:05:12", None),
        ("2026-03-02T03:05:12Z Mem-Info:", "2026-03-02T03:05:12Z", None),
        ("node-7 | 03:05:12.7 | Mem-Info:", None, None),
    ],
)
def test_what_stands_before_the_kernels_words_is_taken_off(line, at, seconds):
    """Stamps are kept as values; levels, hosts, prompts and escapes go."""
    (said,) = split(7, line)
    assert (said.number, said.text, said.at, said.seconds) == (7, SAID, at, seconds)


@pytest.mark.parametrize(
    "line",
    [
        "Mar  2 03:05:12 db-01 sshd[991]: Out of memory: Killed process 1 (x) total-vm:1kB",
        "Mar  2 03:05:12 db-01 systemd[1]: java invoked oom-killer: gfp_mask=0x0",
        "messages.1:Mar  2 03:05:12 db-01 app[1]: kernel: java invoked oom-killer: gfp_mask=0x0",
        '"7","Mar  2 03:05:12 db-01 app: Out of memory: Killed process 1 (x) total-vm:1kB"',
        "<4>1 2026-03-02T03:05:12Z db-01 app 12 - - Kernel panic - not syncing: fake",
        "",
        "\r\r",
    ],
)
def test_another_program_is_not_the_kernel(line):
    """Whatever a program logs under its own name, it is not believed."""
    assert not list(split(1, line))


def test_lines_that_a_console_joined_come_apart():
    """A lost line end does not lose the second line."""
    joined = "[    1.000001] Free swap  = 0kB[    1.000002] Total swap = 4kB"
    assert [said.text for said in split(1, joined)] == ["Free swap  = 0kB", "Total swap = 4kB"]


def test_a_message_of_several_lines_comes_apart():
    """rsyslog writes the line ends of memory.stat as #012."""
    line = "Mar  2 03:05:12 db kernel: anon 4096#012file 0#012slab 12"
    assert [said.text for said in split(1, line)] == ["anon 4096", "file 0", "slab 12"]


def test_a_row_of_the_table_is_no_stamp():
    """`[ 4711]` opens a row and stays."""
    (said,) = split(1, "[    1.000001] [ 4711]  1001  4711  100 200 3 0 0 inventory-sync")
    assert said.text.startswith("[ 4711]")


@given(st.text(max_size=400))
def test_any_text_ends_in_bounded_pieces(text):
    """Whatever stands there: no error, no empty piece, no more pieces than allowed."""
    pieces = list(split(1, text))
    assert len(pieces) <= PIECES_MAX**3
    assert all(piece.text.strip() for piece in pieces)


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("Mar  2 03:05:12 db-01 kernel: Mem-Info:", "db-01"),
        ("Mar  2 03:05:12 10.0.0.5 kernel: Mem-Info:", "10.0.0.5"),
        ("Mar  2 03:05:12 kernel: Mem-Info:", None),
        ("Mon Mar  2 03:05:12 2026 kern.warn kernel: Mem-Info:", None),
        ("a.log:Mar  2 03:05:12 db-01 kernel: [    1.000001] Mem-Info:", "db-01"),
        ("[    1.000001] db-01 kernel: Mem-Info:", "db-01"),
        ("<4>1 2026-03-02T03:05:12Z db-01 kernel - - - Mem-Info:", "db-01"),
        ("[    1.000001] Mem-Info:", None),
    ],
)
def test_whose_kernel_it_is_is_kept(line, host):
    """A log server writes those of many into one file."""
    (said,) = split(1, line)
    assert (said.text, said.host) == (SAID, host)


def test_quotes_and_marks_of_a_page_become_what_the_kernel_wrote():
    """A table doubles the quotes in a field; a page writes < as an entity."""
    (said,) = split(1, '"1","[    1.000001] a ""b"" c"')
    assert said.text == 'a "b" c'
    (said,) = split(1, "[    1.000001] [&lt;ffffffff81118898&gt;] dump_header+0x70/0x1e5<br>")
    assert said.text == "[<ffffffff81118898>] dump_header+0x70/0x1e5"
