"""What is looked at: the histories, folded, and the orders of one snapshot of the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from cims.load.history import Record, read

Connection = psycopg.Connection[tuple[Any, ...]]

_ORDERS = """
    SELECT o.idem_key::text, o.id, o.outcome, o.warehouse_id, o.short_sku,
        extract(epoch FROM o.requested_at)::float8, l.skus, l.qtys
    FROM sales_order o
    LEFT JOIN (SELECT order_id, array_agg(sku_id ORDER BY sku_id) AS skus,
            array_agg(qty ORDER BY sku_id) AS qtys
        FROM order_line GROUP BY order_id) l ON l.order_id = o.id
"""


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as the database has it; `lines` are (sku, quantity), ascending."""

    key: str
    id: int
    outcome: str
    warehouse: int
    short_sku: int | None
    requested_at: float
    lines: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Invoked:
    """An order as a client wrote it down before sending."""

    warehouse: int
    lines: tuple[tuple[int, int], ...]
    requested_at: float
    wall: float


@dataclass(slots=True)
class Told:
    """All that the histories say, by key."""

    invoked: dict[str, Invoked] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    answers: dict[str, list[Record]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def told_by(paths: Sequence[str]) -> Told:
    """Fold histories, each read to its end."""
    told = Told()
    for path in paths:
        fold(told, read(path))
    return told


def fold(told: Told, records: Iterable[Record]) -> None:
    """Add the lines of one history."""
    for record in records:
        if record.kind == "invoke":
            if record.key in told.invoked:
                told.again.append(record.key)
            told.invoked[record.key] = Invoked(
                int(record.data["warehouse"]),
                tuple((int(sku), int(qty)) for sku, qty in record.data["lines"]),
                float(record.data["requested_at"]),
                record.wall,
            )
        elif record.kind == "ok":
            told.answers.setdefault(record.key, []).append(record)
        elif record.kind == "fail":
            told.failed[record.key] = str(record.data.get("why", ""))


def stored_orders(connection: Connection) -> Mapping[str, list[StoredOrder]]:
    """All orders by key. A list, because that a key has one is what is to be proved."""
    orders: dict[str, list[StoredOrder]] = {}
    with connection.cursor(name="orders") as cursor:
        cursor.itersize = 20_000
        cursor.execute(_ORDERS)
        for key, number, outcome, warehouse, short, requested_at, skus, qtys in cursor:
            lines = tuple(zip(skus or (), qtys or (), strict=True))
            orders.setdefault(key, []).append(
                StoredOrder(key, number, outcome, warehouse, short, requested_at, lines)
            )
    return orders
