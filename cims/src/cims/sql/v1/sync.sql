-- Region feeds. A batch is applied once per (source, seq), in sequence; IM007 names the one expected.

-- Rows are deltas, strictly ascending by (warehouse, SKU): goods that came (from S) or went (to L).
-- Where a region reports more gone than is free, what is free is taken and the rest is a conflict for
-- a person, told in the outbox: orders that were accepted stay accepted.
CREATE FUNCTION apply_sync_batch(
    p_source text, p_region text, p_seq bigint,
    p_warehouses integer[], p_skus integer[], p_deltas integer[],
    p_feed_at timestamptz, p_applied_at timestamptz DEFAULT NULL,
    OUT applied boolean, OUT last_seq bigint, OUT conflicts integer
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_hash bytea := sha256(convert_to(
        jsonb_build_array(p_region, p_warehouses, p_skus, p_deltas,
            extract(epoch FROM p_feed_at))::text, 'UTF8'));
    v_at timestamptz := coalesce(p_applied_at, clock_timestamp());
    v_rows integer := coalesce(cardinality(p_skus), 0);
    v_batch bigint;
    v_known applied_batch;
    v_cursor sync_cursor;
    v_free integer;
    v_moved integer[] := '{}';
    v_conflicts jsonb := '[]';
BEGIN
    IF v_rows > 1000 OR v_rows <> coalesce(cardinality(p_warehouses), 0)
            OR v_rows <> coalesce(cardinality(p_deltas), 0) THEN
        RAISE EXCEPTION 'at most 1000 rows of warehouse, SKU and delta' USING ERRCODE = 'IM004';
    END IF;
    IF NOT EXISTS (SELECT FROM region r WHERE r.code = p_region) THEN
        RAISE EXCEPTION 'region %: unknown', p_region USING ERRCODE = 'IM002';
    END IF;

    -- The cursor's row serialises one source; sources do not wait for each other.
    INSERT INTO sync_cursor (source, region, last_seq, feed_at, at)
        VALUES (p_source, p_region, 0, p_feed_at, v_at) ON CONFLICT (source) DO NOTHING;
    SELECT c.* INTO v_cursor FROM sync_cursor c WHERE c.source = p_source FOR UPDATE;
    IF v_cursor.region <> p_region THEN
        RAISE EXCEPTION 'source %: belongs to region %', p_source, v_cursor.region
            USING ERRCODE = 'IM004';
    END IF;
    IF p_seq <= v_cursor.last_seq THEN
        SELECT b.* INTO v_known FROM applied_batch b WHERE b.source = p_source AND b.seq = p_seq;
        PERFORM fence();
        IF v_known.body_hash IS DISTINCT FROM v_hash THEN
            RAISE EXCEPTION 'batch % %: already applied with another body', p_source, p_seq
                USING ERRCODE = 'IM001';
        END IF;
        applied := false;
        last_seq := v_cursor.last_seq;
        conflicts := v_known.conflicts;
        RETURN;
    END IF;
    IF p_seq <> v_cursor.last_seq + 1 THEN
        RAISE EXCEPTION 'batch % %: expected %', p_source, p_seq, v_cursor.last_seq + 1
            USING ERRCODE = 'IM007';
    END IF;

    FOR i IN 1..v_rows LOOP
        IF p_deltas[i] IS NULL OR p_deltas[i] = 0 OR abs(p_deltas[i]) > 1000000 THEN
            RAISE EXCEPTION 'row %: delta must be 1 to 1000000, either sign', i
                USING ERRCODE = 'IM004';
        END IF;
        IF i > 1 AND (p_warehouses[i], p_skus[i]) <= (p_warehouses[i - 1], p_skus[i - 1]) THEN
            RAISE EXCEPTION 'row %: rows must be sorted by warehouse and SKU, and distinct', i
                USING ERRCODE = 'IM003';
        END IF;
        IF NOT EXISTS (SELECT FROM warehouse w
                WHERE w.id = p_warehouses[i] AND w.region = p_region) THEN
            RAISE EXCEPTION 'warehouse %: not of region %', p_warehouses[i], p_region
                USING ERRCODE = 'IM002';
        END IF;
        PERFORM check_known(p_warehouses[i], ARRAY[p_skus[i]]);
        INSERT INTO stock (warehouse_id, sku_id) VALUES (p_warehouses[i], p_skus[i])
            ON CONFLICT DO NOTHING;
        SELECT s.available INTO v_free FROM stock s
            WHERE s.warehouse_id = p_warehouses[i] AND s.sku_id = p_skus[i] FOR NO KEY UPDATE;
        v_moved[i] := greatest(p_deltas[i], -v_free);
        IF v_moved[i] <> p_deltas[i] THEN
            v_conflicts := v_conflicts || jsonb_build_object('warehouse', p_warehouses[i],
                'sku', p_skus[i], 'missing', v_moved[i] - p_deltas[i]);
        END IF;
        UPDATE stock s SET available = s.available + v_moved[i]
            WHERE s.warehouse_id = p_warehouses[i] AND s.sku_id = p_skus[i];
    END LOOP;

    conflicts := jsonb_array_length(v_conflicts);
    INSERT INTO applied_batch AS b (source, seq, body_hash, feed_at, applied_at, rows, conflicts)
        VALUES (p_source, p_seq, v_hash, p_feed_at, v_at, v_rows, jsonb_array_length(v_conflicts))
        RETURNING b.id INTO v_batch;
    INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty, kind,
            ref)
        SELECT x.sku,
            CASE WHEN x.moved < 0 THEN x.wh END, CASE WHEN x.moved < 0 THEN 'A' ELSE 'S' END,
            CASE WHEN x.moved > 0 THEN x.wh END, CASE WHEN x.moved > 0 THEN 'A' ELSE 'L' END,
            abs(x.moved), 'sync', v_batch
            FROM unnest(p_warehouses, p_skus, v_moved) AS x (wh, sku, moved) WHERE x.moved <> 0;
    UPDATE sync_cursor c SET last_seq = p_seq, feed_at = greatest(c.feed_at, p_feed_at), at = v_at
        WHERE c.source = p_source;
    IF v_conflicts <> '[]' THEN
        INSERT INTO outbox (topic, payload) VALUES ('sync.conflict', jsonb_build_object(
            'source', p_source, 'seq', p_seq, 'rows', v_conflicts));
    END IF;
    applied := true;
    last_seq := p_seq;
END $$;

-- How far a region's stock is behind: now less the moment its slowest feed is applied up to.
CREATE FUNCTION sync_delays(p_at timestamptz, p_since timestamptz DEFAULT '-infinity')
RETURNS TABLE (region text, lag_seconds double precision, last_seq bigint,
    worst_delay_seconds double precision, batches bigint)
LANGUAGE sql STABLE AS $$
    SELECT r.code,
        (SELECT greatest(0, extract(epoch FROM p_at - min(c.feed_at)))::double precision
            FROM sync_cursor c WHERE c.region = r.code HAVING count(*) > 0),
        (SELECT min(c.last_seq) FROM sync_cursor c WHERE c.region = r.code),
        CASE WHEN b.n > 0 THEN greatest(0, b.worst) END, b.n
    FROM region r CROSS JOIN LATERAL (
        SELECT max(extract(epoch FROM a.applied_at - a.feed_at))::double precision AS worst,
            count(*) AS n
        FROM applied_batch a JOIN sync_cursor c USING (source)
        WHERE c.region = r.code AND a.applied_at >= p_since AND a.applied_at <= p_at) b
    ORDER BY r.code
$$;
