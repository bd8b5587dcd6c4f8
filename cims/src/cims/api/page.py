"""The one page: regions, their delay and penalties, the last proof. It fetches nothing."""

import importlib.resources
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment, select_autoescape

from cims.api.orders import Parts
from cims.reads import Reads
from cims.store import NotAvailable, Refused

router = APIRouter()
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def dashboard(parts: Parts) -> HTMLResponse:
    """The dashboard, and 503 with the same page when the database does not answer."""
    now = parts.settings.clock()
    ready = parts.probe.look()
    try:
        shown: dict[str, Any] | None = figures(parts.reads)
    except (NotAvailable, Refused):
        shown = None
    page = TEMPLATE.render(now=now, ready=ready, shown=shown)
    return HTMLResponse(page, 200 if shown else 503, headers=HEADERS)


def figures(reads: Reads) -> dict[str, Any]:
    """Everything the page shows, in the terms of the page."""
    policy = reads.policy()
    owed: dict[str, int] = {}
    late: dict[str, int] = {}
    for row in reads.penalties(policy["version"]) if policy else ():
        owed[row["region"]] = owed.get(row["region"], 0) + row["amount_cents"]
        late[row["region"]] = late.get(row["region"], 0) + row["late_orders"]
    delays = {row["region"]: row for row in reads.delays()}
    regions = [
        {
            **row,
            "lag_seconds": delays[row["region"]]["lag_seconds"],
            "worst_seconds": delays[row["region"]]["worst_delay_seconds"],
            "cents": owed.get(row["region"], 0),
            "penalised": late.get(row["region"], 0),
        }
        for row in reads.regions()
    ]
    return {
        "regions": regions,
        "policy": policy,
        "total_cents": sum(owed.values()),
        "proof": reads.proof(),
        "low_count": sum(region["low"] for region in regions),
        "low": reads.stock(
            warehouse=None, region=None, sku=None, low=True, after=("", ""), limit=8
        ),
    }


def dollars(cents: int) -> str:
    """Whole cents as money."""
    return f"${cents // 100:,}.{cents % 100:02d}"


def span(seconds: float | None) -> str:
    """A time as a person says it; a dash where nothing is known."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def instant(at: datetime) -> str:
    """A moment with its zone."""
    return at.strftime("%Y-%m-%d %H:%M:%S %Z")


def _template() -> Any:
    environment = Environment(
        autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(dollars=dollars, span=span, instant=instant)
    text = importlib.resources.files("cims").joinpath("pages", "dashboard.html").read_text("utf-8")
    return environment.from_string(text)


TEMPLATE = _template()
