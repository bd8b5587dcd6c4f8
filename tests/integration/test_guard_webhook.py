"""The webhook against a real server on loopback."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from forestall.errors import ForestallError
from forestall.model.codec import from_document
from forestall.model.notice import Notice, Urgency
from forestall.notify.webhook import WebhookNotifier

NOTICE = Notice(
    at=1.0,
    host="db1",
    service="feed-sync\u2028",
    urgency=Urgency.PAGE,
    title="It leaks.",
    lines=("Because.",),
)


@contextmanager
def server(answer):
    """One connection is answered with these bytes; yields its port and what it received."""
    received = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            received.append((head, body))
            if answer is not None:
                connection.sendall(answer)
            else:
                connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], received
    finally:
        thread.join(10)


def test_a_notice_arrives_as_its_document():
    """One POST with JSON that reads back as the same notice."""
    with server(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, received):
        WebhookNotifier(f"http://127.0.0.1:{port}/hook?a=b").send(NOTICE)
    ((head, body),) = received
    assert head.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert b"application/json" in head
    assert from_document(Notice, json.loads(body)) == NOTICE


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "answered with status 500"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n",
            "answered with status 302",
        ),
        (b"no http at all\r\n\r\n", "did not arrive"),
        (b"", "did not arrive"),
        (None, "did not arrive"),
    ],
)
def test_what_is_not_taken_is_raised(answer, words):
    """Another status, a redirect, nonsense, a closed connection, silence."""
    with server(answer) as (port, received):
        with pytest.raises(ForestallError, match=words) as caught:
            WebhookNotifier(f"http://127.0.0.1:{port}/hunter2", timeout_seconds=0.5).send(NOTICE)
        assert "hunter2" not in caught.value.message
    assert len(received) == 1


def test_nobody_listening_is_raised():
    """A refused connection is a sentence, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ForestallError, match="did not arrive: Connection refused"):
        WebhookNotifier(f"http://127.0.0.1:{port}/").send(NOTICE)


def test_a_huge_notice_is_not_posted():
    """64 KiB is the limit of a body."""
    huge = Notice(
        at=1.0, host="h", service="s", urgency=Urgency.PAGE, title="t", lines=("x" * 70000,)
    )
    with pytest.raises(ForestallError, match="too large to post"):
        WebhookNotifier("http://127.0.0.1:1/").send(huge)
