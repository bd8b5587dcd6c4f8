"""How far a collection is, for a person: one line on a terminal, a last word elsewhere."""

import time
from typing import TextIO

from forestall.audit.collect.ssh import Progress
from forestall.audit.waiting import EVERY_SECONDS, SHOWN_AFTER_SECONDS, TerminalLine
from forestall.units import format_duration


class ProgressLine:
    """Writes to `stream` (standard error). Nothing is shown of what takes less than two seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = TerminalLine(stream)
        self._shown_at = 0.0
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """The `report` of `collect`."""
        self._last = progress
        now = time.monotonic()
        if progress.seconds < SHOWN_AFTER_SECONDS:
            return
        if now - self._shown_at >= EVERY_SECONDS:
            self._shown_at = now
            self._line.write(line(progress))

    def close(self) -> None:
        """The last word, also where there is no terminal."""
        self._line.clear()
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
