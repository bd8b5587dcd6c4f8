"""How text looks on a terminal: columns, colour, and only what it can show."""

import contextlib
import os
import sys
import textwrap
from dataclasses import dataclass

from forestall.cli.options import printable

WIDTH_LEAST = 40
WIDTH_LIMIT = 100
WIDTH_ELSEWHERE = 80

RED, GREEN, YELLOW, BOLD = "31", "32", "33", "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Columns, colour, and what the terminal can show."""

    width: int = 80
    color: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of_stdout(cls) -> "Style":
        """How standard output wants its text: NO_COLOR and a dumb terminal count."""
        terminal, width = sys.stdout.isatty(), WIDTH_ELSEWHERE
        if terminal:
            with contextlib.suppress(OSError):
                columns = os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH_ELSEWHERE
                width = max(WIDTH_LEAST, min(WIDTH_LIMIT, columns))
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(
            width=width, color=terminal and not plain, encoding=sys.stdout.encoding or "ascii"
        )

    def paint(self, text: str, color: str) -> str:
        """`text` in an SGR colour, where colour is wanted."""
        return f"\x1b[{color}m{text}\x1b[0m" if self.color and color else text

    def plain(self, text: str) -> str:
        """`text` without anything that could move the cursor or not be shown here."""
        return printable(text).encode(self.encoding, "backslashreplace").decode(self.encoding)

    def title(self, text: str) -> str:
        """`text` as the heading of a section."""
        return self.paint(text, BOLD)

    def wrapped(self, text: str, *, first: str = "", rest: str = "") -> list[str]:
        """`text` in lines of the style's width, at least one; `first` and `rest` indent them."""
        return textwrap.wrap(
            self.plain(text),
            self.width,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        ) or [first]


def cut(text: str, width: int) -> str:
    """At most `width` characters, three dots at the end where some are missing."""
    return text if len(text) <= width else text[: width - 3] + "..."
