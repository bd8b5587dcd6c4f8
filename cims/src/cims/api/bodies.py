"""What clients send, checked at the door: types, ranges and lengths."""

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Quantity = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Delta = Annotated[int, Field(ge=-1_000_000, le=1_000_000, strict=True)]

# As wide as the schema's: beyond it a promise could be a time that no client can read.
EARLIEST, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2970, 1, 1, tzinfo=UTC)


def _in_our_times(at: datetime) -> datetime:
    if not EARLIEST <= at < END:
        raise ValueError(f"a time must be in the years {EARLIEST.year} to {END.year - 1}")
    return at


Moment = Annotated[AwareDatetime, AfterValidator(_in_our_times)]


class Body(BaseModel):
    """No field is taken that is not named: a misspelt one is an error and not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(Body):
    """So much of one SKU."""

    sku: Code
    qty: Quantity


class Lines(Body):
    """Lines of distinct SKUs, in any order."""

    lines: Annotated[list[Line], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({line.sku for line in self.lines}) != len(self.lines):
            raise ValueError("a SKU is named twice; add its quantities up")
        return self


class NewOrder(Lines):
    """An order. `requested_at` is when the customer asked; send it again unchanged."""

    warehouse: Code
    requested_at: Moment | None = None


class NewReceipt(Lines):
    """Goods that came from a supplier."""

    warehouse: Code
    supplier: Words


class NewAdjustment(Body):
    """A counted difference of what is available."""

    warehouse: Code
    sku: Code
    delta: Delta
    reason: Words


class NewQuarantine(Body):
    """Set aside (positive) or given back (negative)."""

    warehouse: Code
    sku: Code
    qty: Delta


class NewTransfer(Lines):
    """Goods that leave one warehouse for another."""

    from_warehouse: Code
    to_warehouse: Code


class NewShipment(Body):
    """Lines of an order that left; without lines all that is left of it."""

    order: UUID
    carrier: Words
    lines: Annotated[list[Line], Field(min_length=1, max_length=1000)] | None = None
    shipped_at: Moment | None = None


class NewCancellation(Body):
    """When the customer cancelled; the server's clock if not said."""

    cancelled_at: Moment | None = None


class SyncRow(Body):
    """What a region's own system says came (positive) or went."""

    warehouse: Code
    sku: Code
    delta: Delta


class SyncBatch(Body):
    """The next batch of a region's feed; no rows is a heartbeat."""

    source: Code
    region: Code
    seq: Annotated[int, Field(ge=1, le=2**62, strict=True)]
    feed_at: Moment
    applied_at: Moment | None = None
    rows: Annotated[list[SyncRow], Field(max_length=1000)] = []


class Placed(BaseModel):
    """What became of an order."""

    key: UUID
    order_id: int
    outcome: str
    replayed: bool
    promise_at: datetime
