"""One line per event on standard error, plain for a person and prefixed for the journal."""

import os
import time
from typing import TextIO

from forestall.clock import Clock
from forestall.model.notice import Notice, Urgency

LINE_CHARACTERS_MAX = 2000

INFO, WARNING, ERROR = 6, 4, 3
_WORDS = {INFO: "info", WARNING: "warning", ERROR: "error"}


class Log:
    """Writes lines to `stream`; a stream that fails is counted, never fatal.

    With `journald`, each line starts with `<N>` (sd-daemon(3)) and carries no time of its own,
    because the journal stamps it.
    """

    def __init__(self, stream: TextIO, clock: Clock, *, journald: bool) -> None:
        self._stream = stream
        self._clock = clock
        self._journald = journald
        self.lost_count = 0

    def info(self, text: str) -> None:
        self._line(INFO, text)

    def warning(self, text: str) -> None:
        self._line(WARNING, text)

    def error(self, text: str) -> None:
        self._line(ERROR, text)

    def _line(self, priority: int, text: str) -> None:
        if self._journald:
            head = f"<{priority}>"
        else:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))
            head = f"{stamp} {_WORDS[priority]} "
        try:
            self._stream.write(head + one_line(text) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # A closed or full standard error must not stop the agent from watching.
            self.lost_count += 1


class LogNotifier:
    """Tells people through the agent's own log: the way that always works."""

    name = "log"

    def __init__(self, log: Log) -> None:
        self._log = log

    def send(self, notice: Notice) -> None:
        tell = self._log.warning if notice.urgency is Urgency.PAGE else self._log.info
        # The plan and its outcomes have lines of their own in the same log.
        tell(notice.title)


def one_line(text: str) -> str:
    r"""`text` as one printable line: control characters become `\xNN`, and it is cut when long.

    Names of processes are hostile input: a newline would forge a line, an escape sequence a
    terminal's state, and a lone surrogate (a byte that is not UTF-8) could not be written.
    """
    if len(text) > LINE_CHARACTERS_MAX:
        text = text[:LINE_CHARACTERS_MAX] + "..."
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        # surrogateescape keeps an undecodable byte as U+DC00 + byte.
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def is_journal(stream: TextIO, stream_identity: str | None) -> bool:
    """Whether `stream` is the journal's socket, by $JOURNAL_STREAM (`device:inode`).

    The variable is inherited by every child, also by one whose stderr is a terminal, so its mere
    presence says nothing: systemd.exec(5) asks to compare the numbers.
    """
    if not stream_identity:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return stream_identity == f"{status.st_dev}:{status.st_ino}"
