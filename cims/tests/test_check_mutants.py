"""Systems with one thing wrong, each under a fault that shows it; the right one under the same."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from cims.check.finding import Proof
from cims.check.look import Question, look
from cims.load.by_sql import SqlShop
from cims.load.client import Client, Rule
from cims.load.history import History
from cims.load.keys import order_key
from cims.load.order import Answer, Order, Shop, Unknown
from cims.load.run import Plan, Run
from cims.load.workload import Workload
from postgres_pair import Pair, pair

pytestmark = pytest.mark.xdist_group("postgres")

RULE = Rule(attempt_seconds=1.0, give_up_seconds=40.0)


@pytest.fixture
def folder():
    """A folder PostgreSQL's own user can reach; pytest's are for their owner alone."""
    with tempfile.TemporaryDirectory(prefix="cims-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def broken(proof: Proof) -> set[str]:
    return {finding.invariant for finding in proof.findings if not finding.held}


def checked(dsn: str, history: str, **more: float) -> Proof:
    return look(Question(dsn=dsn, histories=(history,), **more))


def workload(**more: int) -> Workload:
    return Workload(warehouses=[1, 2], skus=list(range(1, 41)), **more)


def order_of(lines: tuple[tuple[int, int], ...] = ((7, 2),)) -> Order:
    return Order(key=order_key(), warehouse=1, lines=lines, requested_at=round(time.time(), 6))


async def under_load(dsn: str, history: History, nemesis: Callable[[], None]) -> None:
    """Eight clients; after a second the nemesis, and then they go on until it was survived."""
    shops = [SqlShop(dsn) for _ in range(8)]
    run = Run(Plan(clients=8, seconds=60.0, rule=RULE), workload(), shops, history)
    load = asyncio.create_task(run.run())
    await asyncio.sleep(1.0)
    await asyncio.to_thread(nemesis)
    before = run.progress.acknowledged
    while run.progress.acknowledged < before + 50 and not load.done():
        await asyncio.sleep(0.1)
    run.stop()
    await load


def frozen_then_killed(pair: Pair) -> Callable[[], None]:
    def nemesis() -> None:
        pair.standby.freeze_receiver()
        time.sleep(0.7)
        pair.fail_over()

    return nemesis


@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "mutant-asynchronous"])
def test_a_failover_loses_nothing_that_was_acknowledged(folder, synchronous):
    """The receiver is cut off, then the primary dies. Only the asynchronous pair loses orders."""
    path = str(folder / "history")
    with pair(folder, synchronous=synchronous) as made:
        history = History(path)
        asyncio.run(under_load(made.dsn, history, frozen_then_killed(made)))
        history.close()
        proof = checked(made.dsn, path)
    assert proof.acknowledged > 100
    if synchronous:
        assert proof.held, proof.summary()
    else:
        assert "I1" in broken(proof), proof.summary()
        lost = next(finding for finding in proof.findings if finding.invariant == "I1")
        assert "not stored" in lost.violations[0].says


class Trusting(SqlShop):
    """A client that does not read warnings."""

    def _notice(self, diagnostic: object) -> None:
        return


async def _cancelled_in_commit(pair: Pair, shop: Shop, history: History) -> Answer | None:
    order = order_of()
    placing = asyncio.create_task(Client(1, shop, history, RULE).place(order))
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    async with await psycopg.AsyncConnection.connect(pair.alone, autocommit=True) as admin:
        while not (found := await (await admin.execute(waits)).fetchall()):
            await asyncio.sleep(0.02)
        await admin.execute("SELECT pg_cancel_backend(%s)", found[0])
    await asyncio.sleep(0.3)
    await asyncio.to_thread(pair.fail_over)
    answer = await placing
    await shop.drop()
    return answer


@pytest.mark.parametrize("shop", [SqlShop, Trusting], ids=["reads-warnings", "mutant-trusting"])
def test_a_commit_cancelled_while_it_waits_for_its_standby(folder, shop):
    """The server answers it like a success. Whoever believes that loses the order."""
    path = str(folder / "history")
    with pair(folder, synchronous=True) as made:
        made.standby.freeze_receiver()
        history = History(path)
        answer = asyncio.run(_cancelled_in_commit(made, shop(made.dsn), history))
        history.close()
        proof = checked(made.dsn, path)
    assert answer is not None
    assert broken(proof) == (set() if shop is SqlShop else {"I1"}), proof.summary()


async def _replayed_alone(pair: Pair, history: History, patience_seconds: float) -> bool:
    """Whether the order is answered by a primary whose standby has not got it."""
    shop = SqlShop(pair.dsn)
    order = order_of()
    placing = asyncio.create_task(
        Client(1, shop, history, replace(RULE, longest_wait_seconds=0.1)).place(order)
    )
    await asyncio.sleep(0.5)
    await asyncio.to_thread(pair.primary.panic)
    settings = {"fsync": "off", "synchronous_standby_names": "FIRST 1 (*)"}
    await asyncio.to_thread(lambda: pair.primary.start(**settings))
    await asyncio.wait({placing}, timeout=patience_seconds)
    early = placing.done()
    await asyncio.to_thread(pair.fail_over)
    await placing
    await shop.drop()
    return early


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "mutant-no-fence"])
def test_a_retry_after_a_crash_does_not_believe_a_primary_alone(folder, fenced):
    """A replay reads a commit the standby never got; only the fence makes it wait for it."""
    path = str(folder / "history")
    with pair(folder, synchronous=True) as made:
        if not fenced:
            with psycopg.connect(made.alone) as connection:
                connection.execute(
                    "CREATE OR REPLACE FUNCTION fence() RETURNS void LANGUAGE sql VOLATILE"
                    " AS 'SELECT 1'"
                )
        made.standby.freeze_receiver()
        history = History(path)
        # Time enough for the mutant on a busy machine; the right one must hold out all of it.
        early = asyncio.run(_replayed_alone(made, history, 4.0 if fenced else 25.0))
        history.close()
        proof = checked(made.dsn, path)
    assert early is not fenced
    assert broken(proof) == (set() if fenced else {"I1"}), proof.summary()


class Losing:
    """Every fourth answer is lost on its way: the order was taken, and the client cannot know."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._answers = 0

    async def place(self, order: Order, seconds: float) -> Answer:
        answer = await self._shop.place(order, seconds)
        self._answers += 1
        if self._answers % 4 == 0:
            raise Unknown("the answer was lost")
        return answer

    async def drop(self) -> None:
        await self._shop.drop()


class Keyless(Losing):
    """A client that makes a new key for each attempt after the first."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self._seen: set[object] = set()

    async def place(self, order: Order, seconds: float) -> Answer:
        sent = replace(order, key=order_key()) if order.key in self._seen else order
        self._seen.add(order.key)
        return await super().place(sent, seconds)


def loaded(dsn: str, path: str, shops: list[Shop], orders: int, **more: int) -> None:
    history = History(path)
    plan = Plan(clients=len(shops), orders=orders, rule=RULE)
    asyncio.run(Run(plan, workload(**more), shops, history).run())
    history.close()


@pytest.mark.parametrize("shop", [Losing, Keyless], ids=["same-key", "mutant-new-key"])
def test_lost_answers_double_no_order(dsn, tmp_path, shop):
    """Answers get lost; a client that retries with a new key orders twice."""
    path = str(tmp_path / "history")
    loaded(dsn, path, [shop(SqlShop(dsn)) for _ in range(4)], 200)
    proof = checked(dsn, path)
    assert broken(proof) == (set() if shop is Losing else {"I1", "I2"}), proof.summary()


READ_THEN_WRITE = (
    "(SELECT x.available FROM stock x"
    " WHERE x.warehouse_id = p_warehouse AND x.sku_id = p_skus[i]) - p_qtys[i]"
)


@pytest.mark.parametrize("locked", [True, False], ids=["locked", "mutant-missing-lock"])
def test_concurrent_orders_of_one_sku_lose_no_update(dsn, tmp_path, locked):
    """A balance written from what was read before the lock loses what others wrote meanwhile."""
    if not locked:
        with psycopg.connect(dsn) as connection:
            query = "SELECT pg_get_functiondef('place_order'::regproc)"
            source = connection.execute(query).fetchone()[0]
            mutant = source.replace("s.available - p_qtys[i],", f"{READ_THEN_WRITE},", 1)
            assert mutant != source
            connection.execute(mutant)
    path = str(tmp_path / "history")
    shops: list[Shop] = [SqlShop(dsn) for _ in range(16)]
    history = History(path)
    few = Workload(warehouses=[1], skus=[1, 2], most_pieces=1)
    asyncio.run(Run(Plan(clients=16, orders=400, rule=RULE), few, shops, history).run())
    history.close()
    proof = checked(dsn, path)
    if locked:
        assert proof.held, proof.summary()
    else:
        assert {"I6", "I8"} <= broken(proof), proof.summary()


@pytest.mark.parametrize("honest", [True, False], ids=["honest", "mutant-rejects"])
def test_a_rejection_is_only_given_when_short(dsn, tmp_path, honest):
    """A system that refuses what it has is caught, although no balance shows it."""
    if not honest:
        with psycopg.connect(dsn) as connection:
            query = "SELECT pg_get_functiondef('place_order'::regproc)"
            source = connection.execute(query).fetchone()[0]
            mutant = source.replace("s.available >= p_qtys[i]", "s.available >= p_qtys[i] + 60")
            assert mutant != source
            connection.execute(mutant)
    time.sleep(0.3)
    path = str(tmp_path / "history")
    loaded(dsn, path, [SqlShop(dsn) for _ in range(4)], 4000, most_pieces=3)
    proof = checked(dsn, path, longest_transaction_seconds=0.2)
    assert broken(proof) == (set() if honest else {"I9"}), proof.summary()
    rejections = next(finding for finding in proof.findings if finding.invariant == "I9")
    assert rejections.checked > 20


@pytest.mark.timeout(200)
def test_exactly_as_many_are_sold_as_there_are(dsn, tmp_path):
    """500 pieces, 1,280 orders of one piece from 32 clients: 500 accepted, no deadlock."""
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO sku (id, code, name) VALUES (9000, 'HOT', 'hot')")
        connection.execute("SELECT receive(%s, 1, '{9000}', '{500}', 'test')", (uuid4(),))
    path = str(tmp_path / "history")
    hot = Workload(warehouses=[1], skus=[9000], most_pieces=1)
    history = History(path)
    shops: list[Shop] = [SqlShop(dsn) for _ in range(32)]
    asyncio.run(Run(Plan(clients=32, orders=1280, rule=RULE), hot, shops, history).run())
    history.close()
    proof = checked(dsn, path)
    assert proof.held, proof.summary()
    with psycopg.connect(dsn) as connection:
        outcomes = connection.execute(
            "SELECT outcome, count(*) FROM sales_order GROUP BY 1 ORDER BY 1"
        ).fetchall()
        deadlocks = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert outcomes == [("accepted", 500), ("rejected", 780)]
    assert deadlocks == (0,)
