"""What the host is part of: nothing is asked where nothing is configured, and looks are kept."""

import time
import tomllib

from forestall.agent.around import Around
from forestall.agent.config import AgentConfig, parse_config
from forestall.clock import SystemClock

CONFIG = """
[database]
scope = "inventory"
member = "db1"
peers = ["http://127.0.0.1:1"]
[fleet]
etcd = ["http://127.0.0.1:1"]
"""


def around_of(config):
    return Around(config, hostname="db1", host_clock=SystemClock(), lag_bytes_max=5)


def test_a_host_by_itself_has_neither_database_nor_lease():
    """Nothing is loaded, and nothing is looked at."""
    alone = around_of(AgentConfig())
    assert alone.look() is None
    assert alone.lease is None
    assert alone.switchover() is None
    assert not alone.has_fleet
    alone.follow()
    alone.publish(3.0)
    alone.close()


def test_a_cluster_that_does_not_answer_is_a_fault_and_no_exception():
    """Policy refuses the switchover with these words, and the rest of the plan goes on."""
    around = around_of(parse_config(tomllib.loads(CONFIG), "f.toml"))
    found = around.look()
    assert found is not None
    assert found.fault is not None
    assert "127.0.0.1:1" in found.fault
    assert around.access is not None
    assert around.access.lag_bytes_max == 5
    assert around.lease is not None
    around.close()


def test_a_decision_takes_the_look_that_a_thread_has_made():
    """A peer that hangs holds up the thread, not what must act now."""
    around = around_of(parse_config(tomllib.loads(CONFIG), "f.toml"))
    around.follow()
    deadline = time.monotonic() + 30
    while around._follower.latest is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert around.look() is around._follower.latest
    around.close()
