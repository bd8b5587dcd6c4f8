"""Orders, shipments and cancellations."""

import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response
from fastapi.responses import JSONResponse

from cims.api.answers import Problem, idempotency_key, unavailable
from cims.api.bodies import NewCancellation, NewOrder, NewShipment, Placed
from cims.api.service import Service, service_of
from cims.orders import OrderRequest, Outcome, Reply

router = APIRouter(prefix="/v1", tags=["orders"])
Parts = Annotated[Service, Depends(service_of)]
Key = Annotated[str | None, Header(alias="Idempotency-Key")]

SHIP = "SELECT ship(%s, %s, %s::int[], %s::int[], %s::text, %s::timestamptz) AS done"
CANCEL = "SELECT cancel_order(%s, %s, %s::timestamptz) AS done"


@router.post("/orders", status_code=201, response_model=Placed, responses={
    200: {"description": "the same key and body were answered before: the same answer"},
    409: {"description": "short of the SKU that is named; a retry hears the same"},
    422: {"description": "the key belongs to another body, or the body is wrong"},
    503: {"description": "not answered: send the same key and body again"},
})  # fmt: skip
def place(body: NewOrder, parts: Parts, key: Key = None) -> Response:
    """Place an order. Make the key, write it down, then send; retry with the same key and body."""
    skus, quantities = parts.lines(body.lines)
    order = OrderRequest(
        key=idempotency_key(key),
        warehouse_id=parts.warehouse(body.warehouse),
        lines=dict(zip(skus, quantities, strict=True)),
        requested_at=body.requested_at,
    )
    began = time.monotonic()
    reply = parts.store.place(
        order, seconds=parts.settings.answer_seconds, on_attempt=parts.metrics.attempted
    )
    parts.metrics.answered(reply, time.monotonic() - began)
    return _answer(reply, parts)


@router.get("/orders/{key}")
def read(key: UUID, parts: Parts) -> dict[str, Any]:
    """The order under a key. It settles doubt: what is shown survives a failover.

    404 is not final while an attempt may still be running; sending the order again is.
    """
    state = parts.store.get_order(key)
    if state is None:
        raise Problem(404, "no-order", "no order has this key")
    return {
        "key": key,
        "order_id": state.order_id,
        "outcome": state.outcome,
        "status": state.status,
        "warehouse": parts.catalog.warehouse_code(state.warehouse_id),
        "short_sku": None if state.short_sku is None else parts.catalog.sku_code(state.short_sku),
        "requested_at": state.requested_at,
        "placed_at": state.placed_at,
        "promise_at": state.promise_at,
        "closed_at": state.closed_at,
        "lines": parts.reads.order_lines(key),
        "shipments": parts.reads.shipments(key),
    }


@router.post("/orders/{order}/cancellation", status_code=201)
def cancel(
    order: UUID, body: NewCancellation, parts: Parts, response: Response, key: Key = None
) -> dict[str, Any]:
    """Give back what was not shipped."""
    values = (idempotency_key(key), order, body.cancelled_at)
    return done(parts, CANCEL, values, response)


@router.post("/shipments", status_code=201)
def ship(body: NewShipment, parts: Parts, response: Response, key: Key = None) -> dict[str, Any]:
    """Lines of an order that left the warehouse."""
    skus, quantities = (None, None) if body.lines is None else parts.lines(body.lines)
    values = (idempotency_key(key), body.order, skus, quantities, body.carrier, body.shipped_at)
    return done(parts, SHIP, values, response)


def done(parts: Service, sql: str, values: tuple[Any, ...], response: Response) -> dict[str, Any]:
    """Run a write that carries its key as the first value: 201 done now, 200 done before."""
    row = parts.store.write(sql, values, seconds=parts.settings.answer_seconds)[0]
    if not row["done"]:
        response.status_code = 200
    return {"key": values[0], "replayed": not row["done"]}


def _answer(reply: Reply, parts: Service) -> Response:
    if reply.outcome is Outcome.ACCEPTED:
        placed = Placed(
            key=reply.key,
            order_id=reply.order_id or 0,
            outcome=reply.outcome,
            replayed=reply.replayed,
            promise_at=reply.promise_at,  # type: ignore[arg-type]
        )
        return JSONResponse(placed.model_dump(mode="json"), 200 if reply.replayed else 201)
    if reply.outcome is Outcome.REJECTED:
        code = parts.catalog.sku_code(reply.short_sku or 0)
        raise Problem(
            409, "short", f"not enough of {code}", sku=code, replayed=reply.replayed,
            order_id=reply.order_id,
        )  # fmt: skip
    if reply.outcome is Outcome.KEY_REUSED:
        raise Problem(422, "key-reused", "the key belongs to another body")
    if reply.outcome is Outcome.INVALID:
        raise Problem(422, "bad-value", reply.why or "the order is wrong")
    return unavailable(maybe_done=reply.outcome is Outcome.UNKNOWN)
