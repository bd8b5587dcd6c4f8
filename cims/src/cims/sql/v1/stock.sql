-- Receipts, adjustments, quarantine and transfers. Each changes stock in ascending (warehouse, SKU)
-- order, then writes its movements. The boolean is false for a replay.

-- An unknown warehouse or SKU said by name. It locks nothing: a stock row that is new is made by the
-- statement that fills it, in its turn, or making it would break the lock order.
CREATE FUNCTION check_known(p_warehouse integer, p_skus integer[]) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_unknown integer;
BEGIN
    IF NOT EXISTS (SELECT FROM warehouse w WHERE w.id = p_warehouse) THEN
        RAISE EXCEPTION 'warehouse %: unknown', p_warehouse USING ERRCODE = 'IM002';
    END IF;
    SELECT x.sku INTO v_unknown FROM unnest(p_skus) AS x (sku)
        WHERE NOT EXISTS (SELECT FROM sku k WHERE k.id = x.sku) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'sku %: unknown', v_unknown USING ERRCODE = 'IM002';
    END IF;
END $$;

CREATE FUNCTION receive(p_key uuid, p_warehouse integer, p_skus integer[], p_qtys integer[],
    p_supplier text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_request bigint;
BEGIN
    v_request := claim_request(p_key, 'receive',
        jsonb_build_array(p_warehouse, p_skus, p_qtys, p_supplier)::text);
    IF v_request IS NULL THEN
        RETURN false;
    END IF;
    PERFORM check_lines(p_skus, p_qtys);
    PERFORM check_known(p_warehouse, p_skus);
    FOR i IN 1..cardinality(p_skus) LOOP
        INSERT INTO stock AS s (warehouse_id, sku_id, available)
            VALUES (p_warehouse, p_skus[i], p_qtys[i])
            ON CONFLICT (warehouse_id, sku_id)
                DO UPDATE SET available = s.available + excluded.available;
    END LOOP;
    INSERT INTO receipt (request_id, warehouse_id, supplier)
        VALUES (v_request, p_warehouse, p_supplier);
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        SELECT x.sku, NULL, 'S', p_warehouse, 'A', x.qty, 'receive', v_request
            FROM unnest(p_skus, p_qtys) AS x (sku, qty);
    RETURN true;
END $$;

-- A counted difference: found goods come from L, missing ones go to L. Never below what is available.
CREATE FUNCTION adjust(p_key uuid, p_warehouse integer, p_sku integer, p_delta integer,
    p_reason text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_request bigint;
BEGIN
    v_request := claim_request(p_key, 'adjust',
        jsonb_build_array(p_warehouse, p_sku, p_delta, p_reason)::text);
    IF v_request IS NULL THEN
        RETURN false;
    END IF;
    PERFORM check_lines(ARRAY[p_sku], ARRAY[abs(p_delta)]);
    PERFORM check_known(p_warehouse, ARRAY[p_sku]);
    INSERT INTO stock (warehouse_id, sku_id) VALUES (p_warehouse, p_sku) ON CONFLICT DO NOTHING;
    UPDATE stock s SET available = s.available + p_delta
        WHERE s.warehouse_id = p_warehouse AND s.sku_id = p_sku AND s.available + p_delta >= 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'sku %: not so much is available', p_sku USING ERRCODE = 'IM006';
    END IF;
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        VALUES (p_sku,
            CASE WHEN p_delta < 0 THEN p_warehouse END, CASE WHEN p_delta < 0 THEN 'A' ELSE 'L' END,
            CASE WHEN p_delta > 0 THEN p_warehouse END, CASE WHEN p_delta > 0 THEN 'A' ELSE 'L' END,
            abs(p_delta), 'adjust', v_request);
    RETURN true;
END $$;

-- Sets goods aside (positive) or gives them back (negative).
CREATE FUNCTION quarantine(p_key uuid, p_warehouse integer, p_sku integer, p_qty integer)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_request bigint;
BEGIN
    v_request := claim_request(p_key, 'quarantine',
        jsonb_build_array(p_warehouse, p_sku, p_qty)::text);
    IF v_request IS NULL THEN
        RETURN false;
    END IF;
    PERFORM check_lines(ARRAY[p_sku], ARRAY[abs(p_qty)]);
    PERFORM check_known(p_warehouse, ARRAY[p_sku]);
    INSERT INTO stock (warehouse_id, sku_id) VALUES (p_warehouse, p_sku) ON CONFLICT DO NOTHING;
    UPDATE stock s SET available = s.available - p_qty, quarantine = s.quarantine + p_qty
        WHERE s.warehouse_id = p_warehouse AND s.sku_id = p_sku
            AND s.available - p_qty >= 0 AND s.quarantine + p_qty >= 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'sku %: not so much is there', p_sku USING ERRCODE = 'IM006';
    END IF;
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        VALUES (p_sku, p_warehouse, CASE WHEN p_qty > 0 THEN 'A' ELSE 'Q' END,
            p_warehouse, CASE WHEN p_qty > 0 THEN 'Q' ELSE 'A' END, abs(p_qty), 'quarantine',
            v_request);
    RETURN true;
END $$;

-- Goods leave one warehouse and are inbound at the other until transfer_in.
CREATE FUNCTION transfer_out(p_key uuid, p_from integer, p_to integer, p_skus integer[],
    p_qtys integer[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_request bigint;
    v_warehouse integer;
BEGIN
    v_request := claim_request(p_key, 'transfer_out',
        jsonb_build_array(p_from, p_to, p_skus, p_qtys)::text);
    IF v_request IS NULL THEN
        RETURN false;
    END IF;
    PERFORM check_lines(p_skus, p_qtys);
    IF p_from = p_to THEN
        RAISE EXCEPTION 'warehouse %: a transfer needs two', p_from USING ERRCODE = 'IM004';
    END IF;
    FOREACH v_warehouse IN ARRAY ARRAY[least(p_from, p_to), greatest(p_from, p_to)] LOOP
        PERFORM check_known(v_warehouse, p_skus);
        FOR i IN 1..cardinality(p_skus) LOOP
            IF v_warehouse = p_to THEN
                INSERT INTO stock AS s (warehouse_id, sku_id, inbound)
                    VALUES (p_to, p_skus[i], p_qtys[i])
                    ON CONFLICT (warehouse_id, sku_id)
                        DO UPDATE SET inbound = s.inbound + excluded.inbound;
            ELSE
                UPDATE stock s SET available = s.available - p_qtys[i]
                    WHERE s.warehouse_id = p_from AND s.sku_id = p_skus[i]
                        AND s.available >= p_qtys[i];
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'sku %: not so much is available', p_skus[i]
                        USING ERRCODE = 'IM006';
                END IF;
            END IF;
        END LOOP;
    END LOOP;
    INSERT INTO transfer (request_id, from_warehouse, to_warehouse)
        VALUES (v_request, p_from, p_to);
    INSERT INTO transfer_line (request_id, sku_id, qty)
        SELECT v_request, x.sku, x.qty FROM unnest(p_skus, p_qtys) AS x (sku, qty);
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        SELECT x.sku, p_from, 'A', p_to, 'I', x.qty, 'transfer', v_request
            FROM unnest(p_skus, p_qtys) AS x (sku, qty);
    INSERT INTO outbox (topic, payload)
        VALUES ('transfer.sent', jsonb_build_object('key', p_key));
    RETURN true;
END $$;

-- The whole transfer arrived.
CREATE FUNCTION transfer_in(p_key uuid, p_transfer uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_request bigint;
    v_transfer transfer;
    v_line transfer_line;
BEGIN
    v_request := claim_request(p_key, 'transfer_in', p_transfer::text);
    IF v_request IS NULL THEN
        RETURN false;
    END IF;
    SELECT t.* INTO v_transfer FROM transfer t JOIN request q ON q.id = t.request_id
        WHERE q.idem_key = p_transfer;
    IF v_transfer.request_id IS NULL THEN
        RAISE EXCEPTION 'transfer %: unknown', p_transfer USING ERRCODE = 'IM002';
    END IF;
    IF v_transfer.arrived_at IS NOT NULL THEN
        RAISE EXCEPTION 'transfer %: arrived before', p_transfer USING ERRCODE = 'IM005';
    END IF;
    FOR v_line IN SELECT l.* FROM transfer_line l WHERE l.request_id = v_transfer.request_id
            ORDER BY l.sku_id LOOP
        UPDATE stock s SET inbound = s.inbound - v_line.qty, available = s.available + v_line.qty
            WHERE s.warehouse_id = v_transfer.to_warehouse AND s.sku_id = v_line.sku_id
                AND s.inbound >= v_line.qty;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'transfer %: arrived before', p_transfer USING ERRCODE = 'IM005';
        END IF;
    END LOOP;
    UPDATE transfer t SET arrived_at = now()
        WHERE t.request_id = v_transfer.request_id AND t.arrived_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'transfer %: arrived before', p_transfer USING ERRCODE = 'IM005';
    END IF;
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        SELECT l.sku_id, v_transfer.to_warehouse, 'I', v_transfer.to_warehouse, 'A', l.qty,
            'transfer', v_request
            FROM transfer_line l WHERE l.request_id = v_transfer.request_id;
    RETURN true;
END $$;
