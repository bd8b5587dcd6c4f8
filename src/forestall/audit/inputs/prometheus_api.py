"""The query API of Prometheus and of what speaks it (VictoriaMetrics, Thanos, Mimir), bounded."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from forestall.audit.inputs.files import check_file, read_named
from forestall.errors import InputError, UsageError
from forestall.model.codec import parse_json
from forestall.units import KIB, MIB, format_bytes

if TYPE_CHECKING:
    from http.client import HTTPConnection

ANSWER_LIMIT_BYTES = 512 * MIB
CHUNK_BYTES = 256 * KIB
SECRET_LIMIT_BYTES = 16 * KIB
SERIES_LIMIT = 2_000_000
QUERY_SECONDS = 60.0
ALL_SECONDS = 900.0

_MATCHER = r'[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf"\s*{_MATCHER}(?:\s*,\s*{_MATCHER})*\s*,?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to ask one server. Secrets are named by their file, never given themselves.

    `token_file` holds a bearer token, `basic_file` one line `user:password`; `ca_file` the
    certificates to trust beside the system's. `match` is put into every selector.
    """

    token_file: str | None = None
    basic_file: str | None = None
    ca_file: str | None = None
    match: str = ""
    timeout_seconds: float = QUERY_SECONDS


class Series(NamedTuple):
    """One series of an instant vector: its labels, its value, and when that was."""

    labels: Mapping[str, str]
    value: float


class Server:
    """One server, asked one question after the other on one connection."""

    def __init__(self, url: str, access: Access) -> None:
        from urllib.parse import urlsplit

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise UsageError(
                f"not the address of a Prometheus: {shown(url)}",
                help="write http://HOST:9090 or https://HOST/PREFIX",
            )
        if parts.username or parts.password:
            raise UsageError(
                f"a password in the address of {parts.hostname}",
                help="others can read a command line: put user:password into a file and name that",
            )
        if access.match and not _SELECTOR.fullmatch(access.match):
            raise UsageError(
                f"not a selector: {access.match!r}", help="write for example 'job=\"node\"'"
            )
        try:
            port = parts.port
        except ValueError:
            raise UsageError(f"not a port in {shown(url)}") from None
        self.name = f"{parts.scheme}://{parts.netloc}"
        self.match = access.match.strip().rstrip(",")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._base = parts.path.rstrip("/").removesuffix("/graph")
        self._access = access
        self._headers = _headers(access)
        self._connection: HTTPConnection | None = None
        self._deadline = time.monotonic() + ALL_SECONDS

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def selector(self, name: str, *matchers: str) -> str:
        """`name{...}` with the user's own selector in it; an empty name for one by regex."""
        inside = ",".join([*matchers, *([self.match] if self.match else [])])
        return f"{name}{{{inside}}}" if inside else name

    def query(self, expression: str) -> Iterator[Series]:
        """An instant query's series. Raises ForestallError with what the server said."""
        data = self._ask("POST", "/api/v1/query", {"query": expression})
        if not isinstance(data, dict) or data.get("resultType") != "vector":
            raise InputError(f"{self.name} answered no vector to {expression[:100]}")
        rows = data.get("result")
        if not isinstance(rows, list):
            raise InputError(f"{self.name} answered no vector to {expression[:100]}")
        if len(rows) > SERIES_LIMIT:
            raise InputError(f"more than {SERIES_LIMIT} series", help="narrow them with a selector")
        for row in rows:
            found = _series(row)
            if found is not None:
                yield found

    def alert_rules(self) -> list[Mapping[str, Any]]:
        """The alerting rules that are loaded there.

        Raises InputError where there are no rules at all: a VictoriaMetrics and a Mimir have theirs
        evaluated elsewhere, so that their silence says nothing.
        """
        data = self._ask("GET", "/api/v1/rules?type=alert", None)
        groups = data.get("groups") if isinstance(data, dict) else None
        if not groups:
            raise InputError(
                f"{self.name} has no rules; others may evaluate them (vmalert, a ruler)"
            )
        found: list[Mapping[str, Any]] = []
        for group in groups if isinstance(groups, list) else []:
            rules = group.get("rules") if isinstance(group, dict) else None
            for rule in rules if isinstance(rules, list) else []:
                if isinstance(rule, dict) and rule.get("type", "alerting") == "alerting":
                    found.append(rule)
        return found

    def _ask(self, method: str, path: str, form: Mapping[str, str] | None) -> Any:
        status, body = self._exchange(method, path, form)
        try:
            document = parse_json(body)
        except InputError:
            document = None
        said = document.get("error") if isinstance(document, dict) else None
        if status != 200 or not isinstance(document, dict) or document.get("status") != "success":
            raise InputError(
                f"{self.name}{self._base} answered {status}: {_line(said, body)}",
                help=_HELP.get(status, "give the address below which /api/v1/query answers"),
            )
        return document.get("data")

    def _exchange(
        self, method: str, path: str, form: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        import http.client
        import socket
        import ssl
        from urllib.parse import urlencode

        body = None if form is None else urlencode(form).encode()
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        for again in (False, True):
            fresh = self._connection is None
            try:
                connection = self._connect()
                connection.request(method, self._base + path, body, headers)
                return self._receive(connection)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                # A server closes an idle connection; the question is asked once more.
                self.close()
                if fresh or again:
                    raise InputError(f"{self.name} ended the connection: {error}") from None
            except ssl.SSLError as error:
                self.close()
                raise InputError(
                    f"{self.name}: {error.reason or error}",
                    help="name the certificate authority's file if it is one of your own",
                ) from None
            except (socket.gaierror, OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise InputError(
                    f"{self.name} cannot be asked: {reason}",
                    help="is it running, and is this its address?",
                ) from None
        raise AssertionError("the second attempt answers or raises")

    def _connect(self) -> "HTTPConnection":
        if self._connection is None:
            import http.client

            timeout = self._access.timeout_seconds
            if self._secure:
                import ssl

                context = ssl.create_default_context()
                if self._access.ca_file is not None:
                    try:
                        check_file(self._access.ca_file)
                        context.load_verify_locations(self._access.ca_file)
                    except (InputError, OSError, ssl.SSLError) as error:
                        raise UsageError(f"{self._access.ca_file}: {error}") from None
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=timeout, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=timeout
                )
        return self._connection

    def _receive(self, connection: "HTTPConnection") -> tuple[int, bytes]:
        """The answer, bounded in bytes and in time: each read alone would never end."""
        deadline = min(self._deadline, time.monotonic() + self._access.timeout_seconds)
        response = connection.getresponse()
        chunks = []
        size = 0
        while chunk := response.read1(CHUNK_BYTES):
            chunks.append(chunk)
            size += len(chunk)
            if size > ANSWER_LIMIT_BYTES:
                self.close()
                raise InputError(
                    f"{self.name} answers more than {format_bytes(ANSWER_LIMIT_BYTES)}",
                    help="narrow it with a selector, for example 'job=\"node\"'",
                )
            if time.monotonic() > deadline:
                self.close()
                raise InputError(f"{self.name} did not answer in time")
        # Nothing is left, but until it is told so the library takes the answer for unfinished.
        response.read()
        return response.status, b"".join(chunks)


_HELP = {
    401: "name a file with the token, or with user:password",
    403: "this token may not query",
    404: "give the address below which /api/v1/query answers",
    422: "the server could not work the query out; narrow it with a selector",
    503: "the server is too busy or took too long; narrow it with a selector",
}


def shown(url: str) -> str:
    """The address without a password."""
    return re.sub(r"//[^/]*@", "//***@", url)[:200]


def _headers(access: Access) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "forestall"}
    if access.token_file is not None:
        headers["Authorization"] = f"Bearer {_secret(access.token_file)}"
    elif access.basic_file is not None:
        from base64 import b64encode

        text = _secret(access.basic_file)
        if ":" not in text:
            raise UsageError(f"{access.basic_file} holds no user:password")
        headers["Authorization"] = "Basic " + b64encode(text.encode()).decode("ascii")
    return headers


def _secret(path: str) -> str:
    """One line of a file. Raises UsageError without ever telling what it holds."""
    try:
        data = read_named(path, SECRET_LIMIT_BYTES).strip()
    except InputError as error:
        raise UsageError(f"{path}: {error.message}") from None
    if not data or not data.isascii() or b"\n" in data:
        raise UsageError(f"{path} does not hold one line of a secret")
    return data.decode("ascii")


def _line(said: object, body: bytes) -> str:
    text = said if isinstance(said, str) else body[:200].decode("utf-8", "replace")
    return " ".join(text.split())[:200] or "nothing"


def _series(row: object) -> Series | None:
    """One row of a vector; None for one whose value is not a finite number."""
    if not isinstance(row, dict):
        raise InputError("the server's answer is no vector")
    labels, pair = row.get("metric"), row.get("value")
    if not isinstance(labels, dict) or not isinstance(pair, list) or len(pair) != 2:
        raise InputError("the server's answer is no vector")
    try:
        value = float(pair[1])
    except (TypeError, ValueError):
        return None
    if value - value != 0.0 or not all(isinstance(text, str) for text in labels.values()):
        return None
    return Series(labels, value)
