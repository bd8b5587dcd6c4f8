"""The control groups of one machine: its memory, its freezer, and the word that memory ended."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

V1_NO_LIMIT_BYTES = 1 << 60
REMOVE_SECONDS = 5.0
NAME = "forestall-drill-"
"""How every group of a drill begins; the pid of the drill follows, so that leftovers are known."""


class NoMachineError(Exception):
    """This host cannot carry a small machine; the message says what is missing, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounts:
    """Where groups are made. Version 1 has one hierarchy per controller, 2 one for all."""

    version: int
    memory: Path
    freezer: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """Each hierarchy once."""
        return (self.memory, self.freezer) if self.version == 1 else (self.memory,)


def find_mounts(mounts: str, controllers: Callable[[str], str]) -> Mounts:
    """The hierarchies in the text of /proc/self/mounts.

    `controllers` gives the text of a v2 mount's cgroup.controllers. Version 1 wins where it has
    the memory controller, because then version 2 has not. Raises NoMachineError.
    """
    found: dict[str, Path] = {}
    unified: list[Path] = []
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 4:
            continue
        point, kind, options = Path(words[1]), words[2], words[3].split(",")
        if kind == "cgroup":
            found.update((name, point) for name in ("memory", "freezer") if name in options)
        elif kind == "cgroup2" and "memory" in controllers(words[1]).split():
            unified.append(point)
    if "memory" in found and "freezer" in found:
        return Mounts(version=1, memory=found["memory"], freezer=found["freezer"])
    if unified:
        return Mounts(version=2, memory=unified[0], freezer=unified[0])
    raise NoMachineError(
        "no memory controller is mounted below /sys/fs/cgroup"
        " (in a container: run the drill on the host, or give the container its own cgroup)"
    )


def find_mounts_here() -> Mounts:
    """The hierarchies of this host."""

    def controllers(point: str) -> str:
        try:
            return Path(point, "cgroup.controllers").read_text(encoding="ascii")
        except OSError:
            return ""

    return find_mounts(Path("/proc/self/mounts").read_text(encoding="utf-8"), controllers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a machine's memory holds. `shared_bytes` are shared, which nobody can take back."""

    limit_bytes: int
    used_bytes: int
    cache_bytes: int
    shared_bytes: int = 0

    @property
    def available_bytes(self) -> int:
        """What /proc/meminfo in the machine calls MemAvailable."""
        return max(0, self.limit_bytes - self.used_bytes + self.cache_bytes)


def parse_cache(stat: str) -> tuple[int, int]:
    """(page cache on the file lists, shared memory) in the text of memory.stat."""
    values = dict(line.split(" ", 1) for line in stat.splitlines() if " " in line)
    prefix = "total_" if "total_active_file" in values else ""
    cache = (int(values.get(f"{prefix}{name}", "0")) for name in ("active_file", "inactive_file"))
    return sum(cache), int(values.get(f"{prefix}shmem", "0"))


class Group:
    """The groups called `name` in each hierarchy. `make` and `remove` once each."""

    def __init__(self, mounts: Mounts, name: str, limit_bytes: int) -> None:
        self.version = mounts.version
        self.name = name
        self.limit_bytes = limit_bytes
        self._folders = tuple(mount / name for mount in mounts.all)
        self._memory = mounts.memory / name
        self._freezer = mounts.freezer / name

    @property
    def procs_files(self) -> tuple[str, ...]:
        """Where a process writes its pid to become one of the machine's."""
        return tuple(str(folder / "cgroup.procs") for folder in self._folders)

    def make(self) -> None:
        """Create the groups with their limit. Raises NoMachineError."""
        try:
            for folder in self._folders:
                folder.mkdir()
            if self.version == 1:
                _write(self._memory / "memory.limit_in_bytes", str(self.limit_bytes))
                # Where swap is accounted for, memory and swap together get the same limit: no swap.
                with contextlib.suppress(FileNotFoundError):
                    _write(self._memory / "memory.memsw.limit_in_bytes", str(self.limit_bytes))
            else:
                _write(self._memory / "memory.max", str(self.limit_bytes))
                with contextlib.suppress(FileNotFoundError):
                    _write(self._memory / "memory.swap.max", "0")
        except OSError as error:
            self.remove()
            raise NoMachineError(
                f"{error.filename or self._memory}: {error.strerror}: the machine's group cannot "
                "be made (run the drill as root, with a writable /sys/fs/cgroup)"
            ) from None

    def memory(self) -> Memory | None:
        """What is used now; None once the group is gone."""
        used = "memory.usage_in_bytes" if self.version == 1 else "memory.current"
        try:
            cache, shared = parse_cache(_read(self._memory / "memory.stat"))
            return Memory(
                limit_bytes=self.limit_bytes,
                used_bytes=int(_read(self._memory / used)),
                cache_bytes=cache,
                shared_bytes=shared,
            )
        except (OSError, ValueError):
            return None

    def pids(self) -> list[int]:
        """The processes of the machine, those of groups made inside it too."""
        found: set[int] = set()
        for folder in self._tree():
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in _read(folder / "cgroup.procs").split())
        return sorted(found - {0})

    def freeze(self) -> None:
        """Everything in the machine stands still from now on; returns at once."""
        self._set_frozen(frozen=True)

    def thaw(self) -> None:
        """Everything in the machine runs on, if only to take its SIGKILL."""
        self._set_frozen(frozen=False)

    def lift(self) -> None:
        """Take the limit away: what waits for memory can then end."""
        with contextlib.suppress(OSError):
            if self.version == 1:
                for name in ("memory.memsw.limit_in_bytes", "memory.limit_in_bytes"):
                    with contextlib.suppress(FileNotFoundError):
                        _write(self._memory / name, str(V1_NO_LIMIT_BYTES))
            else:
                _write(self._memory / "memory.max", "max")

    def remove(self) -> bool:
        """Remove the groups, which are busy for a moment after their last process; whether gone."""
        until = time.monotonic() + REMOVE_SECONDS
        while left := [folder for folder in self._folders if folder.exists()]:
            for folder in left:
                for below in sorted(folder.glob("**/"), reverse=True):
                    with contextlib.suppress(OSError):
                        below.rmdir()
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def oom_events(self) -> OomEvents:
        """A watch for the end of this group's own memory, not of a group inside it."""
        return OomEvents(self._memory, self.version)

    def _set_frozen(self, *, frozen: bool) -> None:
        if self.version == 1:
            _write(self._freezer / "freezer.state", "FROZEN" if frozen else "THAWED")
        else:
            _write(self._freezer / "cgroup.freeze", "1" if frozen else "0")

    def _tree(self) -> Iterator[Path]:
        for folder in self._folders:
            yield from (Path(at) for at, _, _ in os.walk(folder))


class OomEvents:
    """Waits until a group's memory ends: the kernel found nothing left to take back in it.

    On version 1 the kernel tells an eventfd before it chooses a victim; on version 2 it counts in
    memory.events.local, whose change wakes a poll.
    """

    def __init__(self, folder: Path, version: int) -> None:
        self._version = version
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._event = -1
        name = "memory.oom_control" if version == 1 else "memory.events.local"
        self._file = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
        self._count = self._ooms()
        if version == 1:
            self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            _write(folder / "cgroup.event_control", f"{self._event} {self._file}")

    def wait(self) -> bool:
        """True when memory ended, False when `stop` was called."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._version == 1:
            poll.register(self._event, select.POLLIN)
        else:
            poll.register(self._file, select.POLLPRI)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wake in ready:
                return False
            if self._version == 1 or self._ooms() > self._count:
                return True

    def stop(self) -> None:
        """Wake whoever waits."""
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Give the descriptors back; nobody may wait any more."""
        for descriptor in (self._file, self._event, self._wake):
            if descriptor >= 0:
                os.close(descriptor)

    def _ooms(self) -> int:
        if self._version == 1:
            return 0
        text = os.pread(self._file, 4096, 0).decode("ascii", "replace")
        return parse_ooms(text)


def parse_ooms(events: str) -> int:
    """How often memory ended, in the text of memory.events.local."""
    return next((int(line[4:]) for line in events.splitlines() if line.startswith("oom ")), 0)


def leftovers(names: Iterable[str], alive: Callable[[int], bool]) -> list[str]:
    """Of the names of groups, those of drills that no longer run."""
    found = []
    for name in names:
        pid = name.removeprefix(NAME).partition("-")[0]
        if name.startswith(NAME) and pid.isdigit() and not alive(int(pid)):
            found.append(name)
    return found


def _read(path: Path) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read(64 * 1024)


def _write(path: Path, text: str) -> None:
    # Without O_CREAT: where there is no such control there is no such file.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
