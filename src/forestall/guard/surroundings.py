"""What must be known to contain a process, read from the host: never written, never waited for.

Only files that the kernel prints without a lock of the process are read (stat, cgroup, the files
of the cgroup): on a host in thrash, /proc/PID/cmdline can take seconds.
"""

import os
from collections.abc import Iterable

from forestall.errors import InputError
from forestall.guard import protect
from forestall.guard.containment import (
    Surroundings,
    enclosing,
    is_shared,
    unit_folder,
)
from forestall.model.sample import ProcessKey
from forestall.sense import procfs
from forestall.sense.cgroup import Cgroups, is_user_unit, systemd_path, unit_of
from forestall.sense.host import Host

PIDS_BYTES_MAX = 64 * 1024
PIDS_MAX = 4096
FOLDERS_MAX = 64
NAMES_MAX = 1024

LIMIT_FILES = {1: ("memory.limit_in_bytes",), 2: ("memory.high", "memory.max")}


class Folders:
    """Where the memory cgroups of a host lie, and which processes are in them."""

    def __init__(self, host: Host, cgroups: Cgroups | None = None) -> None:
        self.host = host
        self.cgroups = cgroups or Cgroups(host)

    def folder(self, cgroup: str) -> str:
        """The folder of a cgroup, as `Host` takes it."""
        hierarchy = self.cgroups.hierarchy
        assert hierarchy is not None
        return hierarchy.mount.point.lstrip("/") + cgroup.rstrip("/")

    def exists(self, cgroup: str) -> bool:
        """Whether there is a memory cgroup of this path."""
        return self.cgroups.hierarchy is not None and self.host.is_folder(self.folder(cgroup))

    def pids(self, cgroup: str) -> tuple[int, ...]:
        """The processes that lie directly in it, at most PIDS_MAX."""
        data = self.host.read_bytes(f"{self.folder(cgroup)}/cgroup.procs", PIDS_BYTES_MAX) or b""
        return tuple(int(word) for word in data.split() if word.isdigit())[:PIDS_MAX]

    def all_pids(self, cgroup: str) -> tuple[int, ...]:
        """Those in it and in the cgroups below it, of which at most FOLDERS_MAX are looked into."""
        found: list[int] = []
        waiting = [cgroup]
        for _ in range(FOLDERS_MAX):
            if not waiting or len(found) >= PIDS_MAX:
                break
            path = waiting.pop()
            found += self.pids(path)
            for name in self.host.names(self.folder(path), NAMES_MAX) or ():
                below = f"{path.rstrip('/')}/{name}"
                if self.host.is_folder(self.folder(below)):
                    waiting.append(below)
        return tuple(found[:PIDS_MAX])

    def tree(self, pid: int, cgroup: str) -> tuple[int, ...]:
        """`pid` and those of its descendants that lie in `cgroup` too, parents first."""
        parents: dict[int, int] = {}
        for other in self.pids(cgroup):
            stat = _stat(self.host, other)
            if stat is not None:
                parents[other] = stat.parent_pid
        tree = [pid]
        for member in tree:
            tree += [other for other, parent in parents.items() if parent == member]
        return tuple(dict.fromkeys(tree))


def look(
    folders: Folders,
    process: ProcessKey,
    *,
    headroom_bytes: int | None,
    own_pids: frozenset[int] = frozenset(),
    protected: tuple[str, ...] = (),
) -> Surroundings:
    """The surroundings of a process now; `headroom_bytes` is the host's, from the last tick."""
    host, cgroups = folders.host, folders.cgroups
    version = cgroups.version
    if version is None:
        return _nothing(cgroups.problem or "no memory controller of cgroups is seen here")
    if not is_same(host, process):
        return _nothing(f"process {process.pid} is not there any more as it was judged")
    cgroup = cgroups.place_of(process.pid).cgroup
    try:
        path = systemd_path(procfs.read_cgroup(host, process.pid))
    except InputError as error:
        return _nothing(error.message)
    unit = unit_of(path)
    unit_cgroup = unit_folder(cgroup, unit)
    whole = unit_cgroup is not None and not is_shared(unit)
    target = unit_cgroup if whole else cgroup
    if cgroup is None or target is None:
        return _nothing(f"the cgroup of process {process.pid} is not seen")
    shared = not whole and _is_shared(folders, cgroup, process.pid)
    around = Surroundings(
        cgroup=cgroup,
        version=version,
        headroom_bytes=headroom_bytes,
        sample=cgroups.read(target),
        unit=unit,
        unit_cgroup=unit_cgroup,
        user_unit=is_user_unit(path),
        shared=shared,
        systemd=host.is_folder("run/systemd/system"),
        panic_on_oom=procfs.read_number(host, "proc/sys/vm/panic_on_oom") or 0,
    )
    alone = enclosing(around)
    pids = folders.tree(process.pid, cgroup) if alone else folders.all_pids(target)
    forbidden = forbids(host, pids, own_pids, protected)
    problem = forbidden or why_not_written(folders, alone or target, version, new=bool(alone))
    return around if problem is None else _nothing(problem)


def is_same(host: Host, process: ProcessKey) -> bool:
    """Whether the process still runs as it was judged: its pid, and when it started."""
    stat = _stat(host, process.pid)
    return (
        stat is not None
        and stat.state not in ("Z", "X")
        and stat.start_ticks == process.start_ticks
    )


def forbids(
    host: Host, pids: Iterable[int], own_pids: frozenset[int], protected: tuple[str, ...]
) -> str | None:
    """Why one of these must not be contained, or None; by the kernel's name of it alone."""
    for pid in pids:
        stat = _stat(host, pid)
        if stat is None:
            continue
        if pid in own_pids:
            return f"forestall itself, process {pid}, would be contained with it"
        if stat.kernel_thread or protect.protected_by_name((stat.name,), protected):
            return f"{stat.name}, process {pid}, would be contained with it, and is protected"
    return None


def why_not_written(folders: Folders, cgroup: str, version: int, *, new: bool) -> str | None:
    """Why no limit can be set in `cgroup`, or, if `new`, no cgroup be made in it; or None."""
    host, folder = folders.host, folders.folder(cgroup)
    if new:
        if version == 2:
            enabled = host.read_text(f"{folder}/cgroup.subtree_control", 4096) or ""
            if "memory" not in enabled.split():
                return f"the memory controller is not enabled for new cgroups in {cgroup}"
        return None if os.access(host.path(folder), os.W_OK) else f"{cgroup} cannot be written"
    for name in LIMIT_FILES[version]:
        if not host.exists(f"{folder}/{name}"):
            return f"the memory of the cgroup {cgroup} is not controlled"
        if not os.access(host.path(f"{folder}/{name}"), os.W_OK):
            return f"{folder}/{name} cannot be written: no right to, or mounted read-only"
    return None


def _is_shared(folders: Folders, cgroup: str, pid: int) -> bool:
    """Whether others than the process, its ancestors and its descendants are in its cgroup."""
    pids = set(folders.pids(cgroup)) - set(folders.tree(pid, cgroup))
    stat = _stat(folders.host, pid)
    while stat is not None and stat.parent_pid in pids:
        pids.discard(stat.parent_pid)
        stat = _stat(folders.host, stat.parent_pid)
    return bool(pids)


def _stat(host: Host, pid: int) -> procfs.ProcessStat | None:
    try:
        return procfs.read_stat(host, pid)
    except InputError:
        return None


def _nothing(problem: str) -> Surroundings:
    return Surroundings(cgroup=None, version=None, headroom_bytes=None, problem=problem)
