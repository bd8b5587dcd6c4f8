"""A real memory limit for the demo's service where this host lets us make one."""

import contextlib
import os
import re
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOUNTS = (
    # The memory controller's mount, its limit's file, and its name in /proc/self/cgroup.
    ("/sys/fs/cgroup", "memory.max", ""),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory"),
)

BACKSTOP = 2
LEFTOVER = re.compile(r"forestall-demo-(\d+)(?:-control)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cage:
    """A limit of `limit_bytes`; `folder` is its cgroup, or None where it is only stated."""

    limit_bytes: int
    folder: str | None

    @property
    def real(self) -> bool:
        return self.folder is not None

    def admit(self, pid: int, part: str | None = None) -> None:
        """Put a process under the limit, in a cgroup `part` of its own inside. Raises OSError."""
        if self.folder is None:
            # A limit that is only stated stops nothing: whatever goes wrong, the host is spared.
            ceiling = BACKSTOP * self.limit_bytes
            resource.prlimit(pid, resource.RLIMIT_DATA, (ceiling, ceiling))
        else:
            folder = self.folder if part is None else _part(self.folder, part)
            with open(os.path.join(folder, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write(str(pid))

    def holds(self, cgroup: str | None) -> bool:
        """Whether a process with this cgroup, as /proc/PID/cgroup names it, is under the limit."""
        if self.folder is None or cgroup is None:
            return False
        return f"/{os.path.basename(self.folder)}/" in f"{cgroup}/"


@contextlib.contextmanager
def cage(
    name: str, limit_bytes: int, mounts: Sequence[tuple[str, str, str]] = MOUNTS
) -> Iterator[Cage]:
    """A cgroup `name` with the limit, removed at the end; else a merely stated limit."""
    for mount, limit_file, controller in mounts:
        for parent in (mount, mount + _own_cgroup(controller)):
            _sweep(parent)
            folder = os.path.join(parent, name)
            if _make(folder, limit_file, limit_bytes):
                try:
                    yield Cage(limit_bytes=limit_bytes, folder=folder)
                finally:
                    _remove(folder)
                return
    yield Cage(limit_bytes=limit_bytes, folder=None)


def _sweep(parent: str) -> None:
    """Remove what demos left behind that were killed; their names end in the demo's pid."""
    with contextlib.suppress(OSError):
        for entry in os.listdir(parent):
            found = LEFTOVER.fullmatch(entry)
            if found and not os.path.exists(f"/proc/{found[1]}"):
                # Of a cgroup only the empty one can be removed, of a folder likewise.
                with contextlib.suppress(OSError):
                    folder = os.path.join(parent, entry)
                    for part in _parts(folder):
                        os.rmdir(part)
                    os.rmdir(folder)


def _make(folder: str, limit_file: str, limit_bytes: int) -> bool:
    try:
        os.mkdir(folder)
    except OSError:
        return False
    try:
        # Without O_CREAT: where the folder is no cgroup of this controller there is no such file.
        descriptor = os.open(os.path.join(folder, limit_file), os.O_WRONLY)
        try:
            os.write(descriptor, str(limit_bytes).encode())
        finally:
            os.close(descriptor)
    except OSError:
        _remove(folder)
        return False
    return True


def _own_cgroup(controller: str) -> str:
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as lines:
            for line in lines:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if controller in controllers.split(",") and path != "/":
                    return path
    except (OSError, ValueError):
        pass
    return ""


def _part(folder: str, name: str) -> str:
    """A cgroup inside that limits nothing itself, as a service has on a host."""
    part = os.path.join(folder, name)
    if not os.path.isdir(part):
        enable = os.path.join(folder, "cgroup.subtree_control")
        if os.path.exists(enable):
            with open(enable, "w", encoding="ascii") as control:
                control.write("+memory")
        os.mkdir(part)
    return part


def _parts(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _remove(folder: str) -> None:
    # A cgroup is busy for a moment after its last process has gone.
    for _ in range(50):
        try:
            for part in _parts(folder):
                os.rmdir(part)
            os.rmdir(folder)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
