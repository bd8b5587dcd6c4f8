"""How far a collection is, for a person: one line on a terminal, a last word elsewhere."""

import time
from typing import TextIO

from forestall.audit.collect.ssh import Progress
from forestall.units import format_duration

SHOWN_AFTER_SECONDS = 2.0
EVERY_SECONDS = 0.25


class ProgressLine:
    """Writes to `stream` (standard error). Nothing is shown of what takes less than two seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown_at = 0.0
        self._last: Progress | None = None
        self._open = False

    def __call__(self, progress: Progress) -> None:
        """The `report` of `collect`."""
        self._last = progress
        now = time.monotonic()
        if not self._terminal or progress.seconds < SHOWN_AFTER_SECONDS:
            return
        if now - self._shown_at >= EVERY_SECONDS:
            self._shown_at = now
            self._open = True
            self._stream.write("\r\x1b[K" + line(progress))
            self._stream.flush()

    def clear(self) -> None:
        """Before something else is written."""
        if self._open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open = False

    def close(self) -> None:
        """The last word, also where there is no terminal."""
        self.clear()
        if self._last is not None and self._last.seconds >= SHOWN_AFTER_SECONDS:
            self._stream.write(line(self._last) + "\n")
            self._stream.flush()


def line(progress: Progress) -> str:
    """`312/500 hosts, 4 failed, 120 running, 31 s left`."""
    parts = [f"{progress.done}/{progress.total} hosts"]
    if progress.kept:
        parts.append(f"{progress.kept} kept from before")
    parts.append(f"{progress.failed} failed")
    if progress.done == progress.total:
        parts.append(f"in {format_duration(progress.seconds)}")
        return ", ".join(parts)
    parts.append(f"{progress.running} running")
    if progress.seconds_left is not None:
        parts.append(f"{format_duration(progress.seconds_left)} left")
    return ", ".join(parts)
