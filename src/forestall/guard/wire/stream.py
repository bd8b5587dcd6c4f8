"""A bounded connection: a deadline on every wait, a limit on every byte, one sentence on a fault.

Time is the host's own here, whatever clock policy runs on: so is that of the server.
"""

import select
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from forestall.guard.bounded import OverdueError, within
from forestall.guard.wire.endpoint import Endpoint, WireError

if TYPE_CHECKING:
    from ssl import SSLContext

TIMEOUT_SECONDS = 3.0
ANSWER_BYTES_MAX = 1024 * 1024
CHUNK_BYTES = 16 * 1024


class Stream:
    """A connection to `endpoint`; `what` names the server in every fault.

    `begin` opens an exchange: a deadline for all of it, and a budget of bytes to be read.
    """

    def __init__(
        self, endpoint: Endpoint, what: str, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self.name = f"{what} {endpoint.shown}"
        self.timeout_seconds = timeout_seconds
        self._endpoint = endpoint
        self._socket: socket.socket | None = None
        self._context: SSLContext | None = None
        self._addresses: list[tuple[int, Any]] = []
        self._buffer = bytearray()
        self._deadline = 0.0
        self._budget = 0

    @property
    def fresh(self) -> bool:
        """Connected, with nothing unread and not closed by the other side."""
        if self._socket is None or self._buffer:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def begin(self, seconds: float | None = None, bytes_max: int = ANSWER_BYTES_MAX) -> None:
        """Start an exchange that must end within `seconds`."""
        wait = self.timeout_seconds if seconds is None else seconds
        self._deadline = time.monotonic() + wait
        self._budget = bytes_max

    def connect(self) -> None:
        """Connect anew, within the exchange that was begun."""
        self.close()
        if self._endpoint.tls is not None and self._context is None:
            self._context = self._endpoint.tls.context()
        if not self._addresses:
            self._addresses = self._resolve()
        fault: OSError | None = None
        for family, address in self._addresses:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            try:
                self._socket.settimeout(self._left())
                self._socket.connect(address)
                if self._context is not None:
                    self._socket = self._context.wrap_socket(
                        self._socket, server_hostname=self._endpoint.host
                    )
                return
            except OSError as error:
                fault = error
                self.close()
        # A name may have moved since it was resolved.
        self._addresses = []
        raise self.fault(f"no connection: {_why(fault)}")

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        assert self._socket is not None, "connect comes first"
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(data)
        except OSError as error:
            raise self.fault(f"the question could not be sent: {_why(error)}") from None

    def ready(self, seconds: float) -> bool:
        """Whether there is something to read, or the other side has closed, within `seconds`."""
        assert self._socket is not None, "connect comes first"
        pending = getattr(self._socket, "pending", None)
        if self._buffer or (pending is not None and pending()):
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        while len(self._buffer) < count:
            if not self._fill():
                raise self.fault("the connection was closed in the middle of an answer")
        return self._take(count)

    def read_until(self, mark: bytes, limit: int) -> bytes:
        """All bytes before the next `mark`, of which there are at most `limit`."""
        while (found := self._buffer.find(mark)) < 0:
            if len(self._buffer) > limit:
                raise self.fault(f"a part of the answer is longer than {limit} bytes")
            if not self._fill():
                raise self.fault("the connection was closed in the middle of an answer")
        data = self._take(found)
        self._take(len(mark))
        return data

    def read_to_end(self) -> bytes:
        """All bytes until the other side closes."""
        while self._fill():
            pass
        return self._take(len(self._buffer))

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer.clear()

    def fault(self, what: str, *, help: str | None = None) -> WireError:
        """The error that says `what` of this server; the connection is given up."""
        self.close()
        return WireError(f"{self.name}: {what}", help=help)

    def _resolve(self) -> list[tuple[int, Any]]:
        if self._endpoint.path is not None:
            return [(socket.AF_UNIX, self._endpoint.path)]
        ask = partial(
            socket.getaddrinfo,
            self._endpoint.host,
            self._endpoint.port,
            type=socket.SOCK_STREAM,
        )
        try:
            # A resolver has time-outs of its own, and they are long.
            found = within(self._left(), f"resolving {self._endpoint.host}", ask)
        except (OSError, UnicodeError, OverdueError) as error:
            raise self.fault(f"its name does not resolve: {_why(error)}") from None
        return [(family, address) for family, _, _, _, address in found]

    def _left(self) -> float:
        # Zero would mean not to wait at all, and None for ever.
        return max(0.001, self._deadline - time.monotonic())

    def _fill(self) -> bool:
        assert self._socket is not None, "connect comes first"
        try:
            self._socket.settimeout(self._left())
            data = self._socket.recv(min(CHUNK_BYTES, self._budget + 1))
        except OSError as error:
            raise self.fault(f"no answer: {_why(error)}") from None
        self._budget -= len(data)
        if self._budget < 0:
            raise self.fault("the answer is larger than it may be")
        if self._deadline < time.monotonic():
            raise self.fault("no answer: timed out")
        self._buffer += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def _why(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError | OverdueError):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
