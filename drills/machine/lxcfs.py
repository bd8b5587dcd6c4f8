"""lxcfs: a /proc/meminfo that speaks of the asker's group, so that guards see a small machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from drills.machine.cgroup import NoMachineError

START_SECONDS = 10.0
END_SECONDS = 5.0


@contextlib.contextmanager
def lxcfs(folder: Path) -> Iterator[Path]:
    """Mount lxcfs at `folder/lxcfs` while in the context; yields where."""
    program = shutil.which("lxcfs", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise NoMachineError(
            "lxcfs is not installed, which shows the machine its own memory"
            " (as root: sh tools/packages.sh guards)"
        )
    point = folder / "lxcfs"
    point.mkdir()
    words = ["setpriv", "--pdeathsig", "TERM", program, "-u", "-f", "-p", str(folder / "lxcfs.pid")]
    with open(folder / "lxcfs.log", "wb") as log:
        process = subprocess.Popen(
            [*words, str(point)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for the drill, which ends it last.
            start_new_session=True,
        )
    try:
        _wait_mounted(point, process, folder / "lxcfs.log")
        yield point
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if is_mounted(point, _mounts()):
            subprocess.run(["umount", "--lazy", str(point)], check=False, timeout=END_SECONDS)
        point.rmdir()


def is_mounted(point: Path, mounts: str) -> bool:
    """Whether something is mounted at `point`, by the text of /proc/self/mounts."""
    return any(line.split(" ")[1:2] == [str(point)] for line in mounts.splitlines())


def _mounts() -> str:
    return Path("/proc/self/mounts").read_text(encoding="utf-8")


def _wait_mounted(point: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    # The mount is there before the files in it are.
    while not (is_mounted(point, _mounts()) and (point / "proc" / "meminfo").exists()):
        if process.poll() is not None or time.monotonic() > until:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise NoMachineError(
                f"lxcfs did not start; its last word: {said[0]} (it needs root and /dev/fuse)"
            )
        time.sleep(0.05)
