"""The nouns of the write path: what a client asks, and what it may conclude from the answer."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID


class Outcome(enum.StrEnum):
    """What is known about one request. Only the first two are answers about stock."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # short of a SKU; stored, so that a retry hears the same
    KEY_REUSED = "key-reused"  # the key belongs to another body; nothing was done
    INVALID = "invalid"  # unknown SKU, unsorted lines, wrong state; nothing was done
    NOT_DONE = "not-done"  # the database refused for now; send the same key and body again
    UNKNOWN = "unknown"  # it may have been done; send the same key and body again


FINAL = frozenset({Outcome.ACCEPTED, Outcome.REJECTED, Outcome.KEY_REUSED, Outcome.INVALID})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order as a client sends it, each time under the same key and with the same body.

    `lines` maps SKU ids to quantities; sorting is done where it is sent. `requested_at` is when the
    customer asked: a promise counts from there, however often it had to be sent.
    """

    key: UUID
    warehouse_id: int
    lines: Mapping[int, int]
    requested_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", MappingProxyType(dict(sorted(self.lines.items()))))
        if self.requested_at is not None and self.requested_at.tzinfo is None:
            raise ValueError("requested_at needs a time zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a request. `sqlstate` and `why` say more where the outcome is not an answer."""

    key: UUID
    outcome: Outcome
    replayed: bool = False
    order_id: int | None = None
    short_sku: int | None = None
    promise_at: datetime | None = None
    sqlstate: str | None = None
    why: str | None = None

    @property
    def final(self) -> bool:
        """Whether sending it again would teach nothing."""
        return self.outcome in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """An order as stored, read behind the fence: it survives a failover."""

    order_id: int
    outcome: Outcome
    status: str
    warehouse_id: int
    short_sku: int | None
    requested_at: datetime
    placed_at: datetime
    promise_at: datetime | None
    closed_at: datetime | None
