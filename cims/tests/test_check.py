"""Each invariant sees what it is for, and a sound database passes all of them."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import psycopg
import pytest

from cims.check.facts import Told, fold
from cims.check.finding import Proof
from cims.check.look import Question, look
from cims.check.states import penalty_cents
from cims.errors import CimsError
from cims.load.history import History, read
from cims.load.keys import order_key
from cims.load.order import Answer, Order

pytestmark = pytest.mark.xdist_group("postgres")


@dataclass
class Life:
    """A database in which a bit of everything happened, and the history of its orders."""

    dsn: str
    history: str
    keys: list[UUID]

    def sql(self, text: str) -> None:
        """Change what nobody may change, past triggers."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(text)

    def look(self, **more: object) -> Proof:
        return look(Question(dsn=self.dsn, histories=(self.history,), **more))


def broken(proof: Proof) -> set[str]:
    return {finding.invariant for finding in proof.findings if not finding.held}


@pytest.fixture
def life(dsn, tmp_path):
    path = str(tmp_path / "history")
    history = History(path)
    made = Life(dsn=dsn, history=path, keys=[])
    now = time.time()
    with psycopg.connect(dsn, autocommit=True) as db:
        for lines in ([(1, 2), (2, 1)], [(2, 3)], [(3, 1), (4, 4)], [(5, 101)], [(6, 1), (7, 2)]):
            order = Order(
                key=order_key(),
                warehouse=1,
                lines=tuple(lines),
                requested_at=round(now - 100_000, 6),
            )
            history.invoke(1, order)
            row = db.execute(
                "SELECT order_id, outcome, replayed, short_sku"
                " FROM place_order(%s, 1, %s::int[], %s::int[], to_timestamp(%s))",
                (order.key, [a for a, _ in lines], [b for _, b in lines], order.requested_at),
            ).fetchone()
            answer = Answer(order_id=row[0], outcome=row[1], replayed=row[2], short_sku=row[3])
            history.ok(1, order, answer)
            made.keys.append(order.key)
        first, second, third, *_ = made.keys
        db.execute("SELECT ship(%s, %s, NULL, NULL, 'ups')", (uuid4(), first))
        db.execute("SELECT ship(%s, %s, '{4}', '{1}', 'dhl')", (uuid4(), third))
        db.execute("SELECT cancel_order(%s, %s)", (uuid4(), second))
        db.execute("SELECT transfer_out(%s, 1, 3, '{8,9}', '{5,6}')", (uuid4(),))
        arriving = uuid4()
        db.execute("SELECT transfer_out(%s, 1, 3, '{8}', '{7}')", (arriving,))
        db.execute("SELECT transfer_in(%s, %s)", (uuid4(), arriving))
        db.execute("SELECT adjust(%s, 1, 10, -3, 'counted')", (uuid4(),))
        db.execute("SELECT quarantine(%s, 1, 11, 4)", (uuid4(),))
        for seq in (1, 2, 3):
            db.execute(
                "SELECT apply_sync_batch('feed-usa', 'USA', %s, '{1,1}', '{12,13}', %s::int[],"
                " now())",
                (seq, [5, -200 if seq == 2 else 1]),
            )
        db.execute("SELECT accrue_penalties(1, now())")
    history.close()
    return made


def test_a_sound_database_passes_everything(life):
    """Orders, shipments, cancellations, transfers and feeds leave nothing to complain of."""
    proof = life.look()
    assert proof.held, proof.summary()
    assert [finding.invariant for finding in proof.findings] == [f"I{n}" for n in range(1, 13)]
    assert all(finding.checked > 0 for finding in proof.findings), proof.as_json()


ORDER = "(SELECT id FROM sales_order ORDER BY id LIMIT 1)"
TWICE = (
    "INSERT INTO movement (sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty,"
    " kind, ref) SELECT sku_id, from_warehouse, from_bucket, to_warehouse, to_bucket, qty,"
    " kind, ref FROM movement WHERE kind = 'order' LIMIT 1"
)
NEGATIVE = (
    "ALTER TABLE stock DROP CONSTRAINT stock_reserved_check;"
    " UPDATE stock SET reserved = -1 WHERE sku_id = 20"
)
WRONG = [
    ("I1", f"DELETE FROM sales_order WHERE id = {ORDER}", "not stored"),
    ("I1", f"UPDATE sales_order SET idem_key = gen_random_uuid() WHERE id = {ORDER}", "not stored"),
    ("I2", f"UPDATE sales_order SET idem_key = gen_random_uuid() WHERE id = {ORDER}", "no history"),
    ("I4", f"UPDATE order_line SET qty = qty + 1 WHERE order_id = {ORDER}", "asked for"),
    ("I4", "UPDATE sales_order SET warehouse_id = 2", "asked of warehouse"),
    ("I4", "UPDATE sales_order SET requested_at = requested_at + '1 s'", "asked for at"),
    ("I5", f"DELETE FROM movement WHERE kind = 'order' AND ref = {ORDER}", "the ledger says 0"),
    ("I5", "DELETE FROM movement WHERE kind = 'cancel'", "cancel"),
    ("I5", "DELETE FROM movement WHERE kind = 'transfer' AND from_bucket = 'A'", "transfer"),
    ("I5", TWICE, "2 movements"),
    ("I6", "UPDATE stock SET available = available + 1 WHERE sku_id = 20", "the balance is 101"),
    ("I6", "DELETE FROM stock WHERE sku_id = 20 AND warehouse_id = 2", "missing"),
    ("I7", "ALTER TABLE stock DROP CONSTRAINT stock_available_check", "no valid constraint"),
    ("I7", NEGATIVE, "-1"),
    ("I8", "UPDATE stock SET inbound = inbound + 1 WHERE sku_id = 20", "are here"),
    ("I10", "UPDATE stock SET reserved = reserved + 1 WHERE sku_id = 6", "open orders hold"),
    ("I10", "UPDATE order_line SET shipped = 0", "in shipments"),
    ("I10", "DELETE FROM shipment_line", "in shipments 0"),
    (
        "I10",
        "UPDATE sales_order SET closed_at = closed_at + '1 s' WHERE status = 'shipped'",
        "shipped at",
    ),
    (
        "I10",
        "UPDATE sales_order SET status = 'open', closed_at = NULL WHERE status = 'shipped'",
        "nothing is left to ship",
    ),
    ("I10", "UPDATE transfer SET arrived_at = now()", "transfers on the way"),
    ("I11", "UPDATE penalty SET amount_cents = amount_cents + 1", "computed again"),
    ("I12", "UPDATE applied_batch SET seq = 7 WHERE seq = 2", "the cursor says 3"),
    ("I12", "DELETE FROM applied_batch WHERE seq = 3", "not recorded"),
    ("I12", "UPDATE sync_cursor SET last_seq = 9", "the cursor says 9"),
    ("I12", "DELETE FROM movement WHERE kind = 'sync' AND to_bucket = 'A'", "and 0 movements"),
]


@pytest.mark.parametrize(("invariant", "change", "says"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_changed_by_hand_is_found(life, invariant, change, says):
    """Each change breaks the invariant that is for it, and the violation says what is wrong."""
    life.sql(change)
    proof = life.look()
    finding = next(one for one in proof.findings if one.invariant == invariant)
    assert not finding.held, proof.summary()
    assert any(says in f"{one.about}: {one.says}" for one in finding.violations), finding.violations


def _retold(life, change):
    """The history again, with each record changed."""
    lines = []
    with open(life.history, encoding="utf-8") as file:
        for line in file:
            lines += change(json.loads(line))
    with open(life.history, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_two_answers_for_one_key_are_found(life):
    """I3: a second answer with another id."""
    _retold(life, lambda r: [r, {**r, "order_id": 999}] if r["type"] == "ok" else [r])
    assert broken(life.look()) >= {"I3", "I1"}


def test_one_id_for_two_keys_is_found(life):
    """I3: two customers were told of the same order."""
    _retold(life, lambda r: [{**r, "order_id": 1}] if r["type"] == "ok" else [r])
    assert "I3" in broken(life.look())


def test_an_order_its_client_was_refused_is_a_phantom(life):
    """I2: what the client was told is not taken must not be there."""
    _retold(life, lambda r: [{**r, "type": "fail", "why": "IM004"}] if r["type"] == "ok" else [r])
    assert broken(life.look()) == {"I2"}


def test_orders_of_others_are_expected_when_said_so(life):
    """--others looks at everything but phantoms."""
    with psycopg.connect(life.dsn) as db:
        db.execute("SELECT place_order(%s, 1, '{30}', '{1}')", (uuid4(),))
    assert broken(life.look()) == {"I2"}
    proof = life.look(others=True)
    assert proof.held
    assert next(one for one in proof.findings if one.invariant == "I2").skipped


def test_without_a_history_the_database_is_checked_alone(life):
    """What needs a history is said to be not looked at, and not said to hold."""
    proof = look(Question(dsn=life.dsn))
    assert proof.held
    skipped = {one.invariant for one in proof.findings if one.skipped}
    assert skipped == {"I1", "I2", "I3", "I9"}


def test_a_torn_last_line_is_what_a_killed_client_leaves(life):
    """A history that ends in the middle of a line is read up to it; one torn inside is not."""
    with open(life.history, "a", encoding="utf-8") as file:
        file.write('{"type":"invoke","cli')
    assert life.look().held
    with open(life.history, "a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(CimsError, match="not a line of a history"):
        life.look()


def test_an_order_in_doubt_may_be_there_or_not(life):
    """A key without an answer is no violation either way."""
    _retold(life, lambda r: [] if r["type"] == "ok" else [r])
    assert life.look().held
    life.sql("DELETE FROM movement; DELETE FROM sales_order")
    assert "I1" not in broken(life.look())


def test_penalties_by_hand():
    """One second late by a policy of 5.00 flat and 36.00 an hour costs 5.01; the cap holds."""
    policy = {"flat_cents": 500, "per_hour_cents": 3600, "cap_cents": 10_000}
    assert penalty_cents(late_micros=0, **policy) == 0
    assert penalty_cents(late_micros=1_000_000, **policy) == 501
    assert penalty_cents(late_micros=1_999_999, **policy) == 501
    assert penalty_cents(late_micros=10**13, **policy) == 10_000


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cims", "check", *words], capture_output=True, text=True, timeout=60
    )


def test_the_command_says_it_and_keeps_the_proof(life):
    """0 and a stored proof when all holds; 1 and the order's key when not; JSON says the same."""
    ran = _command("--dsn", life.dsn, "--history", life.history)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert "all that was looked at holds" in ran.stdout
    life.sql(f"DELETE FROM sales_order WHERE id = {ORDER}")
    ran = _command("--dsn", life.dsn, "--history", life.history, "--json")
    assert ran.returncode == 1
    told = json.loads(ran.stdout)
    assert told["held"] is False
    assert str(life.keys[0]) in ran.stdout
    with psycopg.connect(life.dsn) as db:
        kept = db.execute("SELECT held, summary FROM proof ORDER BY id").fetchall()
    assert [held for held, _ in kept] == [True, False]
    assert str(life.keys[0]) in kept[1][1]


def test_what_cannot_be_looked_at_is_exit_3_in_one_line(life, tmp_path):
    """No server, no file, no history: each is one clear line and no traceback."""
    nowhere = "host=127.0.0.1 port=1 dbname=none"
    for words in (
        ["--dsn", nowhere],
        ["--dsn", life.dsn, "--history", str(tmp_path / "none")],
        ["--dsn", life.dsn, "--history", __file__],
    ):
        ran = _command(*words)
        assert ran.returncode == 3, ran.stderr
        assert ran.stderr.startswith("cims: ")
        assert "Traceback" not in ran.stderr


def test_folding_two_histories_is_folding_their_lines(life):
    """Histories of several load processes count as one."""
    told = Told()
    fold(told, read(life.history))
    fold(told, (replace(one, key=one.key and f"x{one.key}") for one in read(life.history)))
    assert len(told.invoked) == 2 * len(life.keys)
