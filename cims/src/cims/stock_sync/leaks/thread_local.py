"""Thread-local scratch that is never cleared, on a thread that never ends.

Where it happens: the code was written when each page had a thread of its own.
"""

import threading

from cims.stock_sync.update import SkuUpdate


class Scratch(threading.local):
    """What a thread has gathered so far."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []


class Gathering:
    """Gathers an update's parts, and clears the table afterwards."""

    def __init__(self) -> None:
        self._scratch = Scratch()

    def handle(self, update: SkuUpdate) -> None:
        """Gather it."""
        try:
            self._scratch.parts.append(update.raw.upper())
        finally:
            self._scratch.parts.clear()


class GatheringForEver:
    """Gathers an update's parts."""

    def __init__(self) -> None:
        self._scratch = Scratch()

    def handle(self, update: SkuUpdate) -> None:
        """Gather it."""
        self._scratch.parts.append(update.raw.upper())
