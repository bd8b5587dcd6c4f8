"""Files of cgroups: read and written in one call each, without opening them where they are held."""

import errno
import os

from forestall.sense.host import Host

HELD_MAX = 64
LINE_BYTES_MAX = 64

# O_NONBLOCK: Linux 6.16 and later then set a limit without reclaiming down to it in this very
# call (cgroup-v2.rst, "memory.high"); earlier kernels do not mind.
_WRITE = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Descriptors:
    """At most HELD_MAX files held open; the one that was held first is let go of for another.

    Opening a file may need memory for its name and its inode; a write to an open one does not.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._held: dict[str, int] = {}

    def hold(self, file: str) -> bool:
        """Open `file` for later; False where it cannot be opened to read and to write."""
        if file in self._held:
            return True
        try:
            descriptor = os.open(self._host.path(file), os.O_RDWR | _WRITE)
        except OSError:
            return False
        if len(self._held) >= HELD_MAX:
            self._drop(next(iter(self._held)))
        self._held[file] = descriptor
        return True

    def read(self, file: str) -> bytes:
        """The first line, without its end; empty where there is nothing to read."""
        descriptor = self._held.get(file)
        data: bytes | None
        if descriptor is not None:
            try:
                return os.pread(descriptor, LINE_BYTES_MAX, 0).partition(b"\n")[0].strip()
            except OSError:
                # The cgroup it belonged to is gone; there may be another of this name.
                self._drop(file)
        data = self._host.read_record(file, LINE_BYTES_MAX)
        return (data or b"").partition(b"\n")[0].strip()

    def write(self, file: str, word: bytes) -> None:
        """Write one line. Raises OSError for what the kernel does not accept."""
        descriptor = self._held.get(file)
        if descriptor is not None:
            try:
                os.pwrite(descriptor, word + b"\n", 0)
                return
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                self._drop(file)
        descriptor = os.open(self._host.path(file), os.O_WRONLY | _WRITE)
        try:
            os.write(descriptor, word + b"\n")
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of all."""
        for file in list(self._held):
            self._drop(file)

    def _drop(self, file: str) -> None:
        os.close(self._held.pop(file))
