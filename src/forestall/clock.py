"""Time as a parameter, so that no test and no replay ever patches the time module."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the product needs from time."""

    def now(self) -> float:
        """Wall time in seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards; for differences only."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock; returns at once if negative."""
        ...


class SystemClock:
    """The host's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class ScaledClock:
    """A clock that runs `scale` times as fast as the host's, from the moment it is made.

    Both readings are scaled, so an hour of policy passes in 3600 / scale seconds while
    thresholds stay the shipped ones.
    """

    def __init__(self, scale: float) -> None:
        if scale <= 0:
            raise ValueError(f"scale must be positive, not {scale}")
        self.scale = scale
        self._wall_started = time.time()
        self._monotonic_started = time.monotonic()

    def now(self) -> float:
        return self._wall_started + self._elapsed()

    def monotonic(self) -> float:
        return self._monotonic_started + self._elapsed()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds / self.scale)

    def _elapsed(self) -> float:
        return (time.monotonic() - self._monotonic_started) * self.scale
