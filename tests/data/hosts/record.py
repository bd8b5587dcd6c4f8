"""Record the part of this host that forestall reads, as a tree of plain files.

    python tests/data/hosts/record.py FOLDER --pid PID [--as OLD=NEW ...]

Only the given processes are recorded, without command lines and environments; of the mounts only
those of cgroups and of the root. Each `--as` replaces a text everywhere, in paths too.
"""

import argparse
import re
from pathlib import Path

from forestall.sense import sources
from forestall.sense.cgroup import MOUNTS_LIMIT_BYTES, Cgroups, ancestors
from forestall.sense.host import Host

OWN_WAY = ("proc/stat", "proc/cpuinfo", "proc/self/mountinfo", "proc/1/environ")
PROCESS_FILES = tuple(source.path for source in sources.PROCESS)
CGROUP_FILES = (*sources.CGROUP_FILES, "cgroup.controllers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pid", type=int, action="append", default=[])
    parser.add_argument("--as", dest="renames", action="append", default=[], metavar="OLD=NEW")
    arguments = parser.parse_args()
    renames = [rename.split("=", 1) for rename in arguments.renames]
    host = Host()

    def keep(path: str, data: bytes | None) -> None:
        if data is None:
            return
        for old, new in renames:
            data, path = data.replace(old.encode(), new.encode()), path.replace(old, new)
        target = arguments.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    for source in sources.SOURCES:
        if "*" in source.path or source.what == sources.LINK or source.path in OWN_WAY:
            continue
        keep(source.path, _taken(host, source))
    keep("proc/stat", _lines(host.read_bytes("proc/stat"), b"btime", b"processes"))
    keep("proc/cpuinfo", _lines(host.read_bytes("proc/cpuinfo"), b"model name", b"flags"))
    keep("proc/self/mountinfo", _mounts(host.read_bytes("proc/self/mountinfo", MOUNTS_LIMIT_BYTES)))
    for pid in (1, *arguments.pid):
        for name in PROCESS_FILES:
            keep(f"proc/{pid}/{name}", host.read_bytes(f"proc/{pid}/{name}"))
    keep("commands/ls-proc", "".join(f"{pid}\n" for pid in (1, *arguments.pid)).encode())
    cgroups = Cgroups(host)
    own = cgroups.place_of("self").cgroup
    if cgroups.hierarchy is not None and own is not None:
        point = cgroups.hierarchy.mount.point.lstrip("/")
        for path in ancestors(own):
            for name in CGROUP_FILES:
                file = point + path.rstrip("/") + "/" + name
                keep(file, host.read_bytes(file))


def _taken(host: Host, source: sources.Source) -> bytes | None:
    """What the table says is needed: a name, or the lines of a file that are read."""
    if source.what == sources.NAME:
        return b"" if host.exists(source.path) and not host.is_folder(source.path) else None
    data = host.read_bytes(source.path, source.limit_bytes)
    if source.lines is None or data is None:
        return data
    wanted = re.compile(source.lines.replace("[:space:]", r"\s").encode())
    return b"".join(line for line in data.splitlines(keepends=True) if wanted.search(line))


def _lines(data: bytes | None, *starts: bytes) -> bytes | None:
    """The first line that begins with each of `starts`."""
    lines = (data or b"").splitlines(keepends=True)
    found = [next((line for line in lines if line.startswith(start)), b"") for start in starts]
    return b"".join(found) or None


def _mounts(data: bytes | None) -> bytes | None:
    lines = (data or b"").splitlines(keepends=True)
    kept = [line for line in lines if b" - cgroup" in line or line.split()[4] == b"/"]
    return b"".join(kept) or None


if __name__ == "__main__":
    main()
