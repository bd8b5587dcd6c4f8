"""HAProxy: which server of a backend takes traffic, through the runtime socket.

The socket must be of `level admin`. One connection in prompt mode serves many questions.
"""

from enum import StrEnum
from typing import NamedTuple

from forestall.guard.wire.endpoint import Endpoint, RefusedError, WireError
from forestall.guard.wire.http import said
from forestall.guard.wire.stream import TIMEOUT_SECONDS, Stream

PROMPT = b"\n> "
IDLE_SECONDS = 86_400
ANSWER_BYTES_MAX = 4 * 1024 * 1024
ADMIN_STOPPED = 0x01 | 0x08
"""Of srv_admin_state: put into maintenance, or drained, by somebody at run time."""


class ServerState(StrEnum):
    """ready: takes traffic as its checks allow. drain: no new. maint: none, and no checks."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class Server(NamedTuple):
    """One server as `show stat` tells it; `status`: UP, DOWN, MAINT, DRAIN."""

    backend: str
    name: str
    status: str
    sessions: int

    @property
    def up(self) -> bool:
        """Takes new connections: UP, also where the next checks are awaited (UP 1/2)."""
        return self.status.startswith("UP") or self.status == "no check"


class Haproxy:
    """The runtime interface at `endpoint`. Raises WireError, RefusedError for its own no."""

    def __init__(self, endpoint: Endpoint, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._stream = Stream(endpoint, "HAProxy", timeout_seconds=timeout_seconds)

    @property
    def name(self) -> str:
        return self._stream.name

    def connect(self) -> None:
        """Open the connection ahead of time, where it is not open, and have HAProxy keep it."""
        self._stream.begin()
        if not self._stream.fresh:
            self._open()

    def ping(self) -> str:
        """The version that answers."""
        told = self._ask("show info")
        for line in told.splitlines():
            name, _, value = line.partition(":")
            if name == "Version":
                return value.strip()
        raise self._stream.fault("`show info` holds no version")

    def level(self) -> str:
        """What this socket may do: admin, operator or user."""
        return self._ask("show cli level")

    def servers(self, backend: str) -> tuple[Server, ...]:
        """The servers of a backend, as they are now."""
        # 4 = servers; which is why frontends and sums are not among them.
        told = self._ask(f"show stat {_name(backend)} 4 -1")
        first, *lines = told.splitlines() or [""]
        names = first.lstrip("# ").split(",")
        if not first.startswith("# ") or not {"pxname", "svname", "status", "scur"} <= set(names):
            raise RefusedError(f"{self.name}: {said(told.encode()) or 'no answer'}")
        places = [names.index(name) for name in ("pxname", "svname", "status", "scur")]
        servers = []
        for line in lines:
            cells = line.split(",")
            if line and len(cells) > max(places):
                proxy, server, status, now = (cells[place] for place in places)
                servers.append(Server(proxy, server, status, int(now) if now.isdecimal() else 0))
        return tuple(servers)

    def stopped(self, backend: str) -> tuple[str, ...]:
        """The servers that were told to drain or to rest, whatever their checks say of them."""
        told = self._ask(f"show servers state {_name(backend)}")
        names: list[str] = []
        found = []
        for line in told.splitlines():
            if line.startswith("# "):
                names = line[2:].split()
            elif names and line:
                row = dict(zip(names, line.split(), strict=False))
                flags = row.get("srv_admin_state", "")
                if flags.isdecimal() and int(flags) & ADMIN_STOPPED:
                    found.append(row.get("srv_name", ""))
        if "srv_admin_state" not in names:
            raise RefusedError(f"{self.name}: {said(told.encode()) or 'no answer'}")
        return tuple(found)

    def set_state(self, backend: str, server: str, state: ServerState) -> None:
        """Have a server take traffic, or no more."""
        self._command(f"set server {_name(backend)}/{_name(server)} state {state.value}")

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()

    def _command(self, command: str) -> None:
        told = self._ask(command)
        # Success has no words.
        if told:
            denied = "Permission denied" in told
            raise RefusedError(
                f"{self.name}: {said(told.encode())}",
                help="give its stats socket `level admin`" if denied else None,
            )

    def _ask(self, command: str) -> str:
        self._stream.begin(bytes_max=ANSWER_BYTES_MAX)
        if not self._stream.fresh:
            self._open()
        self._stream.send(command.encode("ascii") + b"\n")
        return self._answer()

    def _open(self) -> None:
        self._stream.connect()
        self._stream.send(b"prompt\n")
        self._answer()
        # An idle connection is otherwise closed after `stats timeout`, 10 s as shipped.
        self._stream.send(b"set timeout cli %d\n" % IDLE_SECONDS)
        self._answer()

    def _answer(self) -> str:
        data = self._stream.read_until(PROMPT, ANSWER_BYTES_MAX)
        return data.decode("utf-8", "replace").strip()


def _name(name: str) -> str:
    """A name as the interface takes it: nothing that would end the command or begin another."""
    if not name or not all(c.isascii() and (c.isalnum() or c in "-_.:") for c in name):
        raise WireError(f"not a name of HAProxy: {name!r}")
    return name
