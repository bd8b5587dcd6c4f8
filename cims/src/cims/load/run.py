"""Runs clients against a shop until a time or a number of orders is reached."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cims.load.client import Client, Rule
from cims.load.history import History
from cims.load.keys import order_key
from cims.load.order import Order, Shop
from cims.load.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How hard and how long. `rate` (orders a second over all clients) None: as fast as answered.

    With a rate, an order is asked for when it is due, even if no client is free by then: its
    customer waits, and `requested_at` says since when.
    """

    clients: int
    seconds: float | None = None
    orders: int | None = None
    rate: float | None = None
    rule: Rule = Rule()  # noqa: RUF009 - it is frozen


@dataclass(slots=True, kw_only=True)
class Progress:
    """What the live line shows."""

    began: float
    acknowledged: int = 0
    unanswered: int = 0
    waiting: int = 0
    last_acknowledged: float = 0.0

    def line(self, now: float) -> str:
        """One line about how it goes, `now` on the monotonic clock."""
        since = now - (self.last_acknowledged or self.began)
        return (
            f"{now - self.began:6.1f} s  {self.acknowledged} acknowledged, "
            f"{self.unanswered} not answered, {self.waiting} waiting, last {since:.1f} s ago"
        )


class Run:
    """One load over `shops`, one client each. `line` gets the live line about once a second."""

    def __init__(
        self,
        plan: Plan,
        workload: Workload,
        shops: Sequence[Shop],
        history: History,
        line: Callable[[str], None] | None = None,
    ) -> None:
        assert plan.seconds is not None or plan.orders is not None
        self._plan = plan
        self._wanted = workload.orders()
        self._clients = [
            Client(number, shop, history, plan.rule) for number, shop in enumerate(shops, start=1)
        ]
        self._shops = shops
        self._line = line
        self._placed = 0
        self._stopping = False
        self.progress = Progress(began=time.monotonic())

    def stop(self) -> None:
        """Take no further orders; those being placed are followed to their end."""
        self._stopping = True

    async def run(self) -> Progress:
        """Place orders until the plan is done."""
        began, began_wall = time.monotonic(), time.time()
        self.progress.began = began
        due = self._due(began, began_wall)
        shower = asyncio.create_task(self._show()) if self._line else None
        try:
            async with asyncio.TaskGroup() as group:
                for client in self._clients:
                    group.create_task(self._work(client, due))
        finally:
            if shower is not None:
                shower.cancel()
            for shop in self._shops:
                await shop.drop()
        return self.progress

    def _due(self, began: float, began_wall: float) -> Iterator[tuple[float, float]]:
        """When each order is asked for, on both clocks; ends with the plan."""
        plan = self._plan
        while not self._stopping and (plan.orders is None or self._placed < plan.orders):
            at = began + self._placed / plan.rate if plan.rate else time.monotonic()
            if plan.seconds is not None and at - began >= plan.seconds:
                return
            self._placed += 1
            yield at, began_wall + at - began

    async def _work(self, client: Client, due: Iterator[tuple[float, float]]) -> None:
        progress = self.progress
        for at, wall in due:
            early = at - time.monotonic()
            if early > 0:
                await asyncio.sleep(early)
            warehouse, lines = next(self._wanted)
            # Microseconds are what every layer below keeps.
            order = Order(
                key=order_key(), warehouse=warehouse, lines=lines, requested_at=round(wall, 6)
            )
            progress.waiting += 1
            answer = await client.place(order)
            progress.waiting -= 1
            if answer is None:
                progress.unanswered += 1
            else:
                progress.acknowledged += 1
                progress.last_acknowledged = time.monotonic()

    async def _show(self) -> None:
        assert self._line is not None
        while True:
            await asyncio.sleep(1.0)
            self._line(self.progress.line(time.monotonic()))
