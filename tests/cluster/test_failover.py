"""A real pair with failover: nothing that was acknowledged is lost, whatever happens to a node."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from drills.cluster import process, programs

psycopg = pytest.importorskip("psycopg")
pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def writer(cluster):
    from drills.cluster.writer import TABLE, Writer

    cluster.wait_healthy()
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLE}")
    with Writer(cluster.dsn()) as running:
        time.sleep(1.0)
        yield running


def test_every_door_leads_where_it_says(cluster):
    """pgbouncer and HAProxy lead to the primary, the replica's port to a node that only reads."""
    primary, replica = cluster.primary(), cluster.replica()
    for via, node in (("pgbouncer", primary), ("haproxy", primary), ("replica", replica)):
        with psycopg.connect(cluster.dsn(via), autocommit=True) as connection:
            row = connection.execute("SELECT inet_server_port(), pg_is_in_recovery()").fetchone()
        assert row == (node.ports.database, node is replica), via


def test_the_rest_interface_wants_a_password(cluster):
    """Whoever does not know the password cannot ask Patroni for a switchover."""
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        f"http://127.0.0.1:{cluster.replica().ports.rest}/switchover", data=b"{}", method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)
    assert refused.value.code == 401
    refused.value.close()


def test_servers_do_not_run_as_root(cluster):
    """Not one process of the nodes is root's, and their files are closed to others."""
    for node in cluster.nodes:
        assert node.processes
        for one in node.processes:
            assert os.stat(f"/proc/{one.pid}").st_uid != 0
        assert node.folder.stat().st_mode & 0o077 == 0


def test_a_planned_switchover_is_not_seen_by_clients(cluster, writer):
    """Writes are held by pgbouncer for seconds: no error, nothing lost, the other node leads."""
    before, since = cluster.primary(), time.monotonic()
    cluster.switchover()
    assert cluster.primary() is not before
    cluster.wait_healthy()
    time.sleep(0.5)
    figures = writer.figures(since)
    assert figures.errors == {}
    assert figures.unknown == 0
    assert figures.acknowledged > 0
    assert writer.lost(cluster.dsn("haproxy")) == set()


def test_a_node_that_dies_loses_nothing_and_comes_back(cluster, writer):
    """The primary dies with a write that no replica has: the replica takes over with every
    acknowledged row, and the dead node is rewound past its own write when it comes back."""
    dead, heir = cluster.primary(), cluster.replica()
    in_doubt = []

    def write_alone() -> None:
        try:
            with psycopg.connect(cluster.dsn(node=dead), autocommit=True) as connection:
                connection.execute("INSERT INTO written VALUES (-1)")
                in_doubt.append("acknowledged")
        except psycopg.Error as error:
            in_doubt.append(type(error).__name__)

    heir.cut()
    alone = threading.Thread(target=write_alone)
    alone.start()
    _wait(lambda: _waiting_for_replica(cluster, dead), "no commit waits for the replica")
    dead.kill()
    # What is on its way to the replica vanishes with its card.
    heir.unplug_hard()
    heir.start_card()
    alone.join(timeout=30)
    assert in_doubt
    assert in_doubt != ["acknowledged"]
    assert cluster.wait_primary(not_node=dead) is heir
    dead.start()
    cluster.wait_healthy()
    assert writer.lost(cluster.dsn("haproxy")) == set()
    assert "running pg_rewind" in dead.log()
    with psycopg.connect(cluster.dsn(node=dead), autocommit=True) as connection:
        assert connection.execute("SELECT 1 FROM written WHERE number = -1").fetchone() is None


def test_an_unplugged_primary_acknowledges_nothing_more(cluster, writer):
    """A primary without network neither takes writes nor keeps the lease: the replica takes over,
    and when the network is back there is one primary, which has every acknowledged row."""
    lonely, heir = cluster.primary(), cluster.replica()
    lonely.cut()
    assert cluster.wait_primary(not_node=lonely) is heir
    lonely.mend()
    cluster.wait_healthy()
    assert cluster.primary() is heir
    assert writer.lost(cluster.dsn("haproxy")) == set()


def test_a_cancelled_wait_for_the_replica_counts_as_unknown(cluster, writer):
    """A commit whose wait for the replica is cancelled reports success with a warning; the writer's
    list has it as unknown, not as acknowledged."""
    primary, replica = cluster.primary(), cluster.replica()
    assert replica.freeze_replication()
    try:
        _wait(lambda: _waiting_for_replica(cluster, primary), "no commit waits for the replica")
        with psycopg.connect(cluster.superuser_dsn(primary), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
        _wait(lambda: bool(writer.unknown), "no write has the outcome unknown")
    finally:
        replica.thaw_replication()
    cluster.wait_healthy()
    assert not {n for _, n in writer.unknown} & {n for _, n in writer.acknowledged}
    assert writer.lost(cluster.dsn("haproxy")) == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_drill_that_is_killed(number):
    """A drill that is ended from outside leaves no process and no folder, even by SIGKILL."""
    missing = programs.missing_here()
    if missing:
        pytest.skip(missing)
    drill = subprocess.Popen(
        [sys.executable, str(ROOT / "drills/cluster/run.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert drill.stdout is not None
    said = {}
    for line in drill.stdout:
        said[line.split()[0]] = line.split()[-1]
        if line.startswith("Ctrl-C"):
            break
    folder = Path(said["passwords"]).parent
    assert len(process.inside(folder)) > 10
    assert Path(said["passwords"]).stat().st_mode & 0o077 == 0
    drill.send_signal(number)
    drill.communicate(timeout=60)
    assert drill.returncode == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    _wait(lambda: not folder.exists(), "the folder is still there")
    assert process.inside(folder) == []


def _waiting_for_replica(cluster, node) -> bool:
    """Whether a commit waits for the replica at this node."""
    with psycopg.connect(cluster.superuser_dsn(node), autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        ).fetchone()
    return bool(row and row[0])


def _wait(condition, what, seconds=30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)
