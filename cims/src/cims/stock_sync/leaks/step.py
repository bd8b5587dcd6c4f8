"""What each update passes through, and the room a mistake has to hide in."""

from typing import Protocol

from cims.stock_sync.update import SkuUpdate


class Step(Protocol):
    """One thing done with each update. Called on the thread of the running event loop."""

    def handle(self, update: SkuUpdate) -> None:
        """Do it. What must live longer than the call is the step's own business, and its limit."""
        ...
