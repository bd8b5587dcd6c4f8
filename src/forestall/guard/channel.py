"""JSON lines over a socket pair, bounded in size and time: how the agent talks to its processes."""

import json
import socket
import time

from forestall.errors import ForestallError
from forestall.model.codec import Json
from forestall.units import KIB, MIB

LINE_BYTES_MAX = 8 * MIB
"""A plan with the last tick of a host with ten thousand processes fits."""

_PIECE_BYTES = 64 * KIB


class ClosedError(ForestallError):
    """The other side has ended."""


class LateError(ForestallError):
    """No whole line came, or could be sent, in time."""


class Channel:
    """One end. Both ends close it by themselves when the other one is gone."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self._peer.fileno()

    def send(self, document: Json, seconds: float | None = None) -> None:
        """Send one line. Raises ClosedError, LateError, or ForestallError when it is too long."""
        data = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        if len(data) > LINE_BYTES_MAX:
            raise ForestallError(f"a message of {len(data)} bytes is longer than may be sent")
        self._peer.settimeout(seconds)
        try:
            self._peer.sendall(data)
        except TimeoutError:
            raise LateError(f"nothing was taken within {seconds:.1f} s") from None
        except OSError as error:
            raise ClosedError(f"the other side has ended: {error.strerror}") from None

    def receive(self, seconds: float | None = None) -> Json:
        """The next line; None waits for as long as it takes.

        Raises ClosedError, LateError, or ForestallError for a line that is too long or no JSON.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return _parse(line)
            if len(self._buffer) > LINE_BYTES_MAX:
                raise ForestallError(f"a line of more than {LINE_BYTES_MAX} bytes came")
            self._buffer += self._piece(deadline)

    def close(self) -> None:
        self._peer.close()

    def _piece(self, deadline: float | None) -> bytes:
        # With no time left, what is there already is still taken.
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        self._peer.settimeout(left)
        try:
            piece = self._peer.recv(_PIECE_BYTES)
        except (TimeoutError, BlockingIOError):
            raise LateError("no answer came in time") from None
        except OSError as error:
            raise ClosedError(f"the other side has ended: {error.strerror}") from None
        if not piece:
            raise ClosedError("the other side has ended")
        return piece


def _parse(line: bytes) -> Json:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ForestallError(f"a line came that is no JSON: {error}") from None
