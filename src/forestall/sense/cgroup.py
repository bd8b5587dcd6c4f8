"""cgroup v1, v2 and the hybrid of both: where memory is controlled, what is used, what binds."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from forestall.errors import InputError
from forestall.model.sample import CgroupSample
from forestall.sense import procfs, psi
from forestall.sense.host import Host, decode

MOUNTS_LIMIT_BYTES = 4 * 1024 * 1024
PATHS_LIMIT_BYTES = 16 * 1024
DEPTH_LIMIT = 32
PLACES_LIMIT = 4096

NO_LIMIT_BYTES = 1 << 62
"""v1 has no word for `no limit`: it prints the largest page count times the page size
(9223372036854771712 with 4 KiB pages), which no memory reaches."""

_UNIT_KINDS = (".service", ".scope", ".socket", ".mount", ".swap", ".automount", ".target")


class Mount(NamedTuple):
    """One line of mountinfo: `root` is the folder of the file system that is seen at `point`.

    `options` are the file system's, `flags` those of this mount of it (ro, noexec, ...), and
    `number` is its device's, `major:minor`.
    """

    point: str
    root: str
    kind: str
    options: frozenset[str]
    device: str = ""
    flags: tuple[str, ...] = ()
    number: str = ""


class Hierarchy(NamedTuple):
    """Where the memory controller lives: version 1 or 2, and its mount."""

    version: int
    mount: Mount

    @property
    def controller(self) -> str:
        """How /proc/PID/cgroup names it: the unified hierarchy has no name."""
        return "memory" if self.version == 1 else ""


class Place(NamedTuple):
    """Where a process lies: the path of its memory cgroup, and its systemd unit."""

    cgroup: str | None
    unit: str | None


NOWHERE = Place(None, None)


def parse_mountinfo(data: bytes, path: str = "proc/self/mountinfo") -> Iterator[Mount]:
    """The mounts of proc(5)'s mountinfo, in its order (a later one hides an earlier one).

    Raises InputError for a line without the ` - ` that ends the optional fields.
    """
    for number, line in enumerate(decode(data).splitlines(), 1):
        fields = line.split(" ")
        try:
            dash = fields.index("-", 6)
            root, point = _unescape(fields[3]), _unescape(fields[4])
            kind, device, options = fields[dash + 1 : dash + 4]
        except (ValueError, IndexError):
            raise InputError(f"{path} line {number}: no mount in {line!r}") from None
        yield Mount(
            point,
            root,
            kind,
            frozenset(options.split(",")),
            _unescape(device),
            tuple(fields[5].split(",")),
            fields[2],
        )


def read_mounts(host: Host) -> list[Mount] | None:
    """The mounts that this process sees; None where they cannot be read."""
    data = host.read_bytes("proc/self/mountinfo", MOUNTS_LIMIT_BYTES)
    if data is None:
        return None
    # The limit can cut the last line of a very long file.
    return list(parse_mountinfo(data[: data.rfind(b"\n") + 1]))


def _unescape(text: str) -> str:
    """The kernel writes a space, tab, newline and backslash of a path as octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def unit_of(path: str | None) -> str | None:
    """The systemd unit whose cgroup `path` is, or lies in; None outside systemd's tree.

    Slices are passed over; below a user's manager (user@1000.service) the unit is the one that
    this manager runs. Escapes of the unit's own name (`\\x2d`) are part of the name.
    """
    units = [_plain(part) for part in (path or "").split("/") if part.endswith(_UNIT_KINDS)]
    if not units:
        return None
    if units[0].startswith("user@") and len(units) > 1 and units[1] != "init.scope":
        return units[1]
    return units[0]


def systemd_path(paths: Mapping[str, str]) -> str | None:
    """Of the paths in /proc/PID/cgroup, which need not agree, the one that tells the unit.

    systemd keeps a hierarchy of its own on v1. The controllers there follow it only for units
    that are accounted for: on RHEL 7 most services lie in the root of the memory hierarchy.
    """
    return paths.get("name=systemd", paths.get(""))


def is_user_unit(path: str | None) -> bool:
    """Whether `unit_of(path)` belongs to a user's manager, which the system's cannot restart."""
    units = [_plain(part) for part in (path or "").split("/") if part.endswith(_UNIT_KINDS)]
    return len(units) > 1 and units[0].startswith("user@") and units[1] != "init.scope"


def _plain(part: str) -> str:
    """systemd puts one `_` before a name that the kernel could take for one of its own files."""
    return part.removeprefix("_")


def ancestors(path: str) -> Iterator[str]:
    """`path`, its parent, and so on to `/`; at most DEPTH_LIMIT of them."""
    for _ in range(DEPTH_LIMIT):
        yield path
        if path == "/":
            return
        path = posixpath.dirname(path)


def binding(path: str | None, cgroups: Iterable[CgroupSample]) -> CgroupSample | None:
    """Of `path` and its ancestors among `cgroups`, the limited one with the least headroom."""
    if path is None:
        return None
    chain = set(ancestors(path))
    limited = [
        (headroom, -len(cgroup.path), cgroup)
        for cgroup in cgroups
        if cgroup.path in chain and (headroom := cgroup.headroom_bytes) is not None
    ]
    return min(limited, key=lambda item: item[:2])[2] if limited else None


class Cgroups:
    """The memory controller of one host, found once.

    `hierarchy` is None, and `problem` says why, where there is none to be seen. `mounts` are those
    of `read_mounts` if the caller has them already.
    """

    def __init__(self, host: Host, mounts: Sequence[Mount] | None = None) -> None:
        self._host = host
        self.problem: str | None = None
        self._places: dict[bytes, Place] = {}
        self.hierarchy = self._find(read_mounts(host) if mounts is None else mounts)

    @property
    def version(self) -> int | None:
        return self.hierarchy.version if self.hierarchy else None

    def place_of(self, pid: int | str) -> Place:
        """Where a process (`self` for this one) lies; both parts None once it is gone."""
        where = f"proc/{pid}/cgroup"
        data = self._host.read_record(where, PATHS_LIMIT_BYTES)
        if not data:
            return NOWHERE
        known = self._places.get(data)
        if known is not None:
            return known
        paths = procfs.parse_cgroup(data, where)
        place = Place(self._visible(paths), unit_of(systemd_path(paths)))
        # A service's processes, and an idle host's, say the same each time.
        if len(self._places) >= PLACES_LIMIT:
            self._places.clear()
        self._places[data] = place
        return place

    def _visible(self, paths: Mapping[str, str]) -> str | None:
        """The memory cgroup as `read` takes it.

        A path that is not below the mount means that a cgroup namespace hides it; what is
        visible of that namespace is then the root of the mount.
        """
        path = paths.get(self.hierarchy.controller) if self.hierarchy else None
        if self.hierarchy is None or path is None:
            return None
        root = self.hierarchy.mount.root
        if root != "/" and (path == root or path.startswith(root + "/")):
            path = path[len(root) :] or "/"
        # `/..` at the front is how the kernel names a cgroup outside the reader's namespace.
        if path.startswith("/..") or not self._host.is_folder(self._folder(path)):
            return "/"
        return path

    def read(self, path: str) -> CgroupSample | None:
        """One cgroup's memory; None once it is gone."""
        if self.hierarchy is None:
            return None
        folder = self._folder(path)
        if self.hierarchy.version == 1:
            return self._read_v1(path, folder)
        return self._read_v2(path, folder)

    def chain(self, path: str | None) -> tuple[CgroupSample, ...]:
        """`path` and its ancestors, nearest first, as far as they can be read."""
        if path is None:
            return ()
        return tuple(found for at in ancestors(path) if (found := self.read(at)) is not None)

    def _find(self, mounts: Sequence[Mount] | None) -> Hierarchy | None:
        if mounts is None:
            self.problem = "proc/self/mountinfo cannot be read"
            return None
        for mount in reversed(mounts):
            if mount.kind == "cgroup" and "memory" in mount.options:
                return Hierarchy(1, mount)
        for mount in reversed(mounts):
            if mount.kind != "cgroup2":
                continue
            controllers = self._host.read_text(_relative(mount.point) + "/cgroup.controllers")
            if controllers is not None and "memory" in controllers.split():
                return Hierarchy(2, mount)
            self.problem = f"the memory controller is not enabled in {mount.point}"
        self.problem = self.problem or "no cgroup file system is mounted"
        return None

    def _folder(self, path: str) -> str:
        assert self.hierarchy is not None
        return _relative(self.hierarchy.mount.point) + path.rstrip("/")

    def _read_v2(self, path: str, folder: str) -> CgroupSample | None:
        host = self._host
        stat_data = host.read_bytes(f"{folder}/memory.stat")
        if stat_data is None:
            return None
        stat = procfs.parse_vmstat(stat_data, f"{folder}/memory.stat")
        events = self._flat(f"{folder}/memory.events")
        return CgroupSample(
            path=path,
            current_bytes=procfs.read_number(host, f"{folder}/memory.current"),
            # The word `max` is no number, and so is None: no limit.
            max_bytes=procfs.read_number(host, f"{folder}/memory.max"),
            high_bytes=procfs.read_number(host, f"{folder}/memory.high"),
            swap_max_bytes=procfs.read_number(host, f"{folder}/memory.swap.max"),
            anon_bytes=stat.get("anon"),
            file_bytes=_sum(stat, "active_file", "inactive_file"),
            swap_bytes=procfs.read_number(host, f"{folder}/memory.swap.current"),
            oom_kill_count=events.get("oom_kill"),
            pressure=psi.read_pressure(host, f"{folder}/memory.pressure"),
        )

    def _read_v1(self, path: str, folder: str) -> CgroupSample | None:
        host = self._host
        stat_data = host.read_bytes(f"{folder}/memory.stat")
        if stat_data is None:
            return None
        stat = procfs.parse_vmstat(stat_data, f"{folder}/memory.stat")
        limit = _limit(procfs.read_number(host, f"{folder}/memory.limit_in_bytes"))
        both = _limit(procfs.read_number(host, f"{folder}/memory.memsw.limit_in_bytes"))
        return CgroupSample(
            path=path,
            current_bytes=procfs.read_number(host, f"{folder}/memory.usage_in_bytes"),
            max_bytes=limit,
            # v1's soft limit only orders reclaim; nothing like memory.high slows a group down.
            high_bytes=None,
            # v1 limits memory and swap together; what is left for swap is the difference.
            swap_max_bytes=None if both is None or limit is None else max(0, both - limit),
            anon_bytes=stat.get("total_rss"),
            file_bytes=_sum(stat, "total_active_file", "total_inactive_file"),
            swap_bytes=stat.get("total_swap"),
            oom_kill_count=self._flat(f"{folder}/memory.oom_control").get("oom_kill"),
        )

    def _flat(self, path: str) -> dict[str, int]:
        data = self._host.read_bytes(path)
        return procfs.parse_vmstat(data, path) if data else {}


def _relative(point: str) -> str:
    return point.lstrip("/")


def _limit(value: int | None) -> int | None:
    return None if value is None or value >= NO_LIMIT_BYTES else value


def _sum(stat: dict[str, int], *names: str) -> int | None:
    """The cache on the two file lists: what the kernel can take back.

    The line called `file` or `cache` would not do: it counts tmpfs, which only swap can free.
    """
    values = [stat[name] for name in names if name in stat]
    return sum(values) if values else None
