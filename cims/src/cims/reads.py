"""What the faces show: a few bounded queries, each in one statement."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from cims.store import Store

STOCK = """
    SELECT w.code AS warehouse, k.code AS sku, k.name, s.available, s.reserved, s.inbound,
        s.quarantine, s.available + s.reserved + s.quarantine AS on_hand, k.reorder_point
    FROM stock s JOIN warehouse w ON w.id = s.warehouse_id JOIN sku k ON k.id = s.sku_id
    WHERE (%(warehouse)s::text IS NULL OR w.code = %(warehouse)s)
        AND (%(region)s::text IS NULL OR w.region = %(region)s)
        AND (%(sku)s::text IS NULL OR k.code = %(sku)s)
        AND (NOT %(low)s OR s.available <= k.reorder_point)
        AND (w.code, k.code) > (%(after_warehouse)s, %(after_sku)s)
    ORDER BY w.code, k.code LIMIT %(limit)s"""
WAREHOUSES = """
    SELECT code AS warehouse, region, priority, cutoff FROM warehouse
    WHERE (%(region)s::text IS NULL OR region = %(region)s) AND code > %(after)s
    ORDER BY code LIMIT %(limit)s"""
SKUS = """
    SELECT code AS sku, name, reorder_point, unit_price_cents FROM sku
    WHERE (%(prefix)s::text IS NULL OR starts_with(code, %(prefix)s)) AND code > %(after)s
    ORDER BY code LIMIT %(limit)s"""
LINES = """
    SELECT k.code AS sku, l.qty, l.shipped FROM order_line l
    JOIN sales_order o ON o.id = l.order_id JOIN sku k ON k.id = l.sku_id
    WHERE o.idem_key = %s ORDER BY l.sku_id"""
SHIPMENTS = """
    SELECT q.idem_key AS key, h.carrier, h.shipped_at FROM shipment h
    JOIN request q ON q.id = h.request_id JOIN sales_order o ON o.id = h.order_id
    WHERE o.idem_key = %s ORDER BY h.shipped_at, q.id LIMIT 1000"""
POLICY = """
    SELECT version, name, promise_seconds, grace_seconds, flat_cents, per_hour_cents, cap_cents
    FROM sla_policy WHERE %(version)s::int IS NULL OR version = %(version)s
    ORDER BY version DESC LIMIT 1"""
REGIONS = """
    SELECT r.code AS region, r.time_zone, to_char(%(at)s::timestamptz AT TIME ZONE r.time_zone,
            'HH24:MI') AS local_time,
        (SELECT count(*) FROM warehouse w WHERE w.region = r.code) AS warehouses,
        (SELECT count(*) FROM stock s JOIN warehouse w ON w.id = s.warehouse_id
            JOIN sku k ON k.id = s.sku_id
            WHERE w.region = r.code AND s.available <= k.reorder_point) AS low,
        count(o.id) FILTER (WHERE o.status = 'open') AS open_orders,
        count(o.id) FILTER (WHERE o.status = 'open' AND o.promise_at < %(at)s) AS late_orders
    FROM region r LEFT JOIN warehouse v ON v.region = r.code
        LEFT JOIN sales_order o ON o.warehouse_id = v.id AND o.status = 'open'
    GROUP BY r.code ORDER BY r.code"""


class Reads:
    """Reads over the store. Not fenced: what they show may be a moment ahead of a failover."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def stock(
        self,
        *,
        warehouse: str | None,
        region: str | None,
        sku: str | None,
        low: bool,
        after: tuple[str, str],
        limit: int,
    ) -> list[dict[str, Any]]:
        """Balances in the order of their codes, from `after` on."""
        named = {
            "warehouse": warehouse,
            "region": region,
            "sku": sku,
            "low": low,
            "after_warehouse": after[0],
            "after_sku": after[1],
            "limit": limit,
        }
        return self._store.call(STOCK, named)

    def warehouses(self, *, region: str | None, after: str, limit: int) -> list[dict[str, Any]]:
        """Warehouses in the order of their codes, from `after` on."""
        return self._store.call(WAREHOUSES, {"region": region, "after": after, "limit": limit})

    def skus(self, *, prefix: str | None, after: str, limit: int) -> list[dict[str, Any]]:
        """SKUs in the order of their codes, from `after` on."""
        return self._store.call(SKUS, {"prefix": prefix, "after": after, "limit": limit})

    def order_lines(self, key: UUID) -> list[dict[str, Any]]:
        """The lines of an order and what of them was shipped."""
        return self._store.call(LINES, (key,))

    def shipments(self, key: UUID) -> list[dict[str, Any]]:
        """The shipments of an order, oldest first."""
        return self._store.call(SHIPMENTS, (key,))

    def policy(self, version: int | None = None) -> dict[str, Any] | None:
        """A version of the penalty policy, the newest if none is named."""
        found = self._store.call(POLICY, {"version": version})
        return found[0] if found else None

    def penalties(self, version: int, at: datetime | None = None) -> list[dict[str, Any]]:
        """Late orders and cents by region and day."""
        return self._store.call(
            "SELECT * FROM penalties_by_day(%s, %s)", (version, at or self._clock())
        )

    def delays(self, since: datetime | None = None) -> list[dict[str, Any]]:
        """How far each region's stock is behind."""
        return self._store.call(
            "SELECT * FROM sync_delays(%s, coalesce(%s::timestamptz, '-infinity'))",
            (self._clock(), since),
        )

    def cursors(self) -> list[dict[str, Any]]:
        """How far each feed is applied."""
        return self._store.call(
            "SELECT source, region, last_seq, feed_at, at FROM sync_cursor"
            " ORDER BY source LIMIT 1000"
        )

    def outbox(self, after: int, limit: int) -> list[dict[str, Any]]:
        """What others must hear of, after an id."""
        return self._store.call(
            "SELECT id, topic, payload, at FROM outbox WHERE id > %s ORDER BY id LIMIT %s",
            (after, limit),
        )

    def regions(self) -> list[dict[str, Any]]:
        """Each region now: its clock, warehouses, low stock, open and late orders."""
        return self._store.call(REGIONS, {"at": self._clock()})

    def proof(self) -> dict[str, Any] | None:
        """What `cims check` last found."""
        found = self._store.call("SELECT at, held, summary FROM proof ORDER BY id DESC LIMIT 1")
        return found[0] if found else None
