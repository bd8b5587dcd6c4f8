"""Series in fixed rings: what a host's processes held lately, in memory that never grows.

A point is two unsigned 32-bit numbers: seconds since the epoch, and pages. That is an eighth of
what two Python floats would take, and holds up to 16 TiB and the year 2106.
"""

from array import array

U32_MAX = 2**32 - 1
PAGE_BYTES = 4096
CAPACITY = 720
INTERVAL_SECONDS = 10
SUBJECT_LIMIT = 1_000
"""How many rings an owner keeps at most."""

MEMORY = "memory_bytes"


class Ring:
    """The last `capacity` points of one signal, at most one per `interval_seconds`.

    Of several values in one interval the last is kept, at the interval's beginning. Bytes are
    rounded down to pages of 4 KiB.
    """

    __slots__ = ("_count", "_next", "_pages", "_seconds", "capacity", "interval_seconds")

    def __init__(self, capacity: int = CAPACITY, interval_seconds: int = INTERVAL_SECONDS) -> None:
        if capacity < 1 or interval_seconds < 1:
            raise ValueError("a ring needs room for one point and at least a second between two")
        self.capacity = capacity
        self.interval_seconds = interval_seconds
        # All of it at once: a footprint that is reached slowly would look like a leak of ours.
        self._seconds = array("I", bytes(4 * capacity))
        self._pages = array("I", bytes(4 * capacity))
        self._next = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, at: float, value_bytes: int) -> None:
        """Remember a value; one from before the newest interval (a clock set back) is dropped."""
        second = int(at) // self.interval_seconds * self.interval_seconds
        pages = min(max(value_bytes, 0) // PAGE_BYTES, U32_MAX)
        if not 0 <= second <= U32_MAX:
            return
        if self._count:
            newest = (self._next - 1) % self.capacity
            if second < self._seconds[newest]:
                return
            if second == self._seconds[newest]:
                self._pages[newest] = pages
                return
        self._seconds[self._next] = second
        self._pages[self._next] = pages
        self._next = (self._next + 1) % self.capacity
        self._count = min(self._count + 1, self.capacity)

    def at_or_before(self, at: float) -> tuple[float, int] | None:
        """(time, bytes) of the newest point that is not after `at`, else of the oldest one."""
        if not self._count:
            return None
        first = (self._next - self._count) % self.capacity
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self._seconds[(first + middle) % self.capacity] <= at:
                low = middle + 1
            else:
                high = middle
        index = (first + max(0, low - 1)) % self.capacity
        return float(self._seconds[index]), self._pages[index] * PAGE_BYTES

    def least(self) -> int | None:
        """The least value of all that are remembered."""
        if not self._count:
            return None
        pages = self._pages if self._count == self.capacity else self._pages[: self._count]
        return min(pages) * PAGE_BYTES

    def columns(self) -> "tuple[array[float], array[float]]":
        """(times in seconds since the epoch, values in bytes), oldest first."""
        first = (self._next - self._count) % self.capacity
        order = [(first + step) % self.capacity for step in range(self._count)]
        times = array("d", [self._seconds[at] for at in order])
        values = array("d", [self._pages[at] * PAGE_BYTES for at in order])
        return times, values
