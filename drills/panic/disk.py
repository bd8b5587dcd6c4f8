"""The disk that outlives the guest: made before it starts, read after it ended, never mounted."""

import os
import subprocess

from drills.panic.packages import find
from forestall.errors import ForestallError
from forestall.units import MIB

# Evidence leaves 256 MiB to the services, so a smaller disk would rightly keep none.
DISK_BYTES = 512 * MIB
TOOL_SECONDS = 120


def make_disk(path: str) -> None:
    """An empty ext2 file system in a sparse file; no journal that would have to be replayed."""
    with open(path, "wb") as disk:
        disk.truncate(DISK_BYTES)
    _run("mke2fs", "-q", "-F", "-t", "ext2", "-m", "0", path)


def read_disk(path: str, folder: str) -> None:
    """Copy all that is on the disk into the new `folder`, as far as it was written."""
    os.makedirs(folder, exist_ok=True)
    # After a panic the file system was never unmounted; 1 means "repaired".
    _run("e2fsck", "-p", "-f", path, fine=(0, 1))
    # debugfs splits its requests at blanks, so it is told where to go by where it runs.
    _run("debugfs", "-R", "rdump / .", os.path.abspath(path), cwd=folder)
    lost = os.path.join(folder, "lost+found")
    if os.path.isdir(lost) and not os.listdir(lost):
        os.rmdir(lost)


def _run(*words: str, fine: tuple[int, ...] = (0,), cwd: str | None = None) -> None:
    program = find(words[0]) or words[0]
    try:
        ran = subprocess.run(
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TOOL_SECONDS,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ForestallError(f"{words[0]} took longer than {TOOL_SECONDS} s") from None
    if ran.returncode not in fine:
        last = " ".join((ran.stderr or ran.stdout).split())[:300]
        raise ForestallError(f"{words[0]} failed with {ran.returncode}: {last}")
