"""etcd and the fleet's lease, against a real etcd."""

import json
import time

import pytest
from tests.fakes.clock import FakeClock
from tests.integration import servers

from forestall.clock import SystemClock
from forestall.guard.fleet import LEASE_SECONDS, FleetForecasts, FleetLease
from forestall.guard.wire.endpoint import RefusedError, WireError
from forestall.guard.wire.etcd import Etcd


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with servers.etcd(tmp_path_factory.mktemp("etcd")) as found:
        yield found


OPENED = servers.Opened()


@pytest.fixture(autouse=True)
def _closed():
    yield
    OPENED.close()


def etcd_of(*words, **more):
    return OPENED(Etcd(*words, **more))


def _refused_port():
    return f"http://127.0.0.1:{servers.free_ports(1)[0]}"


def test_keys_and_leases(url):
    """Keys are written, read, listed, and end with their lease."""
    etcd = etcd_of([url])
    assert etcd.ping().count(".") == 2
    lease = etcd.grant(20)
    assert etcd.create("/t/one", b"\x00\xff", lease) is None
    held = etcd.create("/t/one", b"other", etcd.grant(20))
    assert (held.key, held.value, held.lease) == ("/t/one", b"\x00\xff", lease)
    etcd.put("/t/two", "ü".encode())
    assert [pair.key for pair in etcd.below("/t/")] == ["/t/one", "/t/two"]
    assert [pair.key for pair in etcd.below("/t/", limit=1)] == ["/t/one"]
    assert etcd.get("/t") is None
    assert 0 < etcd.keep_alive(lease) <= 20
    etcd.revoke(lease)
    etcd.revoke(lease)
    assert etcd.keep_alive(lease) == 0
    assert [pair.key for pair in etcd.below("/t/")] == ["/t/two"]
    with pytest.raises(RefusedError, match="lease not found"):
        etcd.put("/t/three", b"", lease)


def test_a_member_that_is_gone_is_passed_over(url):
    """Any member that answers is enough; the next question begins with it."""
    etcd = etcd_of([_refused_port(), url])
    assert etcd.ping() == etcd.ping() != ""
    with pytest.raises(WireError, match=r"Connection refused.*Connection refused") as caught:
        etcd_of([_refused_port(), _refused_port()]).ping()
    assert caught.value.help


def test_a_connection_that_the_server_closed_is_opened_again(tmp_path):
    """A kept connection survives a restart of etcd."""
    (port,) = servers.free_ports(1)
    with servers.etcd(tmp_path, port=port) as url:
        etcd = etcd_of([url])
        etcd.put("/kept", b"1")
    with servers.etcd(tmp_path, port=port):
        assert etcd.get("/kept").value == b"1"


def test_users_and_their_passwords(tmp_path):
    """With authentication on, a user's password is asked for and never shown."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    with servers.etcd(tmp_path) as url:
        root = etcd_of([url])
        root._call("/v3/auth/user/add", {"name": "root", "password": "hunter2"})
        root._call("/v3/auth/user/grant", {"user": "root", "role": "root"})
        root._call("/v3/auth/enable", {})
        known = etcd_of([url], user="root", password_file=str(secret))
        known.put("/a", b"1")
        # What etcd says of a token that has ended is what it says of one it never gave.
        known._token = "nonsense"
        assert known.get("/a").value == b"1"
        with pytest.raises(RefusedError):
            etcd_of([url]).get("/a")
        secret.write_text("hunter3\n")
        with pytest.raises(RefusedError) as caught:
            etcd_of([url], user="root", password_file=str(secret)).get("/a")
        assert "hunter" not in caught.value.message


def lease_of(url, host, scope="s", clock=None):
    return FleetLease(
        lambda: etcd_of([url]),
        scope=scope,
        host=host,
        clock=clock or SystemClock(),
        lease_seconds=11,
    )


def test_the_lease_is_held_by_one_host(url):
    """The second host learns by whom, for what and since when; released, it is free at once."""
    one, two = lease_of(url, "db1", "one"), lease_of(url, "db2", "one")
    assert one.acquire("plan-1") is None
    assert one.held()
    why = two.acquire("plan-2")
    assert why.startswith("The lease of the fleet is held by db1 for plan-1 since ")
    assert not two.held()
    assert one.acquire("plan-1") is None, "asking again is no fault"
    one.release()
    one.release()
    assert not one.held()
    assert two.acquire("plan-2") is None
    two.release()


def test_a_holder_counts_by_itself_when_its_lease_ends(url):
    """By a clock that ran on unseen, the lease counts as lost before etcd ends it."""
    clock = FakeClock()
    held = lease_of(url, "db1", "count", clock)
    assert held.acquire("p") is None
    clock.sleep(5.5)
    assert held.held()
    clock.sleep(1.0)
    assert not held.held()
    held.release()


def test_a_lease_that_etcd_ended_is_not_held(url):
    """Whoever ends it, and whyever: a renewal finds out."""
    held = lease_of(url, "db1", "ended")
    assert held.acquire("p") is None
    etcd_of([url]).revoke(held._lease)
    assert not held.renew()
    assert not held.held()
    other = lease_of(url, "db2", "ended")
    assert other.acquire("q") is None
    held.release()
    assert other.held()
    other.release()


def test_the_thread_keeps_the_lease_beyond_its_time(url):
    """Held for longer than it lasts, nobody else gets it; the thread ends with the release."""
    held, other = lease_of(url, "db1", "long"), lease_of(url, "db2", "long")
    assert held.acquire("p") is None
    keeper = held._keeper
    time.sleep(12.5)
    assert held.held()
    assert other.acquire("q") is not None
    held.release()
    assert not keeper.is_alive()


def test_a_holder_that_dies_gives_it_back(url):
    """No thread, no renewal: after its time it is another's."""
    lease = etcd_of([url]).grant(2)
    etcd_of([url]).create("/forestall/dead/lease", b"not json \xff", lease)
    other = lease_of(url, "db2", "dead")
    assert "held by None for None" in other.acquire("q")
    deadline = time.monotonic() + 20
    while other.acquire("q") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    other.release()


def test_without_etcd_nobody_acts():
    """No answer is no lease."""
    lease = lease_of(_refused_port(), "db1")
    with pytest.raises(WireError, match="Connection refused"):
        lease.acquire("p")
    assert not lease.held()
    assert LEASE_SECONDS == 30


def test_hosts_tell_each_other_what_they_forecast(url):
    """None is known to be well; who never published is not known; nonsense is left out."""
    one = FleetForecasts(etcd_of([url]), scope="f", member="n1")
    two = FleetForecasts(etcd_of([url]), scope="f", member="n2")
    one.publish(120.5)
    two.publish(None)
    two.publish(None)
    etcd_of([url]).put("/forestall/f/hosts/n3", b"[]")
    etcd_of([url]).put("/forestall/f/hosts/n4", json.dumps({"exhaustion_seconds": "x"}).encode())
    assert one.forecasts() == {"n1": 120.5, "n2": None}
    etcd_of([url]).revoke(one._lease)
    assert two.forecasts() == {"n2": None}
    one.publish(60.0)
    assert two.forecasts()["n1"] == 60.0
