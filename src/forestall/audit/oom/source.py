"""Where kernel messages come from: files, pipes, packed files and journals -> the kernel's lines.

Bounded: at most `bytes_max` bytes of text, LINE_BYTES_MAX of a line. Only lines that the parser
wants are decoded, so that a log of gigabytes costs a search and not a parse.
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, cast

from forestall.audit.oom import reach, records
from forestall.audit.oom.prefix import Said, split
from forestall.audit.oom.reach import Reach
from forestall.audit.oom.words import TELLING, TRIGGERS
from forestall.errors import InputError
from forestall.units import GIB, KIB, MIB, format_bytes

TEXT_BYTES_MAX = 4 * GIB
LINE_BYTES_MAX = 64 * KIB
CHUNK_BYTES = 1 * MIB
PEEK_BYTES = 4 * KIB
FIELD_BYTES_MAX = 1 * MIB


class Listener(Protocol):
    """Who reads on: `active` while the next line may matter whatever it says."""

    def active(self) -> bool: ...

    def wants(self, raw: bytes) -> bool: ...


class Readable(Protocol):
    """All that is asked of a stream: what is there, and no more, so that a damaged end costs
    nothing of what came before it.
    """

    def read1(self, size: int, /) -> bytes: ...


CORES = (b"\x7fELF", b"KDUMP   ", b"DISKDUMP", b"makedumpfile")
PACKED: tuple[tuple[bytes, Callable[[IO[bytes]], "Readable"]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"BZh", bz2.BZ2File),
)
REFUSED = (
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "zstd -dc FILE | forestall audit oom -"),
    (
        b"LPKSHHRH",
        "a journal as systemd keeps it",
        "journalctl --file FILE -k -o export | forestall audit oom -",
    ),
)


TEXT_BYTES = bytes({*range(0x20, 0x7F), *range(0x80, 0x100), *b"\b\t\n\r\x1b\x1e"})
BINARY_SHARE = 0.05
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(slots=True)
class Source:
    """What was read, for the report. `ended_early`: why the rest could not be.

    `binary`: it begins with more control characters than a line of a console ever catches.
    `reach`: which of its lines are surely the kernel's, the first and the last.
    `telling`: the first line that tells of an OOM, and by which words.
    `tick` is called as reading goes on, for whoever shows progress.
    """

    form: str = "text"
    bytes_read: int = 0
    lines: int = 0
    ended_early: str | None = None
    binary: bool = False
    reach: Reach = field(default_factory=Reach)
    tick: Callable[[], None] | None = None
    telling: tuple[int, str] | None = None

    def heard(self, number: int, raw: bytes, said: list[Said]) -> list[Said]:
        """What was made of a line; the first that tells of an OOM is kept, whoever wrote it."""
        if self.telling is None:
            found = TELLING.search(raw)
            if found is not None:
                self.telling = (number, found[0].decode())
        return said


def is_core(head: bytes) -> bool:
    """Whether a file begins as a dump of a kernel's memory does."""
    return head.startswith(CORES)


def read(
    file: Readable, name: str, source: Source, listener: Listener, *, bytes_max: int
) -> Iterator[Said]:
    """What the kernel said in `file`, in order. Raises InputError for what is no log."""
    buffered, head = _opened(file, name)
    source.binary = len(head.translate(None, TEXT_BYTES)) > BINARY_SHARE * len(head)
    bounded = _Bounded(buffered, source, bytes_max)
    form = records.form_of(head)
    if form is records.Form.LINES:
        source.form = "JSON"
        for number, raw in bounded.lines(listener, records.TRIGGERS, reach.JSON, _json_line):
            yield from source.heard(number, raw, _json_line(raw, number))
    elif form is records.Form.DOCUMENT:
        source.form = "JSON"
        yield from _json_document(bounded, source)
    elif head.startswith(b"__CURSOR=") or b"\n__REALTIME_TIMESTAMP=" in b"\n" + head:
        source.form = "journal export"
        yield from _export(bounded, source, listener)
    else:
        for number, raw in bounded.lines(listener, TRIGGERS, reach.TEXT, _text_line):
            yield from source.heard(number, raw, _text_line(raw, number))


def _opened(file: Readable, name: str) -> tuple[io.BufferedReader, bytes]:
    """The text of a file, unpacked, and how it begins."""
    buffered = _peekable(file)
    try:
        head = buffered.peek(PEEK_BYTES)[:PEEK_BYTES]
    except TimeoutError as error:
        raise InputError(f"{name}: {error}", help="nobody writes to it; name a file") from None
    for magic, opener in PACKED:
        if head.startswith(magic):
            buffered = _peekable(opener(cast(IO[bytes], buffered)))
            try:
                head = buffered.peek(PEEK_BYTES)[:PEEK_BYTES]
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise InputError(
                    f"{name}: it begins as a packed file and cannot be unpacked: {error}",
                    help="copy it once more, or unpack it and give the text",
                ) from None
    for magic, what, instead in REFUSED:
        if head.startswith(magic):
            raise InputError(f"{name}: {what}", help=f"use: {instead}")
    if is_core(head):
        raise InputError(
            f"{name}: a dump of memory, packed or from a pipe",
            help="give the unpacked file by its name, and --vmlinux",
        )
    if head.startswith(UTF_16):
        buffered = _peekable(_Utf16(buffered))
        head = buffered.peek(PEEK_BYTES)[:PEEK_BYTES]
    return buffered, head


def _text_line(raw: bytes, number: int = 0) -> list[Said]:
    return split(number, raw.decode("utf-8", "replace"))


class _Utf16:
    """What PowerShell's `>` writes, as UTF-8."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")

    def read1(self, size: int, /) -> bytes:
        while data := self._file.read1(max(2, size // 2)):
            text = self._decoder.decode(data)
            if text:
                return text.encode("utf-8", "replace")
        return b""


def _peekable(file: Readable) -> io.BufferedReader:
    return io.BufferedReader(_Raw(file), CHUNK_BYTES)


class _Raw(io.RawIOBase):
    """Any readable file as a raw one, which BufferedReader asks for; `peek` needs that."""

    def __init__(self, file: Readable) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Bounded:
    """Reads no further than allowed, cuts lines that never end, and survives a broken end."""

    def __init__(self, file: Readable, source: Source, bytes_max: int) -> None:
        self._file = file
        self._source = source
        self._left = bytes_max
        self._bytes_max = bytes_max

    def read(self, size: int) -> bytes:
        source = self._source
        if self._left <= 0:
            source.ended_early = f"only the first {format_bytes(self._bytes_max)} were read"
            return b""
        try:
            data = self._file.read1(min(size, self._left))
        except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
            source.ended_early = f"the packed file is damaged or cut short: {error}"
            return b""
        except TimeoutError as error:
            source.ended_early = str(error)
            return b""
        except OSError as error:
            source.ended_early = f"reading failed: {error.strerror or error}"
            return b""
        self._left -= len(data)
        source.bytes_read += len(data)
        if source.tick is not None:
            source.tick()
        return data

    def lines(
        self,
        listener: Listener,
        triggers: tuple[bytes, ...],
        marks: re.Pattern[bytes],
        read: reach.Read,
    ) -> Iterator[tuple[int, bytes]]:
        """Lines with their numbers from 1, without their ends; the rest of an endless one is lost.

        While nobody is active only lines that hold a trigger are given; the others are counted,
        and the source's reach looks for the kernel's by `marks` and `read`.
        """
        source, rest, skipping = self._source, b"", False
        while data := self.read(CHUNK_BYTES):
            buffer = rest + data
            at = 0
            if skipping:
                at = buffer.find(b"\n") + 1
                skipping = at == 0
                rest = b"" if skipping else rest
                if skipping:
                    continue
            end = buffer.rfind(b"\n", at) + 1
            source.reach.look(buffer, at, end, marks, read)
            yield from self._whole_lines(buffer, at, end, listener, triggers)
            rest = buffer[max(at, end) :]
            if len(rest) > LINE_BYTES_MAX:
                source.lines += 1
                yield source.lines, rest[:LINE_BYTES_MAX]
                rest, skipping = b"", True
        if rest:
            source.lines += 1
            source.reach.look(rest, 0, len(rest), marks, read)
            yield source.lines, rest[:LINE_BYTES_MAX]

    def _whole_lines(
        self, buffer: bytes, at: int, end: int, listener: Listener, triggers: tuple[bytes, ...]
    ) -> Iterator[tuple[int, bytes]]:
        source, ahead = self._source, _Ahead(buffer, end, triggers)
        while at < end:
            if not listener.active():
                hit = ahead.next(at)
                if hit < 0:
                    source.lines += buffer.count(b"\n", at, end)
                    return
                start = max(at, buffer.rfind(b"\n", at, hit) + 1)
                source.lines += buffer.count(b"\n", at, start)
                at = start
            stop = buffer.index(b"\n", at, end)
            source.lines += 1
            yield source.lines, buffer[at : min(stop, at + LINE_BYTES_MAX)]
            at = stop + 1


class _Ahead:
    """Where the next trigger stands; each is looked for once over a buffer."""

    def __init__(self, buffer: bytes, end: int, triggers: tuple[bytes, ...]) -> None:
        self._buffer = buffer
        self._end = end
        self._next = dict.fromkeys(triggers, -2)

    def next(self, at: int) -> int:
        """The position of the first trigger from `at` on; -1 where none is left."""
        best = -1
        for trigger, place in self._next.items():
            if place != -1 and place < at:
                place = self._buffer.find(trigger, at, self._end)
                self._next[trigger] = place
            if place >= 0 and (best < 0 or place < best):
                best = place
        return best


def _json_line(raw: bytes, number: int = 0) -> list[Said]:
    return list(records.said_by(number, records.parsed(raw)))


def _json_document(bounded: _Bounded, source: Source) -> Iterator[Said]:
    """Entries are counted as lines."""
    for value, raw in records.objects(bounded.read):
        source.lines += 1
        said = list(records.said_by(source.lines, value))
        if said and reach.JSON.search(raw) is not None:
            source.reach.add(said[0])
        yield from source.heard(source.lines, raw, said)


def _export(bounded: _Bounded, source: Source, listener: Listener) -> Iterator[Said]:
    """The journal export format (systemd's JOURNAL_EXPORT_FORMATS): NAME=VALUE lines, or NAME,
    eight bytes of length and the bytes; an empty line ends an entry. Entries are counted as lines.
    """
    reader = _Pieces(bounded)
    fields: dict[str, bytes] = {}
    last: dict[str, bytes] = {}
    number = 0
    while True:
        line = reader.line()
        if line:
            name, equals, value = line.partition(b"=")
            if not equals:
                value = reader.sized()
            if len(fields) < 256:
                fields.setdefault(name.decode("ascii", "replace"), value)
            continue
        if fields:
            number += 1
            if fields.get("_TRANSPORT", fields.get("SYSLOG_IDENTIFIER")) == b"kernel":
                last = fields
                if source.reach.first is None:
                    _add_reach(source, fields)
            message = fields.get("MESSAGE", b"")
            if listener.wants(message):
                yield from source.heard(number, message, _export_entry(number, fields))
        fields = {}
        if line is None:
            _add_reach(source, last)
            return


def _export_entry(number: int, fields: dict[str, bytes]) -> list[Said]:
    texts = {name: value.decode("utf-8", "replace") for name, value in fields.items()}
    return list(records.entry(number, texts))


def _add_reach(source: Source, fields: dict[str, bytes]) -> None:
    for said in _export_entry(0, fields):
        source.reach.add(said)


class _Pieces:
    """Lines and sized fields out of one stream of bytes."""

    def __init__(self, bounded: _Bounded) -> None:
        self._bounded = bounded
        self._data = b""
        self._at = 0

    def line(self) -> bytes | None:
        """The next line without its end, cut to what a field may be long; None at the end."""
        end = self._data.find(b"\n", self._at)
        while end < 0 and len(self._data) - self._at <= FIELD_BYTES_MAX:
            if not self._more():
                break
            end = self._data.find(b"\n", self._at)
        if end < 0:
            end = len(self._data)
            if end == self._at:
                return None
        line, self._at = self._data[self._at : end], end + 1
        return line[:FIELD_BYTES_MAX]

    def sized(self) -> bytes:
        """A binary field: its length, its bytes and a line end."""
        size = int.from_bytes(self._take(8), "little")
        kept = self._take(min(size, FIELD_BYTES_MAX))
        left = size - len(kept)
        while left > 0:
            skipped = len(self._take(min(left, CHUNK_BYTES)))
            if not skipped:
                break
            left -= skipped
        self._take(1)
        return kept

    def _take(self, size: int) -> bytes:
        while len(self._data) - self._at < size and self._more():
            pass
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _more(self) -> bool:
        data = self._bounded.read(CHUNK_BYTES)
        self._data = self._data[self._at :] + data
        self._at = 0
        return bool(data)
