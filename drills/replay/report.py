"""The table, and report.md with its plots: a function of settings, rows and stories."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drills.replay import flow, guards
from drills.replay.figures import Row
from drills.replay.stage import Setting, Story
from drills.replay.timeline import OUTAGE_SECONDS, PANIC, Timeline

MIB = 1 << 20
FIGURES = "figures.json"

Cell = Callable[[Row], str]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def of_seed(seconds: float) -> str:
    """`2 h 40 min`, as the seed writes times."""
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours else f"{rest} min"


COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("guard", lambda row: row.guard),
    ("panic", lambda row: "no" if row.panicked_seconds is None else "yes"),
    ("longest time without a write", lambda row: _seconds(row.longest_write_gap_seconds)),
    ("... on the seed's clock", lambda row: of_seed(row.longest_write_gap_of_seed_seconds)),
    ("orders acknowledged", lambda row: f"{row.orders_acknowledged:,}"),
    ("failed", lambda row: f"{row.orders_failed:,}"),
    ("lost", lambda row: str(row.orders_lost)),
    ("region updates late by", lambda row: _seconds(row.sync_delay_seconds)),
    ("penalties", lambda row: f"${row.penalties_usd:,.0f}"),
    ("evidence", lambda row: "none" if row.evidence is None else row.evidence[:12]),
    ("culprit named after", lambda row: _seconds(row.culprit_named_seconds)),
    ("restarts of stock-sync", lambda row: str(row.stock_sync_starts - 1)),
    ("cims check", lambda row: "holds" if row.violations == 0 else f"{row.violations} WRONG"),
)


def fresh_folder(folder: Path) -> Path:
    """An empty folder for this drill; what an earlier drill left there is replaced."""
    folder = folder.absolute()
    if (folder / FIGURES).exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        # Not ours to remove, unless it is what a drill that failed left.
        for name in guards.NAMES:
            shutil.rmtree(folder / name, ignore_errors=True)
    return folder


def sentence(row: Row) -> str:
    """One run in one line."""
    end = "no panic" if row.panicked_seconds is None else "panicked"
    return (
        f"{end}; {row.longest_write_gap_seconds:.1f} s without a write, "
        f"{row.orders_acknowledged:,} orders acknowledged, {row.orders_failed:,} failed, "
        f"{row.orders_lost} lost, ${row.penalties_usd:,.0f}"
    )


def table(rows: Sequence[Row]) -> str:
    """The table for a terminal: one column a guard, for there are more figures than guards."""
    lines = [[title, *(cell(row) for row in rows)] for title, cell in COLUMNS]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows) + 1)]
    return "\n".join(
        "  ".join(
            word.ljust(width) if column == 0 else word.rjust(width)
            for column, (word, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown_table(rows: Sequence[Row]) -> str:
    """The same table in Markdown."""
    head, *lines = [[title, *(cell(row) for row in rows)] for title, cell in COLUMNS]
    marks = ["---", *("---:" for _ in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, marks, *lines))


def fairness(rows: Sequence[Row]) -> list[str]:
    """Where guards do equally well, said from the figures alone."""
    said = []
    spared = [row.guard for row in rows if row.panicked_seconds is None]
    if spared:
        said.append(f"Prevented the panic: {', '.join(spared)}.")
    clean = [row.guard for row in rows if row.orders_failed == 0 and row.orders_lost == 0]
    if clean:
        said.append(f"No order failed or lost: {', '.join(clean)}.")
    quiet = [row for row in rows if row.penalties_usd == 0]
    if quiet:
        said.append(f"No penalty: {', '.join(row.guard for row in quiet)}.")
    kept = [row.guard for row in rows if row.evidence is not None]
    said.append(f"Kept evidence that verifies: {', '.join(kept) or 'none'}.")
    best = min(rows, key=lambda row: row.longest_write_gap_seconds)
    said.append(f"Shortest longest gap: {best.guard}, {best.longest_write_gap_seconds:.2f} s.")
    return said


def write(out: Path, setting: Setting, rows: Sequence[Row], stories: Sequence[Story]) -> None:
    """figures.json, the plots and report.md of the guards that were played so far."""
    figures: dict[str, Any] = {"guards": [row.to_json() for row in rows]}
    (out / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    plotted = _plot(out, setting.timeline, stories)
    (out / "report.md").write_text(
        _markdown(out, setting, rows, stories, plotted=plotted), encoding="utf-8"
    )


def write_traces(story: Story) -> None:
    """What happened when, and the memory at each moment, also of a run that failed."""
    with open(story.folder / "memory.csv", "w", encoding="utf-8") as file:
        file.write("wall_seconds,used_bytes,available_bytes,orders_acknowledged\n")
        file.writelines(
            f"{at.at:.2f},{at.used_bytes},{at.available_bytes},{at.acknowledged}\n"
            for at in story.points
        )
    (story.folder / "moments.txt").write_text(_moments(story), encoding="utf-8")


def _moments(story: Story) -> str:
    return "".join(f"{at:8.2f} s  {text}\n" for at, text in sorted(story.moments))


def rules(setting: Setting) -> list[str]:
    """Everything that shaped the figures, in the open."""
    timeline = setting.timeline
    policy = flow.scaled_policy(timeline)
    return [
        f"Clock: {timeline.scale:g} seconds of the seed in one of the host; only the clock of the "
        "agent, of the people and of the penalties is scaled. Processes, memory, database and "
        f"time-outs are real, so 3 s of a switchover count as {timeline.scale * 3 / 60:g} minutes "
        "of lateness: to the disadvantage of whoever acts.",
        f"Machine: {setting.memory_bytes // MIB} MiB, no swap; the leak ({setting.leak}) is paced "
        f"to fill what is free {of_seed(timeline.leak_seconds)} after the start.",
        f"Clients: {flow.CLIENTS}, {flow.orders_per_wall_second(timeline):.1f} orders a second in "
        f"all; {flow.rule(timeline)}. A failed order is one that was given up.",
        f"Warehouse: ships an order {of_seed(flow.PICK_SECONDS)} after it was taken.",
        "Penalties: cims's policy "
        f"(promise {of_seed(policy.promise_seconds * timeline.scale)}, "
        f"grace {of_seed(policy.grace_seconds * timeline.scale)}, "
        f"${policy.flat_cents / 100:.2f} and ${policy.per_hour_cents / timeline.scale / 100:.2f} "
        f"an hour, at most ${policy.cap_cents / 100:.2f} an order). The flow of orders "
        f"({flow.calibrated():.2f} a minute of the seed) was set once, so that by arithmetic "
        f"{of_seed(OUTAGE_SECONDS)} of outage cost ${flow.SEED_CENTS / 100:,.0f}; no run sets it.",
        "Panic: played. When the machine's memory ends, everything in it is frozen, as with "
        "vm.panic_on_oom=1 and kernel.panic=0. `forestall drill panic` has a kernel that really "
        "panics.",
        "People: first response after 5 min, then the reboot that ends the outage after "
        f"{of_seed(OUTAGE_SECONDS)}, the redirect to the secondary node, the service repaired. "
        "Nobody fails over by himself (Patroni's ttl is longer than the drill), but for the guard "
        "`patroni`.",
    ]


def _markdown(
    out: Path,
    setting: Setting,
    rows: Sequence[Row],
    stories: Sequence[Story],
    *,
    plotted: bool,
) -> str:
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) // 1024
    load = ", ".join(f"{row.guard} {row.load_average:.1f}" for row in rows)
    parts = [
        "# Two hours forty: the seed incident replayed\n",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs, {memory} MiB, Linux "
        f"{platform.release()}; load average at each run's end: {load}.\n",
        markdown_table(rows),
        "",
        *(f"- {line}" for line in fairness(rows)),
        "\n## How it was measured\n",
        *(f"- {line}" for line in rules(setting)),
        "- Guards: "
        + "; ".join(f"{row.guard}: {guards.describe(row.guard)}" for row in rows)
        + ".",
        "- Culprit named: from the start of the leak until the guard's own record says stock-sync. "
        "earlyoom and nohang name the process they end; they do not say why it is that one.",
        "- Lost: acknowledged and not stored as acknowledged, by `cims check`, which looked at "
        "every run's database and history.",
    ]
    if plotted:
        parts += ["\n## Memory and orders\n", "![memory](memory.png)\n", "![orders](orders.png)"]
    else:
        parts.append("\nNo plots: matplotlib is not installed (pip install 'forestall[drill]').")
    for story in stories:
        parts += [f"\n## {story.guard}\n", "```text", _moments(story).rstrip(), "```"]
        if story.problem is not None:
            parts.append(f"\nThe script could not be played to its end: {story.problem}")
        drafted = story.review
        if drafted is not None and drafted.path is not None:
            parts.append(
                f"\nReview: [{drafted.number}]({os.path.relpath(drafted.path, out)}), "
                f"{drafted.unresolved} facts unresolved."
            )
        elif drafted is not None:
            parts.append(f"\nNo review: {drafted.problem}.")
    return "\n".join(parts) + "\n"


def _plot(out: Path, timeline: Timeline, stories: Sequence[Story]) -> bool:
    """Memory and acknowledged orders over the seed's clock; False where matplotlib is missing."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.dates import DateFormatter

    clock_face: Any = DateFormatter
    clock_face = clock_face("%H:%M", tz=PANIC.tzinfo)
    # What waited for an outage comes at once after it, and would flatten everything before.
    most = 3 * flow.orders_per_wall_second(timeline)
    for name, title, values, top in (
        ("memory", "MiB available on the machine", _available, None),
        ("orders", f"orders acknowledged per second, up to {most:.0f}", _pace, most),
    ):
        figure, axes = plt.subplots(
            len(stories), 1, figsize=(9, 1.9 * len(stories) + 0.6), sharex=True, squeeze=False
        )
        for axis, story in zip(axes[:, 0], stories, strict=True):
            times, found = values(story)
            axis.plot([timeline.at(at) for at in times], found, linewidth=1.0)
            axis.set_ylabel(story.guard)
            axis.set_ylim(bottom=0, top=top)
            axis.grid(visible=True, alpha=0.3)
            if story.panicked is not None:
                axis.axvline(timeline.at(story.panicked), color="tab:red", linewidth=1.0)
            axis.xaxis.set_major_formatter(clock_face)
        axes[0, 0].set_title(f"{title} (the seed's clock; red: panic)", fontsize=10)
        figure.tight_layout()
        figure.savefig(out / f"{name}.png", dpi=110)
        plt.close(figure)
    return True


def _available(story: Story) -> tuple[list[float], list[float]]:
    points = story.points
    return [point.at for point in points], [point.available_bytes / MIB for point in points]


def _pace(story: Story) -> tuple[list[float], list[float]]:
    """Acknowledged per second, over steps of a second: the finest that a plot can show."""
    times, found, last = [], [], None
    for point in story.points:
        if last is None:
            last = point
        elif point.at - last.at >= 1.0:
            times.append(point.at)
            found.append((point.acknowledged - last.acknowledged) / (point.at - last.at))
            last = point
    return times, found
