"""A file that an input names, opened so that nothing but a file is ever waited for."""

import os
import stat
from typing import BinaryIO

from forestall.errors import InputError


def open_file(path: str) -> BinaryIO:
    """The regular file at `path`. Raises InputError, which does not name it, for anything else.

    A named pipe in a folder of reports, to which nobody writes, must not stop the reader for ever.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("neither a file nor a folder")
    return os.fdopen(descriptor, "rb")
