"""What there is to name in a request: regions, warehouses and SKUs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from cims.api.orders import Parts
from cims.api.stock import Filter

router = APIRouter(prefix="/v1", tags=["catalogue"])
After = Annotated[str, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/regions")
def regions(parts: Parts) -> dict[str, Any]:
    """Each region with its time zone, its local time now, its orders that are open and overdue."""
    return {"regions": parts.reads.regions()}


@router.get("/warehouses")
def warehouses(
    parts: Parts, region: Filter = None, after: After = "", limit: Limit = 100
) -> dict[str, Any]:
    """Warehouses by code; `cutoff` is local. `next` is the next call's `after`."""
    rows = parts.reads.warehouses(region=region, after=after, limit=limit)
    return {"warehouses": rows, "next": _next(rows, "warehouse", limit)}


@router.get("/skus")
def skus(
    parts: Parts, prefix: Filter = None, after: After = "", limit: Limit = 100
) -> dict[str, Any]:
    """SKUs by code; `prefix` is how their codes begin. `next` is the next call's `after`."""
    rows = parts.reads.skus(prefix=prefix, after=after, limit=limit)
    return {"skus": rows, "next": _next(rows, "sku", limit)}


def _next(rows: list[dict[str, Any]], code: str, limit: int) -> Any:
    return rows[-1][code] if len(rows) == limit else None
