"""A disk whose syncs fail when told to."""

import errno
import os


class FakeDisk:
    """Stands in for fdatasync: counts, and fails `failures` times from when it is asked to."""

    def __init__(self) -> None:
        self.sync_count = 0
        self.failures = 0
        self.sizes: list[int] = []

    def sync(self, descriptor: int) -> None:
        self.sync_count += 1
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.sizes.append(os.fstat(descriptor).st_size)
