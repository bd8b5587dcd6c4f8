"""A notice as a line on a log: the way to tell people that always works."""

import logging

from forestall.model.notice import Notice, Urgency

LINE_CHARS_MAX = 2000


class LogNotifier:
    """Writes a notice to `logger` as one line: a warning where somebody is needed, else an info."""

    name = "log"

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def send(self, notice: Notice) -> None:
        level = logging.WARNING if notice.urgency is Urgency.PAGE else logging.INFO
        # The line is an argument, so that a process named `%s` is printed and not interpreted.
        self._logger.log(level, "%s", one_line(notice))


def one_line(notice: Notice) -> str:
    """The whole notice in one line, whatever names of processes are in it."""
    text = " ".join((notice.title, *notice.lines))
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= LINE_CHARS_MAX else plain[: LINE_CHARS_MAX - 4] + " ..."
