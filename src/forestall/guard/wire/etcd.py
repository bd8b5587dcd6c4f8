"""etcd: keys and leases, through the JSON gateway of its v3 interface (etcd 3.4 and later).

Bytes travel as base64 and 64-bit numbers as text, as the gateway asks for.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

from forestall.guard.wire.endpoint import RefusedError, Tls, WireError, read_secret
from forestall.guard.wire.http import Http, parse_url, said

TIMEOUT_SECONDS = 3.0
KEYS_MAX = 1000
UNAUTHENTICATED = 16


class KeyValue(NamedTuple):
    """One key. `lease` is 0 for a key that stays."""

    key: str
    value: bytes
    lease: int


class Etcd:
    """A cluster asked through the member that answered last, else through the others.

    Every call is safe to be made again, on another member; all share `timeout_seconds`.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        tls: Tls | None = None,
        user: str | None = None,
        password_file: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        assert urls, "an etcd has members"
        share = timeout_seconds / len(urls)
        self._members = [Http(parse_url(url, tls), "etcd", timeout_seconds=share) for url in urls]
        self._user = user
        self._password_file = password_file
        self._token: str | None = None

    def connect(self) -> None:
        """Log in and open the connection ahead of time, to the first member that answers."""
        self.ping()

    def ping(self) -> str:
        """The version of a member that answers."""
        return _text(self._call("/v3/maintenance/status", {}), "version")

    def put(self, key: str, value: bytes, lease: int = 0) -> None:
        """Write a key, which ends with its lease."""
        self._call("/v3/kv/put", {"key": _b64(key), "value": _b64(value), "lease": str(lease)})

    def get(self, key: str) -> KeyValue | None:
        """One key, or None."""
        found = _pairs(self._call("/v3/kv/range", {"key": _b64(key)}))
        return found[0] if found else None

    def below(self, prefix: str, limit: int = KEYS_MAX) -> tuple[KeyValue, ...]:
        """Every key that begins with `prefix`, at most `limit`, in order."""
        last = prefix.encode()
        end = _b64(last[:-1] + bytes([last[-1] + 1]))
        body = {"key": _b64(prefix), "range_end": end, "limit": str(limit)}
        return _pairs(self._call("/v3/kv/range", body))

    def create(self, key: str, value: bytes, lease: int) -> KeyValue | None:
        """Write a key that is not there; else the one that is there. None = written now."""
        name = {"key": _b64(key)}
        absent = {**name, "target": "CREATE", "result": "EQUAL", "createRevision": "0"}
        written = {**name, "value": _b64(value), "lease": str(lease)}
        body = {"compare": [absent], "success": [{"requestPut": written}]}
        answer = self._call("/v3/kv/txn", {**body, "failure": [{"requestRange": name}]})
        if answer.get("succeeded") is True:
            return None
        for each in _list(answer, "responses"):
            for pair in _pairs(_object(_object(each).get("response_range"))):
                return pair
        raise WireError("etcd: a transaction neither wrote the key nor showed it")

    def grant(self, seconds: int) -> int:
        """A new lease that ends after `seconds` unless it is kept alive."""
        return _number(self._call("/v3/lease/grant", {"TTL": str(seconds)}), "ID")

    def keep_alive(self, lease: int) -> int:
        """Keep a lease once; the seconds it has from now, 0 when it has ended."""
        answer = self._call("/v3/lease/keepalive", {"ID": str(lease)})
        return _number(_object(answer.get("result")), "TTL", 0)

    def revoke(self, lease: int) -> None:
        """End a lease, and every key written with it; one that has ended is no fault."""
        try:
            self._call("/v3/lease/revoke", {"ID": str(lease)})
        except RefusedError as error:
            if "lease not found" not in error.message:
                raise

    def close(self) -> None:
        """Let go of the connections."""
        for member in self._members:
            member.close()

    def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._user is not None and self._token is None:
            self._log_in()
        try:
            return self._ask(path, body)
        except _TokenError:
            self._log_in()
            return self._ask(path, body)

    def _log_in(self) -> None:
        assert self._user is not None
        password = read_secret(self._password_file) if self._password_file else ""
        self._token = None
        answer = self._ask("/v3/auth/authenticate", {"name": self._user, "password": password})
        self._token = _text(answer, "token")

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode("ascii")
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = self._token
        faults = []
        for member in tuple(self._members):
            try:
                status, answer = member.ask("POST", path, data, headers)
                if status != 503:
                    return self._read(member.name, status, answer)
                faults.append(f"{member.name}: {said(answer)}")
            except RefusedError:
                raise
            except WireError as error:
                faults.append(error.message)
            # The next question begins with another member.
            self._members.append(self._members.pop(0))
        raise WireError(
            "; ".join(faults), help="see whether etcd runs and can be reached from here"
        )

    def _read(self, name: str, status: int, answer: bytes) -> dict[str, Any]:
        try:
            # keepalive is a stream of which one document comes, with a line feed after it.
            document = _object(json.loads(answer))
        except (ValueError, RecursionError):
            raise WireError(f"{name}: status {status} with what is no JSON object") from None
        if status == 200 and "error" not in document:
            return document
        if document.get("code") == UNAUTHENTICATED and self._token is not None:
            raise _TokenError(f"{name}: the token has ended")
        why = document.get("message") or document.get("error")
        raise RefusedError(f"{name}: refused: {said(str(why).encode())}")


class _TokenError(RefusedError):
    """The token has ended, as it does after five minutes."""


def _b64(data: str | bytes) -> str:
    return b64encode(data.encode() if isinstance(data, str) else data).decode("ascii")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireError("etcd: the answer has not the form of its interface")
    return value


def _list(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name, [])
    return found if isinstance(found, list) else []


def _text(document: dict[str, Any], name: str) -> str:
    return str(document.get(name, ""))[:4096]


def _number(document: dict[str, Any], name: str, default: int | None = None) -> int:
    try:
        return int(str(document.get(name, default))[:20])
    except ValueError:
        raise WireError(f"etcd: the answer holds no number {name}") from None


def _pairs(document: dict[str, Any]) -> tuple[KeyValue, ...]:
    try:
        found = []
        for pair in map(_object, _list(document, "kvs")):
            key, value = b64decode(pair["key"]).decode(), b64decode(pair.get("value", ""))
            found.append(KeyValue(key, value, _number(pair, "lease", 0)))
        return tuple(found)
    except (KeyError, TypeError, ValueError):
        raise WireError("etcd: the answer holds a damaged key") from None
