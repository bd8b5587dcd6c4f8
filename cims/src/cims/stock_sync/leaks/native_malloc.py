"""Memory asked for from C and never given back: Python's own tools see nothing of it.

Where it happens: a C library hands out a buffer, and its free function is called on one path only.
"""

import ctypes

from cims.stock_sync.update import SkuUpdate

HEADER_BYTES = 64


class Decoding:
    """Copies each note into a buffer of the C library, and gives the buffer back."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._libc.malloc.restype = ctypes.c_void_p
        self._libc.malloc.argtypes = [ctypes.c_size_t]
        self._libc.free.argtypes = [ctypes.c_void_p]

    def handle(self, update: SkuUpdate) -> None:
        """Decode it."""
        buffer = self._decoded(update.raw)
        self._libc.free(buffer)

    def _decoded(self, raw: bytes) -> int:
        size = HEADER_BYTES + len(raw)
        buffer = self._libc.malloc(size)
        if not buffer:
            raise MemoryError(f"no {size} bytes for the decoder")
        ctypes.memset(buffer, 0, HEADER_BYTES)
        ctypes.memmove(buffer + HEADER_BYTES, raw, len(raw))
        return int(buffer)


class DecodingWithoutFree(Decoding):
    """Copies each note into a buffer of the C library."""

    def handle(self, update: SkuUpdate) -> None:
        """Decode it."""
        self._decoded(update.raw)
