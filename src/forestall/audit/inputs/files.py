"""A file that a user or an input names, opened so that nothing is waited for without end."""

import os
import select
import stat
from typing import BinaryIO

from forestall.errors import InputError
from forestall.units import format_bytes, format_duration

PIPE_WAIT_SECONDS = 60.0
"""The writer of a pipe may take a while to begin, and between its words."""

CHUNK_BYTES = 256 * 1024


def open_file(path: str) -> BinaryIO:
    """The regular file at `path`. Raises InputError, which does not name it, for anything else.

    A named pipe in a folder of reports, to which nobody writes, must not stop the reader for ever.
    """
    descriptor = _open_at_once(path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("neither a file nor a folder")
    return os.fdopen(descriptor, "rb")


def read_named(path: str, limit_bytes: int) -> bytes:
    """All of the file or pipe (`<(program)`) that a user names, of at most `limit_bytes`.

    Raises InputError, which does not name it: for a device or a folder, for more than the limit,
    and for a pipe that is silent for a minute.
    """
    descriptor = _open_at_once(path)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise InputError("a folder" if stat.S_ISDIR(mode) else "neither a file nor a pipe")
        data = _to_the_end(descriptor, limit_bytes)
    finally:
        os.close(descriptor)
    if len(data) > limit_bytes:
        raise InputError(f"larger than {format_bytes(limit_bytes)}")
    return data


def check_file(path: str) -> None:
    """Nothing for a file that another program will open and read, or for /dev/null.

    Raises InputError, which does not name it, for what is there and could keep that one waiting.
    """
    if os.path.exists(path) and not os.path.samefile(path, os.devnull):
        open_file(path).close()


def _open_at_once(path: str) -> int:
    """An ordinary open of a named pipe waits until somebody writes to it."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}") from None


def _to_the_end(descriptor: int, limit_bytes: int) -> bytes:
    """A file, or what a pipe's writers write until they close it; at most a byte over the limit."""
    data = bytearray()
    while len(data) <= limit_bytes:
        if not select.select([descriptor], [], [], PIPE_WAIT_SECONDS)[0]:
            waited = format_duration(PIPE_WAIT_SECONDS)
            raise InputError(f"a pipe to which nobody wrote anything for {waited}")
        chunk = os.read(descriptor, min(CHUNK_BYTES, limit_bytes + 1 - len(data)))
        if not chunk:
            break
        data += chunk
    return bytes(data)
