"""A report's file: whole or not at all, however the run ends."""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import TextIO

from forestall.errors import InputError
from forestall.journal import sync_folder


@contextlib.contextmanager
def report_file(path: str) -> Iterator[TextIO]:
    """A stream whose text replaces the file at `path` at the end: written, synced, renamed.

    An error leaves what was there before. Raises InputError where the file cannot be written.
    """
    target = os.path.realpath(path)
    partial = f"{target}.partial-{os.getpid()}-{os.urandom(4).hex()}"
    mode = _mode(path, target)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except OSError as error:
        raise _unwritten(path, error) from None
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        with open(
            descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        ) as file:
            yield file
            try:
                file.flush()
                os.fsync(file.fileno())
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


def _mode(path: str, target: str) -> int | None:
    """Who may read the file that is replaced, which a new run does not widen; None = no such file.

    Raises InputError for what is no ordinary file.
    """
    try:
        mode = os.stat(target).st_mode
    except OSError:
        return None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise InputError(f"{path} is {kind}", help="name a file for the report")
    return stat.S_IMODE(mode)


def _unwritten(path: str, error: OSError) -> InputError:
    return InputError(
        f"{path}: the report was not written: {error.strerror}",
        help="name a file in a folder that exists and may be written",
    )
