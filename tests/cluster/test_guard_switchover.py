"""The switchover on a real cluster under load: etcd, two Patroni nodes, HAProxy, pgbouncer."""

import time

import pytest
from tests.fakes.guard import verdict_of

from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.guard.actions.switchover import SwitchoverHandler
from forestall.guard.database import DatabaseAccess, Pooler, Proxy, look
from forestall.guard.handler import Step
from forestall.guard.links import Links
from forestall.guard.wire.endpoint import WireError
from forestall.guard.wire.patroni import Access, Patroni
from forestall.model.action import Action, ActionKind, Mode, Plan
from forestall.model.database import Role
from forestall.model.verdict import Subject

psycopg = pytest.importorskip("psycopg")
pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


@pytest.fixture
def access(cluster, tmp_path):
    """How guard on the primary's host would be configured."""
    secrets = {"rest": cluster.secrets.rest, "pooler": cluster.secrets.forestall}
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret + "\n")
    cluster.wait_healthy()
    primary, replica = cluster.primary(), cluster.replica()
    return DatabaseAccess(
        scope="orders",
        url=f"http://127.0.0.1:{primary.ports.rest}",
        peers=(f"http://127.0.0.1:{replica.ports.rest}",),
        rest=Access(user="forestall", password_file=str(tmp_path / "rest")),
        poolers=(
            Pooler(
                address=f"127.0.0.1:{cluster.ports.pooler}",
                user="forestall",
                password_file=str(tmp_path / "pooler"),
                databases=("orders",),
            ),
        ),
        proxies=(Proxy(address=str(cluster.haproxy_socket), backend="primary"),),
    )


@pytest.fixture
def writer(cluster):
    from drills.cluster.writer import TABLE, Writer

    cluster.wait_healthy()
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLE}")
    with Writer(cluster.dsn()) as running:
        time.sleep(1.0)
        yield running


def step_of(cluster, *, via="pgbouncer", pause=3.0, timeout=30.0, **more):
    parameters = {
        "scope": "orders",
        "leader": cluster.primary().name,
        "candidate": cluster.replica().name,
        "peer_url": f"http://127.0.0.1:{cluster.replica().ports.rest}",
        "via": via,
        "pause_timeout_seconds": f"{pause:g}",
    }
    subject = Subject(host="db1", name="feed-sync")
    action = Action(
        id="switchover",
        kind=ActionKind.SWITCHOVER,
        subject=subject,
        timeout_seconds=timeout,
        parameters={**parameters, **more},
    )
    plan = Plan(
        id="p", at=1.0, mode=Mode.ACT, verdict=verdict_of(subject), actions=(action,), because=()
    )
    return Step(plan=plan, action=action)


@pytest.fixture
def handler(access):
    links = Links(access)
    yield SwitchoverHandler(access, clock=SystemClock(), links=links)
    links.close()


def test_the_cluster_is_seen_from_a_peer(cluster, access):
    """Roles, lags and timelines; which member is here is asked of this host's own Patroni."""
    seen = look(access, SystemClock(), forecasts={cluster.replica().name: 90.0})
    assert seen.fault is None
    assert (seen.scope, seen.own, seen.synchronous) == ("orders", cluster.primary().name, True)
    assert seen.primary_is_here
    assert not seen.paused
    assert not seen.switchover_pending
    by_name = {member.name: member for member in seen.members}
    assert all(member.healthy for member in seen.members)
    standby = by_name[cluster.replica().name]
    assert standby.role is Role.SYNC_STANDBY
    assert standby.lag_bytes is not None
    assert (standby.forecast_known, standby.exhaustion_seconds) == (True, 90.0)
    assert standby.timeline == seen.primary.timeline
    client = Patroni(access.peers[0], access.rest)
    assert client.ping()[0].isdigit()
    assert client.check("health")
    assert not client.check("primary")
    assert not client.takes_writes()
    client.close()


def test_the_primary_moves_and_no_client_sees_an_error(cluster, access, writer, handler, capsys):
    """By PAUSE, switchover, RESUME: 0 errors, 0 lost, and writes stop for a moment only."""
    step = step_of(cluster)
    assert handler.precondition(step) is None
    since = time.monotonic()
    done = handler.do(step)
    assert handler.verify(step, done) is None
    time.sleep(2.0)
    figures = writer.figures(since)
    with capsys.disabled():
        print(f"\nswitchover by pgbouncer: {done.detail} {figures}")
    assert figures.errors == {}
    assert figures.unknown == 0
    assert figures.longest_gap_seconds < 15
    assert cluster.primary().name == step.action.parameters["candidate"]
    assert handler.undo(step) is None
    assert "is not the primary any more" in handler.precondition(step)
    cluster.wait_healthy()
    assert writer.lost(cluster.dsn()) == set()


def test_an_open_transaction_stops_it_before_it_begins(cluster, access, writer, handler):
    """PAUSE is given up, the clients go on, and the primary stays where it was."""
    step, before = step_of(cluster, pause=1.0), cluster.primary().name
    with psycopg.connect(cluster.dsn()) as busy:
        busy.execute("SELECT 1")
        since = time.monotonic()
        with pytest.raises(ForestallError, match="PAUSE of orders did not end in time"):
            handler.do(step)
        time.sleep(1.0)
        busy.execute("SELECT 1")
    figures = writer.figures(since)
    assert figures.errors == {}
    assert figures.acknowledged > 10
    assert cluster.primary().name == before
    assert handler.precondition(step) is None


def test_what_a_killed_agent_left_is_taken_back(cluster, access, writer, handler):
    """Paused and drained by one that is gone: a fresh handler lets all go, from the plan alone."""
    step = step_of(cluster)
    links = Links(access)
    links.poolers[0].holding.pause("orders", seconds=3)
    links.close()
    assert "paused already" in handler.precondition(step)
    since = time.monotonic()
    assert "RESUME of orders" in handler.undo(step)
    time.sleep(1.0)
    assert writer.figures(since).acknowledged > 10
    assert handler.undo(step) is None
    drained = step_of(cluster, via="haproxy")
    links = Links(access)
    proxy = links.proxies[0]
    from forestall.guard.wire.haproxy import ServerState

    proxy.client.set_state("primary", cluster.primary().name, ServerState.DRAIN)
    assert "is ready again" in handler.undo(drained)
    assert not proxy.stopped(cluster.primary().name)
    assert handler.undo(drained) is None
    links.close()


def test_patroni_refusing_lets_the_clients_go(cluster, access, writer, handler):
    """A candidate that does not exist, a wrong password: no switchover, no client held."""
    with pytest.raises(ForestallError, match="n9 is not a member"):
        handler.do(step_of(cluster, candidate="n9"))
    since = time.monotonic()
    wrong = step_of(cluster, leader=cluster.replica().name, candidate=cluster.primary().name)
    with pytest.raises(ForestallError, match="is not the primary any more"):
        handler.do(wrong)
    with open(access.rest.password_file, "w") as file:
        file.write("hunter2\n")
    fresh = SwitchoverHandler(access, clock=SystemClock(), links=Links(access))
    with pytest.raises(WireError, match="status 401") as caught:
        fresh.do(step_of(cluster))
    assert "hunter2" not in caught.value.message
    fresh._links.close()
    time.sleep(1.0)
    figures = writer.figures(since)
    assert figures.errors == {}
    assert handler._links.poolers[0].paused() == ()


@pytest.mark.parametrize("via", ["haproxy", "patroni"])
def test_without_a_pooler_the_primary_moves_all_the_same(cluster, access, writer, via, capsys):
    """Clients see errors then and repeat; nothing that was acknowledged is lost."""
    links = Links(access)
    handler = SwitchoverHandler(access, clock=SystemClock(), links=links)
    step = step_of(cluster, via=via)
    assert handler.precondition(step) is None
    since = time.monotonic()
    done = handler.do(step)
    assert handler.verify(step, done) is None
    time.sleep(2.0)
    figures = writer.figures(since)
    with capsys.disabled():
        print(f"\nswitchover by {via}: {done.detail} {figures}")
    assert figures.acknowledged > 10
    assert cluster.primary().name == step.action.parameters["candidate"]
    links.close()
    cluster.wait_healthy()
    assert writer.lost(cluster.dsn()) == set()


def test_a_long_loop_of_patroni_is_not_waited_for(cluster, access, writer, handler, capsys):
    """With the default loop_wait of 10 s, the leader that answers looks at once."""
    client = Patroni(access.peers[0], access.rest)
    client.connect()
    headers = {"Authorization": client._authorization, "Content-Type": "application/json"}
    try:
        assert client._http.ask("PATCH", "/config", b'{"loop_wait": 10}', headers).status == 200
        # Each node learns it in a loop of its own, and begins a long one.
        time.sleep(3.0)
        step = step_of(cluster)
        assert handler.precondition(step) is None
        since = time.monotonic()
        done = handler.do(step)
        assert handler.verify(step, done) is None
        time.sleep(2.0)
        figures = writer.figures(since)
        with capsys.disabled():
            print(f"\nswitchover with loop_wait 10: {done.detail} {figures}")
        assert figures.errors == {}
        assert figures.longest_gap_seconds < 9
    finally:
        answer = client._http.ask("PATCH", "/config", b'{"loop_wait": 1}', headers)
        client.close()
    assert answer.status == 200
