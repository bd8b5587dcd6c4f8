"""A logger for each request: the logging module keeps each by its name until the process ends.

Where it happens: somebody wants the request's id in each line, and puts it into the name.
"""

import logging

from cims.stock_sync.update import SkuUpdate


class Logging:
    """One logger; the id is a field of the record."""

    def __init__(self) -> None:
        self._log = logging.getLogger("stock_sync.update")

    def handle(self, update: SkuUpdate) -> None:
        """Say what came."""
        self._log.debug("%s: %s", update.request_id, update.sku)


class LoggingByName:
    """A logger for each request, with a handler that adds its id."""

    def handle(self, update: SkuUpdate) -> None:
        """Say what came."""
        log = logging.getLogger(f"stock_sync.update.{update.request_id}")
        handler = logging.NullHandler()
        handler.setFormatter(logging.Formatter(f"{update.request_id} %(message)s"))
        log.addHandler(handler)
        log.debug("%s", update.sku)
