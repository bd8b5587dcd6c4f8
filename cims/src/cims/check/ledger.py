"""I5 to I8: orders, movements and balances against each other, in the database itself.

Each query answers what is wrong as (about, says) and is empty when nothing is; a second one counts
what was looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cims.check.facts import Connection
from cims.check.finding import MOST_KEPT, Finding, Violation, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One invariant as SQL."""

    invariant: str
    counted: str
    wrong: str


# What the lines of each paper say must have moved, and what did. `ref` is the order or request.
_MOVED = """
    WITH due AS (
        SELECT 'order' AS kind, l.order_id AS ref, l.sku_id, 'A' AS f, 'R' AS t,
                o.warehouse_id AS fw, o.warehouse_id AS tw, l.qty::bigint AS qty
            FROM order_line l JOIN sales_order o ON o.id = l.order_id
        UNION ALL SELECT 'cancel', l.order_id, l.sku_id, 'R', 'A', o.warehouse_id, o.warehouse_id,
                l.qty - l.shipped
            FROM order_line l JOIN sales_order o ON o.id = l.order_id
            WHERE o.status = 'cancelled' AND l.qty > l.shipped
        UNION ALL SELECT 'ship', h.order_id, s.sku_id, 'R', 'C', o.warehouse_id, NULL, sum(s.qty)
            FROM shipment h JOIN shipment_line s USING (request_id)
            JOIN sales_order o ON o.id = h.order_id GROUP BY h.order_id, s.sku_id, o.warehouse_id
        UNION ALL SELECT 'transfer', t.request_id, l.sku_id, 'A', 'I', t.from_warehouse,
                t.to_warehouse, l.qty
            FROM transfer t JOIN transfer_line l USING (request_id)
    ), moved AS (
        SELECT kind, ref, sku_id, from_bucket::text AS f, to_bucket::text AS t,
            from_warehouse AS fw, to_warehouse AS tw, sum(qty) AS qty, count(*) AS n
        FROM movement WHERE kind IN ('order', 'cancel', 'ship')
            OR kind = 'transfer' AND from_bucket = 'A'
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    SELECT coalesce(d.kind, m.kind) || ' ' || coalesce(d.ref, m.ref)
            || ', sku ' || coalesce(d.sku_id, m.sku_id),
        format('the lines say %s from %s to %s, the ledger says %s in %s movements',
            coalesce(d.qty, 0), coalesce(d.f || d.fw, m.f || m.fw), coalesce(d.t || d.tw, d.t, m.t),
            coalesce(m.qty, 0), coalesce(m.n, 0))
    FROM due d FULL JOIN moved m ON (d.kind, d.ref, d.sku_id, d.f, d.t, d.fw)
            = (m.kind, m.ref, m.sku_id, m.f, m.t, m.fw) AND d.tw IS NOT DISTINCT FROM m.tw
    WHERE d.qty IS DISTINCT FROM m.qty OR (m.kind IN ('order', 'cancel') AND m.n <> 1)
"""

_LEDGER_SUMS = """
    SELECT warehouse_id, sku_id, bucket, sum(qty) AS qty FROM (
        SELECT to_warehouse AS warehouse_id, sku_id, to_bucket AS bucket, sum(qty) AS qty
            FROM movement WHERE to_warehouse IS NOT NULL GROUP BY 1, 2, 3
        UNION ALL SELECT from_warehouse, sku_id, from_bucket, -sum(qty)
            FROM movement WHERE from_warehouse IS NOT NULL GROUP BY 1, 2, 3) x
    GROUP BY 1, 2, 3
"""

_BALANCES = """
    SELECT s.warehouse_id, s.sku_id, b.bucket, b.qty FROM stock s CROSS JOIN LATERAL (VALUES
        ('A'::"char", s.available), ('R'::"char", s.reserved), ('I'::"char", s.inbound),
        ('Q'::"char", s.quarantine)) AS b (bucket, qty)
"""

# S(upplier) gives; C(ustomer) and L(oss) take. What they gave less what they took is what is here.
_EXTERNAL = """
    SELECT sku_id, sum(qty) AS qty FROM (
        SELECT sku_id, sum(qty) AS qty FROM movement WHERE from_warehouse IS NULL GROUP BY 1
        UNION ALL SELECT sku_id, -sum(qty) FROM movement WHERE to_warehouse IS NULL GROUP BY 1) x
    GROUP BY 1
"""

RULES = (
    Rule(
        invariant="I5",
        counted="SELECT (SELECT count(*) FROM order_line) + (SELECT count(*) FROM shipment_line)"
        " + (SELECT count(*) FROM transfer_line)",
        wrong=_MOVED,
    ),
    Rule(
        invariant="I6",
        counted="SELECT 4 * count(*) FROM stock",
        wrong=f"""
            SELECT format('sku %s at warehouse %s, bucket %s', coalesce(l.sku_id, b.sku_id),
                    coalesce(l.warehouse_id, b.warehouse_id), coalesce(l.bucket, b.bucket)),
                format('the ledger sums to %s, the balance is %s', coalesce(l.qty, 0),
                    coalesce(b.qty::text, 'missing'))
            FROM ({_LEDGER_SUMS}) l FULL JOIN ({_BALANCES}) b USING (warehouse_id, sku_id, bucket)
            WHERE coalesce(l.qty, 0) <> coalesce(b.qty, 0)
        """,  # noqa: S608 - constants of this file
    ),
    Rule(
        # The order in which movements were committed is not recorded, so that no prefix was ever
        # negative is proved by the constraints that no commit can pass.
        invariant="I7",
        counted="SELECT 8 * count(*) FROM stock",
        wrong=f"""
            SELECT format('sku %s at warehouse %s, bucket %s', sku_id, warehouse_id, bucket),
                'its ' || what || ' is ' || qty
            FROM (SELECT *, 'balance' AS what FROM ({_BALANCES}) b
                UNION ALL SELECT *, 'ledger' FROM ({_LEDGER_SUMS}) l) x WHERE qty < 0
            UNION ALL
            SELECT 'column stock.' || c.name, 'no valid constraint keeps it from going below 0'
            FROM unnest(ARRAY['available', 'reserved', 'inbound', 'quarantine']) AS c (name)
            WHERE NOT EXISTS (SELECT FROM pg_constraint k
                WHERE k.conrelid = 'stock'::regclass AND k.contype = 'c' AND k.convalidated
                    AND pg_get_constraintdef(k.oid) = format('CHECK ((%s >= 0))', c.name))
        """,  # noqa: S608
    ),
    Rule(
        invariant="I8",
        counted="SELECT count(*) FROM sku",
        wrong=f"""
            SELECT 'sku ' || coalesce(e.sku_id, h.sku_id),
                format('%s came from outside and stayed, %s are here', coalesce(e.qty, 0),
                    coalesce(h.qty, 0))
            FROM ({_EXTERNAL}) e FULL JOIN (SELECT sku_id,
                    sum(available::bigint + reserved + inbound + quarantine) AS qty
                FROM stock GROUP BY 1) h USING (sku_id)
            WHERE coalesce(e.qty, 0) <> coalesce(h.qty, 0)
        """,  # noqa: S608
    ),
)


def look(rule: Rule, connection: Connection) -> Finding:
    """Run one rule."""
    counted = connection.execute(rule.counted.encode()).fetchone()
    assert counted is not None
    return found(rule.invariant, int(counted[0]), _wrong(rule.wrong, connection))


def _wrong(query: str, connection: Connection) -> Iterator[Violation]:
    with connection.cursor(name="wrong") as cursor:
        cursor.itersize = MOST_KEPT
        cursor.execute(query.encode())
        for about, says in cursor:
            yield Violation(about=str(about), says=str(says))
