"""A C extension that takes a reference and never drops it: an object nobody holds, for ever.

Where it happens: an error path of hand-written C returns before its Py_DECREF. ctypes makes the
same two calls here, so that no compiler is needed.
"""

import ctypes

from cims.stock_sync.update import SkuUpdate


class Hashing:
    """Takes a reference while it reads a buffer, as an extension does, and drops it."""

    def __init__(self) -> None:
        self._take = ctypes.pythonapi.Py_IncRef
        self._take.argtypes = [ctypes.py_object]
        self._drop = ctypes.pythonapi.Py_DecRef
        self._drop.argtypes = [ctypes.py_object]

    def handle(self, update: SkuUpdate) -> None:
        """Read its note."""
        copy = bytes(memoryview(update.raw))
        self._take(copy)
        self._drop(copy)


class HashingWithoutDrop(Hashing):
    """Takes a reference while it reads a buffer."""

    def handle(self, update: SkuUpdate) -> None:
        """Read its note."""
        copy = bytes(memoryview(update.raw))
        self._take(copy)
