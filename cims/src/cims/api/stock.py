"""Stock, and what changes it apart from orders."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from cims.api.answers import idempotency_key
from cims.api.bodies import NewAdjustment, NewQuarantine, NewReceipt, NewTransfer
from cims.api.orders import Key, Parts, done

router = APIRouter(prefix="/v1", tags=["stock"])
Filter = Annotated[str | None, Query(min_length=1, max_length=64)]

RECEIVE = "SELECT receive(%s, %s, %s::int[], %s::int[], %s::text) AS done"
ADJUST = "SELECT adjust(%s, %s, %s, %s, %s::text) AS done"
QUARANTINE = "SELECT quarantine(%s, %s, %s, %s) AS done"
TRANSFER_OUT = "SELECT transfer_out(%s, %s, %s, %s::int[], %s::int[]) AS done"
TRANSFER_IN = "SELECT transfer_in(%s, %s) AS done"


@router.get("/stock")
def stock(
    parts: Parts,
    warehouse: Filter = None,
    region: Filter = None,
    sku: Filter = None,
    low: bool = False,
    after: Annotated[str, Query(max_length=130)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Balances; `low` keeps those at or below their reorder point. `next` is the next `after`."""
    first, _, second = after.partition("/")
    rows = parts.reads.stock(
        warehouse=warehouse, region=region, sku=sku, low=low, after=(first, second), limit=limit
    )
    last = rows[-1] if len(rows) == limit else None
    return {"stock": rows, "next": last and f"{last['warehouse']}/{last['sku']}"}


@router.post("/receipts", status_code=201)
def receive(body: NewReceipt, parts: Parts, response: Response, key: Key = None) -> dict[str, Any]:
    """Goods came from a supplier."""
    skus, quantities = parts.lines(body.lines)
    warehouse = parts.warehouse(body.warehouse)
    values = (idempotency_key(key), warehouse, skus, quantities, body.supplier)
    return done(parts, RECEIVE, values, response)


@router.post("/adjustments", status_code=201)
def adjust(
    body: NewAdjustment, parts: Parts, response: Response, key: Key = None
) -> dict[str, Any]:
    """A count differs from what is available."""
    warehouse, sku = parts.warehouse(body.warehouse), parts.sku(body.sku)
    values = (idempotency_key(key), warehouse, sku, body.delta, body.reason)
    return done(parts, ADJUST, values, response)


@router.post("/quarantine", status_code=201)
def quarantine(
    body: NewQuarantine, parts: Parts, response: Response, key: Key = None
) -> dict[str, Any]:
    """Set goods aside, or give them back."""
    warehouse, sku = parts.warehouse(body.warehouse), parts.sku(body.sku)
    return done(parts, QUARANTINE, (idempotency_key(key), warehouse, sku, body.qty), response)


@router.post("/transfers", status_code=201)
def send(body: NewTransfer, parts: Parts, response: Response, key: Key = None) -> dict[str, Any]:
    """Goods leave one warehouse and are inbound at another. The key names the transfer."""
    skus, quantities = parts.lines(body.lines)
    source, target = parts.warehouse(body.from_warehouse), parts.warehouse(body.to_warehouse)
    values = (idempotency_key(key), source, target, skus, quantities)
    return done(parts, TRANSFER_OUT, values, response)


@router.post("/transfers/{transfer}/arrival", status_code=201)
def arrive(transfer: UUID, parts: Parts, response: Response, key: Key = None) -> dict[str, Any]:
    """All of a transfer arrived."""
    return done(parts, TRANSFER_IN, (idempotency_key(key), transfer), response)
