"""What is taken of a sosreport: its members that hold a fact, with every other one passed over.

Nothing is extracted by name. A link is followed inside the report alone, a name that is absolute
or climbs with `..` is refused, and what is kept is bounded by file and in all.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from forestall.audit.inputs.tarstream import Body, Member
from forestall.units import MIB, format_bytes

KEPT_LIMIT_BYTES = 192 * MIB
FILE_LIMIT = 60_000
LINK_LIMIT = 20_000
NAME_LIMIT = 1024
HOP_LIMIT = 16
DEPTH_LIMIT = 24
WALK_LIMIT = 1_000_000

LimitOf = Callable[[str], int]
"""How many bytes of the file at this path are wanted; 0 = it is none of ours."""


@dataclass(slots=True)
class Gathered:
    """One report so far: `files` and `links` by path below its root, `times` of its files.

    `notes` says in words what was refused or cut, each once; `cut` are files that are not whole.
    `times_of_host` = the times are those at which the host wrote the files, not of their copies.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    seen_count: int = 0
    kept_bytes: int = 0
    times_of_host: bool = True

    def note(self, text: str) -> None:
        self.notes[text] = None

    def room_for(self, path: str, size: int) -> bool:
        """Whether a file of this size may be kept; a note says so where it may not."""
        before = len(self.files.get(path, b""))
        if len(self.files) >= FILE_LIMIT or self.kept_bytes - before + size > KEPT_LIMIT_BYTES:
            self.note("it holds more than is read of one report; the rest was passed over")
            return False
        return True

    def keep(self, path: str, data: bytes, modified_at: float) -> None:
        # As a tar that is extracted would have it, a later member of the same name wins.
        self.kept_bytes += len(data) - len(self.files.get(path, b""))
        self.links.pop(path, None)
        self.files[path] = data
        self.times[path] = modified_at

    def keep_link(self, path: str, target: str) -> None:
        if len(self.links) < LINK_LIMIT and len(target) <= NAME_LIMIT:
            self.links[path] = target

    def find(self, path: str) -> bytes | None:
        """The file at `path`, through links as far as they stay inside the report."""
        where = self.resolve(path)
        return None if where is None else self.files.get(where)

    def resolve(self, path: str) -> str | None:
        """Where `path` leads to after every link on its way, which is never outside the report.

        None for a circle of links.
        """
        pending = path.split("/")[::-1]
        done: list[str] = []
        hops = 0
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                # Above the root there is the root again, as on the host.
                if done:
                    done.pop()
                continue
            target = self.links.get("/".join([*done, part]))
            if target is None:
                done.append(part)
                continue
            hops += 1
            if hops > HOP_LIMIT:
                return None
            if target.startswith("/"):
                # Absolute for the host, whose root the report's own folder stands for.
                done = []
            pending.extend(target.split("/")[::-1])
        return "/".join(done)

    def follow_links(self) -> None:
        """Put under each link's own name what it leads to, a file or the files of a folder."""
        names = sorted(self.files)
        for path in list(self.links):
            where = self.resolve(path)
            if where is None:
                self.note(f"the link {path} leads in a circle")
            elif not where:
                continue
            elif where in self.files:
                self.files.setdefault(path, self.files[where])
            elif not path.startswith("sys/class/block/"):
                self._follow_folder(path, where + "/", names)

    def _follow_folder(self, path: str, where: str, names: list[str]) -> None:
        from bisect import bisect_left

        for index in range(bisect_left(names, where), len(names)):
            if not names[index].startswith(where) or len(self.files) >= FILE_LIMIT:
                return
            name = f"{path}/{names[index][len(where) :]}"
            self.files.setdefault(name, self.files[names[index]])


def take(found: Gathered, path: str, member: Member, body: Body, limit_of: LimitOf) -> None:
    """Keep what is wanted of one member, whose path below the report's root is `path`."""
    found.seen_count += 1
    if member.kind == "link":
        if limit_of(path) or _may_lead(path):
            found.keep_link(path, member.target)
        return
    limit = limit_of(path)
    if not limit:
        return
    if member.kind == "hard":
        # Its target is a member before it, by its whole name in the archive.
        target = safe_path(member.target)
        data = found.files.get(target.partition("/")[2]) if target else None
        if data is not None and found.room_for(path, len(data)):
            found.keep(path, data, member.modified_at)
        return
    if member.kind != "file" or not found.room_for(path, min(limit, member.size)):
        return
    data = body.read(limit)
    if member.size > limit > 1:
        found.note(f"{path} is larger than {format_bytes(limit)} and was cut")
        found.cut.add(path)
        data = data[: data.rfind(b"\n") + 1]
    found.keep(path, data, member.modified_at)


def _may_lead(path: str) -> bool:
    """Whether a link of this name may stand in the way to a file that is wanted."""
    return path == "proc/self" or path.startswith(("etc/", "usr/lib/", "lib", "run/", "sys/class/"))


def safe_path(name: str) -> str | None:
    """A member's name without `./`; None for one that is absolute, climbs, or is no sane name.

    Names end up in problems on a terminal, so one with control characters is not sane.
    """
    if name.startswith("/") or len(name) > NAME_LIMIT or not name.isprintable():
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts else "/".join(parts)


def walk(root: str, limit_of: LimitOf, wants_folder: Callable[[str], bool]) -> Gathered:
    """A report that was unpacked into the folder `root`; a link there is not followed by name."""
    found = Gathered(times_of_host=False)
    for path, entry in _entries(root, wants_folder):
        found.seen_count += 1
        if found.seen_count > WALK_LIMIT:
            found.note(f"the folder holds more than {WALK_LIMIT} entries; the rest was not read")
            break
        if entry.is_symlink():
            if limit_of(path) or _may_lead(path):
                with contextlib.suppress(OSError):
                    found.keep_link(path, os.readlink(entry.path))
        elif limit := limit_of(path):
            _take_file(found, path, entry.path, limit)
    return found


def _entries(
    root: str, wants_folder: Callable[[str], bool]
) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    pending = [("", 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if not entry.name.isprintable():
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if depth < DEPTH_LIMIT and wants_folder(path):
                    pending.append((path, depth + 1))
            else:
                yield path, entry


def _take_file(found: Gathered, path: str, real: str, limit: int) -> None:
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        found.note(f"{path} cannot be read: {error.strerror}")
        return
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or not found.room_for(path, min(limit, about.st_size)):
            return
        data = file.read(limit)
    if about.st_size > limit > 1:
        found.note(f"{path} is larger than {format_bytes(limit)} and was cut")
        found.cut.add(path)
        data = data[: data.rfind(b"\n") + 1]
    found.keep(path, data, about.st_mtime)
