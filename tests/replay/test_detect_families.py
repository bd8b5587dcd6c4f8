"""Whole lives of a service, and the timeline of verdicts each must get.

The shapes are written here, away from those the bench generates, so that neither is tuned
to the other. Times are hours since the process started; the limit is 1 GiB unless said.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from forestall.detect.rules import RULES
from forestall.detect.stream import Judge
from forestall.model.verdict import Limit, LimitKind, Subject, Verdict, VerdictKind
from forestall.units import GIB, HOUR, MIB, MINUTE

CALM = {VerdictKind.UNDECIDED, VerdictKind.STEADY, VerdictKind.GROWING}
ALARMS = {VerdictKind.LEAKING, VerdictKind.EXHAUSTING}

Shape = Callable[[float], float]
"""Hours since the start -> MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process. `alarm_hours`: when the first alarm must come, at the earliest and latest."""

    shape: Shape
    hours: float
    spacing: float = 30.0
    noise: float = 3.0
    limit: int = GIB
    alarm_hours: tuple[float, float] | None = None
    ends: VerdictKind = VerdictKind.STEADY
    allowed: set[VerdictKind] = field(default_factory=lambda: set(VerdictKind))


def garbage(swing: float, period_minutes: float) -> Shape:
    return lambda t: swing * (t * 60 / period_minutes % 1.0)


def steps(onset: float, every: float, size: float) -> Shape:
    return lambda t: size * max(0, math.floor((t - onset) / every))


def warm(level: float, tau_minutes: float) -> Shape:
    return lambda t: 60 + (level - 60) * (1 - math.exp(-t * 60 / tau_minutes))


LIVES = {
    # Full 13 h after its onset: called with most of that still to go.
    "constant leak": Life(
        shape=lambda t: 250 + 60 * max(0.0, t - 6),
        hours=18.85,
        alarm_hours=(6.5, 11.0),
        ends=VerdictKind.EXHAUSTING,
    ),
    # 1 MiB an hour: full after some 29 days, in sight only on the longest windows.
    "slow leak": Life(
        shape=lambda t: 300 + 1.0 * max(0.0, t - 24),
        hours=480,
        spacing=300.0,
        noise=1.0,
        alarm_hours=(100, 290),
        ends=VerdictKind.LEAKING,
    ),
    # Each hourly run keeps 40 MiB.
    "stepwise leak": Life(
        shape=lambda t: 200 + steps(5, 1.0, 40)(t),
        hours=25,
        alarm_hours=(7, 14),
        ends=VerdictKind.LEAKING,
    ),
    # The floor of the sawtooth rises by 30 MiB an hour under swings of 150 MiB.
    "leak under garbage": Life(
        shape=lambda t: 200 + 30 * max(0.0, t - 4) + garbage(150, 17)(t),
        hours=24,
        alarm_hours=(5, 13),
        ends=VerdictKind.LEAKING,
    ),
    "leak from the start": Life(
        shape=lambda t: 80 + 150 * t,
        hours=6.2,
        spacing=10.0,
        alarm_hours=(0.7, 2.5),
        ends=VerdictKind.EXHAUSTING,
    ),
    "leak seen by one sample a minute": Life(
        shape=lambda t: 250 + 60 * max(0.0, t - 6),
        hours=18,
        spacing=60.0,
        alarm_hours=(6.5, 11.0),
        ends=VerdictKind.LEAKING,
    ),
    "runaway": Life(
        shape=lambda t: 200 + 800 * max(0.0, t - 3) / (6 / 60),
        hours=3.1,
        spacing=5.0,
        alarm_hours=(3.01, 3.06),
        ends=VerdictKind.EXHAUSTING,
    ),
    "exponential warm-up": Life(shape=warm(700, 40), hours=30, allowed=CALM),
    "slow exponential warm-up": Life(shape=warm(600, 300), hours=72, spacing=60.0, allowed=CALM),
    "straight warm-up of half an hour": Life(
        shape=lambda t: 60 + 650 * min(1.0, t / 0.5), hours=24, allowed=CALM
    ),
    "sawtooth of the collector": Life(
        shape=lambda t: 200 + garbage(250, 40)(t),
        hours=48,
        allowed=CALM,
    ),
    "slow sawtooth": Life(
        shape=lambda t: 200 + garbage(200, 300)(t), hours=96, spacing=60.0, allowed=CALM
    ),
    # Two hours of 200 MiB more, every night.
    "nightly batch": Life(
        shape=lambda t: 200 + (200 if 2 <= t % 24 < 4 else 0),
        hours=120,
        spacing=60.0,
        allowed=CALM,
    ),
    "daily swing": Life(
        shape=lambda t: 300 + 80 * math.sin(2 * math.pi * t / 24),
        hours=144,
        spacing=60.0,
        allowed=CALM,
    ),
    "level shift": Life(
        shape=lambda t: 250 + (180 if t > 20 else 0), hours=48, spacing=60.0, allowed=CALM
    ),
    # It grew by request for six hours, and then it was full.
    "plateau": Life(
        shape=lambda t: 200 + 120 * (1 - math.exp(-max(0.0, t - 10) / 2)),
        hours=72,
        spacing=60.0,
        allowed=CALM,
    ),
    "quiet at 95% of its limit": Life(
        shape=lambda t: 0.95 * 1024, hours=24, noise=1.0, allowed=CALM
    ),
}


def watch(life: Life, seed: int, started_at: float = 1_700_000_000.0) -> Iterator[Verdict]:
    rng = random.Random(seed)
    judge = Judge(Subject(host="db-07", name="feed-sync"), started_at=started_at)
    t = 0.0
    while t < life.hours * HOUR:
        value = int((life.shape(t / HOUR) + life.noise * rng.expovariate(1.0)) * MIB)
        limit = Limit(
            kind=LimitKind.CGROUP,
            limit_bytes=life.limit,
            headroom_bytes=max(0, life.limit - value),
            source="memory.max",
        )
        yield judge.observe(started_at + t, value, limit)
        t += life.spacing * rng.uniform(0.95, 1.05)


@pytest.mark.parametrize("name", LIVES)
@pytest.mark.parametrize("seed", [1, 2])
def test_life(name: str, seed: int) -> None:
    """The first alarm comes when it must or never, no verdict flaps, and the last one is right."""
    life = LIVES[name]
    verdicts = list(watch(life, seed))
    found = {verdict.kind for verdict in verdicts}
    assert found <= life.allowed, found - life.allowed
    hours = [(v.at - 1_700_000_000.0) / HOUR for v in verdicts if v.kind in ALARMS]
    if life.alarm_hours is None:
        assert not hours
    else:
        assert hours
        low, high = life.alarm_hours
        assert low <= hours[0] <= high
        # Once raised, the alarm of a leak that goes on stays.
        after = [v.kind for v in verdicts if v.at >= hours[0] * HOUR + 1_700_000_000.0 - 1]
        assert set(after) <= ALARMS
    changes = sum(a.kind is not b.kind for a, b in pairwise(verdicts))
    assert changes <= 8
    assert verdicts[-1].kind is life.ends


def test_a_deploy_each_six_hours_is_never_leaking() -> None:
    """Every restart is a new process with a judge of its own, and warms up again."""
    life = Life(shape=warm(650, 15), hours=6)
    for deploy in range(8):
        kinds = {verdict.kind for verdict in watch(life, deploy)}
        assert kinds <= CALM


def test_the_window_that_waits_longest_is_the_longest_allowed() -> None:
    """What the slow leak above counts on: the longest window spans three days."""
    assert RULES.window_seconds[-1] == 72 * 60 * MINUTE
