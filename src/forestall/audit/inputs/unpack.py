"""Bytes of a file or of an archive inside an archive, unpacked as they are asked for.

Nothing is ever written to a disk, and nothing here trusts what it reads: the bytes that come out,
their ratio to those that went in, and the time are bounded, whatever a header claims.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from forestall.clock import Clock
from forestall.errors import ForestallError, InputError
from forestall.units import GIB, MIB, format_bytes, format_duration

CHUNK_BYTES = 256 * 1024
MAGIC_BYTES = 512
LZMA_MEMORY_BYTES = 256 * MIB
"""xz -9 asks for 65 MiB; a header may ask for 4 GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one archive may cost. Logs of one repeated line reach a ratio of 100, a bomb 1,000."""

    unpacked_bytes: int = 64 * GIB
    ratio: int = 300
    ratio_from_bytes: int = 256 * MIB
    seconds: float = 300.0


class Meter:
    """Counts what one archive costs. Raises InputError where it is more than the limits allow."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._started = clock.monotonic()
        self.packed_bytes = 0
        self.unpacked_bytes = 0

    def packed(self, count: int) -> None:
        self.packed_bytes += count

    def unpacked(self, count: int) -> None:
        limits = self._limits
        self.unpacked_bytes += count
        out = self.unpacked_bytes
        if out > limits.unpacked_bytes:
            raise InputError(f"it unpacks to more than {format_bytes(limits.unpacked_bytes)}")
        if out > limits.ratio_from_bytes and out > self.packed_bytes * limits.ratio:
            raise InputError(
                f"it unpacks to more than {limits.ratio} times its size, which no real one does"
            )
        if self._clock.monotonic() - self._started > limits.seconds:
            raise InputError(f"it took longer than {format_duration(limits.seconds)}")


class Source(Protocol):
    """Where bytes come from: `read` answers at most `size` of them, and none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Inflow:
    """Unpacked bytes, read forwards only."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        end = self._at + size
        if end <= len(self._buffer):
            found = self._buffer[self._at : end]
            self._at = end
            return found
        parts = [self._buffer[self._at :]]
        missing = size - len(parts[0])
        self._buffer, self._at = b"", 0
        for piece in self._pieces:
            if len(piece) >= missing:
                parts.append(piece[:missing])
                self._buffer, self._at = piece, missing
                break
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Pass over `size` bytes; how many there were."""
        have = len(self._buffer) - self._at
        if size <= have:
            self._at += size
            return size
        done = have
        self._buffer, self._at = b"", 0
        for piece in self._pieces:
            if done + len(piece) >= size:
                self._buffer, self._at = piece, size - done
                return size
            done += len(piece)
        return done


def unpacked(source: Source, meter: Meter) -> Inflow:
    """The bytes of `source`, unpacked if its first bytes say gzip, bzip2 or xz."""
    first = source.read(MAGIC_BYTES)
    meter.packed(len(first))
    return Inflow(_pieces(first, source, meter))


def _pieces(first: bytes, source: Source, meter: Meter) -> Iterator[bytes]:
    make = _unpacker(first)
    packed = _chunks(first, source, meter)
    for piece in packed if make is None else _unpack(make, packed):
        meter.unpacked(len(piece))
        yield piece


def _chunks(first: bytes, source: Source, meter: Meter) -> Iterator[bytes]:
    chunk = first
    while chunk:
        yield chunk
        chunk = source.read(CHUNK_BYTES)
        meter.packed(len(chunk))


def _unpacker(first: bytes) -> Callable[[], "Unpacker"] | None:
    """What makes an unpacker for one stream of this kind; None where nothing is packed."""
    if first.startswith(b"\xfd7zXZ\x00"):
        lzma = _module("lzma", "xz")
        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY_BYTES)
    if first.startswith(b"BZh"):
        bz2 = _module("bz2", "bzip2")
        return lambda: bz2.BZ2Decompressor()
    if first.startswith(b"\x1f\x8b"):
        _module("zlib", "gzip")
        return Gunzip
    if first.startswith(b"\x28\xb5\x2f\xfd"):
        raise InputError("it is packed with zstd, which is not read", help="unpack it with zstd -d")
    return None


def _module(name: str, what: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ForestallError(
            f"this Python was built without {name}, which {what} needs",
            help=f"unpack the archive first, or use a Python with {name}",
        ) from None


class Unpacker(Protocol):
    """What lzma and bz2 offer for one stream; `unused_data` is what follows its end."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Gunzip:
    """zlib in the shape of the other two."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _unpack(make: Callable[[], Unpacker], packed: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of one or several streams one after the other; zeros may follow the last."""
    unpacker = make()
    for chunk in packed:
        data = chunk
        while True:
            if unpacker.eof:
                data = (unpacker.unused_data + data).lstrip(b"\0")
                if not data:
                    break
                unpacker = make()
            piece = _decompress(unpacker, data)
            data = b""
            if piece:
                yield piece
            if not unpacker.eof and unpacker.needs_input:
                break
    if not unpacker.eof:
        raise InputError("it ends in the middle")


def _decompress(unpacker: Unpacker, data: bytes) -> bytes:
    try:
        return unpacker.decompress(data, CHUNK_BYTES)
    except MemoryError:
        raise InputError("unpacking it needs more memory than any real archive does") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"it cannot be unpacked: {error}") from None
    except Exception as error:
        # lzma.LZMAError and zlib.error are plain Exceptions, of modules that may be missing.
        if type(error).__module__ not in ("_lzma", "lzma", "zlib"):
            raise
        raise InputError(f"it cannot be unpacked: {error}") from None
