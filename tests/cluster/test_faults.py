"""The faults of the drill, the short ones: each is put in, taken out, and nothing is lost."""

import os
import random
import subprocess
import sys
import time

import pytest

psycopg = pytest.importorskip("psycopg")
pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(180)]


@pytest.fixture
def storm(cluster):
    """Puts one fault in under load, waits for health, and gives its words and the proof."""
    from drills.faults import faults
    from drills.faults.load import Rows

    def blow(name, seed, **only):
        cluster.wait_healthy()
        load = Rows(cluster)
        with load:
            time.sleep(0.5)
            detail = faults.FAULTS[name](cluster, random.Random(seed), **only)
            faults.heal(cluster)
            faults.wait_healthy(cluster)
        return detail, load.prove()

    with psycopg.connect(cluster.dsn("haproxy"), autocommit=True) as connection:
        connection.execute("TRUNCATE written")
    return blow


def test_a_guard_that_is_killed_while_it_holds_the_writes_is_undone_by_the_next(cluster, storm):
    """A guard dies in the middle of its switchover with the writes held: the next one lets the
    clients go and closes the plan in the ledger."""
    detail, proof = storm("kill guard", 1, at_seconds=1.8)
    assert "clients were held, 1 plans half done; failed+undone" in detail
    assert not cluster.pooler.paused
    assert proof.acknowledged > 0
    assert proof.violations == {}


def test_a_full_disk_costs_time_and_no_row(cluster, storm):
    """The primary's disk is full for some seconds: writes fail, and none that was taken is lost."""
    if cluster.primary().disk is None:
        pytest.skip("a small disk of its own needs root")
    detail, proof = storm("disk full", 2)
    assert "MiB" in detail
    assert proof.acknowledged > 0
    assert proof.violations == {}


def test_a_service_shares_the_memory_limit_of_its_node(cluster):
    """A service that runs on a node's machine is stopped by that machine's limit, not by ours."""
    machine = cluster.replica().machine
    if machine is None:
        pytest.skip("a memory cgroup of its own needs root and the memory controller")
    hog = "import time\ntime.sleep(1)\nx = bytearray(512 << 20)\nprint('had it', flush=True)"
    node = cluster.replica()
    machine.limit(machine.used_bytes + (128 << 20))
    try:
        process = node.run([sys.executable, "-c", hog], "hog", stdout=subprocess.PIPE)
        said, _ = process.communicate(timeout=30)
    finally:
        machine.limit(None)
    assert said == b""
    assert process.returncode == -9
    cluster.wait_healthy()


def test_what_is_lost_is_seen(cluster):
    """The proof can fail: a row that was acknowledged and is gone is a violation."""
    from drills.faults.load import Rows

    cluster.wait_healthy()
    load = Rows(cluster)
    with psycopg.connect(cluster.dsn("haproxy"), autocommit=True) as connection:
        connection.execute("TRUNCATE written")
        with load:
            time.sleep(0.5)
        assert load.prove().violations == {}
        connection.execute("DELETE FROM written WHERE number = (SELECT min(number) FROM written)")
    assert load.prove().violations == {"lost": 1}


def test_the_drill_says_what_is_missing():
    """On a machine without the servers the drill names the packages in one line and ends with 3."""
    done = subprocess.run(
        [sys.executable, "drills/cluster/run.py"],
        env=os.environ | {"PATH": "/nonexistent", "FORESTALL_DRILL_PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "haproxy, pgbouncer" in done.stderr
    assert "tools/packages.sh cluster" in done.stderr
