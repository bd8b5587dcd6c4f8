"""A metric with a label that has as many values as there are requests.

Where it happens: the request's id, the customer or the path with its numbers becomes a label.
"""

from cims.stock_sync.update import SkuUpdate


class Counter:
    """A number by its labels, as an exposition for Prometheus keeps it."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str) -> None:
        """Count one."""
        self.values[labels] = self.values.get(labels, 0.0) + 1.0


class Counting:
    """Updates by region and warehouse: a dozen series."""

    def __init__(self) -> None:
        self.updates = Counter("region", "warehouse")

    def handle(self, update: SkuUpdate) -> None:
        """Count it."""
        self.updates.add(update.region, update.warehouse)


class CountingByRequest:
    """Updates by request: a series each."""

    def __init__(self) -> None:
        self.updates = Counter("region", "warehouse", "request")

    def handle(self, update: SkuUpdate) -> None:
        """Count it."""
        self.updates.add(update.region, update.warehouse, update.request_id)
