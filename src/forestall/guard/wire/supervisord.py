"""supervisord: one program's state, its end and its start, by XML-RPC over HTTP."""

from enum import StrEnum
from typing import Any, NamedTuple

from forestall.guard.wire.endpoint import RefusedError, WireError, read_secret
from forestall.guard.wire.http import Http, basic, parse_url
from forestall.guard.wire.stream import TIMEOUT_SECONDS
from forestall.guard.wire.xmlrpc import Fault, call, parse_answer

ANSWER_BYTES_MAX = 256 * 1024
NOT_RUNNING, ALREADY_STARTED = 70, 60


class ProgramState(StrEnum):
    """supervisord's own words."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"
    UNKNOWN = "UNKNOWN"


class Program(NamedTuple):
    """One program. `pid` is 0 where none runs; `started_at` is the wall time of its start."""

    name: str
    state: ProgramState
    pid: int
    started_at: float


class Supervisord:
    """The server at `url`: `unix:///run/supervisor.sock` or `http://127.0.0.1:9001`.

    Raises WireError, RefusedError for its own no.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password_file: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._http = Http(parse_url(url), "supervisord", timeout_seconds=timeout_seconds)
        self._user = user
        self._password_file = password_file
        self._headers: dict[str, str] | None = None

    @property
    def name(self) -> str:
        return self._http.name

    def connect(self) -> None:
        """Open the connection and read the password ahead of time."""
        self._authorized()
        self._http.connect()

    def ping(self) -> str:
        """The version that answers."""
        return str(self._call("supervisor.getSupervisorVersion"))

    def program(self, name: str) -> Program:
        """getProcessInfo of `group:name` or `name`."""
        told = self._call("supervisor.getProcessInfo", name)
        if not isinstance(told, dict):
            raise WireError(f"{self.name}: getProcessInfo has not the form of its interface")
        word = str(told.get("statename"))
        state = ProgramState(word) if word in list(ProgramState) else ProgramState.UNKNOWN
        pid, start = told.get("pid"), told.get("start")
        return Program(
            name,
            state,
            pid if isinstance(pid, int) else 0,
            float(start) if isinstance(start, int) else 0.0,
        )

    def stop(self, name: str, *, seconds: float) -> None:
        """stopProcess, and wait for its end. One that does not run is no fault."""
        self._settle("supervisor.stopProcess", name, NOT_RUNNING, seconds)

    def start(self, name: str, *, seconds: float) -> None:
        """startProcess, and wait until it counts as running. One that runs is no fault."""
        self._settle("supervisor.startProcess", name, ALREADY_STARTED, seconds)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _settle(self, method: str, name: str, fine: int, seconds: float) -> None:
        try:
            self._call(method, name, seconds=seconds)
        except _FaultError as error:
            if error.code != fine:
                raise

    def _call(self, method: str, *words: str, seconds: float | None = None) -> Any:
        status, answer = self._http.ask(
            "POST",
            "/RPC2",
            call(method, *words),
            self._authorized(),
            seconds=seconds,
            bytes_max=ANSWER_BYTES_MAX,
        )
        if status == 401:
            raise RefusedError(
                f"{self.name}: user or password are wrong",
                help="give the user and the password file of its http server",
            )
        if status != 200:
            raise WireError(f"{self.name}: answered with status {status}")
        value = parse_answer(answer, self.name)
        if isinstance(value, Fault):
            raise _FaultError(f"{self.name}: {method} {' '.join(words)}: {value.words}", value.code)
        return value

    def _authorized(self) -> dict[str, str]:
        if self._headers is None:
            # Loaded ahead of time, with the password.
            import xml.parsers.expat  # noqa: F401

            self._headers = {"Content-Type": "text/xml"}
            if self._user is not None:
                password = read_secret(self._password_file) if self._password_file else ""
                self._headers["Authorization"] = basic(self._user, password)
        return self._headers


class _FaultError(RefusedError):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
