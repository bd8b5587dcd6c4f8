"""What a serial console says of a panic, and what the guest tells beside it: text to values."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from forestall.model.codec import Json

LINE_CHARS_MAX = 4096
PAGE_BYTES = 4096

_STAMP = r"^\[\s*(?P<at>\d+\.\d+)\] "
_PANIC = re.compile(_STAMP + r"Kernel panic - not syncing: (?P<why>.+?)\s*$")
_INVOKED = re.compile(_STAMP + r"(?P<name>.{1,16}) invoked oom-killer: (?P<how>.*)$")
# [ pid ] uid tgid total_vm rss ... name: the columns between differ from kernel to kernel.
_TASK = re.compile(
    _STAMP + r"\[\s*(?P<pid>\d+)\]\s+\d+\s+\d+\s+\d+\s+(?P<rss>\d+)\s.*?(?P<rest>\S.*)$"
)
_FRAME = re.compile(_STAMP + r" (?P<what>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row of the table that the kernel prints when memory has run out."""

    pid: int
    name: str
    rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Panic:
    """A panic as its log tells it. `at` in seconds since the guest's start.

    `invoked_by` is the name the log opens with: who asked for memory when none was left.
    """

    at: float
    why: str
    invoked_by: str | None
    asked: str | None
    tasks: tuple[Task, ...]
    stack: tuple[str, ...]

    @property
    def largest(self) -> Task | None:
        """Who held most, by the log's own table."""
        return max(self.tasks, key=lambda task: task.rss_bytes, default=None)


def parse_panic(lines: Iterable[str]) -> Panic | None:
    """The first panic in a console's lines; None where there was none."""
    invoked_by = asked = None
    tasks: list[Task] = []
    stack: list[str] = []
    for line in lines:
        text = line.rstrip("\r\n")[:LINE_CHARS_MAX]
        invoked = _INVOKED.match(text)
        if invoked is not None:
            invoked_by, asked = invoked["name"].strip(), invoked["how"].strip()
            tasks, stack = [], []
            continue
        panic = _PANIC.match(text)
        if panic is not None:
            return Panic(
                at=float(panic["at"]),
                why=panic["why"],
                invoked_by=invoked_by,
                asked=asked,
                tasks=tuple(tasks),
                stack=tuple(stack),
            )
        task = _TASK.match(text)
        if task is not None and invoked_by is not None:
            tasks.append(_task(task))
            continue
        frame = _FRAME.match(text)
        if frame is not None and invoked_by is not None:
            stack.append(frame["what"])
    return None


def _task(row: re.Match[str]) -> Task:
    # The name is last and may hold blanks; before it stand numbers only.
    name = re.sub(r"^(?:-?\d+\s+)*", "", row["rest"])
    return Task(pid=int(row["pid"]), name=name.strip(), rss_bytes=int(row["rss"]) * PAGE_BYTES)


def parse_event(line: str) -> dict[str, Json] | None:
    """One event of the guest; None for a line that is none, as the last one may be cut short."""
    if len(line) > LINE_CHARS_MAX:
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(event, dict) and isinstance(event.get("event"), str)
    at = event.get("at") if whole else None
    return event if isinstance(at, int | float) and not isinstance(at, bool) else None


class Tail:
    """The whole lines that were appended to a file since the last look."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0
        self._rest = b""

    def lines(self) -> list[str]:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read(4 * 1024 * 1024)
        except FileNotFoundError:
            return []
        self._at += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LINE_CHARS_MAX:]
        return [line.decode(errors="replace").rstrip("\r") for line in whole]
