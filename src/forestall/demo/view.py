"""What the demo shows while it runs: a live picture where rich is installed, else plain lines."""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from forestall.model.verdict import Verdict, VerdictKind
from forestall.units import MINUTE, format_bytes, format_duration

BARS = " ▁▂▃▄▅▆▇█"
CURVE_COLUMNS = 60
CURVE_ROWS = 6
PLAIN_EVERY_SECONDS = 10 * MINUTE
PLAIN_COLUMNS = 100
INDENT = " " * 16
COLOURS = {
    VerdictKind.STEADY: "green",
    VerdictKind.GROWING: "yellow",
    VerdictKind.LEAKING: "bold red",
    VerdictKind.EXHAUSTING: "bold red",
    VerdictKind.UNDECIDED: "dim",
}


@dataclass(slots=True, kw_only=True)
class Scene:
    """What there is to see. Times in seconds of the demo's clock since its start."""

    scale: float
    limit_bytes: int
    limit_is_real: bool
    at: float = 0.0
    memory: list[tuple[float, int]] = field(default_factory=list)
    verdict: Verdict | None = None
    control_bytes: int = 0
    control_verdict: Verdict | None = None
    events: list[tuple[float, str]] = field(default_factory=list)


class View(Protocol):
    """Shows a scene; entered before the first and left after the last."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def show(self, scene: Scene) -> None: ...


def choose(*, quiet: bool) -> View:
    """The live view on a terminal with rich installed, plain lines elsewhere, nothing if quiet."""
    if quiet:
        return PlainView(lambda line: None)
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        try:
            return RichView()
        except ImportError:
            pass
    return PlainView(lambda line: print(line, flush=True))


def forecast_words(verdict: Verdict | None) -> str:
    """The forecast as a range in words, or that there is none."""
    forecast = verdict.forecast if verdict else None
    if forecast is None or forecast.exhaustion_low_seconds is None:
        return "no exhaustion in sight"
    low = format_duration(forecast.exhaustion_low_seconds)
    if forecast.exhaustion_high_seconds is None:
        return f"limit reached in {low} at the soonest"
    return f"limit reached in {low} to {format_duration(forecast.exhaustion_high_seconds)}"


def curve(points: Sequence[tuple[float, int]], top: int, columns: int, rows: int) -> list[str]:
    """`points` as `rows` lines of block characters; the highest line ends at `top` bytes."""
    if not points:
        return [""] * rows
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1.0)
    heights = [0] * columns
    for at, count in points:
        column = min(columns - 1, int((at - first) / (last - first) * columns))
        heights[column] = max(heights[column], round(count / top * rows * 8))
    return [
        "".join(BARS[max(0, min(8, height - 8 * row))] for height in heights)
        for row in reversed(range(rows))
    ]


class PlainView:
    """A line for each event, and one for each ten minutes of the demo's clock."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._events = 0
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, scene: Scene) -> None:
        for at, text in scene.events[self._events :]:
            head = f"  {format_duration(at):>12}  "
            self._write(
                textwrap.fill(text, PLAIN_COLUMNS, initial_indent=head, subsequent_indent=INDENT)
            )
        self._events = len(scene.events)
        if scene.at < self._due or not scene.memory:
            return
        self._due = scene.at + PLAIN_EVERY_SECONDS
        kind = scene.verdict.kind if scene.verdict else VerdictKind.UNDECIDED
        self._write(
            f"  {format_duration(scene.at):>12}  feed-sync {format_bytes(scene.memory[-1][1])}"
            f" of {format_bytes(scene.limit_bytes)}: {kind}, {forecast_words(scene.verdict)};\n"
            f"{INDENT}control {format_bytes(scene.control_bytes)}"
        )


class RichView:
    """Memory curve, verdict, forecast and actions, redrawn in place. Raises ImportError."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        # `highlight` would colour numbers at random; colour here means a verdict.
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(*error)  # type: ignore[arg-type]

    def show(self, scene: Scene) -> None:
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        lines: list[Text] = []
        columns = max(20, min(CURVE_COLUMNS, self._console.width - 24))
        labels = [format_bytes(scene.limit_bytes), *[""] * (CURVE_ROWS - 2), "0"]
        rows = curve(scene.memory, scene.limit_bytes, columns, CURVE_ROWS)
        for label, row in zip(labels, rows, strict=True):
            lines.append(Text.assemble((f"{label:>9} ", "dim"), (f"{row}", "cyan")))
        lines.append(Text(""))
        lines.append(
            _judged("feed-sync", scene.memory[-1][1] if scene.memory else 0, scene.verdict)
        )
        if scene.verdict:
            lines += [_line(f"{'':12}{reason}", "dim") for reason in scene.verdict.reasons[:3]]
        lines.append(_judged("control", scene.control_bytes, scene.control_verdict))
        lines.append(Text(""))
        lines += [_line(f"{format_duration(at):>12}  {text}") for at, text in scene.events[-8:]]
        limit = "cgroup limit" if scene.limit_is_real else "stated limit"
        title = (
            f"{format_duration(scene.at)} on a clock {scene.scale:g}x as fast as yours"
            f" · {limit} {format_bytes(scene.limit_bytes)}"
        )
        self._live.update(Panel(Group(*lines), title=title, title_align="left"))


def _line(text: str, style: str = ""):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Text on one line: wrapped, the newest event would leave a picture of 24 lines at its end."""
    from rich.text import Text

    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _judged(name: str, memory_bytes: int, verdict: Verdict | None):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from rich.text import Text

    kind = verdict.kind if verdict else VerdictKind.UNDECIDED
    return Text.assemble(
        f"{name:>10}  {format_bytes(memory_bytes):>8}  ",
        (kind.value, COLOURS[kind]),
        f"  {forecast_words(verdict)}",
    )
