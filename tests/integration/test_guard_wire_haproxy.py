"""The runtime socket, against a real HAProxy."""

import time

import pytest
from tests.integration import servers

from forestall.guard.database import Proxy
from forestall.guard.links import ProxyLink
from forestall.guard.wire.endpoint import Endpoint, RefusedError, WireError
from forestall.guard.wire.haproxy import Haproxy, ServerState


def test_servers_are_drained_and_made_ready(tmp_path):
    """State and checks are told apart: a drained server stays drained when its check fails."""
    opened = servers.Opened()
    with servers.haproxy(tmp_path, servers.free_ports(2)) as (path, _):
        client = opened(Haproxy(Endpoint(path=path)))
        try:
            client.connect()
            assert client.ping()[0].isdigit()
            assert [server.name for server in client.servers("db")] == ["pg1", "pg2"]
            client.set_state("db", "pg1", ServerState.DRAIN)
            assert client.stopped("db") == ("pg1",)
            link = ProxyLink(Proxy(address=path, backend="db", servers={"n1": "pg1"}), 2.0)
            opened(link.client)
            servers.wait_for(lambda: link.status("n1") == "DOWN", "the check")
            assert link.stopped("n1")
            assert link.problem("n1", "pg2").endswith("not by this plan.")
            client.set_state("db", "pg1", ServerState.READY)
            client.set_state("db", "pg1", ServerState.READY)
            assert client.stopped("db") == ()
            servers.wait_for(lambda: link.status("pg2") == "DOWN", "the other check")
            assert link.problem("n1", "pg2") is None
            assert "has no server for n7" in link.problem("n1", "n7")
            assert link.unusable(drains=True) is None
            other = ProxyLink(Proxy(address=path, backend="no"), 2.0)
            opened(other.client)
            with pytest.raises(RefusedError):
                other.unusable(drains=False)
            client.set_state("db", "pg2", ServerState.MAINT)
            assert client.stopped("db") == ("pg2",)
        finally:
            opened.close()


def test_an_idle_connection_is_kept_beyond_the_time_of_the_socket(tmp_path):
    """`stats timeout` is 2 s here; the connection of 3 s ago still answers."""
    opened = servers.Opened()
    with servers.haproxy(tmp_path, servers.free_ports(1)) as (path, _):
        client = opened(Haproxy(Endpoint(path=path)))
        client.connect()
        kept = client._stream._socket
        time.sleep(3)
        client.ping()
        assert client._stream._socket is kept
        opened.close()


def test_what_haproxy_refuses_is_said(tmp_path):
    """An unknown backend or server, and a socket without the right to change anything."""
    opened = servers.Opened()
    with servers.haproxy(tmp_path, servers.free_ports(1), level="operator") as (path, _):
        client = opened(Haproxy(Endpoint(path=path)))
        for question, words in (
            (lambda: client.servers("nodb"), "No such proxy"),
            (lambda: client.stopped("nodb"), "find|No such"),
            (lambda: client.set_state("db", "pg1", ServerState.DRAIN), "Permission denied"),
        ):
            with pytest.raises(RefusedError, match=words):
                question()
        with pytest.raises(WireError, match="not a name"):
            client.servers("db; shutdown")
        link = ProxyLink(Proxy(address=path, backend="db"), 2.0)
        opened(link.client)
        assert "level operator" in link.unusable(drains=True)
        assert link.unusable(drains=False) is None
        opened.close()


def test_a_backend_that_takes_a_replica_for_a_primary_is_refused(tmp_path):
    """Where checks do not ask for the primary, both servers are UP, and writes would go to both."""
    import socket

    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    opened = servers.Opened()
    ports = [each.getsockname()[1] for each in listeners]
    with servers.haproxy(tmp_path, ports) as (path, _):
        link = ProxyLink(Proxy(address=path, backend="db"), 2.0)
        opened(link.client)
        assert "takes pg2 for a primary" in link.problem("pg1", "pg2")
        opened.close()
    for each in listeners:
        each.close()
