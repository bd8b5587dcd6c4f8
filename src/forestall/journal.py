"""The one crash-safe append: a record that `append` returned for is on disk, and stays readable.

One record is one line of ASCII, so that `tail` and `grep` read it too:

    <sequence> <crc32 of "sequence json", 8 hex> <compact JSON object>\\n

Beside `PATH` live `PATH.lock` (the one writer, flock), `PATH.torn` (what recovery cut off) and,
where old records may go, `PATH.<first sequence>` (older segments, read before PATH itself).

What holds, whatever is killed, filled or flipped:
- a record is acknowledged only after write and fdatasync; one that failed is cut back;
- a whole record is never lost because another one is damaged: the damage is skipped and reported;
- a sequence number that may have been acknowledged is never given to another record;
- a failed fsync is final: the kernel may have dropped the pages and call the next one a success
  (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).

After a crash, records that were not yet acknowledged may be there or not; those of one
`append_all` from the first on. A Journal belongs to one thread of one process.
"""

import binascii
import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from forestall.errors import JournalError

MAX_RECORD_BYTES = 1024 * 1024
"""The longest line, newline included."""

MAX_FILE_BYTES = 64 * 1024 * 1024
"""The longest file unless `max_bytes` says otherwise."""

MAX_TORN_BYTES = 1024 * 1024
"""How much of what recovery cut off is kept."""

_CHUNK_BYTES = 64 * 1024
_RECORD = re.compile(rb'(\d{1,19}) ([0-9a-f]{8}) (\{(?:".*)?\})', re.DOTALL)
# Inside a JSON string a quote is escaped and outside there is no space, so `{"` after a space
# can only be the start of a record: text that a hostile process chose can never pose as one.
_START = re.compile(rb'(?=\d{1,19} [0-9a-f]{8} \{["}])')
_SEQUENCE_DIGITS = 19


class Record(NamedTuple):
    """One whole record. Sequences rise from 1; a number left out is a record that is damaged."""

    sequence: int
    data: dict[str, Any]


class Damage(NamedTuple):
    """Bytes of `path` that are no whole record.

    `tail`: nothing whole follows; while a writer is at work, that is a record being written.
    """

    path: str
    offset: int
    length: int
    reason: str
    tail: bool = False

    @property
    def is_worth_a_word(self) -> bool:
        """Whether a reader should be told: not of a torn tail, but of a file without any record."""
        return not self.tail or self.offset == 0


class _Piece(NamedTuple):
    """A stretch of a file: a whole record, or (`sequence` 0) damage of `line_count` lines."""

    offset: int
    length: int
    sequence: int
    body: bytes
    line_count: int = 1

    @property
    def end(self) -> int:
        return self.offset + self.length


class Journal:
    """The writer. Opening creates, locks and recovers; `recovered` says what had to be cut.

    `max_bytes` bounds the file. When it is reached, append raises JournalError, or, with
    `keep_segments` = N > 0, the file is set aside and the N newest segments are kept beside it.
    `sync` makes a descriptor's data durable (a parameter, because failing disks are tested).
    Raises JournalError when another writer holds it, and whenever a record cannot be made safe.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_FILE_BYTES,
        keep_segments: int = 0,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self.path = os.fspath(path)
        self.max_bytes = max_bytes
        self.keep_segments = keep_segments
        self.recovered: Damage | None = None
        self._sync = sync
        self._broken: str | None = None
        self._fd = self._lock_fd = -1
        self._first = self._end = 0
        self._next = 1
        try:
            make_folder(os.path.dirname(self.path) or ".")
            self._lock_fd = _lock(self.path)
            self._fd = self._open_file()
            self._recover()
        except OSError as error:
            self.close()
            raise _failed(self.path, "cannot open the journal", error) from None
        except BaseException:
            self.close()
            raise

    def append(self, record: Mapping[str, Any]) -> int:
        """Make one record durable and return its sequence number. Raises JournalError."""
        return self.append_all((record,))[0]

    def append_all(self, records: Iterable[Mapping[str, Any]]) -> list[int]:
        """Make records durable with one fsync, all or none acknowledged; their sequences."""
        lines = [
            _encode(self.path, sequence, record)
            for sequence, record in enumerate(records, start=self._next)
        ]
        if not lines:
            return []
        data = b"".join(lines)
        self._refuse_if_broken()
        self._make_room(len(data))
        self._write(data)
        first = self._next
        if not self._first:
            self._first = first
        self._next += len(lines)
        self._end += len(data)
        return list(range(first, self._next))

    def close(self) -> None:
        """Release the lock. Closing twice does nothing."""
        for descriptor in (self._fd, self._lock_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._lock_fd = -1
        self._broken = "it is closed"

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open_file(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise JournalError(f"{self.path} is no regular file", help="name another path")
            # Always: the process that created it may have died before its name was durable.
            sync_folder(os.path.dirname(self.path) or ".")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _recover(self) -> None:
        """Find the last whole record, set what follows it aside, and know the next number."""
        size = os.fstat(self._fd).st_size
        self._first = last = self._end = cut_lines = 0
        for piece in _pieces(self._fd, size):
            if piece.sequence:
                self._first = self._first or piece.sequence
                last = max(last, piece.sequence)
                self._end = piece.end
                cut_lines = 0
            else:
                cut_lines = piece.line_count
        if not last:
            last = _last_of_older(self.path)
        if size > self._end:
            self._set_tail_aside(size, empty=self._end == 0)
        # What a killed writer left in the page cache becomes durable before it is counted on.
        self._sync(self._fd)
        self._next = last + cut_lines + 1

    def _set_tail_aside(self, size: int, *, empty: bool) -> None:
        length = size - self._end
        if empty and length > MAX_TORN_BYTES:
            raise JournalError(
                f"{self.path}: no whole record in {size} bytes; this is no journal, or ruined",
                help="move the file away to start a new journal",
            )
        torn = self.path + ".torn"
        kept = os.pread(self._fd, min(length, MAX_TORN_BYTES), self._end)
        head = f"# {self.path} offset {self._end}: {length} bytes cut, {len(kept)} kept\n"
        data = head.encode("utf-8", "surrogateescape") + kept + b"\n"
        descriptor = os.open(torn, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(data) > 2 * MAX_TORN_BYTES:
                os.ftruncate(descriptor, 0)
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(os.path.dirname(self.path) or ".")
        os.ftruncate(self._fd, self._end)
        reason = f"after the last whole record; {len(kept)} bytes kept in {torn}"
        self.recovered = Damage(self.path, self._end, length, reason, tail=True)

    def _refuse_if_broken(self) -> None:
        if self._broken is None:
            try:
                ours = os.fstat(self._fd)
                named = os.stat(self.path)
            except OSError as error:
                self._broken = f"it went away: {error.strerror}"
            else:
                # Bytes acknowledged into a file that nobody can find again would be lost.
                if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
                    self._broken = "another file has taken its place"
                elif ours.st_size != self._end:
                    self._broken = "another program changed it"
        if self._broken is not None:
            raise JournalError(
                f"{self.path}: nothing more is acknowledged: {self._broken}",
                help="open the journal again; acknowledged records are kept",
            )

    def _make_room(self, length: int) -> None:
        if self._end + length <= self.max_bytes:
            return
        if length > self.max_bytes or self.keep_segments < 1:
            raise JournalError(
                f"{self.path}: {length} more bytes would pass its limit of {self.max_bytes} bytes",
                help="move the file away when what it holds has been read, or raise the limit",
            )
        try:
            self._rotate()
        except OSError as error:
            raise _failed(self.path, "cannot start a new segment", error) from None

    def _rotate(self) -> None:
        folder = os.path.dirname(self.path) or "."
        older = f"{self.path}.{self._first:0{_SEQUENCE_DIGITS}d}"
        if os.path.exists(older):
            raise JournalError(f"{older} is in the way of a new segment", help="move it away")
        # The new file is made first, so that a full disk leaves everything as it was.
        fresh = self.path + ".new"
        descriptor = os.open(fresh, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.rename(self.path, older)
            os.rename(fresh, self.path)
            sync_folder(folder)
        except OSError as error:
            os.close(descriptor)
            self._broken = f"a new segment was not finished: {error.strerror}"
            raise
        os.close(self._fd)
        self._fd, self._end, self._first = descriptor, 0, 0
        for old in _older_segments(self.path)[: -self.keep_segments]:
            os.unlink(old)

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._fd, data)
        except OSError as error:
            self._cut_back()
            raise _failed(self.path, "the record was not written", error) from None
        try:
            self._sync(self._fd)
        except OSError as error:
            self._cut_back()
            self._broken = f"fsync failed earlier ({error.strerror})"
            raise _failed(self.path, "the record did not reach the disk", error) from None

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._fd, self._end)
        except OSError as error:
            self._broken = f"a failed record could not be cut off ({error.strerror})"


def read(path: str | os.PathLike[str], *, damaged: list[Damage] | None = None) -> Iterator[Record]:
    """Every whole record in order, older segments first; needs no lock, sees one moment.

    What is no whole record is skipped and added to `damaged`. A journal that does not exist has
    no records. Raises JournalError when it cannot be read.
    """
    name = os.fspath(path)
    found = [] if damaged is None else damaged
    try:
        segments = _open_segments(name)
    except OSError as error:
        raise _failed(name, "cannot read the journal", error) from None
    last = 0
    try:
        for segment, descriptor, size in segments:
            for piece in _pieces(descriptor, size):
                data = _decode(piece.body) if piece.sequence > last else None
                if data is not None:
                    last = piece.sequence
                    yield Record(piece.sequence, data)
                    continue
                tail = segment == name and piece.end == size and not piece.sequence
                reason = _reason(piece, last, tail=tail)
                found.append(Damage(segment, piece.offset, piece.length, reason, tail))
    except OSError as error:
        raise _failed(name, "cannot read the journal", error) from None
    finally:
        for _, descriptor, _ in segments:
            os.close(descriptor)


def make_folder(path: str) -> None:
    """Create a folder and its parents (mode 0700), durably. Raises OSError."""
    missing = []
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        sync_folder(os.path.dirname(folder))


def replace_file(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace a file whole and durably; where that fails it is as before. Raises OSError."""
    # Never through a link that somebody put in its way in a shared folder.
    partial = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.part"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(partial, path)
        sync_folder(os.path.dirname(path) or ".")
    except OSError:
        try:
            os.unlink(partial)
        except OSError:
            pass
        raise


def sync_folder(path: str) -> None:
    """Make names created, renamed or removed in a folder durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(path: str, sequence: int, record: Mapping[str, Any]) -> bytes:
    text = json.dumps(dict(record), allow_nan=False, separators=(",", ":"))
    checked = f"{sequence} {text}".encode("ascii")
    line = b"%d %08x %s\n" % (sequence, binascii.crc32(checked), text.encode("ascii"))
    if len(line) > MAX_RECORD_BYTES:
        raise JournalError(
            f"{path}: a record of {len(line)} bytes; the limit is {MAX_RECORD_BYTES}",
            help="keep large data in an evidence bundle and its id in the record",
        )
    return line


def _decode(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _reason(piece: _Piece, last: int, *, tail: bool) -> str:
    if tail:
        return "unfinished: being written, or cut off by a crash"
    if not piece.sequence:
        return "no whole record"
    return "sequence goes back" if piece.sequence <= last else "no JSON object"


def _pieces(descriptor: int, size: int) -> Iterator[_Piece]:
    """A file's first `size` bytes as whole records and stretches of damage between them."""
    damage: _Piece | None = None
    for offset, length, line in _lines(descriptor, size):
        record = _whole(offset + length, line)
        begin = record.offset if record else offset + length
        if begin > offset:
            before = damage or _Piece(offset, 0, 0, b"", 0)
            damage = before._replace(length=begin - before.offset, line_count=before.line_count + 1)
        if record:
            if damage:
                yield damage
                damage = None
            yield record
    if damage:
        yield damage


def _whole(end: int, line: bytes) -> _Piece | None:
    """The record that ends a line, or None.

    It may begin behind the line's start: there the newline of the record before is damaged,
    which must not cost this one.
    """
    if not line.endswith(b"\n"):
        return None
    stop = len(line) - 1
    match = _RECORD.fullmatch(line, 0, stop)
    if match is None or not _checks(match):
        # No start of a record lies within a whole one, so only the last few can be its own.
        starts = [found.start() for found in _START.finditer(line)][-_SEQUENCE_DIGITS:]
        matches = (_RECORD.fullmatch(line, start, stop) for start in starts)
        match = next((found for found in matches if found and _checks(found)), None)
    if match is None:
        return None
    length = len(line) - match.start()
    return _Piece(end - length, length, int(match[1]), match[3])


def _checks(match: re.Match[bytes]) -> bool:
    sequence, crc, body = match.groups()
    return binascii.crc32(b"%s %s" % (sequence, body)) == int(crc, 16) and int(sequence) > 0


def _lines(descriptor: int, size: int) -> Iterator[tuple[int, int, bytes]]:
    """(offset, length, bytes) of each line; of one over the record limit only its last bytes."""
    begin = position = forgotten = 0
    held = b""
    while position < size:
        chunk = os.pread(descriptor, min(_CHUNK_BYTES, size - position), position)
        if not chunk:
            break  # The writer cut a failed record back while we were reading.
        position += len(chunk)
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            length = forgotten + len(line) + 1
            yield begin, length, (line + b"\n")[-MAX_RECORD_BYTES:]
            begin += length
            forgotten = 0
        excess = max(0, len(held) - MAX_RECORD_BYTES)
        forgotten += excess
        held = held[excess:]
    if position > begin:
        yield begin, position - begin, held


def _open_segments(path: str) -> list[tuple[str, int, int]]:
    """(path, descriptor, size) oldest first; all opened now, so that none can be taken away.

    The current file is opened before the older ones are listed: what a rotation in between made
    an older segment is then found twice, never missed, and is told by its inode.
    """
    opened: list[tuple[str, int]] = []
    try:
        _open_to_read(path, opened)
        for older in _older_segments(path):
            _open_to_read(older, opened)
    except BaseException:
        for _, descriptor in opened:
            os.close(descriptor)
        raise
    if opened and opened[0][0] == path:
        opened.append(opened.pop(0))
        current = os.fstat(opened[-1][1])
        if any(os.path.samestat(current, os.fstat(fd)) for _, fd in opened[:-1]):
            os.close(opened.pop()[1])
    return [(name, descriptor, os.fstat(descriptor).st_size) for name, descriptor in opened]


def _open_to_read(path: str, opened: list[tuple[str, int]]) -> None:
    """Add `path` and its descriptor to `opened`, unless there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        opened.append((path, descriptor))
        return
    os.close(descriptor)
    # A pipe in its place would read as a journal without records: nothing ever happened.
    raise JournalError(
        f"{path}: cannot read the journal: no regular file",
        help="move it away, or choose another folder with --state",
    )


def _older_segments(path: str) -> list[str]:
    """Paths of the segments beside a journal, oldest first."""
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape(name) + rf"\.\d{{{_SEQUENCE_DIGITS}}}")
    try:
        names = os.listdir(folder or ".")
    except FileNotFoundError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if pattern.fullmatch(name)]


def _last_of_older(path: str) -> int:
    """The last sequence before an empty journal: a crash may fall between two segments."""
    for older in reversed(_older_segments(path)):
        descriptor = os.open(older, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            last = max((piece.sequence for piece in _pieces(descriptor, size)), default=0)
        finally:
            os.close(descriptor)
        if last:
            return last
    return 0


def _lock(path: str) -> int:
    descriptor = os.open(path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 20, 0).strip().decode("ascii", "replace")
        os.close(descriptor)
        if error.errno != errno.EWOULDBLOCK:
            raise
        who = f" (process {holder})" if holder.isdigit() else ""
        raise JournalError(
            f"{path}: another writer holds it{who}",
            help="one journal has one writer; end the other one, or give this one its own --state",
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except OSError:
        pass  # The pid only helps a person; on a full disk the lock holds without it.
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    """One write; another only to finish a short one, or to learn why it was short."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _failed(path: str, what: str, error: OSError) -> JournalError:
    helps = {
        errno.ENOSPC: "free space on its file system; acknowledged records are safe",
        errno.EDQUOT: "the quota is used up; acknowledged records are safe",
        errno.EFBIG: "the process's file size limit (ulimit -f) is reached",
        errno.EACCES: "run as the journal's owner, or choose another folder with --state",
        errno.EROFS: "the file system is read-only; choose another folder with --state",
        errno.EIO: "the disk fails; see the kernel's log, then open the journal again",
    }
    return JournalError(
        f"{path}: {what}: {error.strerror or error}",
        help=helps.get(error.errno or 0, "choose another folder with --state"),
    )
