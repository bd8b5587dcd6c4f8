"""The write path: one SQL function per write, one round trip, and an honest outcome.

An outcome is an answer only if the server said so without a warning on a connection that stayed.
Everything else is NOT_DONE (the server refused and rolled back) or UNKNOWN (it may have committed);
both are met in one way: the same key and the same body again, on a fresh connection.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self
from uuid import UUID

import psycopg

from cims.orders import OrderRequest, OrderState, Outcome, Reply
from cims.pool import DOUBT, Pool

PLACE = "SELECT * FROM place_order(%s::uuid, %s::int, %s::int[], %s::int[], %s::timestamptz)"
READ = "SELECT * FROM get_order_fenced(%s::uuid)"

# The server said no and rolled back, for a reason that is not the request's: read-only (a replica),
# conflicts, a schema that is missing, full disk, a lock or a cancel before the commit.
PASSING = ("25006", "40001", "40002", "40P01", "42", "53", "55P03", "57014", "57P03")
# Nothing was done and nothing will be: the request itself is at fault.
KEY_REUSED = "IM001"
AT_FAULT = ("IM", "22", "23")


class NotAvailable(Exception):  # noqa: N818 - the word a caller reads
    """No answer could be had in time. `maybe_done`: an attempt may have been committed."""

    def __init__(self, why: str, *, sqlstate: str | None = None, maybe_done: bool) -> None:
        super().__init__(why)
        self.sqlstate = sqlstate
        self.maybe_done = maybe_done


class Refused(Exception):  # noqa: N818 - the word a caller reads
    """The request is at fault (SQLSTATE IM001 to IM008, 22xxx, 23xxx); nothing was done."""

    def __init__(self, why: str, *, sqlstate: str) -> None:
        super().__init__(why)
        self.sqlstate = sqlstate


class Store:
    """Writes and fenced reads over a bounded pool. Threads may share it.

    `attempt_seconds` bounds one attempt, after which the socket is dropped; connections are opened
    on demand, so that a store can be made before its database answers.
    """

    def __init__(
        self, dsn: str, *, connections: int = 16, attempt_seconds: float = 5.0, name: str = "cims"
    ) -> None:
        self.pool = Pool(dsn, connections=connections, seconds=attempt_seconds, name=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; calls still running end as NotAvailable."""
        self.pool.close()

    def place_once(self, order: OrderRequest) -> Reply:
        """One attempt at one order; never raises for what a database or a network can do."""
        skus, quantities = list(order.lines), list(order.lines.values())
        values = (order.key, order.warehouse_id, skus, quantities, order.requested_at)
        try:
            row = self.call(PLACE, values)[0]
        except Refused as error:
            outcome = Outcome.KEY_REUSED if error.sqlstate == KEY_REUSED else Outcome.INVALID
            return Reply(key=order.key, outcome=outcome, sqlstate=error.sqlstate, why=str(error))
        except NotAvailable as error:
            outcome = Outcome.UNKNOWN if error.maybe_done else Outcome.NOT_DONE
            return Reply(key=order.key, outcome=outcome, sqlstate=error.sqlstate, why=str(error))
        return Reply(
            key=order.key,
            outcome=Outcome(row["outcome"]),
            replayed=row["replayed"],
            order_id=row["order_id"],
            short_sku=row["short_sku"],
            promise_at=row["promise_at"],
        )

    def place(
        self,
        order: OrderRequest,
        *,
        seconds: float = 30.0,
        pause_seconds: float = 0.2,
        on_attempt: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Send the same key and body until an answer is final or `seconds` have passed.

        Once an attempt ended UNKNOWN, a later refusal does not make it undone: it stays UNKNOWN.
        """
        ends = time.monotonic() + seconds
        doubt: Reply | None = None
        while True:
            reply = self.place_once(order)
            if on_attempt is not None:
                on_attempt(reply)
            if reply.final:
                return reply
            if reply.outcome is Outcome.UNKNOWN:
                doubt = reply
            if time.monotonic() + pause_seconds >= ends:
                return doubt or reply
            time.sleep(pause_seconds)

    def get_order(self, key: UUID) -> OrderState | None:
        """The order behind the fence: what is returned survives a failover.

        Raises NotAvailable. None is not final while an attempt may still be running.
        """
        rows = self.call(READ, (key,))
        if not rows:
            return None
        row = rows[0]
        return OrderState(**{**row, "outcome": Outcome(row["outcome"])})

    def write(
        self, sql: str, values: Sequence[object], *, seconds: float, pause_seconds: float = 0.2
    ) -> list[dict[str, Any]]:
        """A call that carries its key, sent again until it is answered or `seconds` have passed."""
        ends = time.monotonic() + seconds
        maybe_done = False
        while True:
            try:
                return self.call(sql, values)
            except NotAvailable as error:
                maybe_done = maybe_done or error.maybe_done
                if time.monotonic() + pause_seconds >= ends:
                    raise NotAvailable(
                        str(error), sqlstate=error.sqlstate, maybe_done=maybe_done
                    ) from error
            time.sleep(pause_seconds)

    def call(
        self, sql: str, values: Sequence[object] | Mapping[str, object] = ()
    ) -> list[dict[str, Any]]:
        """One statement in its own transaction; its rows. Raises Refused or NotAvailable."""
        sent = answered = False
        try:
            with self.pool.connection() as connection:
                sent = True
                cursor = connection.execute(sql, values)
                answered = True
                rows = cursor.fetchall()
                doubt = connection.in_doubt
        except TimeoutError as error:
            raise NotAvailable(str(error), maybe_done=False) from error
        except psycopg.Error as error:
            raise _judge(error, sent=sent, answered=answered) from error
        if doubt is not None:
            raise NotAvailable(doubt, sqlstate=DOUBT, maybe_done=True)
        return rows


def _judge(error: psycopg.Error, *, sent: bool, answered: bool) -> Refused | NotAvailable:
    """What an error leaves open. What is not known to be rolled back may have been committed."""
    state = error.sqlstate
    why = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    if state is not None and state.startswith(AT_FAULT):
        return Refused(why, sqlstate=state)
    if answered:
        # It is done; only what came back cannot be read.
        return NotAvailable(why, sqlstate=state, maybe_done=True)
    if state is None and isinstance(error, psycopg.DataError | psycopg.ProgrammingError):
        # The driver could not even send it: a number too large, a NUL in a text.
        return Refused(why, sqlstate="22000")
    undone = not sent or (state is not None and state.startswith(PASSING))
    return NotAvailable(why, sqlstate=state, maybe_done=not undone)
