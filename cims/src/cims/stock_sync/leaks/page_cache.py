"""Not a mistake: a spool on disk. The kernel caches its pages, and drops them when it must."""

import tempfile
from collections import deque
from typing import IO

from cims.stock_sync.update import SkuUpdate

FILE_BYTES = 16 * 1024 * 1024
MOST_FILES = 4


class Spool:
    """The last notes on disk, in at most MOST_FILES files without a name: they go with us."""

    def __init__(self) -> None:
        self._files: deque[IO[bytes]] = deque()
        self._next()

    def handle(self, update: SkuUpdate) -> None:
        """Write it down."""
        newest = self._files[-1]
        newest.write(update.raw)
        if newest.tell() >= FILE_BYTES:
            self._next()

    def close(self) -> None:
        """Give the files back."""
        while self._files:
            self._files.popleft().close()

    def _next(self) -> None:
        if len(self._files) == MOST_FILES:
            self._files.popleft().close()
        self._files.append(tempfile.TemporaryFile())  # noqa: SIM115 - closed by its turn
