"""The service itself: pull each region's feed, work on its updates, apply its batches once.

Pages wait in one queue for the database. A page is applied again after any doubt, because the
database knows which (source, seq) it has; nothing is skipped, and a feed that is away delays its
own region alone.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cims.stock_sync.feed import MOST_UPDATES
from cims.stock_sync.leaks import slow_db_queue
from cims.stock_sync.leaks.kinds import KINDS
from cims.stock_sync.leaks.step import Step
from cims.stock_sync.setting import Leak
from cims.stock_sync.source import Source, SourceError
from cims.stock_sync.target import Target
from cims.stock_sync.update import Page

PAUSE_SECONDS = 0.5
"""Between two pages of a region, unless the rate asks for more."""

LEAST_PAUSE_SECONDS = 0.1
RETRY_SECONDS = 1.0
SHUT_SECONDS = 0.05
_YIELD_AFTER = 50

Say = Callable[[str], None]


def say(text: str) -> None:
    """One line to whoever keeps the service's log."""
    print(f"stock-sync: {text}", file=sys.stderr, flush=True)


def steps_of(leak: Leak) -> tuple[Step, ...]:
    """All parts an update passes through, of which exactly one is broken when `leak` says so."""
    steps = []
    for kind in KINDS:
        chosen = leak.kind is kind
        if kind.fixed is None or (kind.negative and not chosen):
            continue
        make = kind.broken if chosen and leak.broken and kind.broken else kind.fixed
        steps.append(make())
    return tuple(steps)


def queue_of(leak: Leak) -> asyncio.Queue[Page]:
    """The queue between the feeds and the database; it has a limit unless that is the mistake."""
    if leak.broken and leak.kind is not None and leak.kind.name == "slow_db_queue":
        return slow_db_queue.unbounded_queue()
    return slow_db_queue.bounded_queue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a region is asked, and for how many updates each time."""

    pause_seconds: float
    updates: int

    @classmethod
    def of(cls, updates_per_second: float, regions: int) -> "Pace":
        """Larger pages first, then more of them."""
        each = updates_per_second / max(1, regions)
        pause = PAUSE_SECONDS if each * PAUSE_SECONDS <= MOST_UPDATES else LEAST_PAUSE_SECONDS
        pause = max(pause, 1.0 / each) if each < 1.0 / pause else pause
        return cls(pause_seconds=pause, updates=max(1, round(each * pause)))


@dataclass(slots=True, kw_only=True)
class Counts:
    """What was done since the start, by region."""

    pages: dict[str, int] = field(default_factory=dict)
    updates: dict[str, int] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)
    seq: dict[str, int] = field(default_factory=dict)
    head: dict[str, int] = field(default_factory=dict)


class Service:
    """Runs until `stop` is set. Errors of feeds and database are said once, and waited out."""

    def __init__(
        self,
        *,
        source: Source,
        target: Target,
        regions: Sequence[str],
        leak: Leak,
        say: Say = say,
    ) -> None:
        self.counts = Counts()
        self._source = source
        self._target = target
        self._regions = tuple(regions)
        self._pace = Pace.of(leak.updates_per_second, len(self._regions))
        self._steps = steps_of(leak)
        self._queue = queue_of(leak)
        self._say = say
        self._said: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Pull and apply until told to stop; what broke a task is raised."""
        tasks = [asyncio.create_task(self._pull(region)) for region in self._regions]
        tasks += [asyncio.create_task(self._apply()), asyncio.create_task(_until(stop))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A cancelled call would cancel in the database too; first its connection is shut.
            self._target.shut()
            await asyncio.sleep(SHUT_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._target.close()
        for task in done:
            task.result()

    async def _pull(self, region: str) -> None:
        # What is queued counts as pulled; what is applied is the database's own answer.
        pulled = await self._target.cursor(region)
        self.counts.seq[region] = pulled
        offset = 0
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                page = await self._source.page(
                    region, after=pulled, offset=offset, updates=self._pace.updates
                )
            except SourceError as error:
                self._say_once(region, str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._said.pop(region, None)
            offset += len(page.updates)
            await self._work(page)
            pulled = self._hand_over(page, pulled)
            due = max(due + self._pace.pause_seconds, loop.time())
            await asyncio.sleep(due - loop.time())

    def _hand_over(self, page: Page, pulled: int) -> int:
        """Give a page's batches to the database's side; the last batch that is there or on its way.

        While the database is away updates go on. What finds no room is asked for again later.
        """
        if not page.batches:
            return pulled
        try:
            self._queue.put_nowait(page)
        except asyncio.QueueFull:
            return pulled
        return page.batches[-1].seq

    async def _work(self, page: Page) -> None:
        for number, update in enumerate(page.updates, start=1):
            for step in self._steps:
                step.handle(update)
            if number % _YIELD_AFTER == 0:
                await asyncio.sleep(0)
        counts = self.counts
        counts.pages[page.region] = counts.pages.get(page.region, 0) + 1
        counts.updates[page.region] = counts.updates.get(page.region, 0) + len(page.updates)
        counts.head[page.region] = page.head

    async def _apply(self) -> None:
        while True:
            page = await self._queue.get()
            for batch in page.batches:
                await self._target.apply(page.region, batch)
                applied = self.counts.applied
                applied[page.region] = applied.get(page.region, 0) + 1
                self.counts.seq[page.region] = batch.seq

    def _say_once(self, about: str, text: str) -> None:
        if self._said.get(about) != text:
            self._said[about] = text
            self._say(text)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


def summary(counts: Counts) -> Mapping[str, Mapping[str, int]]:
    """The counts as a record, for `--json` and for tests."""
    return {
        region: {
            "pages": counts.pages.get(region, 0),
            "updates": counts.updates.get(region, 0),
            "applied": counts.applied.get(region, 0),
            "seq": counts.seq.get(region, 0),
            "head": counts.head.get(region, 0),
        }
        for region in sorted({*counts.pages, *counts.seq})
    }
