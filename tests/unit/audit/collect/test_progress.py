"""What a person sees while hosts are asked."""

import io

from forestall.audit.collect.progress import ProgressLine, line
from forestall.audit.collect.ssh import Progress


def at(done, seconds, left=None, kept=0):
    return Progress(
        done=done, total=500, failed=4, running=120, kept=kept, seconds=seconds, seconds_left=left
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_words():
    """How many of how many, what failed, what runs, and how long it will take."""
    assert line(at(312, 40.0, 31.0)) == "312/500 hosts, 4 failed, 120 running, 31 s left"
    assert line(at(500, 60.0, kept=9)) == "500/500 hosts, 9 kept from before, 4 failed, in 1 min"
    assert "left" not in line(at(0, 1.0))


def test_a_terminal_sees_it_move():
    """One line that is written over, and a last one that stays."""
    stream = Terminal()
    shown = ProgressLine(stream)
    shown(at(10, 1.0, 50.0))
    assert stream.getvalue() == ""
    shown(at(312, 40.0, 31.0))
    assert stream.getvalue().endswith("312/500 hosts, 4 failed, 120 running, 31 s left")
    shown(at(500, 60.0))
    shown.close()
    assert stream.getvalue().endswith("500/500 hosts, 4 failed, in 1 min\n")


def test_a_file_gets_the_last_line_alone():
    """No cursor movements in a log, and nothing of what took a moment."""
    stream = io.StringIO()
    shown = ProgressLine(stream)
    shown(at(312, 40.0, 31.0))
    assert stream.getvalue() == ""
    shown(at(500, 60.0))
    shown.close()
    assert stream.getvalue() == "500/500 hosts, 4 failed, in 1 min\n"
    quick = io.StringIO()
    shown = ProgressLine(quick)
    shown(at(500, 1.0))
    shown.close()
    assert quick.getvalue() == ""
