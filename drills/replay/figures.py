"""One row of the table: read from what the run left behind, never from what it was meant to do."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from cims.check.finding import Proof
from cims.check.look import Question, look, store
from cims.load import figures as load_figures
from cims.load.history import read
from drills.replay import flow
from drills.replay.stage import Stage, Story

_DELAYS = """
SELECT c.region, greatest(
    (SELECT max(extract(epoch FROM b.applied_at - b.feed_at)) FROM applied_batch b
        WHERE b.source = c.source),
    extract(epoch FROM %s - c.feed_at))::float8
FROM sync_cursor c ORDER BY c.region
"""
_LATE = "SELECT count(*), coalesce(sum(amount_cents), 0) FROM penalty WHERE policy_version = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one guard's run came to. Seconds are wall seconds, unless they say otherwise.

    evidence               id of the bundle that the guard kept and that verifies; None: none
    culprit_named_seconds  from the start of the leak until the guard's own record names stock-sync
    orders_lost            acknowledged, and not in the database as acknowledged (`cims check` I1)
    violations             of all invariants of `cims check`
    """

    guard: str
    longest_write_gap_seconds: float
    longest_write_gap_of_seed_seconds: float
    orders_acknowledged: int
    orders_failed: int
    orders_lost: int
    sync_delay_seconds: float
    sync_delay_by_region: dict[str, float]
    penalties_usd: float
    late_orders: int
    evidence: str | None
    culprit_named_seconds: float | None
    panicked_seconds: float | None
    least_available_bytes: int
    stock_sync_starts: int
    violations: int
    load_average: float
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        """The record of `--json`."""
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def measure(stage: Stage, *, evidence: str | None) -> Row:
    """Look at the database and the clients' history, all load at rest."""
    story, timeline = stage.story, stage.setting.timeline
    stage.cluster.wait_healthy()
    ended = time.time() - (time.monotonic() - story.started - story.ended)
    at = datetime.fromtimestamp(ended, UTC)
    dsn = stage.cluster.dsn(node=stage.cluster.primary())
    late, cents = _penalties(dsn, flow.scaled_policy(timeline).version, at)
    delays = _delays(dsn, at)
    proof = look(Question(dsn=dsn, histories=(str(story.history),)))
    store(dsn, proof)
    told = load_figures.figures(read(str(story.history)))
    return Row(
        guard=story.guard,
        longest_write_gap_seconds=told.longest_gap_seconds,
        longest_write_gap_of_seed_seconds=timeline.seed(told.longest_gap_seconds),
        orders_acknowledged=told.acknowledged,
        orders_failed=told.failed,
        orders_lost=lost(proof),
        sync_delay_seconds=max(delays.values()),
        sync_delay_by_region=delays,
        penalties_usd=cents / 100,
        late_orders=late,
        evidence=evidence,
        culprit_named_seconds=story.named,
        panicked_seconds=story.panicked,
        least_available_bytes=min(point.available_bytes for point in story.points),
        stock_sync_starts=starts(story),
        violations=sum(finding.count for finding in proof.findings),
        load_average=_load_average(),
        problem=story.problem,
    )


def lost(proof: Proof) -> int:
    """Orders that were acknowledged and are not stored as they were acknowledged."""
    return next(finding.count for finding in proof.findings if finding.invariant == "I1")


def starts(story: Story) -> int:
    """How often the supervisor started stock-sync: once, and once for each time it ended."""
    return story.sync_log.read_text(encoding="utf-8", errors="replace").count("supervise: started")


def _penalties(dsn: str, version: int, at: datetime) -> tuple[int, int]:
    """Late orders and cents, by cims's own accrual at `at`."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT accrue_penalties(%s, %s)", (version, at))
        row = connection.execute(_LATE, (version,)).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _delays(dsn: str, at: datetime) -> dict[str, float]:
    """The longest that each region's updates waited; those never applied wait until the end."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(_DELAYS, (at,)).fetchall()
    return {str(region): float(seconds) for region, seconds in rows}


def _load_average() -> float:
    with open("/proc/loadavg", encoding="ascii") as file:
        return float(file.read().split()[0])
