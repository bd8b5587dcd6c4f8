"""The command line of the drill: one run after the other, live on a terminal, then the table."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cims.stock_sync.leaks.kinds import BY_NAME
from drills.cluster import programs
from drills.cluster.cluster import ClusterError
from drills.machine import NoMachineError
from drills.replay import guards, report
from drills.replay.agent_files import state_of
from drills.replay.figures import Row, measure
from drills.replay.review import draft_review, record
from drills.replay.stage import Setting, Stage, Story
from drills.replay.timeline import OUTAGE_SECONDS, Timeline

MIB = 1 << 20
OUT = Path("out") / "drills" / "two-hours-forty"
SAY_SECONDS = 15.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="forestall drill two-hours-forty",
        description="The seed incident replayed for real: a leaking service beside the database of"
        " an inventory system, once with each guard. Only the clock is scaled.",
    )
    made.add_argument(
        "--guard",
        default=",".join(guards.DEFAULT),
        help=f"comma-separated, of {', '.join(guards.NAMES)}",
    )
    made.add_argument("--scale", type=float, default=60.0, help="seconds of the seed per second")
    made.add_argument("--leak", default="traceback_kept", help="cims's kind of mistake")
    made.add_argument("--memory", type=int, default=448, metavar="MIB", help="of the machine")
    made.add_argument("--lead", type=float, default=3.0, metavar="HOURS", help="leak until panic")
    made.add_argument("--out", type=Path, default=OUT, help="folder for report, plots and logs")
    made.add_argument("--json", action="store_true", help="the figures as JSON")
    return made


class Status:
    """One live line on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said_at = float("-inf")
        self._live = sys.stderr.isatty()
        self.prefix = ""

    def __call__(self, text: str) -> None:
        """Show a line."""
        line = f"{self.prefix}{text}"
        if self._live:
            print(f"\r{line[:150]}\033[K", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said_at >= SAY_SECONDS:
            self._said_at = time.monotonic()
            print(f"{self._said_at - self._began:7.1f} s  {line}", file=sys.stderr, flush=True)

    def keep(self, text: str) -> None:
        """Show a line that stays."""
        self._said_at = float("-inf")
        self(text)
        if self._live:
            print(file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the drill: 0 = it ran and `cims check` holds, 1 = it does not, 2 usage, 3 could not."""
    options = parser().parse_args(argv)
    names = [name for name in options.guard.split(",") if name]
    problem = _usage(options, names)
    if problem is not None:
        print(f"forestall: {problem}", file=sys.stderr)
        return 2
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if (missing := programs.missing_here() or guards.missing(names)) is not None:
            raise programs.MissingError(missing)
        return _run(options, names)
    except (programs.MissingError, NoMachineError, ClusterError) as error:
        print(f"\nforestall: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\nforestall: stopped; everything it started is ended", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _usage(options: argparse.Namespace, names: list[str]) -> str | None:
    unknown = [name for name in names if name not in guards.NAMES]
    if unknown or not names or len(set(names)) != len(names):
        return f"--guard {options.guard}: each once, of {', '.join(guards.NAMES)}"
    # The policy's times must be whole seconds of the scaled clock.
    if not 1 <= options.scale <= 200 or 600 % options.scale:
        return f"--scale {options.scale:g}: a divisor of 600, at most 200"
    if not 1 <= options.lead <= 24:
        return f"--lead {options.lead:g}: 1 to 24 hours"
    leaks = [name for name, kind in BY_NAME.items() if kind.bytes_per_update > 0]
    if options.leak not in leaks:
        return f"--leak {options.leak}: one of {', '.join(leaks)}"
    if not 384 <= options.memory <= 8192:
        return f"--memory {options.memory}: 384 to 8192 MiB"
    return None


def _run(options: argparse.Namespace, names: list[str]) -> int:
    timeline = Timeline(
        scale=options.scale, leak_seconds=options.lead * 3600, tail_seconds=OUTAGE_SECONDS / 6
    )
    setting = Setting(timeline=timeline, memory_bytes=options.memory * MIB, leak=options.leak)
    out = report.fresh_folder(options.out)
    status = Status()
    rows: list[Row] = []
    stories: list[Story] = []
    for number, name in enumerate(names, 1):
        status.prefix = f"{number}/{len(names)} {name:<9} "
        row, story = _one(setting, name, out / name, status)
        rows.append(row)
        stories.append(story)
        status.keep(report.sentence(row))
        report.write(out, setting, rows, stories)
    if options.json:
        print(json.dumps({"guards": [row.to_json() for row in rows]}, indent=1))
    else:
        print(report.table(rows))
        print(*report.fairness(rows), sep="\n")
        print(f"report: {out / 'report.md'}")
    return 1 if any(row.violations or row.problem for row in rows) else 0


def _one(setting: Setting, name: str, folder: Path, status: Status) -> tuple[Row, Story]:
    stage = Stage(setting, name, folder, status)
    rows: list[Row] = []

    def look(played: Stage) -> None:
        story = played.story
        state = state_of(folder)
        if name != "forestall":
            rows.append(measure(played, evidence=None))
            return
        kept = record(state, setting.timeline)
        story.named = kept.named
        story.moments.extend(kept.events)
        row = measure(played, evidence=kept.bundle)
        story.review = draft_review(state, setting.timeline, story.ended, row)
        rows.append(row)

    try:
        story = stage.run(look)
    finally:
        report.write_traces(stage.story)
    return rows[0], story
