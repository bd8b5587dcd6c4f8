"""A node's machine: a memory group that its database and the services beside it share.

With it "a host of 512 MiB" is a limit that the kernel keeps. It needs root (or a delegated cgroup)
and the memory controller, of either version; elsewhere there is none, and that is said.
"""

from __future__ import annotations

import os
from pathlib import Path

from drills.cluster.process import GROUPS


class Machine:
    """One memory group with a group inside for each thing that runs there."""

    def __init__(self, group: Path, version: int, folder: Path) -> None:
        self.group = group
        self.version = version
        self._folder = folder
        self._make(group)

    def _make(self, group: Path) -> None:
        """Make a group, and note it first: what is noted is taken away whatever happens."""
        with (self._folder / GROUPS).open("a", encoding="utf-8") as noted:
            noted.write(f"{group}\n")
        group.mkdir()

    def add(self, pid: int, name: str) -> Path:
        """Move a process into the group `name` of this machine; the group's folder."""
        group = self.group / name
        if not group.exists():
            if self.version == 2:
                (self.group / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
            self._make(group)
        (group / "cgroup.procs").write_text(str(pid), encoding="ascii")
        return group

    def limit(self, size_bytes: int | None) -> None:
        """Give the machine that much memory, and no swap where that can be said; None: no limit."""
        if self.version == 2:
            most = "max" if size_bytes is None else str(size_bytes)
            (self.group / "memory.max").write_text(most, encoding="ascii")
            swap = self.group / "memory.swap.max"
            if swap.exists():
                swap.write_text("0", encoding="ascii")
            return
        most = "-1" if size_bytes is None else str(size_bytes)
        (self.group / "memory.limit_in_bytes").write_text(most, encoding="ascii")

    @property
    def used_bytes(self) -> int:
        """What is charged to the machine now, page cache included."""
        name = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        return int((self.group / name).read_text(encoding="ascii"))


def make_machine(cluster: str, node: str, folder: Path) -> Machine | None:
    """A memory group for a node, or None where this process may not make one."""
    for version, root in _roots():
        whole = root / cluster
        try:
            if not whole.exists():
                with (folder / GROUPS).open("a", encoding="utf-8") as noted:
                    noted.write(f"{whole}\n")
                whole.mkdir()
            if version == 2:
                (root / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
                (whole / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
            return Machine(whole / node, version, folder)
        except OSError:
            continue
    return None


def _roots() -> list[tuple[int, Path]]:
    """The mounted hierarchies that have the memory controller, version 2 first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        mount, kind, options = left.split()[4], right.split()[0], right.split()[-1]
        if kind == "cgroup2":
            controllers = Path(mount) / "cgroup.controllers"
            if controllers.exists() and "memory" in controllers.read_text(encoding="ascii").split():
                found.append((2, Path(mount)))
        elif kind == "cgroup" and "memory" in options.split(","):
            found.append((1, Path(mount)))
    return sorted(((v, p) for v, p in found if os.access(p, os.W_OK)), reverse=True)
