"""A listener that is added for each request and never taken off: the registry keeps its owner.

Where it happens: a bound method is handed to something that lives as long as the process.
"""

from collections.abc import Callable

from cims.stock_sync.update import SkuUpdate

Listener = Callable[[str], None]


class Reconnects:
    """Tells its listeners that the database is another one now."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []


class Subscription:
    """An update in work: it must be sent again when the database changes meanwhile."""

    def __init__(self, update: SkuUpdate) -> None:
        self.update = update
        self.again = False

    def reconnected(self, name: str) -> None:
        """Note that what was sent may be lost."""
        self.again = True


class Listening:
    """Listens while an update is worked on, and no longer."""

    def __init__(self) -> None:
        self._reconnects = Reconnects()

    def handle(self, update: SkuUpdate) -> None:
        """Work on it."""
        subscription = Subscription(update)
        self._reconnects.listeners.append(subscription.reconnected)
        try:
            _ = len(update.raw)
        finally:
            self._reconnects.listeners.remove(subscription.reconnected)


class ListeningForEver:
    """Listens, and forgets that it does."""

    def __init__(self) -> None:
        self._reconnects = Reconnects()

    def handle(self, update: SkuUpdate) -> None:
        """Work on it."""
        subscription = Subscription(update)
        self._reconnects.listeners.append(subscription.reconnected)
        _ = len(update.raw)
