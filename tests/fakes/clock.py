"""A clock that moves only when told to, or when somebody sleeps on it."""


class FakeClock:
    """Starts at `at` (seconds since the epoch); `sleep` moves it and returns at once."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at
        self.slept: list[float] = []
        self._started = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - self._started

    def step(self, seconds: float) -> None:
        """Set the wall time forward or back; monotonic time does not notice."""
        self.at += seconds
        self._started += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += max(0.0, seconds)
