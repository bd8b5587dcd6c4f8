"""A pair from Python packages alone, as the demo plays it."""

import os
import time

import psycopg
import pytest
from drills.cluster import programs
from drills.cluster.process import inside
from drills.cluster.writer import Writer, make_table

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


@pytest.fixture
def pair():
    from drills.cluster.pair import RAFT, WHEEL, Pair

    try:
        programs.missing_modules((WHEEL, RAFT), extra="pair")
    except programs.MissingError as error:
        pytest.skip(str(error))
    admitted = []
    with Pair(admit=admitted.append) as made:
        made.admitted = admitted
        yield made
    assert inside(made.folder) == []
    assert not os.path.exists(made.folder)


def test_a_switchover_loses_no_order_and_the_old_primary_follows(pair):
    """n1 is first, all of it below the admitted process; the clients find n2 by themselves."""
    first = pair.primary()
    assert first.name == "n1"
    assert pair.admitted == [first.patroni.pid]
    make_table(pair.dsn())
    with Writer(pair.dsn(), threads=2, pause_seconds=0.02) as writer:
        pair.switchover(pause=False)
        assert pair.primary().name == "n2"
        pair.wait_healthy()
    assert writer.acknowledged
    assert writer.lost(pair.dsn()) == set()
    with psycopg.connect(pair.dsn(node=pair.node("n2"))) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def test_the_death_of_the_primary_is_survived(pair):
    """Two of three voters are left: the lease runs out, and the replica takes it."""
    make_table(pair.dsn())
    with Writer(pair.dsn(), threads=1, pause_seconds=0.05) as writer:
        first = pair.primary()
        first.kill()
        assert pair.wait_primary(not_node=first, seconds=90).name == "n2"
        # Patroni says so as soon as it has the lease; PostgreSQL takes writes a little later.
        killed = len(writer.acknowledged)
        until = time.monotonic() + 60
        while len(writer.acknowledged) == killed and time.monotonic() < until:
            time.sleep(0.1)
        assert len(writer.acknowledged) > killed
    assert writer.lost(pair.dsn()) == set()
