-- The price of lateness. cims.penalty says the same in Python, and a test holds the two equal.

-- Pure: the same instants and policy always give the same cents. An order is late from its promise plus
-- the grace until it left, was cancelled, or until the moment asked about; on time costs nothing.
CREATE FUNCTION penalty_cents(p_promise_at timestamptz, p_closed_at timestamptz, p_at timestamptz,
    p_grace_seconds integer, p_flat_cents bigint, p_per_hour_cents bigint, p_cap_cents bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN late.micros <= 0 THEN 0 ELSE
        least(p_cap_cents, p_flat_cents + div(p_per_hour_cents * late.micros, 3600000000))::bigint
        END
    FROM (SELECT trunc((extract(epoch FROM least(p_closed_at, p_at)) - extract(epoch FROM p_promise_at)
        - p_grace_seconds) * 1000000) AS micros) AS late
$$;

-- Stores what the function says at p_at. Done twice it changes nothing; an older moment never replaces
-- a newer one. Returns how many rows changed.
CREATE FUNCTION accrue_penalties(p_policy integer, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_changed bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM sla_policy p WHERE p.version = p_policy) THEN
        RAISE EXCEPTION 'policy %: unknown', p_policy USING ERRCODE = 'IM002';
    END IF;
    INSERT INTO penalty AS n (order_id, policy_version, late_from, late_until, amount_cents,
            computed_at)
        SELECT o.id, p.version, late.since, greatest(late.since, late.until), late.cents, p_at
        FROM sales_order o
        CROSS JOIN (SELECT * FROM sla_policy WHERE version = p_policy) p
        CROSS JOIN LATERAL (SELECT
            o.promise_at + make_interval(secs => p.grace_seconds) AS since,
            least(o.closed_at, p_at) AS until,
            penalty_cents(o.promise_at, o.closed_at, p_at, p.grace_seconds, p.flat_cents,
                p.per_hour_cents, p.cap_cents) AS cents) late
        WHERE o.outcome = 'accepted' AND (late.cents > 0 OR EXISTS (SELECT FROM penalty e
            WHERE e.order_id = o.id AND e.policy_version = p.version))
        ORDER BY o.id
    ON CONFLICT (order_id, policy_version) DO UPDATE
        SET late_from = excluded.late_from, late_until = excluded.late_until,
            amount_cents = excluded.amount_cents, computed_at = excluded.computed_at
        WHERE n.computed_at <= excluded.computed_at
            AND (n.amount_cents, n.late_from, n.late_until)
                IS DISTINCT FROM (excluded.amount_cents, excluded.late_from, excluded.late_until);
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    RETURN v_changed;
END $$;

-- What lateness costs at p_at, by region and the local day the order was due.
CREATE FUNCTION penalties_by_day(p_policy integer, p_at timestamptz)
RETURNS TABLE (region text, day date, late_orders bigint, amount_cents bigint)
LANGUAGE sql STABLE AS $$
    SELECT w.region, (o.promise_at AT TIME ZONE r.time_zone)::date, count(*), sum(c.cents)::bigint
    FROM sla_policy p
    CROSS JOIN sales_order o
    JOIN warehouse w ON w.id = o.warehouse_id
    JOIN region r ON r.code = w.region
    CROSS JOIN LATERAL (SELECT penalty_cents(o.promise_at, o.closed_at, p_at, p.grace_seconds,
        p.flat_cents, p.per_hour_cents, p.cap_cents) AS cents) c
    WHERE p.version = p_policy AND o.outcome = 'accepted' AND c.cents > 0
    GROUP BY 1, 2 ORDER BY 1, 2
$$;
