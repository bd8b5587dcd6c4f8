"""The fleet's lease by an etcd that is made up; a real one is in tests/integration."""

import pytest
from tests.fakes.clock import FakeClock

from forestall.guard.fleet import FleetLease
from forestall.guard.wire.endpoint import WireError


class LosesAnswers:
    """Writes the key, and its answer is lost on the way."""

    def __init__(self):
        self.keys, self.granted = {}, 0

    def grant(self, seconds):
        self.granted += 1
        return self.granted

    def create(self, key, value, lease):
        self.keys[key] = lease
        raise WireError("etcd: timed out")

    def revoke(self, lease):
        self.keys = {key: of for key, of in self.keys.items() if of != lease}

    def close(self):
        pass


def test_a_lease_whose_answer_was_lost_keeps_nobody_out():
    """Not held by us, as far as we know, it must not be held by us as far as the others know."""
    etcd = LosesAnswers()
    lease = FleetLease(lambda: etcd, scope="orders", host="n1", clock=FakeClock())
    with pytest.raises(WireError, match="timed out"):
        lease.acquire("plan-1")
    assert not lease.held()
    assert etcd.keys == {}
