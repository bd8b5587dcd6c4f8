"""A real process that keeps memory, and whoever starts it again when it ends."""

import subprocess
import sys
import threading
import time

PROGRAM = """
import sys, time
name, bytes_per_second = sys.argv[1], int(sys.argv[2])
with open("/proc/self/comm", "w") as file:
    file.write(name)
kept, step = [], 0.05
began, held = time.monotonic(), 0
while True:
    due = int((time.monotonic() - began) * bytes_per_second)
    if due > held:
        kept.append(b"x" * (due - held))
        held = due
    time.sleep(step)
"""


class Supervised:
    """`name` leaks `bytes_per_second` for ever; `pid` is the present process, `starts` how many.

    Ends its process and itself when the `with` block ends.
    """

    def __init__(self, name: str, bytes_per_second: int) -> None:
        self.name = name
        self.starts = 0
        self._words = [sys.executable, "-c", PROGRAM, name, str(bytes_per_second)]
        self._stopping = False
        self._child = self._start()
        self._thread = threading.Thread(target=self._keep)

    @property
    def pid(self) -> int:
        return self._child.pid

    def __enter__(self) -> "Supervised":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping = True
        self._thread.join()
        self._child.kill()
        self._child.wait()

    def _start(self) -> subprocess.Popen:
        self.starts += 1
        return subprocess.Popen(self._words)

    def _keep(self) -> None:
        while not self._stopping:
            if self._child.poll() is not None:
                self._child = self._start()
            time.sleep(0.05)
