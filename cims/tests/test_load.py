"""Clients follow the protocol, write it down, and the figures are what the history says."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cims.check.look import Question, look
from cims.load.by_http import Codes, HttpShop
from cims.load.by_sql import SqlShop
from cims.load.client import Client, Rule
from cims.load.figures import figures
from cims.load.history import History, Record, read
from cims.load.keys import order_key
from cims.load.order import Answer, Order, Refused, Unknown
from cims.load.run import Plan, Run
from cims.load.workload import Workload
from throwaway_postgres import free_port, user

pytestmark = pytest.mark.xdist_group("postgres")

QUICK = Rule(attempt_seconds=0.5, first_wait_seconds=0.001, longest_wait_seconds=0.01)


def order(requested_at: float | None = None) -> Order:
    at = time.time() if requested_at is None else requested_at
    return Order(key=order_key(), warehouse=1, lines=((1, 2), (3, 1)), requested_at=round(at, 6))


def test_keys_are_version_7_and_sort_by_time():
    """The layout of RFC 9562, with the milliseconds first."""
    keys = [order_key(at) for at in (1.0, 2.0, 1_700_000_000.5, 1_700_000_000.502)]
    assert keys == sorted(keys)
    assert all(key.version == 7 and key.variant == "specified in RFC 4122" for key in keys)
    assert len({order_key(1.0) for _ in range(1000)}) == 1000
    assert order_key(1.0, bytes(10)) == UUID("00000000-03e8-7000-8000-000000000000")


class Scripted:
    """A shop that answers from a list; it remembers what it was sent."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.sent: list[Order] = []
        self.drops = 0

    async def place(self, order: Order, seconds: float) -> Answer:
        self.sent.append(order)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def drop(self) -> None:
        self.drops += 1


YES = Answer(order_id=5, outcome="accepted", replayed=True, short_sku=None)


def placed(tmp_path, shop: Scripted, asked: Order, rule: Rule = QUICK) -> list[Record]:
    path = str(tmp_path / "history")
    history = History(path)
    asyncio.run(Client(3, shop, history, rule).place(asked))
    history.close()
    return list(read(path))


def test_doubt_is_met_with_the_same_key_and_body_on_a_new_connection(tmp_path):
    """Two doubts, then an answer: three times the same order, and the history in that order."""
    asked = order()
    shop = Scripted(Unknown("cut"), Unknown("25006"), YES)
    records = placed(tmp_path, shop, asked)
    assert shop.sent == [asked] * 3
    assert shop.drops == 2
    assert [r.kind for r in records] == ["start", "invoke", "info", "info", "ok", "end"]
    assert {r.key for r in records if r.key} == {str(asked.key)}
    assert records[4].data["order_id"] == 5


def test_a_refusal_is_final_unless_there_was_doubt_before(tmp_path):
    """An earlier attempt that may have been taken is not undone by a later refusal."""
    records = placed(tmp_path, Scripted(Refused("IM002")), order())
    assert [r.kind for r in records] == ["start", "invoke", "fail", "end"]
    (tmp_path / "history").unlink()
    records = placed(tmp_path, Scripted(Unknown("cut"), Refused("42P01")), order())
    assert [r.kind for r in records] == ["start", "invoke", "info", "info", "end"]


def test_the_key_is_on_disk_before_the_order_is_sent(tmp_path):
    """Whoever reads the file from within the call finds the invocation."""
    path = str(tmp_path / "history")
    seen = []

    class Looking(Scripted):
        async def place(self, order: Order, seconds: float) -> Answer:
            seen.extend(r.key for r in read(path) if r.kind == "invoke")
            return YES

    asked = order()
    history = History(path)
    asyncio.run(Client(1, Looking(), history, QUICK).place(asked))
    history.close()
    assert seen == [str(asked.key)]


def test_a_client_gives_up_and_says_which_it_is(tmp_path):
    """After the time it is unknown; never sent is a definite failure."""
    rule = Rule(
        attempt_seconds=0.1,
        first_wait_seconds=0.05,
        longest_wait_seconds=0.05,
        give_up_seconds=0.3,
    )
    records = placed(tmp_path, Scripted(*[Unknown("x")] * 50), order(), rule)
    assert records[-2].kind == "info"
    (tmp_path / "history").unlink()
    shop = Scripted()
    records = placed(tmp_path, shop, order(time.time() - 10), rule)
    assert [r.kind for r in records] == ["start", "invoke", "fail", "end"]
    assert shop.sent == []


def test_orders_are_drawn_sorted_distinct_and_the_same_from_a_seed():
    """The seed decides all; a skewed draw prefers few SKUs, a uniform one none."""
    skus = list(range(1, 1001))
    for skew, low, high in ((0.0, 0, 40), (1.2, 300, 5000)):
        workload = Workload(warehouses=[1, 2, 3], skus=skus, skew=skew, seed=4)
        drawn = list(islice(workload.orders(), 2000))
        assert drawn == list(islice(workload.orders(), 2000))
        for warehouse, lines in drawn:
            numbers = [sku for sku, _ in lines]
            assert numbers == sorted(set(numbers))
            assert warehouse in (1, 2, 3)
            assert 1 <= len(lines) <= 5
        hottest = Counter(sku for _, lines in drawn for sku, _ in lines).most_common(1)[0][1]
        assert low < hottest < high


def record(kind: str, at: float, key: str = "", **data: object) -> Record:
    return Record(kind=kind, client=1, mono=at, wall=1000 + at, key=key, data=data)


def test_figures_by_hand():
    """Counts, the longest gap up to the end, and times from when the customer asked."""
    ok = {"order_id": 1, "outcome": "accepted", "replayed": False, "short_sku": None}
    found = figures(
        [
            record("start", 0.0),
            *(record("invoke", 1.0, key, requested_at=1000.5) for key in "abcde"),
            record("ok", 2.0, "a", **ok),
            record("info", 2.5, "b"),
            record("ok", 5.0, "b", **{**ok, "replayed": True, "outcome": "rejected"}),
            record("fail", 5.5, "c"),
            record("info", 6.0, "d"),
            record("end", 12.0),
        ]
    )
    assert (found.invoked, found.acknowledged, found.accepted, found.rejected) == (5, 2, 1, 1)
    assert (found.failed, found.unknown_resolved, found.unknown_left) == (3, 1, 2)
    assert found.longest_gap_seconds == 7.0
    assert found.latency_p50_seconds == 4.5
    assert found.replayed == 1
    assert figures([]).latency_p99_seconds is None


def test_a_cut_connection_is_doubt_that_the_same_key_resolves(dsn, tmp_path, server):
    """Backends are killed under load: nothing is lost, doubled or left unknown."""
    path = str(tmp_path / "history")

    async def scenario() -> None:
        shops = [SqlShop(f"{dsn} application_name=load") for _ in range(8)]
        plan = Plan(clients=8, seconds=3.0, rule=QUICK)
        workload = Workload(warehouses=[1, 2], skus=range(1, 41))
        load = asyncio.create_task(Run(plan, workload, shops, history).run())
        while not load.done():
            await asyncio.sleep(0.2)
            server.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'load'"
            )
        await load

    history = History(path)
    asyncio.run(scenario())
    history.close()
    found = figures(read(path))
    assert found.unknown_resolved > 5
    assert (found.failed, found.unknown_left) == (0, 0)
    proof = look(Question(dsn=dsn, histories=(path,)))
    assert proof.held, proof.summary()


def test_a_time_out_drops_the_line_and_cancels_nothing(dsn):
    """A statement that waits for a row is left in doubt in time; the server hears no cancel."""
    said = []

    async def scenario() -> None:
        async with await psycopg.AsyncConnection.connect(dsn) as blocker:
            await blocker.execute("LOCK TABLE stock IN EXCLUSIVE MODE")
            shop = SqlShop(f"{dsn} application_name=waiting")
            began = time.monotonic()
            with pytest.raises(Unknown):
                await shop.place(order(), 0.3)
            assert time.monotonic() - began < 3
            await shop.drop()
            query = "SELECT state FROM pg_stat_activity WHERE application_name = 'waiting'"
            said.extend(await (await blocker.execute(query)).fetchall())

    asyncio.run(scenario())
    # Still at work: it learns that nobody listens when it answers.
    assert said == [("active",)]


def test_a_rate_is_kept_and_late_customers_have_waited(tmp_path):
    """At 100 a second for a second come 100 orders; who had to wait asked when it was due."""

    class Slow(Scripted):
        async def place(self, order: Order, seconds: float) -> Answer:
            await asyncio.sleep(0.05)
            return YES

    path = str(tmp_path / "history")
    history = History(path)
    plan = Plan(clients=2, seconds=1.0, rate=100.0, rule=QUICK)
    workload = Workload(warehouses=[1], skus=[1, 2])
    asyncio.run(Run(plan, workload, [Slow(), Slow()], history).run())
    history.close()
    invoked = [r for r in read(path) if r.kind == "invoke"]
    assert len(invoked) == 100
    asked = [r.data["requested_at"] for r in invoked]
    assert asked[-1] - asked[0] == pytest.approx(0.99, abs=0.01)
    assert invoked[-1].wall - asked[-1] > 0.8


@contextmanager
def api(*answers: tuple[int, dict]):
    """A server that gives the answers in turn and remembers the requests."""
    seen: list[tuple[str, dict, dict]] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, dict(self.headers), body))
            status, told = left.pop(0)
            if status == 0:
                self.close_connection = True
                return
            answer = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}", seen
        finally:
            made.shutdown()
            thread.join()


def test_over_http_each_answer_means_what_the_protocol_says(tmp_path):
    """201 and 200 and 409 are answers, 422 a refusal, 503 and a lost connection are doubt."""
    told = {"order_id": 1, "outcome": "accepted", "replayed": False}
    short = {"error": {"code": "short", "sku": "C", "replayed": False, "order_id": 2}}
    replies = [
        (503, {"detail": "unknown"}),
        (0, {}),
        (201, told),
        (409, short),
        (422, {"detail": "x"}),
    ]

    async def scenario(address: str) -> list[object]:
        shop = HttpShop(address, "secret", Codes.of({1: "W"}, {1: "A", 3: "C"}))
        asked, outcomes = order(), []
        for _ in replies:
            try:
                outcomes.append(await shop.place(asked, 2.0))
            except (Unknown, Refused) as error:
                outcomes.append(type(error))
                await shop.drop()
        await shop.drop()
        return outcomes

    with api(*replies) as (address, seen):
        outcomes = asyncio.run(scenario(address))
    assert outcomes[0] is Unknown
    assert outcomes[1] is Unknown
    assert outcomes[2].outcome == "accepted"
    assert outcomes[3].short_sku == 3
    assert outcomes[4] is Refused
    assert len({headers["Idempotency-Key"] for _, headers, _ in seen}) == 1
    assert seen[0][2] == seen[2][2]
    assert seen[0][2]["lines"] == [{"sku": "A", "qty": 2}, {"sku": "C", "qty": 1}]
    assert seen[0][1]["Authorization"] == "Bearer secret"


def test_the_command_runs_and_its_history_checks(dsn, tmp_path):
    """`cims load` then `cims check`: figures with the rule, a proof that holds."""
    path = str(tmp_path / "history")
    environment = {**os.environ, "CIMS_DSN": dsn}
    words = ["load", "--history", path, "--clients", "4", "--orders", "200", "--skew", "1.1"]
    ran = subprocess.run(
        [sys.executable, "-m", "cims", *words, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["invoked"] == told["acknowledged"] == 200
    assert "same key" in told["rule"]
    ran = subprocess.run(
        [sys.executable, "-m", "cims", "check", "--history", path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout


@contextmanager
def pooled(dsn: str, folder):
    """pgbouncer in transaction mode before the server of `dsn`."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    parts = conninfo_to_dict(dsn)
    port = free_port()
    folder.mkdir()
    (folder / "users").write_text(f'"{parts["user"]}" ""\n')
    (folder / "ini").write_text(
        f"[databases]\n* = host={parts['host']} port={parts['port']}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\n"
        "default_pool_size = 3\n"
    )
    if user() is not None:
        shutil.chown(folder, user())
    child = subprocess.Popen(
        [program, "-q", str(folder / "ini")], user=user(), stderr=subprocess.DEVNULL
    )
    try:
        through = make_conninfo(dsn, port=port)
        ends = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(through, connect_timeout=3).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < ends
                time.sleep(0.1)
        yield through
    finally:
        child.terminate()
        child.wait(timeout=20)


def test_through_a_pooler_nothing_is_prepared_and_nothing_is_lost(dsn):
    """Eight clients on three server connections, whose transactions go to any of them."""
    with tempfile.TemporaryDirectory(prefix="cims-") as name:
        os.chmod(name, 0o755)
        path = os.path.join(name, "history")
        with pooled(dsn, Path(name, "pool")) as through:
            words = ["load", "--dsn", through, "--pooled", "--history", path, "--orders", "400"]
            ran = subprocess.run(
                [sys.executable, "-m", "cims", *words, "--json"],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert ran.returncode == 0, ran.stderr
            told = json.loads(ran.stdout)
            assert (told["acknowledged"], told["unknown_resolved"]) == (400, 0), told
        proof = look(Question(dsn=dsn, histories=(path,)))
    assert proof.held, proof.summary()


def test_a_history_is_not_continued(dsn, tmp_path):
    """A file that holds one already is left as it is."""
    path = tmp_path / "history"
    path.write_text("x")
    words = ["load", "--dsn", dsn, "--history", str(path), "--orders", "1"]
    ran = subprocess.run(
        [sys.executable, "-m", "cims", *words], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 2, ran.stderr
    assert path.read_text() == "x"


@contextmanager
def serving(dsn: str):
    """`cims serve` on a free port of loopback."""
    words = ["serve", "--dsn", dsn, "--port", "0", "--no-token"]
    child = subprocess.Popen(
        [sys.executable, "-m", "cims", *words], stderr=subprocess.PIPE, text=True
    )
    try:
        line = child.stderr.readline()
        assert "serving on" in line, line
        yield line.split()[-1].rstrip("/")
    finally:
        child.terminate()
        child.communicate(timeout=20)


def test_through_the_real_api_the_history_checks(dsn, tmp_path):
    """Enough orders that some are short; what was told over HTTP is what is stored."""
    path = str(tmp_path / "history")
    words = ["load", "--dsn", dsn, "--history", path, "--clients", "4", "--orders", "500"]
    with serving(dsn) as address:
        ran = subprocess.run(
            [sys.executable, "-m", "cims", *words, "--skew", "2.5", "--api", address, "--json"],
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["acknowledged"] == 500, told
    assert told["rejected"] > 20
    proof = look(Question(dsn=dsn, histories=(path,)))
    assert proof.held, proof.summary()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--clients", "0"], 2),
        (["--rate", "-1"], 2),
        (["--dsn", "host=127.0.0.1 port=1"], 3),
        (["--history", "/nonexistent/x"], 3),
    ],
)
def test_bad_options_are_one_line(dsn, tmp_path, words, code):
    """No traceback, and the exit code of the house."""
    ran = subprocess.run(
        [sys.executable, "-m", "cims", "load", "--history", str(tmp_path / "h"), *words],
        env={**os.environ, "CIMS_DSN": dsn},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == code, ran.stderr
    assert ran.stderr.startswith("cims: ")
    assert "Traceback" not in ran.stderr
