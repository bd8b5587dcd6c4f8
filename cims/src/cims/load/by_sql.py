"""Orders over SQL: place_order in autocommit, one round trip, through whatever is between."""

import psycopg
from psycopg.conninfo import make_conninfo

from cims.cut import cut, shut
from cims.load.order import Answer, Order, Refused, Unknown

CONNECT_SECONDS = 3
_PLACE = (
    "SELECT order_id, outcome, replayed, short_sku"
    " FROM place_order(%s, %s, %s::int[], %s::int[], to_timestamp(%s))"
)
_OURS = "IM"
_MALFORMED = ("22", "23", "42")


class SqlShop:
    """One connection to `dsn`. Prepared statements only where no pooler is between."""

    def __init__(self, dsn: str, *, prepare: bool = True) -> None:
        self._dsn = make_conninfo(dsn, connect_timeout=CONNECT_SECONDS)
        self._prepare_after = 1 if prepare else None
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._warned: str | None = None

    async def place(self, order: Order, seconds: float) -> Answer:
        """Send the order once."""
        self._warned = None
        try:
            connection = self._connection or await self._connect()
            with cut(connection, seconds):
                cursor = await connection.execute(_PLACE, _values(order))
                row = await cursor.fetchone()
        except psycopg.Error as error:
            state = error.sqlstate or ""
            text = f"{state} {error}".strip().splitlines()[0]
            # Only what says that the statement itself is wrong is final; all else may have been
            # done, or may be done by the next primary.
            if state.startswith((_OURS, *_MALFORMED)):
                raise Refused(text) from None
            raise Unknown(text) from None
        if self._warned is not None:
            # A cancelled wait for the standby still answers like a success: the commit is local.
            raise Unknown(self._warned)
        if row is None:
            raise Unknown("an answer without a row")
        return Answer(
            order_id=int(str(row[0])),
            outcome=str(row[1]),
            replayed=bool(row[2]),
            short_sku=None if row[3] is None else int(str(row[3])),
        )

    async def drop(self) -> None:
        """Close the socket without asking the server to cancel anything."""
        connection, self._connection = self._connection, None
        if connection is not None:
            shut(connection)
            await connection.close()

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
        connection.prepare_threshold = self._prepare_after
        connection.add_notice_handler(self._notice)
        self._connection = connection
        return connection

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        # 01000 is what a commit says that did not wait for its standby.
        if diagnostic.sqlstate == "01000":
            self._warned = f"01000 {diagnostic.message_primary}"


def _values(order: Order) -> tuple[object, ...]:
    skus = [sku for sku, _ in order.lines]
    quantities = [quantity for _, quantity in order.lines]
    return order.key, order.warehouse, skus, quantities, order.requested_at
