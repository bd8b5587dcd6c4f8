"""Feeds of three regions, made from a seed: the same number always gives the same batch.

A feed's batches come with time, so a service that stands still falls behind by a figure anyone can
read. Updates are made on request, as many as are asked for: they are the traffic.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from cims.stock_sync.leaks.kinds import NOTE_BYTES
from cims.stock_sync.update import REGIONS, Batch, Page, Row, SkuUpdate

MALFORMED_SHARE = {"EMEA": 0.3}
"""EMEA's shops write a decimal comma in this share of their counts."""

_DELTAS = (*range(1, 21), -1, -2, -3)
MOST_BATCHES = 100
MOST_UPDATES = 2000


def _random(seed: int, region: str, what: str) -> Random:
    return Random(f"{seed}/{region}/{what}")  # noqa: S311 - nothing to keep secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What may be counted and where: the numbers the database knows warehouses and SKUs by."""

    warehouses: Mapping[str, Sequence[int]]
    skus: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The feed of one region. Batch 1 was produced one period after `started_at` (epoch)."""

    region: str
    seed: int
    catalogue: Catalogue
    started_at: float
    batches_per_second: float = 1.0
    rows_per_batch: int = 5

    def head(self, now: float) -> int:
        """The number of the newest batch; 0 before the first."""
        return max(0, int((now - self.started_at) * self.batches_per_second))

    def batch(self, seq: int) -> Batch:
        """Batch `seq`: goods that came and some that went, sorted by warehouse and SKU."""
        random = _random(self.seed, self.region, f"{seq}")
        places = self.catalogue.warehouses[self.region]
        most = min(self.rows_per_batch, len(self.catalogue.skus))
        counted = sorted(
            (random.choice(places), sku) for sku in random.sample(self.catalogue.skus, most)
        )
        rows = tuple(
            Row(warehouse=warehouse, sku=sku, delta=random.choice(_DELTAS))
            for warehouse, sku in counted
        )
        produced_at = self.started_at + seq / self.batches_per_second
        return Batch(seq=seq, produced_at=produced_at, rows=rows)

    def update(self, number: int) -> SkuUpdate:
        """The update `number` of this feed, with a note that no other has."""
        random = _random(self.seed, self.region, f"update/{number}")
        malformed = random.random() < MALFORMED_SHARE.get(self.region, 0.0)
        pieces = random.randint(0, 999)
        return SkuUpdate(
            request_id=f"{self.region.lower()}-{self.seed:x}-{number:010x}",
            region=self.region,
            warehouse=str(random.choice(self.catalogue.warehouses[self.region])),
            sku=str(random.choice(self.catalogue.skus)),
            count=f"{pieces},0" if malformed else str(pieces),
            raw=random.randbytes(NOTE_BYTES // 2).hex().encode(),
        )

    def page(self, *, after: int, offset: int, updates: int, now: float) -> Page:
        """The batches after `after`, oldest first, and `updates` updates from number `offset`."""
        head = self.head(now)
        last = min(head, after + MOST_BATCHES)
        return Page(
            region=self.region,
            head=head,
            batches=tuple(self.batch(seq) for seq in range(after + 1, last + 1)),
            updates=tuple(
                self.update(number) for number in range(offset, offset + min(updates, MOST_UPDATES))
            ),
        )


def page_to_json(page: Page) -> dict[str, Any]:
    """The form a feed's answer travels in; update.page_from_json reads it."""
    return {
        "region": page.region,
        "head": page.head,
        "batches": [
            {
                "seq": batch.seq,
                "produced_at": batch.produced_at,
                "rows": [asdict(row) for row in batch.rows],
            }
            for batch in page.batches
        ],
        "updates": [
            {
                "request_id": update.request_id,
                "warehouse": update.warehouse,
                "sku": update.sku,
                "count": update.count,
                "note": update.raw.decode(),
            }
            for update in page.updates
        ],
    }


def feeds(
    catalogue: Catalogue,
    *,
    seed: int,
    started_at: float | None = None,
    batches_per_second: float = 1.0,
    rows_per_batch: int = 5,
) -> dict[str, Feed]:
    """A feed for each region the catalogue has warehouses in, all starting now unless told."""
    began = time.time() if started_at is None else started_at
    return {
        region: Feed(
            region=region,
            seed=seed,
            catalogue=catalogue,
            started_at=began,
            batches_per_second=batches_per_second,
            rows_per_batch=rows_per_batch,
        )
        for region in REGIONS
        if catalogue.warehouses.get(region)
    }
