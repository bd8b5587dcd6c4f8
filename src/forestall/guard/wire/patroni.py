"""Patroni: the cluster as its members tell it, and a switchover asked of one of them.

Its server answers one question on each connection; a connection opened ahead serves the first.
"""

import json
from dataclasses import dataclass
from typing import Any

from forestall.guard.wire.endpoint import RefusedError, Tls, WireError, read_secret
from forestall.guard.wire.http import Answer, Http, basic, parse_url, said
from forestall.guard.wire.stream import TIMEOUT_SECONDS

PORT = 8008


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How members are asked: the basic authentication of their unsafe calls, and their TLS."""

    user: str | None = None
    password_file: str | None = None
    tls: Tls | None = None
    timeout_seconds: float = TIMEOUT_SECONDS


class Patroni:
    """The REST interface of the member at `url`. Raises WireError, RefusedError for its own no."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url.rstrip("/")
        self._access = access
        self._http = Http(
            parse_url(url, access.tls), "Patroni", timeout_seconds=access.timeout_seconds
        )
        self._authorization: str | None = None

    @property
    def name(self) -> str:
        return self._http.name

    def connect(self, *, seconds: float | None = None) -> None:
        """Open the connection and read the password ahead of time."""
        self._authorize()
        self._http.connect(seconds=seconds)

    def ping(self) -> str:
        """The version of the member, if it answers."""
        told = self.member().get("patroni")
        return str(told.get("version", "")) if isinstance(told, dict) else ""

    def cluster(self) -> dict[str, Any]:
        """GET /cluster: scope, members with role, state, lag; pause; a scheduled switchover."""
        return self._document(self._http.ask("GET", "/cluster"))

    def member(self) -> dict[str, Any]:
        """GET /patroni: this member's own state, whatever it is."""
        return self._document(self._http.ask("GET", "/patroni"))

    def config(self) -> dict[str, Any]:
        """GET /config: the dynamic configuration, in which synchronous_mode is said."""
        return self._document(self._http.ask("GET", "/config"))

    def check(self, name: str, *, seconds: float | None = None) -> bool:
        """GET /health, /readiness, /primary, /replica and the like: whether it says 200."""
        status = self._http.ask("GET", f"/{name}", seconds=seconds).status
        if status not in (200, 503):
            raise RefusedError(f"{self.name}: /{name} was answered with status {status}")
        return status == 200

    def takes_writes(self, *, seconds: float | None = None) -> bool:
        """GET /primary: it holds the leader's lock, and its PostgreSQL is not in recovery.

        The status alone says 200 as soon as it has the lock, before it is promoted; `location` is
        what PostgreSQL itself tells of a server that writes.
        """
        answer = self._http.ask("GET", "/primary", seconds=seconds)
        told = self._document(answer)
        xlog = told.get("xlog")
        return (
            answer.status == 200
            and told.get("state") == "running"
            and told.get("role") in ("primary", "master")
            and isinstance(xlog, dict)
            and "location" in xlog
        )

    def switchover(self, leader: str, candidate: str, *, seconds: float) -> str:
        """POST /switchover and wait for its answer; what Patroni said."""
        self.ask_switchover(leader, candidate, seconds=seconds)
        return self.switchover_answer()

    def ask_switchover(self, leader: str, candidate: str, *, seconds: float) -> None:
        """POST /switchover; its answer comes up to a second after the deed, see `answered`."""
        body = json.dumps({"leader": leader, "candidate": candidate}).encode()
        headers = {"Content-Type": "application/json"}
        self._authorize()
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        self._http.send("POST", "/switchover", body, headers, seconds=seconds)

    def answered(self, seconds: float) -> bool:
        """Whether the answer to `ask_switchover` has begun to arrive within `seconds`."""
        return self._http.ready(seconds)

    def switchover_answer(self) -> str:
        """What Patroni said to the switchover. Raises RefusedError where it was none."""
        answer = self._http.receive()
        if answer.status in (401, 403):
            raise RefusedError(
                f"{self.name}: the switchover was answered with status {answer.status}",
                help="give the user and the password file of restapi.authentication",
            )
        if answer.status not in (200, 202):
            raise RefusedError(
                f"{self.name}: no switchover: {said(answer.body)} (status {answer.status})"
            )
        return said(answer.body)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _authorize(self) -> None:
        if self._authorization is None and self._access.user is not None:
            path = self._access.password_file
            self._authorization = basic(self._access.user, read_secret(path) if path else "")

    def _document(self, answer: Answer) -> dict[str, Any]:
        # A member in trouble answers 503 with the same document.
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or answer.status not in (200, 503):
            raise WireError(
                f"{self.name}: status {answer.status} with what is no JSON object of Patroni",
                help="give the address of restapi.connect_address",
            )
        return document
