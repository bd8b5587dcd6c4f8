"""The newc format of cpio, which Linux unpacks into its first root file system.

Written here, because `cpio` is on few machines; the format is the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst. Archives may follow one another.
"""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAGIC = b"070701"
HEADER_BYTES = 110
TRAILER = "TRAILER!!!"
NAME_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, folder, link or device. `data` is the content, or where a link points to."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(name: str) -> Entry:
    """A folder that all may enter."""
    return Entry(name=name, mode=stat.S_IFDIR | 0o755)


def file(name: str, data: bytes, *, executable: bool = False) -> Entry:
    """A plain file that all may read."""
    return Entry(name=name, mode=stat.S_IFREG | (0o755 if executable else 0o644), data=data)


def link(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name=name, mode=stat.S_IFLNK | 0o777, data=target.encode())


def console(name: str = "dev/console") -> Entry:
    """Without it the first process has no standard streams, and its last words are lost."""
    return Entry(name=name, mode=stat.S_IFCHR | 0o600, device=(5, 1))


def write_archive(entries: Iterable[Entry]) -> bytes:
    """The archive of `entries`, with every missing folder above them added before its first use."""
    pieces: list[bytes] = []
    known: set[str] = set()
    for number, entry in enumerate(_with_folders(entries, known), start=1):
        pieces.append(_member(entry, number))
    pieces.append(_member(Entry(name=TRAILER, mode=0), 0))
    size = sum(map(len, pieces))
    # The kernel reads past padding between archives in steps of four; 512 is what cpio writes.
    pieces.append(bytes(-size % 512))
    return b"".join(pieces)


def read_archive(archive: bytes) -> Iterator[Entry]:
    """The entries of one or more archives that follow each other. Raises ValueError."""
    at = 0
    while at < len(archive):
        if archive[at] == 0:
            at += 1
            continue
        if archive[at : at + len(MAGIC)] != MAGIC or at + HEADER_BYTES > len(archive):
            raise ValueError(f"no newc header at byte {at}")
        words = archive[at + len(MAGIC) : at + HEADER_BYTES]
        fields = [int(words[i : i + 8], 16) for i in range(0, len(words), 8)]
        mode, size, name_bytes = fields[1], fields[6], fields[11]
        name_at = at + HEADER_BYTES
        data_at = _up(name_at + name_bytes)
        if not 0 < name_bytes <= NAME_BYTES_MAX or data_at + size > len(archive):
            raise ValueError(f"a member at byte {at} goes beyond the archive")
        name = archive[name_at : name_at + name_bytes - 1].decode()
        if name != TRAILER:
            data = archive[data_at : data_at + size]
            yield Entry(name=name, mode=mode, data=data, device=(fields[9], fields[10]))
        at = _up(data_at + size)


def _with_folders(entries: Iterable[Entry], known: set[str]) -> Iterator[Entry]:
    for entry in entries:
        parts = entry.name.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if above not in known:
                known.add(above)
                yield folder(above)
        if entry.name not in known:
            known.add(entry.name)
            yield entry


def _member(entry: Entry, number: int) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device)
    header = MAGIC + b"".join(b"%08X" % field for field in (*fields, len(name), 0))
    start = header + name
    return start + bytes(-len(start) % 4) + entry.data + bytes(-len(entry.data) % 4)


def _up(position: int) -> int:
    return position + -position % 4
