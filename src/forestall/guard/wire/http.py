"""HTTP/1.1 for short JSON and XML answers, over a bounded stream.

The library's own client bounds each read and not the answer, loads e-mail and TLS with it, and
allocates more than a host without memory has.
"""

from collections.abc import Mapping
from typing import NamedTuple

from forestall.errors import UsageError
from forestall.guard.wire.endpoint import Endpoint, Tls, parse_endpoint
from forestall.guard.wire.stream import ANSWER_BYTES_MAX, TIMEOUT_SECONDS, Stream

HEAD_BYTES_MAX = 16 * 1024
HEADERS_MAX = 100
SAID_CHARS_MAX = 300


class Url(NamedTuple):
    """An address to ask; `base` is put before every path, without a slash at its end."""

    endpoint: Endpoint
    base: str


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes


def parse_url(text: str, tls: Tls | None = None) -> Url:
    """`http://host:port/base`, https, or `unix:///run/x.sock`. Raises UsageError.

    A url with a user or a query is refused: secrets come from files.
    """
    scheme, mark, rest = text.partition("://")
    scheme = scheme.lower()
    plain = text.isascii() and text.isprintable() and not set(text) & set(" ?#@\\")
    if not mark or not plain or len(text) > 1000 or scheme not in ("http", "https", "unix"):
        raise UsageError(
            "not a url of http, https or unix without user, query and blanks",
            help="write for example http://10.0.0.2:8008",
        )
    if scheme == "unix":
        return Url(parse_endpoint(rest), "")
    place, slash, path = rest.partition("/")
    secure = scheme == "https"
    endpoint = parse_endpoint(
        place, port=443 if secure else 80, tls=(tls or Tls()) if secure else None
    )
    return Url(endpoint, (slash + path).rstrip("/"))


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    from base64 import b64encode

    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


class Http:
    """Requests to one server, one after the other, on one connection as long as it lives."""

    def __init__(self, url: Url, what: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._stream = Stream(url.endpoint, what, timeout_seconds=timeout_seconds)
        self._base = url.base
        host = "localhost" if url.endpoint.path is not None else url.endpoint.shown
        self._host = host
        self.name = self._stream.name

    def connect(self, *, seconds: float | None = None) -> None:
        """Open the connection ahead of time, where it is not open."""
        self._stream.begin(seconds)
        if not self._stream.fresh:
            self._stream.connect()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """Send one request and read its answer, all within `seconds`."""
        self.send(method, path, body, headers, seconds=seconds, bytes_max=bytes_max)
        return self.receive()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        """Send one request; `receive` must follow, within `seconds` of now."""
        lines = [f"{method} {self._base}{path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        assert not any("\r" in line or "\n" in line for line in lines), "a header is one line"
        self._stream.begin(seconds, bytes_max + HEAD_BYTES_MAX)
        if not self._stream.fresh:
            self._stream.connect()
        self._stream.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def ready(self, seconds: float) -> bool:
        """Whether an answer has begun to arrive within `seconds`."""
        return self._stream.ready(seconds)

    def receive(self) -> Answer:
        """The answer to what was sent last."""
        head = self._stream.read_until(b"\r\n\r\n", HEAD_BYTES_MAX)
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        good = len(words) > 1 and words[0] in ("HTTP/1.0", "HTTP/1.1") and len(words[1]) == 3
        if not good or not words[1].isdecimal() or len(lines) > HEADERS_MAX:
            raise self._stream.fault("the answer is not one of HTTP")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(words[1])
        body = self._body(status, headers)
        keep = words[0] == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if not keep:
            self._stream.close()
        return Answer(status, body)

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()

    def _body(self, status: int, headers: Mapping[str, str]) -> bytes:
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = headers.get("content-length")
        if length is None:
            body = self._stream.read_to_end()
            self._stream.close()
            return body
        if not length.isdecimal() or len(length) > 12:
            raise self._stream.fault("the answer does not say its length")
        return self._stream.read(int(length))

    def _chunks(self) -> bytes:
        chunks: list[bytes] = []
        while True:
            word = self._stream.read_until(b"\r\n", 100).split(b";")[0].strip()
            try:
                size = int(word, 16) if len(word) <= 8 else -1
            except ValueError:
                size = -1
            if size < 0:
                raise self._stream.fault("the answer does not say its length")
            if size == 0:
                while self._stream.read_until(b"\r\n", HEAD_BYTES_MAX):
                    pass
                return b"".join(chunks)
            chunks.append(self._stream.read(size))
            self._stream.read_until(b"\r\n", 0)


def said(body: bytes) -> str:
    """What a server said, as one bounded line for a person."""
    words = " ".join(body[: 4 * SAID_CHARS_MAX].decode("utf-8", "replace").split())
    shown = "".join(c if c.isprintable() else "?" for c in words)
    return shown if len(shown) <= SAID_CHARS_MAX else shown[: SAID_CHARS_MAX - 1] + "…"
