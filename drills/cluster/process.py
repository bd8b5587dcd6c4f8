"""Processes of a drill: started for another user, known by pid and start time, ended for certain.

A pid alone may name a stranger later, so every process is remembered with its start time in clock
ticks. A process belongs to a folder when its working folder is inside and its program is one that
a cluster starts: PostgreSQL's children are found that way too, whoever their parent is by now.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PROGRAMS = ("postgres", "etcd", "haproxy", "pgbouncer", "python")
"""How the names of the programs begin that a cluster runs; a shell in its folder is not touched."""
IPC_RMID = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process: `started` is its start time in clock ticks after boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now; None when there is none or it is a zombie."""
        fields = _stat(pid)
        if fields is None or fields[0] in "ZX":
            return None
        return cls(pid=pid, started=int(fields[19]))

    @property
    def alive(self) -> bool:
        """Whether it still runs (a stopped one does, a zombie does not)."""
        return Process.of(self.pid) == self

    @property
    def stopped(self) -> bool:
        """Whether it was stopped by SIGSTOP."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] == "T" and int(fields[19]) == self.started

    @property
    def parent(self) -> int:
        """The pid of its parent; 0 when it is gone."""
        fields = _stat(self.pid)
        return int(fields[1]) if fields else 0

    @property
    def title(self) -> str:
        """Its command line as `ps` shows it."""
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            return ""

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to exactly this process; False when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # Opened first, compared then: the descriptor cannot come to mean another process.
            if Process.of(self.pid) != self:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name: state, parent, ...; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def inside(folder: Path) -> list[Process]:
    """Every process of a cluster in this folder: PostgreSQL's children too."""
    found = []
    beginning = f"{folder}/"
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            where = os.readlink(f"/proc/{name}/cwd")
            program = os.path.basename(os.readlink(f"/proc/{name}/exe"))
        except OSError:
            continue
        if f"{where}/".startswith(beginning) and program.startswith(PROGRAMS):
            process = Process.of(int(name))
            if process is not None and process.pid != os.getpid():
                found.append(process)
    return found


def spawn(
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    user: int | None = None,
    group: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in its folder and session, its words appended to a log."""
    with log.open("ab") as words:
        return subprocess.Popen(
            list(command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env=dict(environment) if environment is not None else {"PATH": "/usr/bin:/bin"},
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )


class Launch(Protocol):
    """What starts a program: `spawn`, or a machine's way of doing the same inside it."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        log: Path,
        user: int | None = None,
        group: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]: ...


def wait_gone(processes: Iterable[Process], seconds: float) -> bool:
    """Wait until none of them runs; False when the time is over first."""
    until = time.monotonic() + seconds
    waiting = list(processes)
    while waiting := [process for process in waiting if process.alive]:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def end_all(folder: Path, seconds: float = 10.0) -> list[Process]:
    """Kill every process of a cluster's folder; those that are left are returned (none, we hope).

    Killed PostgreSQL leaves a shared memory segment behind: it is removed here, by the number that
    it noted in its own data folder.
    """
    until = time.monotonic() + seconds
    while left := inside(folder):
        if time.monotonic() > until:
            break
        # A parent could start a new child between looking and killing, so it is looked again.
        for process in left:
            process.signal(signal.SIGKILL)
        wait_gone(left, 2.0)
    for noted in folder.glob("**/postmaster.pid"):
        _remove_segment(noted)
    return left


def _remove_segment(noted: Path) -> None:
    """Line 7 of postmaster.pid is the key and the id of the segment."""
    try:
        identity = int(noted.read_text(encoding="ascii").splitlines()[6].split()[1])
        noted.unlink()
    except (OSError, ValueError, IndexError):
        return
    ctypes.CDLL(None).shmctl(identity, IPC_RMID, None)


KEEPER = "keeper"
MOUNTS = "mounts"
GROUPS = "groups"
"""Files of a cluster's folder: who cleans up after it, and what else there is to clean."""


def clean(folder: Path, *, keep: bool) -> bool:
    """Take a cluster away: processes, mounts, memory groups and, unless kept, the folder."""
    left = end_all(folder)
    for line in reversed(_lines(folder / MOUNTS)):
        # MNT_DETACH: a mount that is looked at from elsewhere is gone from here all the same.
        ctypes.CDLL(None).umount2(line.encode(), 2)
    for line in reversed(_lines(folder / GROUPS)):
        _end_group(Path(line))
    if not keep and not left:
        shutil.rmtree(folder, ignore_errors=True)
    return not left


def _end_group(group: Path) -> None:
    """Kill what is left in a memory group (services of the drill) and remove it."""
    for _ in range(100):
        members = [Process.of(int(word)) for word in _lines(group / "cgroup.procs")]
        for process in members:
            if process is not None:
                process.signal(signal.SIGKILL)
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def start_keeper(folder: Path, *, keep: bool) -> subprocess.Popen[bytes]:
    """The process that cleans up when its standard input ends: also when we are killed."""
    keeper = subprocess.Popen(
        [sys.executable, "-S", "-E", __file__, str(folder), "keep" if keep else "remove"],
        cwd="/",
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    process = Process.of(keeper.pid)
    if process is not None:
        (folder / KEEPER).write_text(f"{process.pid} {process.started}\n", encoding="ascii")
    return keeper


def sweep(parent: Path, prefix: str) -> None:
    """Clean what is left of clusters whose keeper was killed too."""
    for folder in parent.glob(f"{prefix}*"):
        try:
            pid, started = map(int, (folder / KEEPER).read_text(encoding="ascii").split())
            ours = folder.stat().st_uid == os.geteuid()
        except (OSError, ValueError):
            continue
        if ours and not Process(pid=pid, started=started).alive:
            clean(folder, keep=False)


def _keep() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while sys.stdin.buffer.read(4096):
        pass
    return 0 if clean(Path(sys.argv[1]), keep=sys.argv[2] == "keep") else 1


if __name__ == "__main__":
    sys.exit(_keep())
