"""One line on a terminal, written over, for what takes longer than a person waits in silence."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

SHOWN_AFTER_SECONDS = 2.0
EVERY_SECONDS = 0.25


class TerminalLine:
    """Writes to `stream` (standard error) where that is a terminal, and nothing elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self.is_seen = stream.isatty()
        self._stream = stream
        self._open = False

    def write(self, text: str) -> None:
        """In place of what stood there."""
        if self.is_seen:
            self._open = True
            self._stream.write("\r\x1b[K" + text)
            self._stream.flush()

    def clear(self) -> None:
        """Before something else is written."""
        if self._open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open = False


class Waiting:
    """While it is entered, `words` of the seconds so far say how far the work is.

    A thread asks for them, so that whatever takes the time needs to know nothing of it.
    """

    def __init__(
        self,
        stream: TextIO,
        words: Callable[[float], str],
        after_seconds: float = SHOWN_AFTER_SECONDS,
    ) -> None:
        self._line = TerminalLine(stream)
        self._words = words
        self._after_seconds = after_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        if self._line.is_seen:
            self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._line.clear()

    def _tell(self) -> None:
        began = time.monotonic()
        pause = self._after_seconds
        while not self._ended.wait(pause):
            self._line.write(self._words(time.monotonic() - began))
            pause = EVERY_SECONDS
