"""A file that the audit writes: whole or not at all, and for whom it is meant alone."""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from forestall.errors import InputError
from forestall.journal import sync_folder

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CLOSED = 0o600
"""What tells which host has which weakness is for who asked; `chmod` once opens it for good."""

OPEN = 0o644
"""What another user's program is to read, or what is public anyway."""

_ADVICE = {
    errno.ENOSPC: "free some space there, or name another place",
    errno.EDQUOT: "free some of this user's space there, or name another place",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or name another place",
    errno.EIO: "the disk has an error; name a place on another one",
    errno.EROFS: "it cannot be written; name another place",
}


@contextlib.contextmanager
def report_file(path: str, *, mode: int = CLOSED) -> Iterator[TextIO]:
    """A stream whose text replaces the file at `path` at the end: written, synced, renamed.

    A new file has `mode`, whatever the umask; one that is replaced keeps its mode, owner and group.
    An error leaves what was there before. Raises InputError, which names `path`, where the file
    cannot be written, also out of the stream's `write`.
    """
    target = os.path.realpath(path)
    before = _before(path, target)
    partial = f"{target}.partial-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, CLOSED)
    except OSError as error:
        raise _unwritten(path, error) from None
    try:
        _give_access(descriptor, before, mode)
        with _stream(descriptor, path) as file:
            yield file
            file.flush()
            try:
                os.fsync(descriptor)
            except OSError as error:
                raise _unwritten(path, error) from None
        try:
            os.replace(partial, target)
            sync_folder(os.path.dirname(target))
        except OSError as error:
            raise _unwritten(path, error) from None
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


class _File(io.FileIO):
    """Its errors name the report: several are written at once, and the last bytes of each late."""

    def __init__(self, descriptor: int, path: str) -> None:
        super().__init__(descriptor, "w")
        self._path = path

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _unwritten(self._path, error) from None


def _stream(descriptor: int, path: str) -> TextIO:
    buffered = io.BufferedWriter(_File(descriptor, path))
    return io.TextIOWrapper(buffered, encoding="utf-8", errors="backslashreplace", newline="\n")


def _before(path: str, target: str) -> os.stat_result | None:
    """The file that is replaced; None = no such file. Raises InputError for no ordinary file."""
    try:
        before = os.stat(target)
    except OSError:
        return None
    if not stat.S_ISREG(before.st_mode):
        kind = "a folder" if stat.S_ISDIR(before.st_mode) else "no ordinary file"
        raise InputError(f"{path} is {kind}", help="name a file")
    return before


def _give_access(descriptor: int, before: os.stat_result | None, mode: int) -> None:
    """Whoever could read the file that is replaced can read this one, and nobody else."""
    if before is not None:
        mode = before.st_mode & 0o777
        for owner in (before.st_uid, -1):
            with contextlib.suppress(OSError):
                os.fchown(descriptor, owner, before.st_gid)
                break
        else:
            # The group is another now: it gets what everybody has.
            mode = mode & 0o707 | (mode & 0o007) << 3
    # A file system without modes (vfat) refuses, and has those of its mount.
    with contextlib.suppress(PermissionError):
        os.fchmod(descriptor, mode)


def _unwritten(path: str, error: OSError) -> InputError:
    return InputError(
        f"{path}: not written: {error.strerror}",
        help=_ADVICE.get(
            error.errno or 0, "name a file in a folder that exists and that this user may write to"
        ),
    )
