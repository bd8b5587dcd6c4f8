"""What a PostgreSQL's own files say it may use of memory; nothing else of them is kept."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from forestall.model.facts import PostgresFacts
from forestall.sense.host import NEEDS_ROOT, Host, decode
from forestall.sense.notes import Notes
from forestall.units import GIB, KIB, MIB, TIB

FILE_LIMIT_BYTES = 256 * 1024
FILE_LIMIT = 64
TOTAL_LIMIT_BYTES = 512 * 1024
DEPTH_LIMIT = 10
"""PostgreSQL's own limit of includes within includes."""

SETTINGS = (
    "autovacuum_max_workers",
    "autovacuum_work_mem",
    "data_directory",
    "huge_pages",
    "maintenance_work_mem",
    "max_connections",
    "shared_buffers",
    "work_mem",
)
"""All that is kept of the files; other lines may hold passwords (primary_conninfo)."""

INCLUDES = ("include", "include_dir", "include_if_exists")

_BLOCK_BYTES = 8 * KIB
_UNITS = {"B": 1, "kB": KIB, "MB": MIB, "GB": GIB, "TB": TIB}
_SHORT = {"-B": "shared_buffers", "-N": "max_connections", "-S": "work_mem"}

_LINE = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_]*)(?:\s*=\s*|\s+)('(?:[^'\\]|''|\\.)*'|[^\s#'=][^\s#]*)"
)
_SIZE = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([kMGT]?B)?\s*")


class Server(NamedTuple):
    """Where a server says its files are, and what its command line sets over them."""

    data_directory: str | None
    config_path: str | None
    overrides: Mapping[str, str]


def read_server(
    host: Host, notes: Notes, pid: int, words: Sequence[str], unit_directory: str | None
) -> PostgresFacts:
    """One server's settings, by its main process and the PGDATA of its unit's environment."""
    server = from_command_line(words)
    folder = _working_directory(host, pid) or server.data_directory or unit_directory
    folder = posixpath.normpath(folder) if folder else None
    config = server.config_path or (posixpath.join(folder, "postgresql.conf") if folder else None)
    if config is not None and folder is not None:
        config = posixpath.normpath(posixpath.join(folder, config))
    files = _Files(host, notes)
    if config is None:
        why = "" if host.effective_uid == 0 else ": needs root"
        files.miss(f"process {pid} does not say where its data lies{why}")
    else:
        files.follow(config)
    values = dict(files.values)
    # A file elsewhere (Debian's in /etc) says where the data lies.
    told = values.get("data_directory")
    if folder is None and told and told.startswith("/"):
        folder = posixpath.normpath(told)
    if folder is None:
        files.miss("the data directory is not known, and so not what ALTER SYSTEM set")
    else:
        files.follow(posixpath.join(folder, "postgresql.auto.conf"))
    values = {**files.values, **server.overrides}
    return PostgresFacts(
        data_directory=folder,
        config_path=config,
        shared_buffers_bytes=parse_memory(values.get("shared_buffers"), _BLOCK_BYTES),
        work_mem_bytes=parse_memory(values.get("work_mem"), KIB),
        maintenance_work_mem_bytes=parse_memory(values.get("maintenance_work_mem"), KIB),
        autovacuum_work_mem_bytes=parse_memory(values.get("autovacuum_work_mem"), KIB),
        max_connections=_count(values.get("max_connections")),
        autovacuum_max_workers=_count(values.get("autovacuum_max_workers")),
        huge_pages=values.get("huge_pages"),
        complete=files.complete,
    )


def _working_directory(host: Host, pid: int) -> str | None:
    """The server works in its data directory; only its own user and root may ask."""
    told = host.link(f"proc/{pid}/cwd")
    return told if told and told.startswith("/") and told != "/" else None


def from_command_line(words: Sequence[str]) -> Server:
    """`postgres -D /var/lib/pgsql/data -c config_file=/etc/x.conf --work_mem=64MB`."""
    folder = config = None
    overrides: dict[str, str] = {}
    for option, value in _options(words[1:]):
        if option == "-D":
            folder = value
        elif option in _SHORT:
            overrides[_SHORT[option]] = value
        elif option == "-c":
            name, equals, setting = value.partition("=")
            name = name.lower().replace("-", "_")
            if name == "config_file":
                config = setting
            elif name == "data_directory":
                folder = setting
            elif equals and name in SETTINGS:
                overrides[name] = setting
    return Server(folder, config, overrides)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value, which follows it as a word or at once."""
    left = iter(words)
    for word in left:
        if word.startswith("--"):
            yield "-c", word[2:]
        elif re.match(r"-[A-Za-z]", word):
            if word[1] in "DcBNSdhkpfiltFnOPeE" and len(word) > 2:
                yield word[:2], word[2:]
            elif word[1] in "DcBNSdhkpf":
                yield word[:2], next(left, "")


class _Files:
    """The settings of a file and of those that it includes, the later over the earlier."""

    def __init__(self, host: Host, notes: Notes) -> None:
        self._host = host
        self._notes = notes
        self._count = 0
        self._left_bytes = TOTAL_LIMIT_BYTES
        self._full = False
        # Half a recording without a file does not say that its host has none.
        self._absent = "is not there" if host.complete else "was not recorded"
        self.values: dict[str, str] = {}
        self.complete = True

    def miss(self, reason: str) -> None:
        """Something was not read, and this is why."""
        self.complete = False
        self._notes.why("postgres", reason)

    def follow(self, path: str, depth: int = 0, *, optional: bool = False) -> None:
        """Take the settings of `path`, an absolute path on the host."""
        self._count += 1
        if depth > DEPTH_LIMIT or self._count > FILE_LIMIT or self._left_bytes <= 0:
            self._full = True
            self.miss(f"{path}: includes go deeper or wider than is followed")
            return
        relative = path.lstrip("/")
        data = self._host.read_bytes(relative, FILE_LIMIT_BYTES)
        if data is None:
            if self._host.was_denied(relative):
                self.miss(f"{path}: {NEEDS_ROOT}")
            elif not optional:
                self.miss(f"{path} {self._absent}")
            return
        if len(data) >= FILE_LIMIT_BYTES:
            self.miss(f"{path} is longer than {FILE_LIMIT_BYTES} bytes")
        self._left_bytes -= len(data)
        for name, value in parse(data):
            if name in SETTINGS:
                self.values[name] = value
                continue
            if self._full:
                # Settings that follow still count; further files were given up.
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
            if name == "include_dir":
                self._follow_folder(target, depth)
            else:
                self.follow(target, depth + 1, optional=name == "include_if_exists")

    def _follow_folder(self, folder: str, depth: int) -> None:
        names = self._host.names(folder.lstrip("/"))
        if names is None:
            denied = self._host.was_denied(folder.lstrip("/"))
            self.miss(f"{folder}: {NEEDS_ROOT}" if denied else f"{folder} {self._absent}")
            self._count += 1
            self._full = self._count > FILE_LIMIT
            return
        for name in sorted(names):
            if name.endswith(".conf") and not name.startswith("."):
                self.follow(f"{folder}/{name}", depth + 1)


def parse(data: bytes) -> Iterator[tuple[str, str]]:
    """The settings and includes of postgresql.conf, in its order; other lines are passed over."""
    for line in decode(data).splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, value = match[1].lower(), match[2]
        if name not in SETTINGS and name not in INCLUDES:
            continue
        if value.startswith("'"):
            value = value[1:-1].replace("''", "'")
            if "\\" in value:
                value = re.sub(r"\\(.)", r"\1", value)
        yield name, value[:1000]


def parse_memory(text: str | None, unit_bytes: int) -> int | None:
    """`128MB`, `1.5GB`, or a number of the setting's own unit; None for -1 and what is no size."""
    match = _SIZE.fullmatch(text or "")
    return int(float(match[1]) * _UNITS.get(match[2], unit_bytes)) if match else None


def _count(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else None
