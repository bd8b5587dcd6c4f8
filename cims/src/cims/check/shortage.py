"""I9: a rejected order's SKU was short at some moment between invoke and answer.

When a movement was committed is known only to lie in an interval: an order's between its client's
invoke and answer; any other's between the start of its transaction and LONGEST_TRANSACTION_SECONDS
later. What was available at the least, at some moment of a window, is everything that came for
certain before it, less everything that may have gone before its end. A rejection is wrong only if
even that was enough, so a true rejection is never blamed.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from cims.check.facts import Connection, StoredOrder, Told
from cims.check.finding import Finding, Violation, found

LONGEST_TRANSACTION_SECONDS = 60.0

_MOVEMENTS = """
    SELECT m.sku_id, coalesce(m.from_warehouse, m.to_warehouse), o.idem_key::text,
        extract(epoch FROM m.at)::float8, m.from_warehouse, m.from_bucket = 'A',
        m.to_warehouse, m.to_bucket = 'A', m.qty
    FROM movement m LEFT JOIN sales_order o ON m.kind = 'order' AND o.id = m.ref
    WHERE m.sku_id = ANY (%s) AND (m.from_bucket = 'A' OR m.to_bucket = 'A')
"""


@dataclass(slots=True)
class _Flow:
    """What came to and went from one (warehouse, SKU), with the time that counts for each."""

    came: list[tuple[float, int]] = field(default_factory=list)
    went: list[tuple[float, int]] = field(default_factory=list)
    _sums: tuple[list[float], list[int], list[float], list[int]] | None = None

    def least(self, invoked: float, answered: float) -> int:
        """The least that can have been available at some moment of the window."""
        if self._sums is None:
            self._sums = (*_summed(self.came), *_summed(self.went))
        came_at, came, went_at, went = self._sums
        return came[bisect_right(came_at, invoked)] - went[bisect_right(went_at, answered)]


def _summed(events: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    events.sort()
    return [at for at, _ in events], [0, *accumulate(qty for _, qty in events)]


def rejected_only_when_short(
    told: Told,
    orders: Mapping[str, list[StoredOrder]],
    connection: Connection,
    *,
    skew_seconds: float = 0.0,
    longest_seconds: float = LONGEST_TRANSACTION_SECONDS,
) -> Finding:
    """I9, for rejected orders that were answered. `skew_seconds`: how far clocks may be apart."""
    rejected = [
        order
        for key in told.answers
        for order in orders.get(key, ())[:1]
        if order.outcome == "rejected" and key in told.invoked
    ]
    skus = {order.short_sku for order in rejected}
    flows = _flows(connection, told, skus, skew_seconds, longest_seconds)
    return found("I9", len(rejected), _not_short(told, rejected, flows, skew_seconds))


def _not_short(
    told: Told,
    rejected: Iterable[StoredOrder],
    flows: Mapping[tuple[int, int | None], _Flow],
    skew_seconds: float,
) -> Iterator[Violation]:
    for order in rejected:
        asked = told.invoked[order.key]
        wanted = dict(asked.lines).get(order.short_sku or 0)
        flow = flows.get((order.warehouse, order.short_sku))
        if wanted is None or flow is None:
            continue
        answered = max(one.wall for one in told.answers[order.key])
        least = flow.least(asked.wall - skew_seconds, answered + skew_seconds)
        if least >= wanted:
            says = (
                f"rejected for {wanted} of SKU {order.short_sku} at warehouse {order.warehouse}, "
                f"where at least {least} were available all the time"
            )
            yield Violation(about=f"order {order.key}", says=says)


def _flows(
    connection: Connection,
    told: Told,
    skus: set[int | None],
    skew_seconds: float,
    longest_seconds: float,
) -> dict[tuple[int, int | None], _Flow]:
    flows: dict[tuple[int, int | None], _Flow] = defaultdict(_Flow)
    with connection.cursor(name="flows") as cursor:
        cursor.itersize = 20_000
        cursor.execute(_MOVEMENTS, ([sku for sku in skus if sku is not None],))
        for sku, _, key, at, from_warehouse, went, to_warehouse, came, qty in cursor:
            asked = told.invoked.get(key) if key else None
            first = asked.wall if asked else at
            if went:
                flows[from_warehouse, sku].went.append((first - skew_seconds, qty))
            if came:
                last = at + longest_seconds + skew_seconds
                flows[to_warehouse, sku].came.append((last, qty))
    return flows
