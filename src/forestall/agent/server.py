"""A loopback HTTP listener inside the agent's own selector, for a scraper and a health check.

Limits, all of them refusals rather than queues: CONNECTIONS_MAX at once, REQUEST_BYTES_MAX of
request, CLIENT_SECONDS_MAX from connection to last byte. GET only; one answer per connection.
"""

import selectors
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from forestall.agent.waiting import Waiting
from forestall.errors import ForestallError, UsageError

CONNECTIONS_MAX = 16
REQUEST_BYTES_MAX = 4096
CLIENT_SECONDS_MAX = 5.0
LISTEN_BACKLOG = 16


class Answer(NamedTuple):
    """What is sent back. `status` is the HTTP status line without its version."""

    content_type: str
    body: bytes
    status: str = "200 OK"


TEXT = "text/plain; charset=utf-8"

Respond = Callable[[str], Answer | None]
"""From a path without its query to an answer; None where there is nothing."""


def parse_address(text: str, *, anywhere: bool) -> tuple[str, int]:
    """`127.0.0.1:9188` or `[::1]:9188` -> host and port.

    Raises UsageError for anything else, and for an address other hosts could reach unless
    `anywhere`: names and sizes of processes are nobody's business by default.
    """
    host, separator, port_text = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not (port_text.isascii() and port_text.isdigit()):
        raise UsageError(f"no address and port: {text!r}", help="write for example 127.0.0.1:9188")
    port = int(port_text)
    if port > 65535:
        raise UsageError(f"no such port: {port}", help="a port is at most 65535")
    host = "127.0.0.1" if host == "localhost" else host
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        raise UsageError(
            f"no IP address: {host!r}", help="write for example 127.0.0.1:9188 or [::1]:9188"
        ) from None
    # 127.0.0.0/8 and ::1; spelled out because the ipaddress module costs half a megabyte.
    loopback = packed[0] == 127 if len(packed) == 4 else packed == bytes(15) + b"\x01"
    if not loopback and not anywhere:
        raise UsageError(
            f"{text} can be reached from other hosts, and the listener has no authentication",
            help="listen on 127.0.0.1 behind a proxy, or add --listen-anywhere",
        )
    return host, port


class Server:
    """Listens on `host:port` and answers within `waiting.wait`.

    Raises ForestallError when the address cannot be had.
    """

    def __init__(
        self,
        waiting: Waiting,
        host: str,
        port: int,
        respond: Respond,
        *,
        client_seconds_max: float = CLIENT_SECONDS_MAX,
    ) -> None:
        self._client_seconds_max = client_seconds_max
        self._waiting = waiting
        self._respond = respond
        self._clients: dict[socket.socket, _Client] = {}
        self.request_count = 0
        self.dropped_count = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.setblocking(False)
            self._listener.bind((host, port))
            self._listener.listen(LISTEN_BACKLOG)
        except OSError as error:
            self._listener.close()
            raise ForestallError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                help="another agent may be running; choose --listen ADDRESS:PORT or --no-listen",
            ) from None
        self.port: int = self._listener.getsockname()[1]
        waiting.register(self._listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        for client in list(self._clients.values()):
            self._drop(client)
        self._waiting.unregister(self._listener)
        self._listener.close()

    def drop_slow(self) -> None:
        """End the connections that took longer than they may; call once per tick."""
        oldest = time.monotonic() - self._client_seconds_max
        for client in [c for c in self._clients.values() if c.since < oldest]:
            self.dropped_count += 1
            self._drop(client)

    def _accept(self, mask: int) -> None:
        try:
            channel, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= CONNECTIONS_MAX:
            self.drop_slow()
        if len(self._clients) >= CONNECTIONS_MAX:
            self.dropped_count += 1
            channel.close()
            return
        channel.setblocking(False)
        client = _Client(channel)
        self._clients[channel] = client
        self._waiting.register(channel, selectors.EVENT_READ, lambda mask: self._serve(client))

    def _serve(self, client: "_Client") -> None:
        try:
            if client.answer is None:
                self._receive(client)
            else:
                sent = client.channel.send(client.answer)
                client.answer = client.answer[sent:]
                if not client.answer:
                    self._drop(client)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)

    def _receive(self, client: "_Client") -> None:
        data = client.channel.recv(REQUEST_BYTES_MAX)
        if not data:
            self._drop(client)
            return
        client.request += data
        if len(client.request) > REQUEST_BYTES_MAX:
            self._reply(client, _refusal("431 Request Header Fields Too Large"))
        elif b"\r\n\r\n" in client.request or b"\n\n" in client.request:
            self.request_count += 1
            self._reply(client, self._answer(client.request))

    def _answer(self, request: bytes) -> Answer:
        words = request.split(b"\n", 1)[0].split()
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _refusal("400 Bad Request")
        if words[0] != b"GET":
            return _refusal("405 Method Not Allowed")
        path = words[1].split(b"?", 1)[0].decode("ascii", "replace")
        return self._respond(path) or _refusal("404 Not Found")

    def _reply(self, client: "_Client", answer: Answer) -> None:
        extra = "Allow: GET\r\n" if answer.status.startswith("405") else ""
        head = (
            f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\n{extra}Connection: close\r\n\r\n"
        )
        client.answer = head.encode() + answer.body
        self._waiting.modify(
            client.channel, selectors.EVENT_WRITE, lambda mask: self._serve(client)
        )

    def _drop(self, client: "_Client") -> None:
        if self._clients.pop(client.channel, None) is not None:
            self._waiting.unregister(client.channel)
            client.channel.close()


class _Client:
    """One connection: what it sent, then what it is still owed."""

    __slots__ = ("answer", "channel", "request", "since")

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.since = time.monotonic()
        self.request = b""
        self.answer: bytes | None = None


def _refusal(status: str) -> Answer:
    return Answer(TEXT, f"{status}\n".encode(), status)
