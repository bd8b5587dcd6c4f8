"""stock-sync applies each batch once, through lost connections, and ends when told."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from cims.check.look import Question, look
from cims.stock_sync.feed import Catalogue, Feed, feeds, page_to_json
from cims.stock_sync.feed_server import FeedServer
from cims.stock_sync.service import Pace, Service, summary
from cims.stock_sync.setting import leak_from
from cims.stock_sync.source import HttpSource, LocalSource, SourceError
from cims.stock_sync.target import PostgresTarget
from cims.stock_sync.update import page_from_json
from postgres_pair import Pair, pair

pytestmark = pytest.mark.xdist_group("postgres")

CATALOGUE = Catalogue(warehouses={"USA": [1, 2], "EMEA": [3, 4], "APAC": [5, 6]}, skus=range(1, 41))


def feed(**more: float) -> Feed:
    return Feed(region="EMEA", seed=7, catalogue=CATALOGUE, started_at=1000.0, **more)


def test_a_number_always_gives_the_same():
    """Two feeds of one seed agree on every batch and update; another seed does not."""
    page = feed().page(after=3, offset=100, updates=50, now=1010.0)
    assert page == feed().page(after=3, offset=100, updates=50, now=1010.0)
    other = Feed(region="EMEA", seed=8, catalogue=CATALOGUE, started_at=1000.0)
    assert page.batches != other.page(after=3, offset=100, updates=50, now=1010.0).batches
    assert [batch.seq for batch in page.batches] == [4, 5, 6, 7, 8, 9, 10]
    assert len({update.request_id for update in page.updates}) == 50


def test_a_page_survives_its_travel():
    """What a feed says and what is read are equal."""
    page = feed().page(after=0, offset=0, updates=20, now=1005.0)
    assert page_from_json(json.dumps(page_to_json(page)).encode()) == page


def test_a_feed_says_no_more_than_it_has():
    """Nothing before the first batch; at most a hundred at once afterwards."""
    assert feed().page(after=0, offset=0, updates=0, now=999.0).batches == ()
    assert len(feed().page(after=0, offset=0, updates=0, now=9999.0).batches) == 100


def test_only_emea_writes_what_cannot_be_read():
    """About a third of its counts; none of the other regions'."""
    for region, low, high in (("USA", 0, 0), ("APAC", 0, 0), ("EMEA", 200, 400)):
        made = Feed(region=region, seed=1, catalogue=CATALOGUE, started_at=0.0)
        wrong = sum(not made.update(number).count.isdigit() for number in range(1000))
        assert low <= wrong <= high


@contextmanager
def served(**more: float):
    made = feeds(CATALOGUE, seed=3, started_at=time.time(), **more)
    with FeedServer(made, ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_feed_server_bounds_what_it_is_asked():
    """Unknown regions and numbers that are none are answered, not obeyed."""

    async def ask(address: str) -> None:
        source = HttpSource(address)
        page = await source.page("APAC", after=0, offset=5, updates=3)
        assert [update.request_id[-1] for update in page.updates] == ["5", "6", "7"]
        page = await source.page("APAC", after=0, offset=0, updates=10**9)
        assert len(page.updates) == 2000
        with pytest.raises(SourceError, match="404"):
            await source.page("MARS", after=0, offset=0, updates=0)
        with pytest.raises(SourceError, match="400"):
            await source.page("APAC", after=-1, offset=0, updates=0)
        for connection in source._kept.values():
            connection.close()

    with served() as address:
        asyncio.run(ask(address))


@pytest.mark.parametrize("rate", [0.1, 1.0, 30.0, 3000.0, 6000.0])
def test_the_pace_reaches_the_rate(rate):
    """Updates of all regions together come as fast as asked for, within a tenth."""
    pace = Pace.of(rate, 3)
    assert 3 * pace.updates / pace.pause_seconds == pytest.approx(rate, rel=0.1)


def _applied(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as connection:
        query = "SELECT source, last_seq FROM sync_cursor"
        return dict(connection.execute(query).fetchall())


def test_each_batch_is_applied_once_through_killed_connections(dsn, server):
    """Its backend is killed again and again; every feed arrives whole, and the ledger agrees."""
    said: list[str] = []

    async def scenario() -> dict:
        stop = asyncio.Event()
        made = feeds(CATALOGUE, seed=3, started_at=time.time() - 1, batches_per_second=20.0)
        service = Service(
            source=LocalSource(made),
            target=PostgresTarget(f"{dsn} application_name=stock-sync", said.append),
            regions=tuple(made),
            leak=leak_from(""),
            say=said.append,
        )
        running = asyncio.create_task(service.run(stop))
        for _ in range(6):
            await asyncio.sleep(0.4)
            server.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'stock-sync'"
            )
        ends = time.monotonic() + 30
        while min(summary(service.counts)[r]["applied"] for r in made) < 40:
            assert time.monotonic() < ends
            await asyncio.sleep(0.1)
        stop.set()
        await running
        return summary(service.counts)

    counts = asyncio.run(scenario())
    assert any("the database answers again" in line for line in said), said
    assert all(one["updates"] > 0 for one in counts.values())
    applied = _applied(dsn)
    assert {source: seq >= 40 for source, seq in applied.items()} == {
        "feed-usa": True,
        "feed-emea": True,
        "feed-apac": True,
    }
    proof = look(Question(dsn=dsn))
    assert proof.held, proof.summary()


@contextmanager
def process(dsn: str, feed_address: str, leak: str = ""):
    child = subprocess.Popen(
        [sys.executable, "-m", "cims.stock_sync", "--dsn", dsn, "--feed", feed_address, "--json"],
        env={**os.environ, "LEAK": leak},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def _wait_for(what, seconds: float = 30.0):
    ends = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    return found


def test_the_service_has_its_name_and_ends_cleanly(dsn):
    """/proc shows stock-sync; SIGTERM ends it with 0 and its counts; a second one goes on."""
    with served(batches_per_second=10.0) as address:
        with process(dsn, address) as child:
            _wait_for(lambda: _applied(dsn).get("feed-usa", 0) > 3)
            with open(f"/proc/{child.pid}/comm", encoding="ascii") as file:
                assert file.read().strip() == "stock-sync"
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=20)
        assert child.returncode == 0, err
        assert "the database:" not in err
        assert json.loads(out)["USA"]["applied"] > 3
        before = _applied(dsn)["feed-usa"]
        with process(dsn, address):
            _wait_for(lambda: _applied(dsn)["feed-usa"] > before + 3)
    assert look(Question(dsn=dsn)).held


def _anonymous(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:")) * 1024


@pytest.mark.parametrize(("state", "grows"), [("", True), ("/fixed", False)])
def test_the_rate_is_what_the_process_grows_by(dsn, state, grows):
    """LEAK=kind:1MB/s grows by about a megabyte a second; its twin at the same pace does not."""
    with served() as address, process(dsn, address, f"unbounded_cache{state}:1MB/s") as child:
        _wait_for(lambda: _applied(dsn).get("feed-apac", 0) > 2)
        time.sleep(2)
        began, before = time.monotonic(), _anonymous(child.pid)
        time.sleep(6)
        rate = (_anonymous(child.pid) - before) / (time.monotonic() - began)
    if grows:
        assert 0.5e6 < rate < 1.6e6
    else:
        assert rate < 0.2e6


def test_a_slow_database_fills_only_the_queue_without_a_limit(dsn):
    """While the cursor's row is locked, the mistake keeps every page it pulls."""

    async def scenario(leak: str) -> tuple[int, int]:
        made = feeds(CATALOGUE, seed=3, started_at=time.time(), batches_per_second=10.0)
        service = Service(
            source=LocalSource(made),
            target=PostgresTarget(dsn, lambda text: None),
            regions=tuple(made),
            leak=leak_from(leak),
            say=lambda text: None,
        )
        stop = asyncio.Event()
        async with await psycopg.AsyncConnection.connect(dsn) as blocker:
            await blocker.execute("LOCK TABLE sync_cursor IN EXCLUSIVE MODE")
            running = asyncio.create_task(service.run(stop))
            await asyncio.sleep(4.5)
            waiting = service._queue.qsize()
            worked = sum(one["updates"] for one in summary(service.counts).values())
            stop.set()
            await running
        return waiting, worked

    waiting, worked = asyncio.run(scenario("slow_db_queue"))
    assert waiting > 12
    waiting, worked_then = asyncio.run(scenario("slow_db_queue/fixed"))
    assert waiting <= 8
    # Updates go on either way, as the shops' day does.
    assert worked_then > worked / 2 > 20


def test_bad_settings_are_one_line(dsn):
    """An unknown kind is exit 2 with what is known; no database is exit 3."""
    for environment, words, code in (
        ({"LEAK": "nonsense"}, ["--dsn", dsn], 2),
        ({"LEAK": ""}, [], 2),
        ({"LEAK": ""}, ["--dsn", "host=127.0.0.1 port=1"], 3),
    ):
        clean = {name: value for name, value in os.environ.items() if name != "CIMS_DSN"}
        ran = subprocess.run(
            [sys.executable, "-m", "cims.stock_sync", *words],
            env={**clean, **environment},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert ran.returncode == code, ran.stderr
        assert "Traceback" not in ran.stderr
        assert "stock-sync: " in ran.stderr


@pytest.mark.timeout(200)
def test_a_failover_neither_skips_nor_repeats_a_batch():
    """The primary dies under it, the standby takes over, and each feed goes on where it was."""

    async def scenario(made: Pair) -> None:
        stop = asyncio.Event()
        local = feeds(CATALOGUE, seed=3, started_at=time.time(), batches_per_second=20.0)
        service = Service(
            source=LocalSource(local),
            target=PostgresTarget(made.dsn, lambda text: None),
            regions=tuple(local),
            leak=leak_from(""),
            say=lambda text: None,
        )
        running = asyncio.create_task(service.run(stop))
        await asyncio.sleep(2.0)
        await asyncio.to_thread(made.fail_over)
        before = dict(service.counts.seq)
        ends = time.monotonic() + 60
        while any(service.counts.seq[region] < before[region] + 20 for region in local):
            assert time.monotonic() < ends
            await asyncio.sleep(0.1)
        stop.set()
        await running

    with tempfile.TemporaryDirectory(prefix="cims-") as name:
        os.chmod(name, 0o755)
        with pair(Path(name), synchronous=True) as made:
            asyncio.run(scenario(made))
            proof = look(Question(dsn=made.dsn))
    assert proof.held, proof.summary()
    feeds_checked = next(one for one in proof.findings if one.invariant == "I12")
    assert feeds_checked.checked > 60
