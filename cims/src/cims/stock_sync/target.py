"""Where batches are applied: the database, through whatever leads to its primary."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import psycopg
from psycopg.conninfo import make_conninfo

from cims.cut import cut, shut
from cims.stock_sync.update import Batch

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10.0
RETRY_SECONDS = 0.5
_APPLY = (
    "SELECT applied, last_seq FROM apply_sync_batch("
    "%s, %s, %s, %s::int[], %s::int[], %s::int[], to_timestamp(%s))"
)
_CURSOR = "SELECT coalesce((SELECT last_seq FROM sync_cursor WHERE source = %s), 0)"


class Target(Protocol):
    """Somewhere batches go. Both calls wait for as long as it takes, and may be cancelled."""

    async def cursor(self, region: str) -> int:
        """The last batch of the region's feed that was applied; 0 before the first."""
        ...

    async def apply(self, region: str, batch: Batch) -> None:
        """Apply it, unless it was applied before."""
        ...

    def shut(self) -> None:
        """Let no call wait any longer; each ends as a lost connection."""
        ...

    async def close(self) -> None:
        """Give up the connection."""
        ...


def source_of(region: str) -> str:
    """The name under which the database counts a region's batches."""
    return f"feed-{region.lower()}"


class PostgresTarget:
    """One connection to `dsn`, made again whenever there is any doubt about it.

    A batch in doubt is sent again with its number: the database knows whether it has it.
    """

    def __init__(self, dsn: str, say: Callable[[str], None]) -> None:
        self._dsn = make_conninfo(dsn, connect_timeout=CONNECT_SECONDS)
        self._say = say
        self._said = ""
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._warned = False
        self._shut = False
        self._lock = asyncio.Lock()

    async def cursor(self, region: str) -> int:
        """The last batch of the region's feed that was applied; 0 before the first."""
        row = await self._ask(_CURSOR, (source_of(region),))
        return int(str(row[0]))

    async def apply(self, region: str, batch: Batch) -> None:
        """Apply it, unless it was applied before."""
        values = (
            source_of(region),
            region,
            batch.seq,
            [row.warehouse for row in batch.rows],
            [row.sku for row in batch.rows],
            [row.delta for row in batch.rows],
            batch.produced_at,
        )
        await self._ask(_APPLY, values)

    def shut(self) -> None:
        """Let no call wait any longer; each ends as a lost connection."""
        self._shut = True
        if self._connection is not None:
            shut(self._connection)

    async def close(self) -> None:
        """Give up the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _ask(self, statement: str, values: tuple[object, ...]) -> tuple[object, ...]:
        while True:
            try:
                async with self._lock:
                    row = await self._once(statement, values)
            except psycopg.Error as error:
                if not self._shut:  # Else the connection was lost by our own hand.
                    self._say_once(f"the database: {_first_line(error)}")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if self._said:
                self._said = ""
                self._say("the database answers again")
            return row

    async def _once(self, statement: str, values: tuple[object, ...]) -> tuple[object, ...]:
        self._warned = False
        try:
            connection = self._connection or await self._connect()
            with cut(connection, STATEMENT_SECONDS):
                cursor = await connection.execute(statement, values)
                row = await cursor.fetchone()
        except psycopg.Error:
            await self.close()
            raise
        if self._warned or row is None:
            await self.close()
            raise psycopg.OperationalError("the commit did not wait for its standby")
        return row

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
        # Poolers give each transaction another server, so nothing may be prepared on one.
        connection.prepare_threshold = None
        connection.add_notice_handler(self._notice)
        self._connection = connection
        return connection

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self._warned = self._warned or diagnostic.sqlstate == "01000"

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
