"""Waiting between two ticks: serves whoever knocks, and ends at once when asked to stop."""

import selectors
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

Ready = Callable[[int], None]
"""Called with the mask of selectors events that are ready."""


class Waiting:
    """One selector for the agent. `stopped` becomes true on the first signal it listens to."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_reader: socket.socket | None = None
        self._wake_writer: socket.socket | None = None
        self.stopped = False
        self.stopped_by: str | None = None

    def stop_on(self, *signals: signal.Signals) -> None:
        """Turn these signals into a request to stop. For the main thread only."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        # A select that a signal interrupts is resumed by Python; the wake-up byte ends it.
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._wake_reader, self._wake_writer = reader, writer
        self.register(reader, selectors.EVENT_READ, self._drain)
        for number in signals:
            signal.signal(number, self._on_signal)

    def stop(self, because: str) -> None:
        """Ask for an end after the current tick."""
        self.stopped = True
        self.stopped_by = self.stopped_by or because

    def register(self, channel: socket.socket, events: int, ready: Ready) -> None:
        self._selector.register(channel, events, ready)

    def modify(self, channel: socket.socket, events: int, ready: Ready) -> None:
        self._selector.modify(channel, events, ready)

    def unregister(self, channel: socket.socket) -> None:
        self._selector.unregister(channel)

    def wait(self, seconds: float) -> None:
        """Serve the registered channels for `seconds` of real time, or until asked to stop."""
        until = time.monotonic() + seconds
        first = True
        while not self.stopped:
            left = until - time.monotonic()
            if left <= 0 and not first:
                return
            first = False
            for key, mask in self._selector.select(max(0.0, left)):
                key.data(mask)

    def close(self) -> None:
        """Give back the selector and the signals' wake-up descriptor."""
        if self._wake_reader is not None and self._wake_writer is not None:
            signal.set_wakeup_fd(-1)
            self._wake_reader.close()
            self._wake_writer.close()
        self._selector.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop(signal.Signals(number).name)

    def _drain(self, mask: int) -> None:
        assert self._wake_reader is not None
        try:
            self._wake_reader.recv(512)
        except BlockingIOError:
            pass
