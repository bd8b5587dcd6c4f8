"""I10 to I12: shipments, transfers, penalties and feeds, in the database itself."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from cims.check.facts import Connection
from cims.check.finding import Finding, Violation, found
from cims.check.ledger import Rule

# An order is open, then shipped or cancelled, or rejected from the start; what it has says which.
_STATES = """
    WITH shipped AS (
        SELECT h.order_id, s.sku_id, sum(s.qty) AS qty
        FROM shipment h JOIN shipment_line s USING (request_id) GROUP BY 1, 2
    ), orders AS (
        SELECT o.*, l.lines, l.left_over, l.shipped, h.last FROM sales_order o
        LEFT JOIN (SELECT order_id, count(*) AS lines, sum(qty - shipped) AS left_over,
            sum(shipped) AS shipped FROM order_line GROUP BY 1) l ON l.order_id = o.id
        LEFT JOIN (SELECT order_id, max(shipped_at) AS last FROM shipment GROUP BY 1) h
            ON h.order_id = o.id
    )
    SELECT 'order ' || idem_key, says FROM orders CROSS JOIN LATERAL (VALUES
        (outcome = 'accepted' AND status NOT IN ('open', 'shipped', 'cancelled')
            OR outcome = 'rejected' AND status <> 'rejected', outcome || ' and ' || status),
        (status = 'open' AND coalesce(left_over, 0) = 0, 'open, and nothing is left to ship'),
        (status = 'shipped' AND (left_over <> 0 OR closed_at IS DISTINCT FROM last),
            format('shipped at %s, with %s left; its last shipment left at %s', closed_at,
                left_over, last)),
        (status = 'cancelled' AND coalesce(left_over, 0) = 0, 'cancelled after all was shipped'),
        (status = 'rejected' AND (lines IS NOT NULL OR last IS NOT NULL),
            'rejected, and has lines or shipments'),
        (promise_at < requested_at, format('asked for at %s, promised for %s', requested_at,
            promise_at))
    ) AS v (wrong, says) WHERE v.wrong
    UNION ALL
    SELECT format('order %s, sku %s', order_id, sku_id),
        format('ordered %s, marked as shipped %s, in shipments %s', coalesce(l.qty, 0),
            coalesce(l.shipped, 0), coalesce(s.qty, 0))
    FROM order_line l FULL JOIN shipped s USING (order_id, sku_id)
    WHERE coalesce(s.qty, 0) <> coalesce(l.shipped, 0)
        OR coalesce(l.shipped, 0) > coalesce(l.qty, 0)
    UNION ALL
    SELECT format('sku %s at warehouse %s', sku_id, warehouse_id),
        format('%s reserved, open orders hold %s', coalesce(s.reserved, 0), coalesce(r.qty, 0))
    FROM (SELECT * FROM stock WHERE reserved <> 0) s FULL JOIN (
        SELECT o.warehouse_id, l.sku_id, sum(l.qty - l.shipped) AS qty
        FROM order_line l JOIN sales_order o ON o.id = l.order_id WHERE o.status = 'open'
        GROUP BY 1, 2 HAVING sum(l.qty - l.shipped) <> 0) r USING (warehouse_id, sku_id)
    WHERE coalesce(s.reserved, 0) <> coalesce(r.qty, 0)
    UNION ALL
    SELECT format('sku %s at warehouse %s', sku_id, warehouse_id),
        format('%s inbound, transfers on the way bring %s', coalesce(s.inbound, 0),
            coalesce(t.qty, 0))
    FROM (SELECT * FROM stock WHERE inbound <> 0) s FULL JOIN (
        SELECT t.to_warehouse AS warehouse_id, l.sku_id, sum(l.qty) AS qty
        FROM transfer t JOIN transfer_line l USING (request_id) WHERE t.arrived_at IS NULL
        GROUP BY 1, 2) t USING (warehouse_id, sku_id)
    WHERE coalesce(s.inbound, 0) <> coalesce(t.qty, 0)
"""

_FEEDS = """
    SELECT 'feed ' || coalesce(c.source, b.source),
        format('the cursor says %s; %s batches are recorded, %s to %s', c.last_seq, b.n, b.low,
            b.high)
    FROM sync_cursor c FULL JOIN (SELECT source, count(*) AS n, min(seq) AS low, max(seq) AS high
        FROM applied_batch GROUP BY 1) b USING (source)
    WHERE coalesce(c.last_seq, -1) <> coalesce(b.high, 0) OR b.n <> b.high OR b.low <> 1
    UNION ALL
    SELECT 'movement ' || m.id, format('of feed batch %s, which is not recorded', m.ref)
    FROM movement m WHERE m.kind = 'sync'
        AND NOT EXISTS (SELECT FROM applied_batch b WHERE b.id = m.ref)
    UNION ALL
    SELECT format('feed %s, batch %s', b.source, b.seq),
        format('%s rows of which at most %s are conflicts, and %s movements', b.rows, b.conflicts,
            m.n)
    FROM applied_batch b CROSS JOIN LATERAL (SELECT count(*) AS n FROM movement m
        WHERE m.kind = 'sync' AND m.ref = b.id) m
    WHERE m.n > b.rows OR m.n < b.rows - b.conflicts
"""

RULES = (
    Rule(
        invariant="I10",
        counted="SELECT (SELECT count(*) FROM sales_order) + (SELECT count(*) FROM transfer)",
        wrong=_STATES,
    ),
    Rule(invariant="I12", counted="SELECT count(*) FROM applied_batch", wrong=_FEEDS),
)

# Instants leave the database as whole microseconds, so that nothing is rounded on the way.
_PENALTIES = """
    SELECT o.idem_key, n.policy_version, n.amount_cents, o.outcome,
        (extract(epoch FROM o.promise_at) * 1000000)::bigint,
        CASE o.status WHEN 'shipped' THEN (SELECT (extract(epoch FROM max(h.shipped_at)) * 1000000)
            ::bigint FROM shipment h WHERE h.order_id = o.id)
            ELSE (extract(epoch FROM o.closed_at) * 1000000)::bigint END,
        (extract(epoch FROM n.computed_at) * 1000000)::bigint,
        p.grace_seconds, p.flat_cents, p.per_hour_cents, p.cap_cents
    FROM penalty n JOIN sales_order o ON o.id = n.order_id
    JOIN sla_policy p ON p.version = n.policy_version
"""

_HOUR = 3_600_000_000


def penalty_cents(*, late_micros: int, flat_cents: int, per_hour_cents: int, cap_cents: int) -> int:
    """What being late by so much costs: written here a second time, to check the first."""
    if late_micros <= 0:
        return 0
    return min(cap_cents, flat_cents + int(Fraction(per_hour_cents * late_micros, _HOUR)))


def penalties_are_right(connection: Connection) -> Finding:
    """I11. A closing that became known after the penalty was computed may not be in it yet."""
    rows = connection.execute(_PENALTIES.encode()).fetchall()
    return found("I11", len(rows), _wrong_penalties(rows))


def _wrong_penalties(rows: list[tuple[Any, ...]]) -> Iterator[Violation]:
    for key, version, stored, outcome, promised, closed, computed, grace, flat, hourly, cap in rows:
        if outcome != "accepted":
            yield Violation(about=f"order {key}", says=f"{outcome}, and costs {stored} cents")
            continue
        ends = {computed} if closed is None else {computed, min(closed, computed)}
        right = {
            penalty_cents(
                late_micros=end - promised - grace * 1_000_000,
                flat_cents=flat,
                per_hour_cents=hourly,
                cap_cents=cap,
            )
            for end in ends
        }
        if stored not in right:
            says = f"costs {stored} cents by policy {version}, computed again {sorted(right)}"
            yield Violation(about=f"order {key}", says=says)
