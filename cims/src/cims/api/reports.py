"""Region sync in and out, delays, and the price of lateness."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from cims.api.answers import Problem
from cims.api.bodies import Moment, SyncBatch
from cims.api.orders import Parts

router = APIRouter(prefix="/v1", tags=["reports"])

SYNC = """
    SELECT * FROM apply_sync_batch(%s::text, %s::text, %s, %s::int[], %s::int[], %s::int[],
        %s::timestamptz, %s::timestamptz)"""


@router.post("/sync/batches")
def apply(body: SyncBatch, parts: Parts) -> dict[str, Any]:
    """Apply the next batch of a region's feed, once however often sent; 409 names the next."""
    rows = sorted((parts.warehouse(r.warehouse), parts.sku(r.sku), r.delta) for r in body.rows)
    warehouses, skus, deltas = ([row[i] for row in rows] for i in range(3))
    values = (body.source, body.region, body.seq, warehouses, skus, deltas, body.feed_at)
    found = parts.store.write(
        SYNC, (*values, body.applied_at), seconds=parts.settings.answer_seconds
    )
    return found[0]


@router.get("/sync/cursors")
def cursors(parts: Parts) -> dict[str, Any]:
    """Where each feed goes on: its last applied number."""
    return {"cursors": parts.reads.cursors()}


@router.get("/outbox")
def outbox(
    parts: Parts,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """What other systems must hear of; `next` is the next call's `after`.

    Numbers are given before they are committed: a reader that goes by `after` alone may pass one
    by, so keep a short overlap and forget what was seen.
    """
    rows = parts.reads.outbox(after, limit)
    return {"events": rows, "next": rows[-1]["id"] if rows else after}


@router.get("/reports/delays")
def delays(parts: Parts, since: Moment | None = None) -> dict[str, Any]:
    """How far each region's stock is behind now, and the worst since a moment."""
    return {"regions": parts.reads.delays(since)}


@router.get("/penalties")
def penalties(
    parts: Parts,
    policy: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    at: Moment | None = None,
) -> dict[str, Any]:
    """What lateness costs, by region and the local day orders were due."""
    found = parts.reads.policy(policy)
    if found is None:
        raise Problem(404, "no-policy", "no such policy version")
    days = parts.reads.penalties(found["version"], at)
    return {"policy": found, "total_cents": sum(day["amount_cents"] for day in days), "days": days}
