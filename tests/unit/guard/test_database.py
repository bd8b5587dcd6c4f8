"""What Patroni answers, as nouns; and a cluster that cannot be asked."""

import pytest
from tests.fakes.clock import FakeClock

from forestall.guard.database import Cluster, DatabaseAccess, Pooler, Proxy, database_of, look
from forestall.guard.wire.endpoint import WireError
from forestall.model.database import Role

LEADER = {
    "name": "n1",
    "role": "leader",
    "state": "running",
    "api_url": "http://10.0.0.1:8008/patroni",
    "timeline": 3,
}
STANDBY = {
    "name": "n2",
    "role": "sync_standby",
    "state": "streaming",
    "api_url": "http://10.0.0.2:8008/patroni",
    "timeline": 3,
    "lag": 0,
}


def members(*told, **config):
    return database_of({"members": list(told), "scope": "orders"}, config, at=1.0)


def test_a_cluster_of_two():
    """Roles, addresses, lag and timeline as they were told."""
    seen = members(LEADER, STANDBY, synchronous_mode=True)
    first, second = seen.members
    assert seen.primary == first
    assert (first.url, first.healthy, first.lag_bytes) == ("http://10.0.0.1:8008", True, None)
    assert (second.role, second.healthy, second.lag_bytes) == (Role.SYNC_STANDBY, True, 0)
    assert (seen.synchronous, seen.paused, seen.switchover_pending) == (True, False, False)


@pytest.mark.parametrize(
    ("fields", "healthy"),
    [
        ({}, True),
        ({"state": "running"}, False),
        ({"state": "in archive recovery"}, False),
        ({"state": "start failed"}, False),
        ({"tags": {"nofailover": True}}, False),
        ({"tags": {"nofailover": False, "clonefrom": True}}, True),
        ({"role": "quorum_standby"}, True),
        ({"role": "replica"}, True),
    ],
)
def test_a_replica_is_healthy_only_if_it_streams_and_may_take_over(fields, healthy):
    """Anything that is not known to stream could not take over without loss."""
    assert members(LEADER, {**STANDBY, **fields}).members[1].healthy is healthy


@pytest.mark.parametrize("lag", ["unknown", None, -1, True, 1.5])
def test_a_lag_that_is_no_number_is_not_known(lag):
    """Not known, and never 0."""
    assert members(LEADER, {**STANDBY, "lag": lag}).members[1].lag_bytes is None


@pytest.mark.parametrize(
    ("mode", "synchronous"),
    [(None, False), (False, False), ("off", False), (True, True), ("quorum", True), ("on", True)],
)
def test_synchronous_mode_in_its_spellings(mode, synchronous):
    """Also `quorum`, of Patroni 4."""
    assert members(LEADER, synchronous_mode=mode).synchronous is synchronous


def test_a_pause_and_a_scheduled_switchover_are_seen():
    """Both are reasons to leave the cluster alone."""
    told = {"members": [LEADER], "pause": True, "scheduled_switchover": {"at": "x", "from": "n1"}}
    seen = database_of(told, {}, at=1.0)
    assert seen.paused
    assert seen.switchover_pending


@pytest.mark.parametrize(
    "told", [{}, {"members": {}}, {"members": [1]}, {"members": [{}]}, {"members": [LEADER] * 65}]
)
def test_another_form_is_an_error(told):
    """No members, members without names, too many."""
    with pytest.raises(WireError, match="/cluster holds"):
        database_of(told, {}, at=1.0)


class Told:
    """A member that tells what it is given, or raises."""

    def __init__(self, cluster=None, own="n1", fault=None):
        self.told, self.own, self.fault, self.asked = cluster, own, fault, 0

    def cluster(self):
        self.asked += 1
        if self.fault:
            raise WireError(self.fault)
        return self.told

    def config(self):
        return {"synchronous_mode": True}

    def member(self):
        if self.fault:
            raise WireError(self.fault)
        return {"patroni": {"name": self.own}}


def cluster_of(access, **clients):
    cluster = Cluster(access)
    cluster._clients.update({f"http://{name}": client for name, client in clients.items()})
    return cluster


TOLD = {"members": [LEADER, STANDBY], "scope": "orders"}


def test_peers_are_asked_before_this_host():
    """The first that answers is believed; the own member's name comes from this host."""
    gone, peer, own = Told(fault="gone"), Told(TOLD), Told(TOLD)
    access = DatabaseAccess(scope="orders", url="http://own", peers=("http://a", "http://b"))
    seen = cluster_of(access, a=gone, b=peer, own=own).look(FakeClock(), forecasts={"n2": None})
    assert (gone.asked, peer.asked, own.asked) == (1, 1, 0)
    assert (seen.fault, seen.own, seen.primary_is_here) == (None, "n1", True)
    assert [member.forecast_known for member in seen.members] == [False, True]


def test_members_that_were_learned_are_asked_later():
    """When the configured one has gone, those that it told of answer."""
    own = Told(TOLD)
    access = DatabaseAccess(scope="orders", own="n1", url="http://own")
    cluster = cluster_of(access, own=own, **{"10.0.0.2:8008": Told(TOLD)})
    assert cluster.look(FakeClock()).fault is None
    own.fault = "frozen"
    assert cluster.look(FakeClock()).fault is None


def test_a_cluster_that_cannot_be_asked_says_why():
    """Never raised: everybody's reason, and no members."""
    access = DatabaseAccess(scope="orders", own="n1", url="http://own", peers=("http://a",))
    cluster = cluster_of(access, a=Told(fault="refused"), own=Told(fault="timed out"))
    seen = cluster.look(FakeClock())
    assert (seen.fault, seen.members) == ("refused; timed out", ())
    assert "no address" in look(DatabaseAccess(scope="orders"), FakeClock()).fault


def test_an_address_that_is_none_is_one_more_fault():
    """A member may tell any `api_url`: a look that raised would end every decision there is."""
    odd = {**STANDBY, "api_url": "http://u@[10.0.0.2/patroni"}
    access = DatabaseAccess(scope="orders", own="n1", url="http://own")
    own = Told({**TOLD, "members": [LEADER, odd]})
    cluster = cluster_of(access, own=own)
    for _ in range(2):
        assert cluster.look(FakeClock()).fault is None
    own.fault = "frozen"
    assert "not a url" in cluster.look(FakeClock()).fault


def test_another_cluster_at_the_address_is_a_fault():
    """A wrong port must not have the wrong database moved."""
    access = DatabaseAccess(scope="stock", own="n1", peers=("http://a",))
    assert "orders, not stock" in cluster_of(access, a=Told(TOLD)).look(FakeClock()).fault


def test_whose_own_name_is_not_known_is_a_fault():
    """Else a primary on this host would be taken for one elsewhere, and left to die."""
    access = DatabaseAccess(scope="orders", url="http://own", peers=("http://a",))
    seen = cluster_of(access, a=Told(TOLD), own=Told(fault="timed out")).look(FakeClock())
    assert "timed out" in seen.fault


def test_traffic_goes_by_what_holds_it_best():
    """pgbouncer before HAProxy before Patroni alone."""
    pooler, proxy = Pooler(address="/run/p"), Proxy(address="/run/h", backend="b")
    assert DatabaseAccess(scope="s", poolers=(pooler,), proxies=(proxy,)).via == "pgbouncer"
    assert DatabaseAccess(scope="s", proxies=(proxy,)).via == "haproxy"
    assert DatabaseAccess(scope="s").via == "patroni"
