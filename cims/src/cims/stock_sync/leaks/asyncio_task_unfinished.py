"""A task that waits for something that never comes, kept so that it is not collected.

Where it happens: the set of background tasks is kept as the documentation advises, and the reply
they wait for was abolished by version 2 of the protocol.
"""

import asyncio

from cims.stock_sync.update import SkuUpdate

ACKNOWLEDGED_WITHIN_SECONDS = 0.25


class Acknowledgements:
    """Waits for the shop's acknowledgement of each count, for a limited time."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[None]] = set()

    def handle(self, update: SkuUpdate) -> None:
        """Start to wait."""
        task = asyncio.create_task(self._wait(update))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _wait(self, update: SkuUpdate) -> None:
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN_SECONDS):
                await self._acknowledged(update)
        except TimeoutError:
            return

    async def _acknowledged(self, update: SkuUpdate) -> None:
        await asyncio.get_running_loop().create_future()


class AcknowledgementsForEver(Acknowledgements):
    """Waits for the shop's acknowledgement of each count until it comes."""

    async def _wait(self, update: SkuUpdate) -> None:
        await self._acknowledged(update)
