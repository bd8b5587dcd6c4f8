"""The table, and report.md with its plots: a function of rows and stories."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drills.replay.figures import Row
from drills.replay.stage import Setting, Story
from drills.replay.timeline import Timeline


def fresh_folder(folder: Path) -> Path:
    """An empty folder for this drill; what an earlier drill left there is replaced."""
    folder = folder.absolute()
    if (folder / "figures.json").exists() or not folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def sentence(row: Row) -> str:
    """One run in one line."""
    end = "panicked" if row.panicked_seconds is not None else "no panic"
    return (
        f"{end}; {row.longest_write_gap_seconds:.1f} s without a write, "
        f"{row.orders_acknowledged} orders acknowledged, {row.orders_failed} failed, "
        f"{row.orders_lost} lost, ${row.penalties_usd:,.0f}"
    )


def table(rows: Sequence[Row], timeline: Timeline) -> str:
    return "\n".join(json.dumps(row.to_json()) for row in rows)


def write(out: Path, setting: Setting, rows: Sequence[Row], stories: Sequence[Story]) -> None:
    figures: dict[str, Any] = {"guards": [row.to_json() for row in rows]}
    (out / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


def write_moments(story: Story) -> None:
    """What happened when, one line each, also of a run that failed."""
    lines = [f"{at:8.2f} {text}" for at, text in sorted(story.moments)]
    (story.folder / "moments.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
