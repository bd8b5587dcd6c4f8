"""One command: bounded in time and in what it may say."""

import subprocess
import sys

from forestall.guard.actions.running import SAID_CHARS_MAX, run_words


def run(code, *, timeout_seconds=30.0, listen=True):
    words = [sys.executable, "-c", code]
    return run_words(words, timeout_seconds, oom_score_adjust=0, listen=listen)


def test_the_end_of_what_it_said_is_kept_as_one_line():
    """Whatever a failing command prints, its last words fit into one record."""
    said = "sys.stderr.write('x' * 9000 + '\\n no unit\\n'); sys.exit(4)"
    ran = run(f"import sys; {said}")
    assert ran.exit_code == 4
    assert len(ran.said) == SAID_CHARS_MAX
    assert ran.said.endswith("x no unit")


def test_one_that_does_not_stop_talking_is_killed():
    """Its output would else fill the memory that it is run to save."""
    ran = run("import sys\nwhile True: sys.stderr.write('y' * 4096)")
    assert ran.exit_code is None
    assert ran.said == "it answered more than 65536 bytes and was killed"


def test_one_that_does_not_end_is_killed_whether_or_not_it_is_listened_to():
    """The time is the action's, and is not waited for twice."""
    for listen in (True, False):
        ran = run("import time; time.sleep(600)", timeout_seconds=0.2, listen=listen)
        assert ran.exit_code is None
        assert ran.said.endswith("in time and was killed")


def test_what_it_starts_goes_before_nobody_even_where_forestall_does():
    """A service that inherited the priority of an acting guard would take the host's processor."""
    script = (
        "import contextlib, os, sys\n"
        "from forestall.guard.actions.running import run_words\n"
        "with contextlib.suppress(OSError):\n"
        "    os.setpriority(os.PRIO_PROCESS, 0, -15)\n"
        "code = 'import os, sys; sys.exit(str(os.getpriority(os.PRIO_PROCESS, 0)))'\n"
        "ran = run_words([sys.executable, '-c', code], 30.0, oom_score_adjust=0, listen=True)\n"
        "print(ran.said)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) >= 0
