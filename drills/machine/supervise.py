"""Keeps one command running, as systemd with Restart=always would: `supervise.py COMMAND...`.

On SIGTERM the command is told to end, and nothing is started again. Each start is said.
"""

import signal
import subprocess
import sys
import time
import types

RESTART_SECONDS = 0.5
END_SECONDS = 5.0


class Ending(BaseException):
    """SIGTERM came."""


def main(command: list[str]) -> None:
    """Start, wait, start again, until SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    process: subprocess.Popen[bytes] | None = None
    try:
        while True:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            print(f"supervise: started, pid {process.pid}", flush=True)
            code = process.wait()
            print(f"supervise: ended, {code}", flush=True)
            time.sleep(RESTART_SECONDS)
    except Ending:
        if process is not None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _end(number: int, frame: types.FrameType | None) -> None:
    raise Ending


if __name__ == "__main__":
    main(sys.argv[1:])
