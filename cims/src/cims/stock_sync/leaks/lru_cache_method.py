"""functools.lru_cache on a method: the cache's key holds `self`, so no instance ever ends.

Where it happens: an object is made for each request, and one of its methods is slow.
"""

from functools import cache, lru_cache

from cims.stock_sync.update import SkuUpdate

PIECES = {"piece": 1, "box": 12, "pallet": 480}


@lru_cache(maxsize=1024)
def pieces_of(unit: str, count: str) -> int:
    """The count in pieces; 0 when it is not a number."""
    return PIECES[unit] * (int(count) if count.isdigit() else 0)


class Converting:
    """Counts in pieces, by a function of what decides them."""

    def handle(self, update: SkuUpdate) -> None:
        """Convert its count."""
        pieces_of("box", update.count)


class Conversion:
    """The counts of one update."""

    def __init__(self, update: SkuUpdate) -> None:
        self.update = update

    @cache  # noqa: B019 - the mistake itself
    def pieces(self, unit: str) -> int:
        """The count in pieces; 0 when it is not a number."""
        return PIECES[unit] * (int(self.update.count) if self.update.count.isdigit() else 0)


class ConvertingByMethod:
    """Counts in pieces, by a method that remembers each of its owners."""

    def handle(self, update: SkuUpdate) -> None:
        """Convert its count."""
        Conversion(update).pieces("box")
