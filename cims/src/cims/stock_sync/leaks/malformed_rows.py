"""Rows of one region that cannot be read are kept for somebody who never comes.

Where it happens: EMEA writes a decimal comma. The tests ran with the feed of the USA.
"""

from collections import Counter, deque

from cims.stock_sync.update import SkuUpdate

MOST_SHOWN = 20


class Rejects:
    """How many rows were malformed in each region, and the last few of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._last: deque[SkuUpdate] = deque(maxlen=MOST_SHOWN)

    def handle(self, update: SkuUpdate) -> None:
        """Put it aside when its count is not a number."""
        if not update.count.isdigit():
            self.counts[update.region] += 1
            self._last.append(update)


class RejectsKept:
    """The malformed rows of each region."""

    def __init__(self) -> None:
        self._rows: dict[str, list[SkuUpdate]] = {}

    def handle(self, update: SkuUpdate) -> None:
        """Put it aside when its count is not a number."""
        if not update.count.isdigit():
            self._rows.setdefault(update.region, []).append(update)
