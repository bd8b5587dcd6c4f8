"""Keys of orders: UUIDs of version 7, so that they sort by time and lie together in the index."""

import os
import time
from uuid import UUID


def order_key(at: float | None = None, random: bytes | None = None) -> UUID:
    """A new key. `at` is seconds since 1970 and `random` ten bytes; both are for tests."""
    milliseconds = int((time.time() if at is None else at) * 1000) & (2**48 - 1)
    tail = int.from_bytes(os.urandom(10) if random is None else random, "big")
    number = milliseconds << 80 | tail
    number = number & ~(0xF << 76) | 0x7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
