-- Orders: one round trip each, in autocommit. Errors: IM001 key used with another body, IM002 unknown
-- thing, IM003 lines not strictly ascending, IM004 bad value, IM005 not in this state, IM006 short.

-- Lines are strictly ascending by SKU, so that every transaction locks in one order and no SKU twice.
CREATE FUNCTION check_lines(p_skus integer[], p_qtys integer[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    n integer := coalesce(cardinality(p_skus), 0);
BEGIN
    IF n = 0 OR n > 1000 OR n IS DISTINCT FROM cardinality(p_qtys)
            OR array_ndims(p_skus) <> 1 OR array_ndims(p_qtys) <> 1
            OR array_lower(p_skus, 1) <> 1 OR array_lower(p_qtys, 1) <> 1 THEN
        RAISE EXCEPTION '1 to 1000 lines, each with a quantity' USING ERRCODE = 'IM004';
    END IF;
    FOR i IN 1..n LOOP
        IF p_skus[i] IS NULL OR p_qtys[i] IS NULL OR p_qtys[i] <= 0 OR p_qtys[i] > 1000000 THEN
            RAISE EXCEPTION 'line %: quantity must be 1 to 1000000', i USING ERRCODE = 'IM004';
        END IF;
        IF i > 1 AND p_skus[i] <= p_skus[i - 1] THEN
            RAISE EXCEPTION 'line %: lines must be sorted by SKU and distinct', i
                USING ERRCODE = 'IM003';
        END IF;
    END LOOP;
END $$;

-- The start of the promise: the request, or the next local midnight when it came after the cutoff.
CREATE FUNCTION promise_at(p_requested_at timestamptz, p_time_zone text, p_cutoff time,
    p_promise_seconds integer) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN p_cutoff IS NULL OR (p_requested_at AT TIME ZONE p_time_zone)::time <= p_cutoff
            THEN p_requested_at
        ELSE ((p_requested_at AT TIME ZONE p_time_zone)::date + 1)::timestamp
            AT TIME ZONE p_time_zone
    END + make_interval(secs => p_promise_seconds)
$$;

-- A committed answer may be local to a primary whose standby has not got it. This record makes our own
-- commit wait for the standby, and with it for everything before.
CREATE FUNCTION fence() RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT pg_logical_emit_message(true, 'idem', '')
$$;

CREATE FUNCTION place_order(
    p_key uuid, p_warehouse integer, p_skus integer[], p_qtys integer[],
    p_requested_at timestamptz DEFAULT NULL,
    OUT order_id bigint, OUT outcome text, OUT replayed boolean, OUT short_sku integer,
    OUT promise_at timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_hash bytea;
    v_promise timestamptz;
    v_known bytea;
BEGIN
    PERFORM check_lines(p_skus, p_qtys);
    v_hash := sha256(convert_to(concat_ws('|', p_warehouse, p_skus, p_qtys,
        extract(epoch FROM p_requested_at)), 'UTF8'));
    SELECT promise_at(coalesce(p_requested_at, now()), r.time_zone, w.cutoff,
        (SELECT p.promise_seconds FROM sla_policy p ORDER BY p.version DESC LIMIT 1))
        INTO v_promise
        FROM warehouse w JOIN region r ON r.code = w.region WHERE w.id = p_warehouse;
    IF v_promise IS NULL THEN
        RAISE EXCEPTION 'warehouse %: unknown, or no policy is set', p_warehouse
            USING ERRCODE = 'IM002';
    END IF;

    -- Claims the key first: whoever sends it again meanwhile waits here, holding no stock.
    INSERT INTO sales_order AS o (idem_key, body_hash, warehouse_id, outcome, status,
            requested_at, promise_at)
        VALUES (p_key, v_hash, p_warehouse, 'accepted', 'open',
            coalesce(p_requested_at, now()), v_promise)
        ON CONFLICT (idem_key) DO NOTHING
        RETURNING o.id INTO order_id;
    IF order_id IS NULL THEN
        SELECT o.id, o.outcome, true, o.short_sku, o.promise_at, o.body_hash
            INTO order_id, outcome, replayed, short_sku, promise_at, v_known
            FROM sales_order o WHERE o.idem_key = p_key;
        PERFORM fence();
        IF v_known <> v_hash THEN
            RAISE EXCEPTION 'key %: already used with another body', p_key
                USING ERRCODE = 'IM001';
        END IF;
        RETURN;
    END IF;
    replayed := false;

    FOR i IN 1..cardinality(p_skus) LOOP
        UPDATE stock s SET available = s.available - p_qtys[i], reserved = s.reserved + p_qtys[i]
            WHERE s.warehouse_id = p_warehouse AND s.sku_id = p_skus[i]
                AND s.available >= p_qtys[i];
        IF NOT FOUND THEN
            IF NOT EXISTS (SELECT FROM sku k WHERE k.id = p_skus[i]) THEN
                RAISE EXCEPTION 'sku %: unknown', p_skus[i] USING ERRCODE = 'IM002';
            END IF;
            -- Compensated by hand: an EXCEPTION block would cost every order a subtransaction.
            FOR j IN 1..i - 1 LOOP
                UPDATE stock s SET available = s.available + p_qtys[j],
                        reserved = s.reserved - p_qtys[j]
                    WHERE s.warehouse_id = p_warehouse AND s.sku_id = p_skus[j];
            END LOOP;
            UPDATE sales_order o SET outcome = 'rejected', status = 'rejected',
                    short_sku = p_skus[i], promise_at = NULL
                WHERE o.id = order_id;
            outcome := 'rejected';
            short_sku := p_skus[i];
            RETURN;
        END IF;
    END LOOP;

    INSERT INTO order_line (order_id, sku_id, qty)
        SELECT place_order.order_id, l.sku, l.qty FROM unnest(p_skus, p_qtys) AS l (sku, qty);
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        SELECT l.sku, p_warehouse, 'A', p_warehouse, 'R', l.qty, 'order', place_order.order_id
            FROM unnest(p_skus, p_qtys) AS l (sku, qty);
    outcome := 'accepted';
    promise_at := v_promise;
END $$;

-- Resolves doubt: what it shows survives a failover. Absence is not final while an earlier attempt
-- may still be running; only sending the same key again settles it.
CREATE FUNCTION get_order_fenced(p_key uuid) RETURNS TABLE (
    order_id bigint, outcome text, status text, warehouse_id integer, short_sku integer,
    requested_at timestamptz, placed_at timestamptz, promise_at timestamptz, closed_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM fence();
    RETURN QUERY SELECT o.id, o.outcome, o.status, o.warehouse_id, o.short_sku, o.requested_at,
        o.placed_at, o.promise_at, o.closed_at FROM sales_order o WHERE o.idem_key = p_key;
END $$;

-- Claims a key for anything but an order. NULL: it was done before, with the same body.
CREATE FUNCTION claim_request(p_key uuid, p_kind text, p_body text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
    v_hash bytea := sha256(convert_to(p_body, 'UTF8'));
    v_known request;
BEGIN
    INSERT INTO request AS q (idem_key, kind, body_hash) VALUES (p_key, p_kind, v_hash)
        ON CONFLICT (idem_key) DO NOTHING RETURNING q.id INTO v_id;
    IF v_id IS NULL THEN
        SELECT q.* INTO v_known FROM request q WHERE q.idem_key = p_key;
        PERFORM fence();
        IF v_known.kind <> p_kind OR v_known.body_hash <> v_hash THEN
            RAISE EXCEPTION 'key %: already used with another body', p_key
                USING ERRCODE = 'IM001';
        END IF;
    END IF;
    RETURN v_id;
END $$;

-- Ships lines of an order, all that is left when p_skus is NULL. False: it was a replay.
CREATE FUNCTION ship(p_key uuid, p_order uuid, p_skus integer[], p_qtys integer[],
    p_carrier text, p_shipped_at timestamptz DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_request bigint;
    v_order sales_order;
    v_at timestamptz := coalesce(p_shipped_at, now());
    v_skus integer[] := p_skus;
    v_qtys integer[] := p_qtys;
    v_updated integer;
BEGIN
    v_request := claim_request(p_key, 'ship', jsonb_build_array(p_order, p_skus, p_qtys,
        p_carrier, extract(epoch FROM p_shipped_at))::text);
    IF v_request IS NULL THEN
        RETURN false;
    END IF;
    SELECT o.* INTO v_order FROM sales_order o WHERE o.idem_key = p_order;
    IF v_order.id IS NULL THEN
        RAISE EXCEPTION 'order %: unknown', p_order USING ERRCODE = 'IM002';
    END IF;
    IF p_skus IS NULL THEN
        SELECT array_agg(l.sku_id ORDER BY l.sku_id), array_agg(l.qty - l.shipped ORDER BY l.sku_id)
            INTO v_skus, v_qtys
            FROM order_line l WHERE l.order_id = v_order.id AND l.shipped < l.qty;
        IF v_skus IS NULL THEN
            RAISE EXCEPTION 'order % is %: nothing is left to ship', p_order, v_order.status
                USING ERRCODE = 'IM005';
        END IF;
    END IF;
    PERFORM check_lines(v_skus, v_qtys);
    FOR i IN 1..cardinality(v_skus) LOOP
        UPDATE stock s SET reserved = s.reserved - v_qtys[i]
            WHERE s.warehouse_id = v_order.warehouse_id AND s.sku_id = v_skus[i]
                AND s.reserved >= v_qtys[i];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'sku %: not so much is reserved', v_skus[i] USING ERRCODE = 'IM005';
        END IF;
    END LOOP;
    -- Stock rows first, then the order: the one lock order of all functions.
    SELECT o.* INTO v_order FROM sales_order o WHERE o.id = v_order.id FOR NO KEY UPDATE;
    IF v_order.status <> 'open' THEN
        RAISE EXCEPTION 'order % is %', p_order, v_order.status USING ERRCODE = 'IM005';
    END IF;
    UPDATE order_line l SET shipped = l.shipped + x.qty
        FROM unnest(v_skus, v_qtys) AS x (sku, qty)
        WHERE l.order_id = v_order.id AND l.sku_id = x.sku AND l.shipped + x.qty <= l.qty;
    GET DIAGNOSTICS v_updated = ROW_COUNT;
    IF v_updated <> cardinality(v_skus) THEN
        RAISE EXCEPTION 'order %: more than its lines', p_order USING ERRCODE = 'IM005';
    END IF;
    INSERT INTO shipment (request_id, order_id, carrier, shipped_at)
        VALUES (v_request, v_order.id, p_carrier, v_at);
    INSERT INTO shipment_line (request_id, sku_id, qty)
        SELECT v_request, x.sku, x.qty FROM unnest(v_skus, v_qtys) AS x (sku, qty);
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        SELECT x.sku, v_order.warehouse_id, 'R', NULL, 'C', x.qty, 'ship', v_order.id
            FROM unnest(v_skus, v_qtys) AS x (sku, qty);
    IF NOT EXISTS (SELECT FROM order_line l WHERE l.order_id = v_order.id AND l.shipped < l.qty) THEN
        UPDATE sales_order o SET status = 'shipped',
                closed_at = (SELECT max(h.shipped_at) FROM shipment h WHERE h.order_id = o.id)
            WHERE o.id = v_order.id;
        INSERT INTO outbox (topic, payload)
            VALUES ('order.shipped', jsonb_build_object('key', p_order));
    END IF;
    RETURN true;
END $$;

-- Gives back what is reserved and not shipped. False: it was a replay.
CREATE FUNCTION cancel_order(p_key uuid, p_order uuid, p_cancelled_at timestamptz DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_request bigint;
    v_order sales_order;
    v_lines order_line[];
    v_line order_line;
BEGIN
    v_request := claim_request(p_key, 'cancel', jsonb_build_array(p_order,
        extract(epoch FROM p_cancelled_at))::text);
    IF v_request IS NULL THEN
        RETURN false;
    END IF;
    SELECT o.* INTO v_order FROM sales_order o WHERE o.idem_key = p_order;
    IF v_order.id IS NULL THEN
        RAISE EXCEPTION 'order %: unknown', p_order USING ERRCODE = 'IM002';
    END IF;
    IF v_order.status <> 'open' THEN
        RAISE EXCEPTION 'order % is %', p_order, v_order.status USING ERRCODE = 'IM005';
    END IF;
    SELECT array_agg(l ORDER BY l.sku_id) INTO v_lines FROM order_line l
        WHERE l.order_id = v_order.id AND l.shipped < l.qty;
    FOREACH v_line IN ARRAY coalesce(v_lines, '{}') LOOP
        UPDATE stock s SET available = s.available + (v_line.qty - v_line.shipped),
                reserved = s.reserved - (v_line.qty - v_line.shipped)
            WHERE s.warehouse_id = v_order.warehouse_id AND s.sku_id = v_line.sku_id
                AND s.reserved >= v_line.qty - v_line.shipped;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'order %: shipped or cancelled meanwhile', p_order
                USING ERRCODE = 'IM005';
        END IF;
    END LOOP;
    UPDATE sales_order o SET status = 'cancelled', closed_at = coalesce(p_cancelled_at, now())
        WHERE o.id = v_order.id AND o.status = 'open';
    -- A shipment that came between reading the lines and locking them changed what is left.
    IF NOT FOUND OR v_lines IS DISTINCT FROM (SELECT array_agg(l ORDER BY l.sku_id)
            FROM order_line l WHERE l.order_id = v_order.id AND l.shipped < l.qty) THEN
        RAISE EXCEPTION 'order %: not open, or shipped meanwhile', p_order
            USING ERRCODE = 'IM005';
    END IF;
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        SELECT l.sku_id, v_order.warehouse_id, 'R', v_order.warehouse_id, 'A', l.qty - l.shipped,
            'cancel', v_order.id
            FROM order_line l WHERE l.order_id = v_order.id AND l.shipped < l.qty;
    INSERT INTO outbox (topic, payload)
        VALUES ('order.cancelled', jsonb_build_object('key', p_order));
    RETURN true;
END $$;
