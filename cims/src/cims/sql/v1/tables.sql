-- The nouns of the inventory. Hot tables (stock, movement, sales_order, order_line) carry no
-- foreign keys to warehouse and sku: a line only exists after its stock row was updated, and that row
-- has both keys. A foreign key would lock the one warehouse row for every order.

CREATE TABLE region (
    code text PRIMARY KEY CHECK (code ~ '^[A-Z]{2,8}$'),
    time_zone text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE TABLE warehouse (
    id integer PRIMARY KEY CHECK (id > 0),
    code text NOT NULL UNIQUE,
    region text NOT NULL REFERENCES region,
    priority integer NOT NULL CHECK (priority > 0),
    -- Local time after which an order counts as asked for at the start of the next day; NULL: never.
    cutoff time,
    UNIQUE (region, priority)
);

CREATE TABLE sku (
    id integer PRIMARY KEY CHECK (id > 0),
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    reorder_point integer NOT NULL DEFAULT 0 CHECK (reorder_point >= 0),
    unit_price_cents bigint NOT NULL DEFAULT 0 CHECK (unit_price_cents >= 0)
);

-- The balance. The checks are the last line: no code path may sell what is not there.
CREATE TABLE stock (
    warehouse_id integer NOT NULL REFERENCES warehouse,
    sku_id integer NOT NULL REFERENCES sku,
    available integer NOT NULL DEFAULT 0 CHECK (available >= 0),
    reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    inbound integer NOT NULL DEFAULT 0 CHECK (inbound >= 0),
    quarantine integer NOT NULL DEFAULT 0 CHECK (quarantine >= 0),
    PRIMARY KEY (warehouse_id, sku_id)
) WITH (fillfactor = 50);

-- The truth. Each row moves qty from one bucket to another: A available, R reserved, I inbound,
-- Q quarantine belong to a warehouse; S supplier, C customer, L loss are outside and have none.
CREATE TABLE movement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    sku_id integer NOT NULL,
    from_warehouse integer,
    from_bucket "char" NOT NULL,
    to_warehouse integer,
    to_bucket "char" NOT NULL,
    qty integer NOT NULL CHECK (qty > 0),
    kind text NOT NULL CHECK (kind IN ('order', 'ship', 'cancel', 'receive', 'adjust',
        'quarantine', 'transfer', 'sync')),
    -- order, ship, cancel: sales_order.id; sync: applied_batch.id; else request.id.
    ref bigint NOT NULL,
    CHECK (from_bucket IN ('A', 'R', 'I', 'Q', 'S', 'C', 'L')),
    CHECK (to_bucket IN ('A', 'R', 'I', 'Q', 'S', 'C', 'L')),
    CHECK ((from_warehouse IS NULL) = (from_bucket IN ('S', 'C', 'L'))),
    CHECK ((to_warehouse IS NULL) = (to_bucket IN ('S', 'C', 'L')))
);
CREATE INDEX movement_ref ON movement (ref, kind);
CREATE INDEX movement_at ON movement USING brin (at);

CREATE FUNCTION movement_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger only grows: % is refused', TG_OP USING ERRCODE = 'IM008';
END $$;
CREATE TRIGGER movement_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON movement
    FOR EACH STATEMENT EXECUTE FUNCTION movement_is_kept();

-- A time that a caller gives and others read again. PostgreSQL keeps times that no client can read;
-- one of them, once stored, would make every report unreadable.
CREATE FUNCTION in_our_times(p_at timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_at >= '1970-01-01 00:00:00+00' AND p_at < '2970-01-01 00:00:00+00'
$$;

-- One row per key that was ever answered, rejected ones too: a retry gets the same answer.
CREATE TABLE sales_order (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idem_key uuid NOT NULL UNIQUE,
    body_hash bytea NOT NULL,
    warehouse_id integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'rejected')),
    status text NOT NULL CHECK (status IN ('open', 'shipped', 'cancelled', 'rejected')),
    -- When the customer asked. The promise counts from here, however late the answer came.
    requested_at timestamptz NOT NULL CHECK (in_our_times(requested_at)),
    placed_at timestamptz NOT NULL DEFAULT now(),
    promise_at timestamptz,
    short_sku integer,
    closed_at timestamptz CHECK (in_our_times(closed_at)),
    CHECK ((outcome = 'rejected') = (status = 'rejected')),
    CHECK ((outcome = 'rejected') = (short_sku IS NOT NULL)),
    CHECK ((outcome = 'accepted') = (promise_at IS NOT NULL)),
    CHECK ((closed_at IS NOT NULL) = (status IN ('shipped', 'cancelled')))
) WITH (fillfactor = 80);
CREATE INDEX sales_order_open ON sales_order (promise_at) WHERE status = 'open';

CREATE TABLE order_line (
    order_id bigint NOT NULL,
    sku_id integer NOT NULL,
    qty integer NOT NULL CHECK (qty > 0),
    shipped integer NOT NULL DEFAULT 0 CHECK (shipped >= 0 AND shipped <= qty),
    PRIMARY KEY (order_id, sku_id)
) WITH (fillfactor = 80);

-- The idempotency record of everything but orders, which are their own.
CREATE TABLE request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idem_key uuid NOT NULL UNIQUE,
    kind text NOT NULL,
    body_hash bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE shipment (
    request_id bigint PRIMARY KEY REFERENCES request,
    order_id bigint NOT NULL REFERENCES sales_order,
    carrier text NOT NULL,
    shipped_at timestamptz NOT NULL CHECK (in_our_times(shipped_at)),
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX shipment_order ON shipment (order_id);
CREATE TABLE shipment_line (
    request_id bigint NOT NULL REFERENCES shipment,
    sku_id integer NOT NULL REFERENCES sku,
    qty integer NOT NULL CHECK (qty > 0),
    PRIMARY KEY (request_id, sku_id)
);

CREATE TABLE receipt (
    request_id bigint PRIMARY KEY REFERENCES request,
    warehouse_id integer NOT NULL REFERENCES warehouse,
    supplier text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE transfer (
    request_id bigint PRIMARY KEY REFERENCES request,
    from_warehouse integer NOT NULL REFERENCES warehouse,
    to_warehouse integer NOT NULL REFERENCES warehouse CHECK (to_warehouse <> from_warehouse),
    sent_at timestamptz NOT NULL DEFAULT now(),
    arrived_at timestamptz
);
CREATE TABLE transfer_line (
    request_id bigint NOT NULL REFERENCES transfer,
    sku_id integer NOT NULL REFERENCES sku,
    qty integer NOT NULL CHECK (qty > 0),
    PRIMARY KEY (request_id, sku_id)
);

-- A policy is never changed, only followed by the next version.
CREATE TABLE sla_policy (
    version integer PRIMARY KEY CHECK (version > 0),
    name text NOT NULL UNIQUE,
    promise_seconds integer NOT NULL CHECK (promise_seconds > 0),
    grace_seconds integer NOT NULL CHECK (grace_seconds >= 0),
    flat_cents bigint NOT NULL CHECK (flat_cents >= 0),
    per_hour_cents bigint NOT NULL CHECK (per_hour_cents >= 0),
    cap_cents bigint NOT NULL CHECK (cap_cents >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE penalty (
    order_id bigint NOT NULL REFERENCES sales_order,
    policy_version integer NOT NULL REFERENCES sla_policy,
    late_from timestamptz NOT NULL,
    late_until timestamptz NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents >= 0),
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, policy_version)
);

-- What other regions must hear of, in the order of its id.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

-- How far each feed of a region is applied: up to last_seq, which tells of the region until feed_at.
CREATE TABLE sync_cursor (
    source text PRIMARY KEY,
    region text NOT NULL REFERENCES region,
    last_seq bigint NOT NULL,
    feed_at timestamptz NOT NULL CHECK (in_our_times(feed_at)),
    at timestamptz NOT NULL
);
CREATE TABLE applied_batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    seq bigint NOT NULL,
    body_hash bytea NOT NULL,
    feed_at timestamptz NOT NULL CHECK (in_our_times(feed_at)),
    applied_at timestamptz NOT NULL CHECK (in_our_times(applied_at)),
    rows integer NOT NULL CHECK (rows >= 0),
    conflicts integer NOT NULL CHECK (conflicts >= 0),
    UNIQUE (source, seq)
);

-- What `cims check` last proved; the dashboard shows it.
CREATE TABLE proof (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    held boolean NOT NULL,
    summary text NOT NULL CHECK (length(summary) <= 2000)
);

-- Readiness writes here, so that "takes writes" is seen and not assumed.
CREATE TABLE heartbeat (
    id integer PRIMARY KEY CHECK (id = 1),
    at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO heartbeat (id) VALUES (1);
