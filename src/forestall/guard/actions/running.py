"""Running one command: a list of words, no shell, no input, a bound on its time."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from forestall.sense.host import decode, finish

OUTPUT_BYTES_MAX = 64 * 1024
SAID_CHARS_MAX = 2000


class Ran(NamedTuple):
    """`exit_code` is None where the command was killed, or never ran; `said` is its own word."""

    exit_code: int | None
    said: str


def run_words(
    words: Sequence[str], timeout_seconds: float, *, oom_score_adjust: int, listen: bool
) -> Ran:
    """Run `words` and wait for the end of that one process, which is killed when it overruns.

    `listen` reads what it says to its standard error, and is only for commands that start no
    service themselves: a service that inherits a pipe would die of it once forestall is gone.
    What the command starts gets `oom_score_adjust`: the agent's own keeps the OOM killer away,
    and a leaking service that inherited it would have the database killed in its place.
    """
    # Imported here: only a restart needs it, and the agent has to stay small.
    import subprocess

    def adjust() -> None:
        try:
            descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
            os.write(descriptor, b"%d" % oom_score_adjust)
            os.close(descriptor)
        except OSError:
            pass  # Raising needs no right; to lower it, forestall would have to be root.
        if os.getpriority(os.PRIO_PROCESS, 0) < 0:
            # Forestall may have gone before others; a service that it starts is one of them.
            os.setpriority(os.PRIO_PROCESS, 0, 0)

    try:
        child = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if listen else subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            preexec_fn=adjust,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Ran(None, f"it could not be started: {error}")
    output, problem = finish(child, child.stderr, timeout_seconds, OUTPUT_BYTES_MAX)
    if problem is not None:
        return Ran(None, f"it {problem} and was killed")
    said = " ".join(decode(output).split())
    return Ran(child.returncode, said[-SAID_CHARS_MAX:])
