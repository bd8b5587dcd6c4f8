"""How text fits a terminal, and what a plain one is given."""

import os
import pty
import sys

import pytest

from forestall.cli.style import Style


@pytest.fixture
def terminal(monkeypatch):
    """Standard output is a terminal of so many columns."""
    opened = []

    def make(columns, **environment):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in {"TERM": "xterm", **environment}.items():
            monkeypatch.setenv(name, value)
        leader, follower = pty.openpty()
        opened.append(leader)
        stream = os.fdopen(follower, "w")
        opened.append(stream)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
        return Style.of_stdout()

    yield make
    for one in opened:
        os.close(one) if isinstance(one, int) else one.close()


@pytest.mark.parametrize(
    ("columns", "width"), [(20, 40), (60, 60), (72, 72), (100, 100), (300, 100), (0, 80)]
)
def test_text_is_as_wide_as_the_terminal(terminal, columns, width):
    """A narrow terminal wraps nothing by itself; a wide one is not filled; 0 is not known."""
    assert terminal(columns).width == width


def test_colour_is_for_terminals_that_want_it(terminal):
    """NO_COLOR and a dumb terminal count."""
    assert terminal(80).color
    assert not terminal(80, NO_COLOR="1").color
    assert not terminal(80, TERM="dumb").color


def test_elsewhere_it_is_plain(capsys):
    """A file or a pipe has no colour, and a width of its own."""
    assert (Style.of_stdout().width, Style.of_stdout().color) == (80, False)
