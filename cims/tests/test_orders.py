"""Orders: never more than there is, once per key, and nothing left behind by what was refused."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cims.orders import OrderRequest, Outcome
from cims.store import Refused, Store

# PostgreSQL keeps them; Python cannot hold them.
NO_TIMES = ["9999-12-31 23:59:59+00", "0001-12-31 10:00:00+00 BC", "infinity", "-infinity"]


def _order(lines, *, key=None, warehouse=1, requested_at=None):
    return OrderRequest(
        key=key or uuid.uuid4(), warehouse_id=warehouse, lines=lines, requested_at=requested_at
    )


def _balance(store, sku, warehouse=1):
    row = store.call(
        "SELECT available, reserved, inbound, quarantine FROM stock"
        " WHERE warehouse_id = %s AND sku_id = %s",
        (warehouse, sku),
    )[0]
    return tuple(row.values())


def _unexplained(store):
    """Rows where the ledger and the balance differ."""
    return store.call("""
        WITH flow AS (
            SELECT to_warehouse AS w, sku_id, to_bucket AS b, qty AS n FROM movement
            UNION ALL SELECT from_warehouse, sku_id, from_bucket, -qty FROM movement),
        ledger AS (SELECT w, sku_id, b, sum(n) AS n FROM flow WHERE w IS NOT NULL GROUP BY 1, 2, 3),
        balance AS (SELECT warehouse_id AS w, sku_id, x.b, x.n FROM stock, LATERAL (VALUES
            ('A'::"char", available), ('R', reserved), ('I', inbound), ('Q', quarantine)) x (b, n))
        SELECT * FROM ledger l FULL JOIN balance s USING (w, sku_id, b)
        WHERE coalesce(l.n, 0) <> coalesce(s.n, 0)""")


def test_five_hundred_units_are_sold_exactly_once(dsn, server):
    """32 clients ask 1,280 times for 500 units: 500 get one, 780 hear "short", none deadlocks.

    Each order names three SKUs, the scarce one between two that are plenty, so that locks cross
    and what a refused order took before it was refused must come back.
    """
    with Store(dsn, connections=32, attempt_seconds=60) as store:
        store.call(
            "SELECT receive(gen_random_uuid(), 1, ARRAY[7, 8, 9], ARRAY[400, 4900, 4900], 'test')"
        )
        log_before = (server.folder / "log").read_text()
        gate = threading.Barrier(32)

        def client(_):
            gate.wait(timeout=60)
            return [store.place_once(_order({7: 1, 8: 1, 9: 1})) for _ in range(40)]

        with ThreadPoolExecutor(32) as clients:
            replies = [reply for found in clients.map(client, range(32)) for reply in found]
        outcomes = [reply.outcome for reply in replies]
        assert outcomes.count(Outcome.ACCEPTED) == 500
        assert outcomes.count(Outcome.REJECTED) == 780
        assert {r.short_sku for r in replies if r.outcome is Outcome.REJECTED} == {7}
        assert _balance(store, 7) == (0, 500, 0, 0)
        assert _balance(store, 8) == (4500, 500, 0, 0)
        assert not _unexplained(store)
        assert "deadlock" not in (server.folder / "log").read_text()[len(log_before) :]


def test_crossing_writes_of_every_kind_do_not_deadlock(dsn, server):
    """Orders, receipts, transfers both ways and region feeds over the same SKUs finish in peace."""
    log_before = (server.folder / "log").read_text()
    skus = list(range(1, 11))
    ones = [1] * len(skus)
    moved = "SELECT transfer_out(gen_random_uuid(), %s, %s, %s::int[], %s::int[])"
    with Store(dsn, connections=12, attempt_seconds=60) as store:
        for warehouse in (1, 2):
            store.call(
                "SELECT receive(gen_random_uuid(), %s, %s::int[], %s::int[], 'test')",
                (warehouse, skus, [1000] * len(skus)),
            )

        def feed(number):
            return store.call(
                "SELECT * FROM apply_sync_batch('crossing', 'USA', %s, %s::int[], %s::int[],"
                " %s::int[], now())",
                (number, [1] * 10 + [2] * 10, skus * 2, [1] * 20),
            )

        def client(index):
            for number in range(1, 26):
                if index == 0:
                    feed(number)
                elif index == 1:
                    store.call(
                        "SELECT receive(gen_random_uuid(), 1, %s::int[], %s::int[], 'test')",
                        (skus, ones),
                    )
                elif index in (2, 3):
                    store.call(moved, ((1, 2) if index == 2 else (2, 1)) + (skus, ones))
                else:
                    lines = dict.fromkeys(skus, 1)
                    assert store.place_once(_order(lines, warehouse=1 + index % 2)).final

        with ThreadPoolExecutor(12) as clients:
            list(clients.map(client, range(12)))
        assert not _unexplained(store)
    assert "deadlock" not in (server.folder / "log").read_text()[len(log_before) :]


def test_a_replay_is_the_first_answer_again(store):
    """The same key and body: same order, same outcome, nothing taken twice."""
    asked = datetime.now(UTC)
    order = _order({3: 2, 1: 5}, requested_at=asked)
    first, again = store.place_once(order), store.place_once(order)
    assert (first.outcome, first.replayed) == (Outcome.ACCEPTED, False)
    assert (again.outcome, again.replayed) == (Outcome.ACCEPTED, True)
    assert (again.order_id, again.promise_at) == (first.order_id, first.promise_at)
    assert _balance(store, 1) == (95, 5, 0, 0)


def test_a_rejection_is_remembered_too(store):
    """A short order stays short for its key, also when goods have come since."""
    order = _order({2: 101})
    assert store.place_once(order).short_sku == 2
    store.call("SELECT receive(gen_random_uuid(), 1, ARRAY[2], ARRAY[50], 'test')")
    again = store.place_once(order)
    assert (again.outcome, again.replayed, again.short_sku) == (Outcome.REJECTED, True, 2)
    assert store.place_once(_order({2: 101})).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "change",
    [
        {"lines": {1: 2}},
        {"lines": {1: 1, 2: 1}},
        {"warehouse": 2},
        {"requested_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_key_belongs_to_one_body(store, change):
    """Another quantity, line, warehouse or time under a used key is refused and does nothing."""
    key = uuid.uuid4()
    store.place_once(_order({1: 1}, key=key))
    reply = store.place_once(_order(**{"lines": {1: 1}, **change}, key=key))
    assert (reply.outcome, reply.sqlstate) == (Outcome.KEY_REUSED, "IM001")
    assert _balance(store, 1) == (99, 1, 0, 0)


def test_one_key_from_many_clients_at_once_is_one_order(dsn):
    """16 senders of one key at the same moment: one order, 15 replays."""
    with Store(dsn, connections=16, attempt_seconds=30) as store:
        order = _order({4: 3})
        gate = threading.Barrier(16)

        def send(_):
            gate.wait(timeout=30)
            return store.place_once(order)

        with ThreadPoolExecutor(16) as clients:
            replies = list(clients.map(send, range(16)))
        assert {r.outcome for r in replies} == {Outcome.ACCEPTED}
        assert sorted(r.replayed for r in replies) == [False] + [True] * 15
        assert _balance(store, 4) == (97, 3, 0, 0)


@pytest.mark.parametrize(
    ("skus", "quantities", "state"),
    [
        ([2, 1], [1, 1], "IM003"),
        ([2, 2], [1, 1], "IM003"),
        ([1], [0], "IM004"),
        ([1], [-3], "IM004"),
        ([1], [1_000_001], "IM004"),
        ([], [], "IM004"),
        ([1, 2], [1], "IM004"),
        ([1], [None], "IM004"),
        ([9999], [1], "IM002"),
        (list(range(1, 1002)), [1] * 1001, "IM004"),
    ],
)
def test_bad_lines_are_refused_by_the_database_itself(store, skus, quantities, state):
    """Whoever calls the function, lines are sorted, distinct, positive and known; nothing stays."""
    with pytest.raises(Refused) as refused:
        store.call(
            "SELECT place_order(gen_random_uuid(), 1, %s::int[], %s::int[])", (skus, quantities)
        )
    assert refused.value.sqlstate == state
    assert not store.call("SELECT FROM sales_order")
    assert not _unexplained(store)


@pytest.mark.parametrize("at", NO_TIMES)
def test_a_time_that_no_client_could_read_is_not_stored(store, at):
    """Refused, and nothing stays: one such order would make each later report unreadable."""
    key = uuid.uuid4()
    for sql in (
        "SELECT * FROM place_order(%s, 1, ARRAY[1], ARRAY[1], %s::timestamptz)",
        "SELECT * FROM apply_sync_batch(%s::text, 'USA', 1, '{}', '{}', '{}', %s::timestamptz)",
    ):
        with pytest.raises(Refused):
            store.call(sql, (key, at))
    placed = store.place_once(_order({1: 1}))
    for sql in (
        "SELECT ship(%s, %s, NULL, NULL, 'ups', %s::timestamptz)",
        "SELECT cancel_order(%s, %s, %s::timestamptz)",
    ):
        with pytest.raises(Refused):
            store.call(sql, (key, placed.key, at))
    assert store.get_order(key) is None
    assert store.get_order(placed.key).status == "open"
    assert store.call("SELECT 1 AS n FROM sync_cursor UNION ALL SELECT 1 FROM shipment") == []


def test_an_unknown_warehouse_is_named(store):
    """The one thing a caller can act on is in the message."""
    reply = store.place_once(_order({1: 1}, warehouse=77))
    assert (reply.outcome, reply.sqlstate) == (Outcome.INVALID, "IM002")
    assert "77" in reply.why


@pytest.mark.parametrize("sql", ["UPDATE movement SET qty = 1", "DELETE FROM movement",
                                 "TRUNCATE movement"])  # fmt: skip
def test_the_ledger_only_grows(store, sql):
    """Not even the owner of the tables changes a movement."""
    before = store.call("SELECT count(*) AS n FROM movement")
    with pytest.raises(Refused) as refused:
        store.call(f"{sql} RETURNING 1" if "TRUNCATE" not in sql else sql)
    assert refused.value.sqlstate == "IM008"
    assert store.call("SELECT count(*) AS n FROM movement") == before


@pytest.mark.parametrize("bucket", ["available", "reserved", "inbound", "quarantine"])
def test_no_balance_can_be_negative(dsn, bucket):
    """A statement that goes around every function still meets the constraint."""
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE stock SET {bucket} = {bucket} - 101 WHERE sku_id = 1")


def test_shipping_in_parts(store):
    """Parts add up; more than the lines is refused; the last part closes the order at its time."""
    order = _order({1: 4, 2: 1})
    store.place_once(order)
    ship = "SELECT ship(%s, %s, %s::int[], %s::int[], 'ups', %s) AS done"
    first = datetime(2026, 3, 1, 10, tzinfo=UTC)
    key = uuid.uuid4()
    assert store.call(ship, (key, order.key, [1], [3], first))[0]["done"]
    assert not store.call(ship, (key, order.key, [1], [3], first))[0]["done"]
    assert store.get_order(order.key).status == "open"
    for skus, quantities in (([1], [2]), ([3], [1])):
        with pytest.raises(Refused) as refused:
            store.call(ship, (uuid.uuid4(), order.key, skus, quantities, first))
        assert refused.value.sqlstate == "IM005"
    last = first + timedelta(hours=2)
    assert store.call(ship, (uuid.uuid4(), order.key, None, None, last))[0]["done"]
    state = store.get_order(order.key)
    assert (state.status, state.closed_at) == ("shipped", last)
    with pytest.raises(Refused):
        store.call(ship, (uuid.uuid4(), order.key, None, None, last))
    assert _balance(store, 1) == (96, 0, 0, 0)
    assert not _unexplained(store)


def test_the_same_goods_are_not_shipped_twice_by_two_clerks(dsn):
    """Two shipments of one order at once, other orders holding stock of the same SKU: one wins."""
    with Store(dsn, connections=8, attempt_seconds=30) as store:
        store.place_once(_order({1: 50}))
        for _ in range(5):
            order = _order({1: 2})
            store.place_once(order)
            gate = threading.Barrier(4)

            def clerk(_, order=order, gate=gate):
                gate.wait(timeout=30)
                try:
                    return store.call(
                        "SELECT ship(gen_random_uuid(), %s, ARRAY[1], ARRAY[2], 'ups') AS done",
                        (order.key,),
                    )[0]["done"]
                except Refused as error:
                    return error.sqlstate

            with ThreadPoolExecutor(4) as clerks:
                answers = list(clerks.map(clerk, range(4)))
            assert sorted(map(str, answers)) == ["IM005"] * 3 + ["True"]
        assert not _unexplained(store)


def test_cancelling_gives_back_what_was_not_shipped(store):
    """One of three is gone, two come back, and a cancelled order ships no more."""
    order = _order({1: 3})
    store.place_once(order)
    store.call("SELECT ship(gen_random_uuid(), %s, ARRAY[1], ARRAY[1], 'ups')", (order.key,))
    assert store.call("SELECT cancel_order(gen_random_uuid(), %s) AS x", (order.key,))[0]["x"]
    assert _balance(store, 1) == (99, 0, 0, 0)
    for again in ("ship(gen_random_uuid(), %s, NULL, NULL, 'ups')",
                  "cancel_order(gen_random_uuid(), %s)"):  # fmt: skip
        with pytest.raises(Refused) as refused:
            store.call(f"SELECT {again}", (order.key,))
        assert refused.value.sqlstate == "IM005"
    assert _balance(store, 1) == (99, 0, 0, 0)
    assert not _unexplained(store)


def test_transfers_are_inbound_until_they_arrive(store):
    """Goods under way belong to nobody's available stock, and arrive once."""
    key = uuid.uuid4()
    send = "SELECT transfer_out(%s, 5, 2, ARRAY[1, 2], ARRAY[10, 20]) AS done"
    assert store.call(send, (key,))[0]["done"]
    assert not store.call(send, (key,))[0]["done"]
    assert _balance(store, 2, 5) == (80, 0, 0, 0)
    assert _balance(store, 2, 2) == (100, 0, 20, 0)
    store.call("SELECT transfer_in(gen_random_uuid(), %s)", (key,))
    assert _balance(store, 2, 2) == (120, 0, 0, 0)
    with pytest.raises(Refused) as refused:
        store.call("SELECT transfer_in(gen_random_uuid(), %s)", (key,))
    assert refused.value.sqlstate == "IM005"
    with pytest.raises(Refused) as refused:
        store.call("SELECT transfer_out(gen_random_uuid(), 5, 2, ARRAY[1, 2], ARRAY[1, 81])")
    assert refused.value.sqlstate == "IM006"
    assert not _unexplained(store)


def test_counts_and_quarantine_stay_within_what_is_there(store):
    """Lost and found, set aside and given back; a count below zero is refused."""
    for sql in ("adjust(gen_random_uuid(), 1, 1, -30, 'count')",
                "adjust(gen_random_uuid(), 1, 1, 5, 'found')",
                "quarantine(gen_random_uuid(), 1, 1, 10)",
                "quarantine(gen_random_uuid(), 1, 1, -4)"):  # fmt: skip
        store.call(f"SELECT {sql}")
    assert _balance(store, 1) == (69, 0, 0, 6)
    for sql in ("adjust(gen_random_uuid(), 1, 1, -70, 'count')",
                "quarantine(gen_random_uuid(), 1, 1, 70)",
                "quarantine(gen_random_uuid(), 1, 1, -7)"):  # fmt: skip
        with pytest.raises(Refused) as refused:
            store.call(f"SELECT {sql}")
        assert refused.value.sqlstate == "IM006"
    assert not _unexplained(store)


def test_the_promise_counts_from_the_request(store):
    """An order taken late keeps the promise of when it was asked for."""
    asked = datetime.now(UTC) - timedelta(hours=3)
    reply = store.place_once(_order({1: 1}, requested_at=asked))
    assert reply.promise_at == asked + timedelta(seconds=1800)


def test_after_the_cutoff_the_day_is_tomorrow(store, dsn):
    """17:30 in Chicago after a cutoff of 17:00 counts from midnight in Chicago, also over DST."""
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE warehouse SET cutoff = '17:00' WHERE id = 1")
    before = datetime.fromisoformat("2026-03-07T16:59:00-06:00")
    after = datetime.fromisoformat("2026-03-08T17:30:00-05:00")
    promise = timedelta(seconds=1800)
    assert store.place_once(_order({1: 1}, requested_at=before)).promise_at == before + promise
    midnight = datetime.fromisoformat("2026-03-09T00:00:00-05:00")
    assert store.place_once(_order({1: 1}, requested_at=after)).promise_at == midnight + promise


@pytest.mark.parametrize(
    "write",
    [
        "receive(gen_random_uuid(), 2, ARRAY[1, 41], ARRAY[5, 5], 'test')",
        "transfer_out(gen_random_uuid(), 1, 2, ARRAY[1, 41], ARRAY[5, 5])",
        "apply_sync_batch('new', 'USA', 1, ARRAY[2, 2], ARRAY[1, 41], ARRAY[5, 5], now())",
    ],
)
def test_a_row_that_is_new_is_locked_in_its_turn(store, dsn, write):
    """A write that makes a stock row does so in ascending order too: another transaction that holds
    the row before it, and makes the same row, meets no deadlock."""
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO sku (id, code, name) VALUES (41, 'SKU-00041', 'New')")
        connection.execute("SELECT receive(gen_random_uuid(), 1, ARRAY[41], ARRAY[9], 'test')")
    adjust = "SELECT adjust(gen_random_uuid(), 2, %s, 1, 'found')"
    with psycopg.connect(dsn) as first, ThreadPoolExecutor(1) as other:
        first.execute(adjust, (1,))
        second = other.submit(store.call, f"SELECT * FROM {write}")
        for _ in range(600):
            if store.call(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            ):
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the second never waited for the first")
        first.execute(adjust, (41,))
        first.commit()
        assert second.result(timeout=30)
    assert not _unexplained(store)
