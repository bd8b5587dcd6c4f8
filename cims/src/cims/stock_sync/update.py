"""What a feed says: movements of stock in numbered batches, and counts seen on shelves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REGIONS = ("USA", "EMEA", "APAC")


@dataclass(frozen=True, slots=True, kw_only=True)
class SkuUpdate:
    """One count of one SKU, as a shop sent it; `raw` is its text, which holds everything else.

    `count` stays text because regions write numbers differently, and some write them wrongly.
    """

    request_id: str
    region: str
    warehouse: str
    sku: str
    count: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """So many pieces of a SKU came to a warehouse; negative, they went."""

    warehouse: int
    sku: int
    delta: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Movements that are applied together and once: a feed numbers its batches without a gap."""

    seq: int
    produced_at: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer of a feed. `head` is the newest batch it has, so `head - seq` is the arrears."""

    region: str
    head: int
    batches: tuple[Batch, ...]
    updates: tuple[SkuUpdate, ...]


def page_from_json(body: bytes) -> Page:
    """Read a feed's answer; ValueError (or its kin KeyError, TypeError) says that it is none."""
    told = json.loads(body)
    batches = tuple(
        Batch(
            seq=int(batch["seq"]),
            produced_at=float(batch["produced_at"]),
            rows=tuple(_row_from_json(row) for row in batch["rows"]),
        )
        for batch in told["batches"]
    )
    region = str(told["region"])
    updates = tuple(_update_from_json(region, update) for update in told["updates"])
    return Page(region=region, head=int(told["head"]), batches=batches, updates=updates)


def _update_from_json(region: str, told: Mapping[str, Any]) -> SkuUpdate:
    return SkuUpdate(
        request_id=str(told["request_id"]),
        region=region,
        warehouse=str(told["warehouse"]),
        sku=str(told["sku"]),
        count=str(told["count"]),
        raw=str(told["note"]).encode(),
    )


def _row_from_json(told: Mapping[str, Any]) -> Row:
    return Row(warehouse=int(told["warehouse"]), sku=int(told["sku"]), delta=int(told["delta"]))
