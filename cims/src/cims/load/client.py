"""One client: the retry rule around one connection, every step of it in the history."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from cims.load.history import History
from cims.load.order import Answer, Order, Refused, Shop, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a client asks again and when it gives up. Printed with every result it shaped."""

    attempt_seconds: float = 5.0
    first_wait_seconds: float = 0.05
    longest_wait_seconds: float = 1.0
    give_up_seconds: float = 60.0

    def __str__(self) -> str:
        return (
            f"an attempt takes at most {self.attempt_seconds:g} s; then the same key and body "
            f"again after {self.first_wait_seconds:g} to {self.longest_wait_seconds:g} s; "
            f"given up {self.give_up_seconds:g} s after it was asked for"
        )

    def wait_seconds(self, attempt: int) -> float:
        """The pause after attempt 1, 2, ...: doubled each time, up to the longest."""
        return min(self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** min(attempt - 1, 30))


class Client:
    """Places one order after the other over `shop`. Never makes a second key for an order."""

    def __init__(
        self,
        number: int,
        shop: Shop,
        history: History,
        rule: Rule,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.number = number
        self._shop = shop
        self._history = history
        self._rule = rule
        self._clock = clock

    async def place(self, order: Order) -> Answer | None:
        """Place it; None when it was refused or given up. The history says which."""
        history, number = self._history, self.number
        history.invoke(number, order)
        give_up_at = order.requested_at + self._rule.give_up_seconds
        attempt, doubted = 0, False
        while (left := give_up_at - self._clock()) > 0:
            attempt += 1
            try:
                answer = await self._shop.place(order, min(left, self._rule.attempt_seconds))
            except Unknown as doubt:
                doubted = True
                await self._shop.drop()
                history.info(number, order, str(doubt))
                await asyncio.sleep(min(left, self._rule.wait_seconds(attempt)))
                continue
            except Refused as error:
                # A refusal says nothing about an earlier attempt that is still in doubt.
                (history.info if doubted else history.fail)(number, order, str(error))
                return None
            history.ok(number, order, answer)
            return answer
        if attempt == 0:
            history.fail(number, order, "no client was free in time: never sent")
        return None
