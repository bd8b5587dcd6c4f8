"""A kept exception keeps its traceback, that keeps the frames, and those keep all their locals.

Where it happens: errors are collected "for the report at the end of the day".
"""

from collections import deque

from cims.stock_sync.update import SkuUpdate

MOST_FAILURES = 100


def lot_of(update: SkuUpdate) -> int:
    """The lot number in the shop's note. Most shops write none: ValueError."""
    first, _, _ = update.raw.partition(b" ")
    return int(first)


class Failures:
    """What the last failures said, in their own words and without their frames."""

    def __init__(self) -> None:
        self._recent: deque[str] = deque(maxlen=MOST_FAILURES)

    def handle(self, update: SkuUpdate) -> None:
        """Read the lot number, which is optional."""
        try:
            lot_of(update)
        except ValueError as error:
            self._recent.append(f"{update.sku}: {type(error).__name__}")


class FailuresWithTracebacks:
    """The failures themselves."""

    def __init__(self) -> None:
        self._recent: deque[ValueError] = deque()

    def handle(self, update: SkuUpdate) -> None:
        """Read the lot number, which is optional."""
        try:
            lot_of(update)
        except ValueError as error:
            self._recent.append(error)
