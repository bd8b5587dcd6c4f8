"""Not a mistake: a cache of all SKUs that fills once, and then stays as large as it is."""

from cims.stock_sync.update import SkuUpdate

MOST_SKUS = 12_000


class LastSeen:
    """The last note about each SKU: as many as there are SKUs, and at most MOST_SKUS."""

    def __init__(self) -> None:
        self._notes: dict[str, bytes] = {}

    def handle(self, update: SkuUpdate) -> None:
        """Remember it in the place of the one before."""
        if update.sku in self._notes or len(self._notes) < MOST_SKUS:
            self._notes[update.sku] = update.raw
