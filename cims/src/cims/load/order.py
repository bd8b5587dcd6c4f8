"""What a client asks for, and what it is told."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `lines` are (sku id, quantity), ascending and distinct by SKU.

    `requested_at` (seconds since 1970) is when the customer asked; the promise counts from there.
    """

    key: UUID
    warehouse: int
    lines: tuple[tuple[int, int], ...]
    requested_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcome of an order, which is the same however often it is asked for."""

    order_id: int
    outcome: str
    replayed: bool
    short_sku: int | None


class Unknown(Exception):  # noqa: N818 - an outcome, and not always an error
    """The order may or may not have been taken. Only the same key and body may be sent again."""


class Refused(Exception):  # noqa: N818 - likewise
    """The order was definitely not taken, and sending it again would change nothing."""


class Shop(Protocol):
    """Somewhere orders are placed: one connection, used by one client at a time."""

    async def place(self, order: Order, seconds: float) -> Answer:
        """Send the order once and wait so long. Unknown or Refused when there is no answer."""
        ...

    async def drop(self) -> None:
        """Give up the connection at once; the next `place` makes a new one."""
        ...
