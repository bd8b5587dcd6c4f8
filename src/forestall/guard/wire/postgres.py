"""The PostgreSQL protocol 3.0 as far as an admin console speaks it: login, and simple queries.

Client libraries send the extended protocol, which the console of pgbouncer does not know.
"""

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from forestall.guard.wire.endpoint import Endpoint, RefusedError, read_secret
from forestall.guard.wire.http import said
from forestall.guard.wire.stream import TIMEOUT_SECONDS, Stream

if TYPE_CHECKING:
    from forestall.guard.wire.scram import Scram

PROTOCOL = 196_608
MESSAGE_BYTES_MAX = 64 * 1024
ROWS_MAX = 10_000

Row = Mapping[str, str | None]


class Postgres:
    """One session of `user` in `database`; `what` names the server in every fault.

    Raises WireError, RefusedError for an error of the server's own.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        what: str,
        *,
        database: str,
        user: str,
        password_file: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._stream = Stream(endpoint, what, timeout_seconds=timeout_seconds)
        # On a network a password in the clear would be told to anybody who listens.
        self._private = endpoint.path is not None or endpoint.host in ("127.0.0.1", "::1")
        self._database = database
        self._user = user
        self._password_file = password_file
        self._password: str | None = None

    @property
    def name(self) -> str:
        return self._stream.name

    def connect(self) -> None:
        """Log in, where there is no session."""
        self._stream.begin()
        if not self._stream.fresh:
            self._log_in()

    def close(self) -> None:
        """Let go of the session."""
        self._stream.close()

    def query(self, text: str, *, seconds: float | None = None) -> tuple[Row, ...]:
        """The rows of one simple query, all within `seconds`."""
        self._stream.begin(seconds)
        if not self._stream.fresh:
            self._log_in()
        self._send(b"Q", text.encode() + b"\0")
        names: list[str] = []
        rows: list[Row] = []
        problem: str | None = None
        while True:
            kind, body = self._receive()
            if kind == b"T":
                names = self._names(body)
            elif kind == b"D":
                rows.append(dict(zip(names, self._cells(body), strict=False)))
                if len(rows) > ROWS_MAX:
                    raise self._stream.fault(f"more than {ROWS_MAX} rows")
            elif kind == b"E":
                problem = _message(body)
            elif kind == b"Z":
                break
        if problem is not None:
            raise RefusedError(f"{self.name}: {problem}")
        return tuple(rows)

    def _log_in(self) -> None:
        if self._password is None and self._password_file is not None:
            self._password = read_secret(self._password_file)
        self._stream.connect()
        words = ("user", self._user, "database", self._database, "")
        body = struct.pack("!I", PROTOCOL) + "\0".join(words).encode() + b"\0"
        self._stream.send(struct.pack("!I", len(body) + 4) + body)
        scram: Scram | None = None
        while True:
            kind, body = self._receive()
            if kind == b"E":
                raise self._stream.fault(
                    f"no login as {self._user}: {_message(body)}",
                    help="name the user in admin_users of pgbouncer, and its password file here",
                )
            if kind == b"Z":
                return
            if kind == b"R":
                scram = self._authenticate(body, scram)

    def _authenticate(self, body: bytes, scram: "Scram | None") -> "Scram | None":
        if len(body) < 4:
            raise self._stream.fault("a damaged request for a password")
        code, rest = int.from_bytes(body[:4]), body[4:]
        if code == 0:
            if scram is not None and not scram.proven:
                raise self._stream.fault("the server did not prove that it knows the password")
            return None
        if self._password is None:
            raise self._stream.fault("it asks for a password", help="give the path of its file")
        if code == 3:
            if not self._private:
                raise self._stream.fault(
                    "it asks for the password in the clear over a network",
                    help="set auth_type to scram-sha-256 in pgbouncer, or use its unix socket",
                )
            self._send(b"p", self._password.encode() + b"\0")
        elif code == 5 and len(rest) == 4:
            from forestall.guard.wire.scram import md5_answer

            self._send(b"p", md5_answer(self._user, self._password, rest) + b"\0")
        elif code == 10 and b"SCRAM-SHA-256" in rest.split(b"\0"):
            # Imported here: hashes are not loaded where no password is asked for.
            from forestall.guard.wire.scram import Scram

            scram = Scram(self._password)
            first = scram.first()
            self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        elif code in (11, 12) and scram is not None:
            try:
                if code == 12:
                    scram.check(rest)
                else:
                    self._send(b"p", scram.final(rest))
            except ValueError as error:
                raise self._stream.fault(f"the login was not as it must be: {error}") from None
        else:
            raise self._stream.fault(f"it asks for a login of kind {code}, which is not known here")
        return scram

    def _send(self, kind: bytes, body: bytes) -> None:
        self._stream.send(kind + struct.pack("!I", len(body) + 4) + body)

    def _receive(self) -> tuple[bytes, bytes]:
        head = self._stream.read(5)
        size = int.from_bytes(head[1:]) - 4
        if not head[:1].isalpha() or not 0 <= size <= MESSAGE_BYTES_MAX:
            raise self._stream.fault("the answer is not one of the PostgreSQL protocol")
        return head[:1], self._stream.read(size)

    def _names(self, body: bytes) -> list[str]:
        names, at = [], 2
        while at < len(body):
            end = body.find(b"\0", at)
            if end < 0:
                raise self._stream.fault("a damaged row description")
            names.append(body[at:end].decode("utf-8", "replace"))
            at = end + 19
        return names

    def _cells(self, body: bytes) -> list[str | None]:
        cells: list[str | None] = []
        at = 2
        while at < len(body):
            size = int.from_bytes(body[at : at + 4], signed=True)
            at += 4
            if size > len(body) - at:
                raise self._stream.fault("a damaged row")
            cells.append(None if size < 0 else body[at : at + size].decode("utf-8", "replace"))
            at += max(0, size)
        return cells


def _message(body: bytes) -> str:
    """The M field of an ErrorResponse."""
    fields = {field[:1]: field[1:] for field in body.split(b"\0") if field}
    return said(fields.get(b"M", b"an error without words"))
