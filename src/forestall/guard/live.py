"""The last look at a process before it is touched: who it is now, not who it was when judged."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from forestall.errors import InputError
from forestall.guard.protect import names_of, script_of
from forestall.model.sample import ProcessKey
from forestall.sense import procfs
from forestall.sense.cgroup import Cgroups, is_user_unit, systemd_path, unit_of
from forestall.sense.host import Host

KTHREADD_PID = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A process as it is now. `names` are all it goes by; `user_unit`: its unit is a user's own.

    `memory_cgroup` is its path in the hierarchy that controls memory, as `Cgroups` reads it.
    """

    key: ProcessKey
    name: str
    names: tuple[str, ...]
    script: str | None = None
    unit: str | None = None
    user_unit: bool = False
    kernel_thread: bool = False
    memory_cgroup: str | None = None

    def same_service(self, other: "Live") -> bool:
        """Whether `other` serves the same: by its unit, else by its name and script."""
        if self.unit is not None and other.unit is not None:
            return self.unit == other.unit and self.user_unit == other.user_unit
        return (self.name, self.script) == (other.name, other.script)


class Processes(Protocol):
    """What guard must see of the processes of a host."""

    def look(self, pid: int) -> Live | None:
        """The process of this pid; None once it has ended, reaped or not."""
        ...

    def all(self) -> Iterator[Live]:
        """Every process to be seen now."""
        ...

    def inside(self, cgroup: str) -> Iterator[Live]:
        """Every process in this memory cgroup, or in one below it."""
        ...

    def oom_kill_count(self, cgroup: str) -> int | None:
        """How many of this memory cgroup the kernel has killed; None where it does not count."""
        ...


class HostProcesses:
    """Processes as /proc of `host` shows them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._boot_id = procfs.read_boot_id(host)
        self._cgroups = Cgroups(host)

    def look(self, pid: int) -> Live | None:
        try:
            stat = procfs.read_stat(self._host, pid)
            paths = procfs.read_cgroup(self._host, pid)
        except InputError:
            # A file that says something else than a process is of no process that may be touched.
            return None
        if stat is None or stat.state in ("Z", "X"):
            return None
        words = procfs.read_cmdline(self._host, pid) or ()
        path = systemd_path(paths)
        return Live(
            key=procfs.key_of(stat, self._boot_id),
            name=stat.name,
            names=names_of(stat.name, words),
            script=script_of(words),
            unit=unit_of(path),
            user_unit=is_user_unit(path),
            kernel_thread=stat.kernel_thread or KTHREADD_PID in (pid, stat.parent_pid),
            memory_cgroup=self._cgroups.place_of(pid).cgroup,
        )

    def all(self) -> Iterator[Live]:
        for pid in self._host.pids():
            live = self.look(pid)
            if live is not None:
                yield live

    def inside(self, cgroup: str) -> Iterator[Live]:
        # One file of each process, and more only of those inside: what stands between a decision
        # and the first action must be quick on a host in thrash.
        for pid in self._host.pids():
            if not f"{self._cgroups.place_of(pid).cgroup or ''}/".startswith(f"{cgroup}/"):
                continue
            live = self.look(pid)
            if live is not None:
                yield live

    def oom_kill_count(self, cgroup: str) -> int | None:
        sample = self._cgroups.read(cgroup)
        return None if sample is None else sample.oom_kill_count


def own_pids(host: Host) -> frozenset[int]:
    """This process and those that run it, up to init: what guard must never take down."""
    pids = []
    pid = os.getpid()
    for _ in range(64):
        pids.append(pid)
        stat = procfs.read_stat(host, pid)
        if stat is None or stat.parent_pid <= 1:
            break
        pid = stat.parent_pid
    return frozenset(pids)
