"""What the routes share: store, catalogue, reads, metrics and settings of one application."""

from collections.abc import Iterable
from typing import cast

from fastapi import Request

from cims.api.answers import Problem
from cims.api.bodies import Line
from cims.api.metrics import Metrics
from cims.api.probe import Probe
from cims.catalog import Catalog
from cims.reads import Reads
from cims.settings import Settings
from cims.store import Store


class Service:
    """One application's parts; made once, closed once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(
            settings.dsn,
            connections=settings.connections,
            attempt_seconds=settings.attempt_seconds,
        )
        # Its own store: a probe must neither wait behind orders nor take their connections.
        self.probe = Probe(settings.dsn, seconds=settings.probe_seconds)
        self.catalog = Catalog(self.store)
        self.reads = Reads(self.store, settings.clock)
        self.metrics = Metrics(self.reads)

    def close(self) -> None:
        """Give all connections back."""
        self.probe.close()
        self.store.close()

    def sku(self, code: str) -> int:
        """The SKU's number, or 422 that names the code."""
        found = self.catalog.sku(code)
        if found is None:
            raise Problem(422, "unknown-sku", f"no SKU {code!r}", sku=code)
        return found

    def warehouse(self, code: str) -> int:
        """The warehouse's number, or 422 that names the code."""
        found = self.catalog.warehouse(code)
        if found is None:
            raise Problem(422, "unknown-warehouse", f"no warehouse {code!r}", warehouse=code)
        return found

    def lines(self, lines: Iterable[Line]) -> tuple[list[int], list[int]]:
        """SKU numbers, ascending, and their quantities: what the functions take."""
        found = sorted((self.sku(line.sku), line.qty) for line in lines)
        return [sku for sku, _ in found], [qty for _, qty in found]


def service_of(request: Request) -> Service:
    """The parts of the application that got the request."""
    return cast(Service, request.app.state.service)
