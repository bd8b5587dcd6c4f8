"""Every client against servers that lie, babble, stall or hang up: one bounded, clear error."""

import socket
import struct
import threading
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration import servers

from forestall.errors import ForestallError
from forestall.guard.wire.endpoint import Endpoint, WireError
from forestall.guard.wire.etcd import Etcd
from forestall.guard.wire.haproxy import Haproxy
from forestall.guard.wire.patroni import Access, Patroni
from forestall.guard.wire.pgbouncer import Pgbouncer
from forestall.guard.wire.supervisord import Supervisord

PASSWORD = "hunter2"
SECONDS = 0.3


def _asks(port, secret):
    """One question of each client, by name; each closes its client."""
    endpoint = Endpoint(host="127.0.0.1", port=port)
    url = f"http://127.0.0.1:{port}"
    more = {"password_file": secret, "timeout_seconds": SECONDS}
    opened = servers.Opened()
    access = Access(user="u", **more)
    bouncer = Pgbouncer(endpoint, user="u", **more)
    questions = {
        "etcd": lambda: opened(Etcd([url], timeout_seconds=SECONDS)).below("/x"),
        "etcd user": lambda: opened(Etcd([url], user="u", **more)).get("/x"),
        "patroni": lambda: opened(Patroni(url, access)).cluster(),
        "patroni switchover": lambda: opened(Patroni(url, access)).switchover(
            "a", "b", seconds=SECONDS
        ),
        "pgbouncer": lambda: opened(bouncer).databases(),
        "pgbouncer pause": lambda: opened(bouncer).pause("app", seconds=SECONDS),
        "haproxy": lambda: opened(Haproxy(endpoint, timeout_seconds=SECONDS)).servers("db"),
        "supervisord": lambda: opened(Supervisord(url, user="u", **more)).program("p"),
    }
    return questions, opened


NAMES = sorted(_asks(1, "/nowhere")[0])


class Hostile:
    """Answers each connection with `data`, then closes, holds still, or goes on for ever."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._held = []
        self.port = self._listener.getsockname()[1]
        self.data, self.then = b"", "close"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while not self._stopping.is_set():
            connection, _ = self._listener.accept()
            connection.settimeout(5)
            try:
                connection.recv(65536)
                connection.sendall(self.data)
                while self.then == "go on" and not self._stopping.is_set():
                    connection.sendall(self.data or b"x")
            except OSError:
                pass
            if self.then == "hold":
                self._held.append(connection)
            else:
                connection.close()

    def close(self):
        self._stopping.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join(20)
        for each in (*self._held, self._listener):
            each.close()


@contextmanager
def hostile():
    server = Hostile()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def server():
    with hostile() as found:
        yield found


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "secret"
    path.write_text(PASSWORD)
    return str(path)


def ask(name, server, secret):
    """The error of one question, checked for its form; None where it was answered."""
    questions, opened = _asks(server.port, secret)
    found = None
    try:
        questions[name]()
    except ForestallError as error:
        found = error
    finally:
        opened.close()
    if found is not None:
        assert isinstance(found, WireError)
        assert PASSWORD not in found.message + (found.help or "")
        assert found.message.isprintable()
        assert len(found.message) < 1500
    return found


LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"{" * 100
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HTTP = b"HTTP/1.1 200 OK\r\n\r\n"
DEEP = HTTP + b"[" * 100_000
XML = (
    HTTP + b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    b"<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"
)
HUGE_MESSAGE = b"R" + struct.pack("!I", 0x7FFFFFFF)
SCRAM = b"R" + struct.pack("!II", 23, 10) + b"SCRAM-SHA-256\0\0"
MANY_ROUNDS = b"R" + struct.pack("!II", 8 + 25, 11) + b"r=x,s=AAAA,i=999999999999"


@pytest.mark.parametrize("then", ["close", "hold", "go on"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 50,
        b"HTTP/1.1 200 OK\r\nContent-Le",
        LONG,
        CHUNKED + b"fffffffff\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"5\r\nabc",
        DEEP,
        XML,
        HUGE_MESSAGE,
        SCRAM + MANY_ROUNDS,
        b"R" + struct.pack("!I", 4),
        b"# pxname,svname\n\n> \n> \n> ",
    ],
    ids=range(13),
)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_answer_is_one_clear_error(name, data, then, server, secret):
    """Nothing, noise, too much, too deep, half of it, then the end, silence, or more of it."""
    server.data, server.then = data, then
    error = ask(name, server, secret)
    # A switchover is answered in words, which may be any; what happened is asked of the members.
    in_words = name == "patroni switchover" and then == "close" and data in (DEEP, XML)
    assert (error is None) == in_words


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(NAMES),
    start=st.sampled_from([b"", HTTP, CHUNKED, SCRAM, b"R\0\0\0\x08\0\0\0\0", b"\n> \n> "]),
    data=st.binary(max_size=300),
)
def test_no_bytes_break_a_client(name, start, data, server, secret):
    """Whatever a server says, a client gives a value or a WireError."""
    server.data, server.then = start + data, "close"
    ask(name, server, secret)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_there_is_one_clear_error(name, secret):
    """A refused connection says so."""

    class Gone:
        port = servers.free_ports(1)[0]

    assert "Connection refused" in ask(name, Gone, secret).message


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_that_cannot_be_read_is_named_by_its_file(name, server):
    """The file is named, and nothing of what another one holds."""
    server.data, server.then = b"", "close"
    error = ask(name, server, "/nowhere/secret")
    if name in ("etcd", "haproxy", "patroni"):
        assert "/nowhere" not in error.message
    else:
        assert "/nowhere/secret: no secret to read" in error.message


def test_the_password_is_not_sent_in_the_clear_over_a_network(secret):
    """A console that asks for it is not told, unless it is on this host."""
    client = Pgbouncer(
        Endpoint(host="127.0.0.1", port=1), user="u", password_file=secret, timeout_seconds=SECONDS
    )
    session = client._console
    session._private, session._password = False, PASSWORD
    with pytest.raises(WireError, match="in the clear over a network"):
        session._authenticate(struct.pack("!I", 3), None)
