"""What may be concluded when a commit, a server or a line did not answer as it should."""

import contextlib
import socket
import threading
import time
import uuid

import psycopg
import pytest

import throwaway_postgres
from cims.orders import OrderRequest, Outcome
from cims.schema import migrate, seed
from cims.store import NotAvailable, Store
from service import serving


def _order(**lines):
    return OrderRequest(key=uuid.uuid4(), warehouse_id=1, lines={1: 1})


@contextlib.contextmanager
def _waiting_for_a_standby(server):
    """Every commit waits for a standby that does not exist, until the block ends."""
    server.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    server.run("SELECT pg_reload_conf()")
    _until(server, "SELECT current_setting('synchronous_standby_names') = 'nobody'")
    try:
        yield
    finally:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")


def _until(server, sql, *, seconds=20.0):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            row = connection.execute(sql).fetchone()
            if row and row[0]:
                return row[0]
        time.sleep(0.05)
    raise AssertionError(f"never true: {sql}")


STUCK = "SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture(scope="module")
def own():
    """A server that these tests may mistreat."""
    if throwaway_postgres.binaries() is None:
        pytest.skip("no PostgreSQL server is installed (initdb, postgres)")
    with throwaway_postgres.running() as server:
        migrate(server.dsn("postgres"))
        seed(server.dsn("postgres"), skus=50, units=1000)
        yield server


def _sent(store, order):
    replies = []
    thread = threading.Thread(target=lambda: replies.append(store.place_once(order)))
    thread.start()
    return thread, replies


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_commit_whose_wait_was_ended_is_unknown(own, how):
    """The server says success with a warning, or hangs up; neither is taken for an answer.

    The same call without the standby in between is accepted, so it is the wait that decides.
    """
    order = _order()
    with Store(own.dsn("postgres"), attempt_seconds=60) as store:
        with _waiting_for_a_standby(own):
            thread, replies = _sent(store, order)
            pid = _until(own, STUCK)
            own.run(f"SELECT {how}({pid})")
            thread.join(timeout=30)
        (reply,) = replies
        assert reply.outcome is Outcome.UNKNOWN
        if how == "pg_cancel_backend":
            assert reply.sqlstate == "01000"
        again = store.place(order)
        assert (again.outcome, again.replayed) == (Outcome.ACCEPTED, True)


@pytest.mark.parametrize("read", ["replay", "get_order", "absent", "request", "batch"])
def test_an_answer_from_memory_waits_for_the_standby_too(own, read):
    """A replay or a fenced read on a primary without its standby does not answer."""
    order, key, source = _order(), uuid.uuid4(), str(uuid.uuid4())
    receive = "SELECT receive(%s, 1, ARRAY[1], ARRAY[1], 'test')"
    batch = "SELECT * FROM apply_sync_batch(%s, 'USA', 1, '{}', '{}', '{}', '2026-01-01T00:00:00Z')"
    asks = {
        "replay": lambda store: store.place_once(order),
        "get_order": lambda store: store.get_order(order.key),
        "absent": lambda store: store.get_order(uuid.uuid4()),
        "request": lambda store: store.call(receive, (key,)),
        "batch": lambda store: store.call(batch, (source,)),
    }
    with Store(own.dsn("postgres"), attempt_seconds=60) as store:
        store.place_once(order)
        store.call(receive, (key,))
        store.call(batch, (source,))
        answers = []
        with _waiting_for_a_standby(own):
            thread = threading.Thread(target=lambda: answers.append(asks[read](store)))
            thread.start()
            _until(own, STUCK)
            assert not answers
        thread.join(timeout=30)
        assert len(answers) == 1


def test_a_server_that_froze_is_left_and_not_cancelled(own):
    """At the deadline the line is dropped: the outcome is unknown, the commit goes on, a retry
    finds it."""
    order = _order()
    with Store(own.dsn("postgres"), attempt_seconds=1.0) as store:
        with _waiting_for_a_standby(own):
            reply = store.place_once(order)
            assert reply.outcome is Outcome.UNKNOWN
            assert _until(own, STUCK), "the commit must still wait: a cancel would have ended it"
        again = store.place(order)
        assert (again.outcome, again.replayed) == (Outcome.ACCEPTED, True)


def test_a_line_that_swallows_everything_is_unknown_or_not_done(own):
    """A peer that accepts and never speaks does not hold a caller beyond its deadline."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with Store(f"host=127.0.0.1 port={port} user=x dbname=x", attempt_seconds=1) as store:
            reply = store.place_once(_order())
            assert reply.outcome is Outcome.NOT_DONE


def test_a_killed_server_is_unknown_then_not_done_then_answers():
    """Killed in the middle: unknown. While it is away: not done, and the whole stays unknown.

    Once it is back the same key settles what became of the order, and it exists once.
    """
    if throwaway_postgres.binaries() is None:
        pytest.skip("no PostgreSQL server is installed (initdb, postgres)")
    with throwaway_postgres.running() as server:
        migrate(server.dsn("postgres"))
        seed(server.dsn("postgres"), skus=2, units=10)
        order = _order()
        with Store(server.dsn("postgres"), attempt_seconds=20) as store:
            with _killed_while_stuck(server, store, order) as replies:
                assert replies[0].outcome is Outcome.UNKNOWN
                seen = []
                gone = store.place(order, seconds=1.0, on_attempt=seen.append)
                assert gone.outcome is Outcome.NOT_DONE
                assert {reply.outcome for reply in seen} == {Outcome.NOT_DONE}
            settled = store.place(order, seconds=20)
            assert settled.outcome is Outcome.ACCEPTED
            assert store.call("SELECT count(*) AS n FROM sales_order") == [{"n": 1}]


@contextlib.contextmanager
def _killed_while_stuck(server, store, order):
    # Closed, not left: its end is the server's, and there is nothing to commit.
    with contextlib.closing(psycopg.connect(server.dsn("postgres"), autocommit=True)) as blocker:
        blocker.execute("BEGIN")
        blocker.execute("SELECT FROM stock WHERE warehouse_id = 1 AND sku_id = 1 FOR UPDATE")
        thread, replies = _sent(store, order)
        _until(server, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        server.stop(kill=True)
        thread.join(timeout=30)
    yield replies
    server.start()


def test_a_replica_is_not_an_answer(own):
    """A read-only server is not done: the proxy leads elsewhere in a moment."""
    readonly = own.dsn("postgres") + " options='-c default_transaction_read_only=on'"
    with Store(readonly) as store:
        reply = store.place_once(_order())
        assert (reply.outcome, reply.sqlstate) == (Outcome.NOT_DONE, "25006")


def test_an_answer_that_cannot_be_read_leaves_doubt(own):
    """The statement is done once its answer came: a value this side cannot read undoes nothing."""
    with Store(own.dsn("postgres")) as store:
        with pytest.raises(NotAvailable) as refused:
            store.call("SELECT timestamptz '10000-01-01'")
        assert refused.value.maybe_done


def test_a_busy_pool_says_so(own):
    """With every connection in use a caller waits for its deadline, and nothing was sent."""
    with Store(own.dsn("postgres"), connections=1, attempt_seconds=0.5) as store:
        with store.pool.connection(), pytest.raises(NotAvailable) as refused:
            store.call("SELECT 1")
        assert not refused.value.maybe_done


def test_a_broken_connection_takes_the_idle_ones_with_it(own):
    """After one break no caller meets another dead connection: all led to the same server."""
    with Store(own.dsn("postgres")) as store:
        with store.pool.connection() as one, store.pool.connection() as two:
            pids = [one.info.backend_pid, two.info.backend_pid]
        for pid in pids:
            own.run(f"SELECT pg_terminate_backend({pid}, 10000)")
        assert store.place_once(_order()).outcome is Outcome.UNKNOWN
        assert store.place_once(_order()).outcome is Outcome.ACCEPTED


def test_a_stuck_database_does_not_silence_the_service(own):
    """While orders that wait for a standby hold every thread, the process says that it lives and
    that the primary takes no writes; once the standby is back each order is answered 201."""
    answers = []
    with serving(own.dsn("postgres"), connections=45, attempt_seconds=50.0) as client:

        def send(number):
            # A SKU each: a stuck commit keeps its rows locked, and others would wait for those.
            body = {"warehouse": "USA-1", "lines": [{"sku": f"SKU-{number:05}", "qty": 1}]}
            answers.append(client.ask("POST", "/v1/orders", body, key=uuid.uuid4())[0])

        with _waiting_for_a_standby(own):
            senders = [threading.Thread(target=send, args=(n,)) for n in range(2, 47)]
            for sender in senders:
                sender.start()
            # Routes share 40 threads.
            _until(own, "SELECT count(*) >= 40 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            assert client.ask("GET", "/healthz")[0] == 200
            assert client.ask("GET", "/readyz")[2]["why"] == "no write in time"
            assert not answers
        for sender in senders:
            sender.join(timeout=60)
        assert answers == [201] * 45
