"""A notice on the log."""

import logging

import pytest

from forestall.model.notice import Notice, Urgency
from forestall.notify.log import LogNotifier, one_line


def notice(**options):
    given = {
        "at": 1.0,
        "host": "db1",
        "service": "feed-sync",
        "urgency": Urgency.PAGE,
        "title": "feed-sync is LEAKING.",
        "lines": ("Because.", "So."),
    }
    return Notice(**{**given, **options})


class Kept(logging.Handler):
    """Keeps the records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.mark.parametrize(
    ("urgency", "level"), [(Urgency.PAGE, logging.WARNING), (Urgency.INFORM, logging.INFO)]
)
def test_a_notice_is_one_line_at_its_urgency(urgency, level):
    """A page is a warning, the rest an info."""
    logger, kept = logging.Logger("test"), Kept()
    logger.addHandler(kept)
    LogNotifier(logger).send(notice(urgency=urgency))
    (record,) = kept.records
    assert (record.levelno, record.getMessage()) == (level, "feed-sync is LEAKING. Because. So.")


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("%s%d{0}", "%s%d{0} Because. So."),
        ("a\nMay 01 sshd: root logged in", "a?May 01 sshd: root logged in Because. So."),
        ("\x1b[2Jgone\u202e", "?[2Jgone? Because. So."),
    ],
)
def test_a_hostile_name_cannot_forge_a_line_or_drive_a_terminal(title, line):
    """What is not printable becomes a question mark; formats are not interpreted."""
    logger, kept = logging.Logger("test"), Kept()
    logger.addHandler(kept)
    LogNotifier(logger).send(notice(title=title))
    assert kept.records[0].getMessage() == line


def test_a_long_notice_is_cut():
    """Two thousand characters, and it shows that it was cut."""
    line = one_line(notice(title="x" * 5000))
    assert len(line) == 2000
    assert line.endswith("x ...")
