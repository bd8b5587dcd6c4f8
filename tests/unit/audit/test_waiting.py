"""What a person at a terminal sees of work that takes long."""

import io
import threading

from forestall.audit.waiting import Waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_is_told_while_the_work_goes_on_and_left_clean():
    """The words come from beside the work, and are gone when it ends."""
    asked = threading.Event()

    def words(seconds):
        asked.set()
        return f"3 hosts, {seconds >= 0}"

    stream = Terminal()
    with Waiting(stream, words, after_seconds=0.0):
        assert asked.wait(60)
    assert "\r\x1b[K3 hosts, True" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_what_is_quick_and_what_is_no_terminal_are_told_nothing():
    """No line in a log, and none for what ends before anybody wonders."""
    quick = Terminal()
    with Waiting(quick, lambda _: "never", after_seconds=3600.0):
        pass
    log = io.StringIO()
    with Waiting(log, lambda _: "never", after_seconds=0.0):
        pass
    assert quick.getvalue() == log.getvalue() == ""
