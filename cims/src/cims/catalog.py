"""Codes and the numbers behind them: what people write, and what the functions take."""

import threading
import time

from cims.store import Store

# A code that is not known may be new; how often its absence is looked up again.
REFRESH_SECONDS = 1.0


class Catalog:
    """SKU and warehouse codes, read once and again when an unknown one is asked for.

    Codes are never given to another number, so what was read stays right through a failover.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._read_at = -REFRESH_SECONDS
        self._skus: dict[str, int] = {}
        self._sku_codes: dict[int, str] = {}
        self._warehouses: dict[str, int] = {}
        self._warehouse_codes: dict[int, str] = {}

    def sku(self, code: str) -> int | None:
        """The SKU's number, None when there is none such. Raises NotAvailable."""
        if code not in self._skus:
            self._refresh()
        return self._skus.get(code)

    def warehouse(self, code: str) -> int | None:
        """The warehouse's number, None when there is none such. Raises NotAvailable."""
        if code not in self._warehouses:
            self._refresh()
        return self._warehouses.get(code)

    def sku_code(self, number: int) -> str:
        """The code of a number the database gave us."""
        if number not in self._sku_codes:
            self._refresh()
        return self._sku_codes.get(number, str(number))

    def warehouse_code(self, number: int) -> str:
        """The code of a number the database gave us."""
        if number not in self._warehouse_codes:
            self._refresh()
        return self._warehouse_codes.get(number, str(number))

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() - self._read_at < REFRESH_SECONDS:
                return
            skus = self._store.call("SELECT code, id FROM sku")
            warehouses = self._store.call("SELECT code, id FROM warehouse")
            self._skus = {row["code"]: row["id"] for row in skus}
            self._sku_codes = {row["id"]: row["code"] for row in skus}
            self._warehouses = {row["code"]: row["id"] for row in warehouses}
            self._warehouse_codes = {row["id"]: row["code"] for row in warehouses}
            self._read_at = time.monotonic()
