"""Not a mistake: a spool on disk. The kernel caches its pages, and drops them when it must."""

import os
import tempfile
from typing import BinaryIO

from cims.stock_sync.update import SkuUpdate

FILE_BYTES = 16 * 1024 * 1024
MOST_FILES = 4


class Spool:
    """The last notes on disk, in at most MOST_FILES files; the folder goes with the process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stock-sync-")
        self._number = 0
        self._file = self._open()

    def handle(self, update: SkuUpdate) -> None:
        """Write it down."""
        self._file.write(update.raw)
        if self._file.tell() >= FILE_BYTES:
            self._rotate()

    def _rotate(self) -> None:
        self._file.close()
        self._number += 1
        oldest = self._number - MOST_FILES
        if oldest >= 0:
            os.unlink(self._path(oldest))
        self._file = self._open()

    def _path(self, number: int) -> str:
        return os.path.join(self._folder.name, f"{number}.spool")

    def _open(self) -> BinaryIO:
        return open(self._path(self._number), "wb")
