"""A collector in Python: what the table of sources names, taken from a Host into a Recording.

`TracingHost` tells what the readers ask for, so that a test can hold them to the table.
"""

import fnmatch
import posixpath

from forestall.sense import postgres, procfs, sources
from forestall.sense.cgroup import Cgroups, ancestors
from forestall.sense.host import Host
from forestall.sense.recording import Recording, command_name


class TracingHost(Host):
    """A Host that remembers every path it was asked for, and how."""

    def __init__(self, *arguments, **parameters):
        self.traced: list[tuple[str, str]] = []
        super().__init__(*arguments, **parameters)

    def open(self, relative):
        self.traced.append(("content", relative))
        return super().open(relative)

    def exists(self, relative):
        self.traced.append(("name", relative))
        return super().exists(relative)

    def is_folder(self, relative):
        self.traced.append(("name", relative))
        return super().is_folder(relative)

    def link(self, relative):
        self.traced.append(("link", relative))
        return super().link(relative)

    def names(self, relative, *limit):
        self.traced.append(("names", relative))
        return super().names(relative, *limit)


def matches(path: str, pattern: str) -> bool:
    """Whether a shell would find `path` by `pattern`: `*` does not match a `/`."""
    parts, globs = path.split("/"), pattern.split("/")
    return len(parts) == len(globs) and all(map(fnmatch.fnmatchcase, parts, globs))


def covered(how: str, path: str) -> bool:
    """Whether the table of sources tells a collector of this question."""
    if path in ("proc", "root"):
        return True
    parts = path.split("/")
    if parts[0] == "proc" and len(parts) > 2 and parts[1].isdecimal():
        own = (
            *sources.PROCESS,
            *sources.PROCESS_OF_THE_READER,
            sources.COMMAND_LINE,
            sources.WORKING_DIRECTORY,
        )
        if parts[2] in {source.path for source in own}:
            return True
    if path.startswith("sys/fs/cgroup") and (
        posixpath.basename(path) in sources.CGROUP_FILES or how == "name"
    ):
        return True
    for source in sources.SOURCES:
        if how == "names" or (how == "name" and "/" in source.path):
            # A folder is listed, or looked for, that something is taken from.
            pattern = source.path
            while "/" in pattern:
                pattern = posixpath.dirname(pattern)
                if matches(path, pattern):
                    return True
        if matches(path, source.path) and (source.what == how or how in ("name", "names")):
            return True
        if how == "link" and path.startswith("dev/"):
            # A group's own folder of links: the table gives the same by the mapper's names.
            return True
    return False


def collect(host: Host, *, origin: str = "ssh", collected_at: float | None = None) -> Recording:
    """Take everything that the table names; a live host's room as `df` says it."""
    taken = _Taken(host)
    for source in sources.SOURCES:
        for path in _glob(host, source.path):
            taken.take(source, path)
    _processes(host, taken)
    cgroups = Cgroups(host)
    own = cgroups.place_of("self").cgroup
    if cgroups.hierarchy is not None and own is not None:
        point = cgroups.hierarchy.mount.point.lstrip("/")
        for path in ancestors(own):
            for name in sources.CGROUP_FILES:
                taken.content(point + path.rstrip("/") + "/" + name)
        for pid in host.pids():
            where = cgroups.place_of(pid).cgroup
            if where is not None:
                taken.files[point + where.rstrip("/") + "/"] = b""
    for words in (*sources.COMMANDS, sources.SPACE):
        answer = host.run_command(words, 5.0)
        if answer.exit_code == 0:
            taken.commands[command_name(words)] = answer.stdout
        else:
            taken.problems[command_name(words)] = answer.problem or "it failed"
    return Recording(
        files=taken.files,
        links=taken.links,
        commands=taken.commands,
        problems=taken.problems,
        denied=frozenset(taken.denied),
        hostname=host.hostname,
        machine=host.machine,
        effective_uid=host.effective_uid,
        page_bytes=host.page_bytes,
        collected_at=collected_at,
        origin=origin,
        complete=host.complete,
        listed=frozenset({"proc"} if host.lists("proc") else ()),
    )


class _Taken:
    def __init__(self, host):
        self.host = host
        self.files, self.links, self.commands, self.problems = {}, {}, {}, {}
        self.denied = set()

    def take(self, source, path):
        if source.what == sources.LINK:
            told = self.host.link(path)
            if told is not None:
                self.links[path] = told
        elif source.what == sources.NAME:
            if self.host.is_folder(path):
                self.files[path + "/"] = b""
            elif self.host.exists(path):
                self.files[path] = b""
        else:
            self.content(path, source.limit_bytes)

    def content(self, path, limit=64 * 1024):
        data = self.host.read_bytes(path, limit)
        if data is not None:
            self.files[path] = data
        elif self.host.was_denied(path):
            self.denied.add(path)


def _glob(host, pattern):
    found = [""]
    for part in pattern.split("/"):
        step = []
        for base in found:
            if any(mark in part for mark in "*[?"):
                names = host.names(base.rstrip("/")) or () if base else ()
                step += [base + name + "/" for name in names if fnmatch.fnmatchcase(name, part)]
            else:
                step.append(base + part + "/")
        found = step
    return [path.rstrip("/") for path in found]


def _processes(host, taken):
    for pid in host.pids():
        for source in sources.PROCESS:
            taken.take(source, f"proc/{pid}/{source.path}")
        stat = procfs.read_stat(host, pid)
        name = stat.name if stat else ""
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in sources.COMMAND_LINES):
            taken.take(sources.COMMAND_LINE, f"proc/{pid}/cmdline")
        if name in sources.WORKING_DIRECTORIES:
            taken.take(sources.WORKING_DIRECTORY, f"proc/{pid}/cwd")
            words = (taken.files.get(f"proc/{pid}/cmdline") or b"").decode().split("\0")
            server = postgres.from_command_line(words)
            folder = taken.links.get(f"proc/{pid}/cwd") or server.data_directory
            folders = [folder] if folder else []
            if server.config_path:
                taken.content(server.config_path.lstrip("/"))
                folders.append(posixpath.dirname(server.config_path))
            for folder in folders:
                for pattern in sources.POSTGRES_FILES:
                    for path in _glob(host, folder.strip("/") + "/" + pattern):
                        taken.content(path)
