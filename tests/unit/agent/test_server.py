import socket
import threading
import time

import pytest

from forestall.agent.server import (
    CONNECTIONS_MAX,
    REQUEST_BYTES_MAX,
    TEXT,
    Answer,
    Server,
    parse_address,
)
from forestall.agent.waiting import Waiting
from forestall.errors import ForestallError, UsageError


@pytest.fixture
def server():
    waiting = Waiting()
    answers = {
        "/metrics": Answer(TEXT, b"x 1\n" * 50_000),
        "/healthz": Answer(TEXT, b"ok\n"),
        "/sick": Answer(TEXT, b"no\n", "503 Service Unavailable"),
    }
    server = Server(waiting, "127.0.0.1", 0, answers.get)
    thread = threading.Thread(target=lambda: run(waiting))
    thread.start()
    yield server
    waiting.stop("test ends")
    thread.join()
    server.close()
    waiting.close()


def run(waiting: Waiting) -> None:
    while not waiting.stopped:
        waiting.wait(0.02)


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as channel:
        channel.sendall(request)
        answer = b""
        while chunk := channel.recv(65536):
            answer += chunk
    return answer


def asks_in_vain(port: int) -> bool:
    try:
        return not ask(port, b"GET /healthz HTTP/1.1\r\n\r\n").endswith(b"ok\n")
    except ConnectionError:
        return True


def wait_for(condition) -> bool:
    """Whether the condition holds within five seconds."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_a_large_answer_arrives_whole(server):
    """200 kB pass through a non-blocking socket in pieces, with a true Content-Length."""
    head, body = ask(server.port, b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").split(
        b"\r\n\r\n", 1
    )
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 200000" in head
    assert body == b"x 1\n" * 50_000


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /healthz HTTP/1.0\n\n", b"200 OK"),
        (b"GET /sick HTTP/1.1\r\n\r\n", b"503 Service Unavailable"),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"GET /metrics\r\n\r\n", b"400 Bad Request"),
        (b"\r\n\r\n", b"400 Bad Request"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"\x16\x03\x01\r\n\r\n", b"400 Bad Request"),
    ],
)
def test_each_request_gets_its_own_refusal(server, request_bytes, status):
    """Whatever arrives is answered with a status, never with an exception."""
    assert ask(server.port, request_bytes).startswith(b"HTTP/1.1 " + status)


def test_a_request_that_never_ends_is_refused(server):
    """More than the limit of request bytes is answered with 431, not kept."""
    answer = ask(server.port, b"GET /metrics HTTP/1.1\r\nX: " + b"y" * REQUEST_BYTES_MAX)
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""


def test_a_crowd_of_silent_clients_keeps_nobody_out_for_ever(server):
    """Beyond the limit a connection is closed at once; slow ones go after their time."""
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(CONNECTIONS_MAX)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as late:
        assert late.recv(1) == b""
    for channel in crowd:
        channel.close()
    # The listener notices the ends one by one, so the first to ask again may come too early.
    assert wait_for(lambda: not asks_in_vain(server.port))


def test_a_slow_client_is_dropped_by_the_tick():
    """A connection older than its time is closed by the next tick, whatever it promised."""
    waiting = Waiting()
    server = Server(waiting, "127.0.0.1", 0, lambda path: None, client_seconds_max=0.0)
    patient = Server(waiting, "127.0.0.1", 0, lambda path: None)
    address = ("127.0.0.1", server.port)
    with (
        socket.create_connection(address, timeout=5) as slow,
        socket.create_connection(("127.0.0.1", patient.port), timeout=5) as young,
    ):
        for channel in (slow, young):
            channel.sendall(b"GET /met")
        waiting.wait(0.05)
        server.drop_slow()
        patient.drop_slow()
        assert (server.dropped_count, patient.dropped_count) == (1, 0)
        assert slow.recv(1) == b""
    server.close()
    patient.close()
    waiting.close()


def test_a_taken_address_is_one_clear_line():
    """A second agent on the same port is told which port and what to do."""
    waiting = Waiting()
    first = Server(waiting, "127.0.0.1", 0, lambda path: None)
    with pytest.raises(ForestallError, match=f"cannot listen on 127.0.0.1:{first.port}") as caught:
        Server(waiting, "127.0.0.1", first.port, lambda path: None)
    assert caught.value.help
    first.close()
    waiting.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9188", ("127.0.0.1", 9188)),
        ("127.9.9.9:0", ("127.9.9.9", 0)),
        ("localhost:80", ("127.0.0.1", 80)),
        ("[::1]:9188", ("::1", 9188)),
    ],
)
def test_loopback_is_understood(text, address):
    """Every way to write loopback is accepted without an option."""
    assert parse_address(text, anywhere=False) == address


@pytest.mark.parametrize("text", ["0.0.0.0:9188", "[::]:9188", "192.0.2.1:9188", "[::2]:1"])
def test_an_address_others_can_reach_needs_a_word(text):
    """Without the explicit option it is refused, with it accepted."""
    with pytest.raises(UsageError, match="can be reached from other hosts"):
        parse_address(text, anywhere=False)
    assert parse_address(text, anywhere=True)


@pytest.mark.parametrize(
    "text", ["", "9188", "127.0.0.1", "127.0.0.1:", "h:1", "1.2.3.4:99999", ":-1"]
)
def test_no_address_is_a_usage_error(text):
    """What cannot be an address is refused with an example."""
    with pytest.raises(UsageError):
        parse_address(text, anywhere=True)
