"""One run of the guest under one guard, watched from outside: events in, what came of it out."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from drills.panic.console import Panic, Tail, parse_event, parse_panic
from drills.panic.qemu import Board, Machine
from forestall.errors import ForestallError
from forestall.model.codec import Json
from forestall.units import format_bytes

POLL_SECONDS = 0.1
# Between the last word of a panic on the console and the panic's own signal to QEMU.
SIGNAL_SECONDS = 5.0
PROBE_SECONDS = 10.0
SHOW_SECONDS = 5.0
EVENTS_MAX = 100_000

Event = dict[str, Json]
Show = Callable[[float, str], None]
"""Takes seconds since the guest's start, by its own clock, and a line for the reader."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What one guest did. Times of the guest are its own clock's, in seconds since its start.

    `host_seconds` are stamps of this host's clock by the event they belong to.
    """

    guard: str
    folder: str
    events: list[Event] = field(default_factory=list)
    panic: Panic | None = None
    ended: str | None = None
    vmcore: str | None = None
    host_seconds: dict[str, float] = field(default_factory=dict)

    def first(self, kind: str, **wanted: Json) -> Event | None:
        """The first event of a kind with these values."""
        for event in self.events:
            if event["event"] == kind and all(event.get(k) == v for k, v in wanted.items()):
                return event
        return None

    def all(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def panicked(self) -> bool:
        return self.panic is not None

    @property
    def leak_at(self) -> float | None:
        """When the leak began, by the guest's clock."""
        return at_of(self.first("serving"))

    @property
    def ended_at(self) -> float | None:
        """When the panic came, or the leaking process first went away."""
        if self.panic is not None:
            return self.panic.at
        return at_of(self.first("ended", name="inventory-sync"))

    @property
    def seconds(self) -> float | None:
        """From the beginning of the leak to the panic, or to the end of the leaking process."""
        began, ended = self.leak_at, self.ended_at
        return None if began is None or ended is None else round(ended - began, 2)

    @property
    def longest_gap_seconds(self) -> float | None:
        """The longest time the stand-in of the database stood still."""
        gaps = [float(str(event["longest_gap"])) for event in self.all("sorts")]
        return max(gaps, default=None)

    @property
    def memory_bytes(self) -> int | None:
        event = self.first("up")
        return int(str(event["total"])) if event else None


def at_of(event: Event | None) -> float | None:
    """When an event was, by the guest's clock; None of None."""
    return float(str(event["at"])) if event is not None else None


class Replay:
    """Runs one guest to its end: a panic, its own good end, or `limit_seconds`."""

    def __init__(self, run: Run, board: Board, *, limit_seconds: float, show: Show) -> None:
        self._run = run
        self._board = board
        self._limit_seconds = limit_seconds
        self._show = show
        self._events = Tail(board.events)
        self._console = Tail(board.console)
        self._lines: list[str] = []
        self._panic_seen_at: float | None = None
        self._shown_at = 0.0
        self._started = 0.0

    def play(self) -> Run:
        self._started = time.monotonic()
        with Machine(self._board) as machine:
            assert machine.qmp is not None
            while self._now() < self._limit_seconds:
                names = {event["event"] for event in machine.qmp.events(POLL_SECONDS)}
                self._read()
                if "GUEST_PANICKED" in names or self._signal_is_late():
                    self._keep_panic(machine)
                    break
                if not machine.running:
                    self._read()
                    break
            else:
                self._keep_livelock(machine)
        self._run.host_seconds["end"] = self._now()
        return self._run

    def _now(self) -> float:
        return time.monotonic() - self._started

    def _signal_is_late(self) -> bool:
        seen = self._panic_seen_at
        return seen is not None and self._now() - seen > SIGNAL_SECONDS

    def _read(self) -> None:
        for line in self._console.lines():
            self._lines.append(line)
            if "Kernel panic - not syncing" in line and self._panic_seen_at is None:
                self._panic_seen_at = self._now()
        for line in self._events.lines():
            event = parse_event(line)
            if event is not None and len(self._run.events) < EVENTS_MAX:
                self._take(event)

    def _take(self, event: Event) -> None:
        run, kind = self._run, str(event["event"])
        run.events.append(event)
        run.host_seconds.setdefault(kind, self._now())
        if kind == "end":
            run.ended = str(event.get("how"))
        elif kind == "broken":
            raise ForestallError(
                f"the guest is broken: {event.get('what')}",
                help=f"its console is in {self._board.console}",
            )
        words = self._words(kind, event)
        if words is not None:
            self._show(at_of(event) or 0.0, words)

    def _words(self, kind: str, event: Event) -> str | None:
        if kind == "up":
            return f"the guest is up: Linux {event.get('kernel')}, {_size(event.get('total'))}"
        if kind == "guarding":
            return f"the guard watches, {_size(event.get('rss'))} resident"
        if kind == "serving":
            return f"inventory-sync runs as process {event.get('pid')}, and leaks"
        if kind == "ended" and event.get("name") != "database":
            return f"{event.get('name')}: process {event.get('pid')} ended ({event.get('code')})"
        if kind == "end":
            return f"the guest ends by itself: {event.get('how')}"
        at = at_of(event) or 0.0
        if kind != "beat" or at - self._shown_at < SHOW_SECONDS:
            return None
        self._shown_at = at
        return (
            f"{_size(event.get('available')):>9} left, "
            f"inventory-sync holds {_size(event.get('rss'))}"
        )

    def _keep_panic(self, machine: Machine) -> None:
        run = self._run
        run.host_seconds["panic"] = self._panic_seen_at or self._now()
        self._read()
        run.panic = parse_panic(self._lines)
        if run.panic is None:
            raise ForestallError(
                "the guest panicked, and its console does not say why",
                help=f"read {self._board.console}",
            )
        self._show(run.panic.at, f"KERNEL PANIC: {run.panic.why}")
        path = os.path.join(run.folder, "vmcore.elf")
        machine.dump(path)
        run.vmcore = path
        self._show(
            run.panic.at, f"the kernel's memory is kept, {format_bytes(os.stat(path).st_size)}"
        )

    def _keep_livelock(self, machine: Machine) -> None:
        """The time is over, and the guest neither panicked nor recovered: its memory says why."""
        run = self._run
        run.ended = "time over"
        self._show(
            self._shown_at, f"no end within {self._limit_seconds:.0f} s here; its memory is kept"
        )
        path = os.path.join(run.folder, "vmcore.elf")
        machine.dump(path)
        run.vmcore = path


def probe(board: Board, folder: str) -> bool:
    """Whether a guest comes up on this board within PROBE_SECONDS; errors mean no."""
    run = Run(guard="none", folder=folder)
    try:
        Replay(run, board, limit_seconds=PROBE_SECONDS, show=lambda *_: None).play()
    except ForestallError:
        return False
    finally:
        vmcore = os.path.join(folder, "vmcore.elf")
        if os.path.exists(vmcore):
            os.unlink(vmcore)
    return run.ended == "probe"


def _size(value: Json) -> str:
    return format_bytes(value) if isinstance(value, int) else "?"
