"""The judge over time: what it answers when, and what it is never moved by."""

import math
import random
from array import array
from collections.abc import Callable
from dataclasses import replace

import pytest

from forestall.detect.rules import RULES
from forestall.detect.stream import Judge, replay
from forestall.model.codec import dumps, loads
from forestall.model.series import Series
from forestall.model.verdict import Limit, LimitKind, Subject, Verdict, VerdictKind
from forestall.units import DAY, GIB, HOUR, MIB, MINUTE

SUBJECT = Subject(host="db-07", name="feed-sync")
START = 1_700_000_000.0
LIMIT = 1 * GIB


def limit_at(memory_bytes: float, limit_bytes: int = LIMIT) -> Limit:
    return Limit(
        kind=LimitKind.GIVEN,
        limit_bytes=limit_bytes,
        headroom_bytes=limit_bytes - int(memory_bytes),
        source="--limit",
    )


def judge_over(
    shape: Callable[[float], float],
    seconds: float,
    *,
    spacing: float = 10.0,
    age: float = 0.0,
    judge: Judge | None = None,
) -> list[tuple[float, Verdict]]:
    """(seconds since the first sample, verdict) for each sample of `shape` with some noise."""
    rng = random.Random(11)
    judge = judge or Judge(SUBJECT, started_at=START - age)
    verdicts, t = [], 0.0
    while t < seconds:
        value = int(shape(t) + rng.expovariate(1 / (0.5 * MIB)))
        verdicts.append((t, judge.observe(START + t, value, limit_at(value))))
        t += spacing
    return verdicts


def kinds(verdicts: list[tuple[float, Verdict]]) -> list[VerdictKind]:
    """The kinds in order, without repetitions."""
    order: list[VerdictKind] = []
    for _, verdict in verdicts:
        if not order or order[-1] is not verdict.kind:
            order.append(verdict.kind)
    return order


def first(verdicts: list[tuple[float, Verdict]], kind: VerdictKind) -> float:
    return next(t for t, verdict in verdicts if verdict.kind is kind)


def flat(t: float) -> float:
    return 200.0 * MIB


def leak_after(onset: float, fill: float) -> Callable[[float], float]:
    return lambda t: 200 * MIB + 824 * MIB * max(0.0, t - onset) / fill


def test_without_a_usable_sample_it_is_undecided() -> None:
    """A first sample that is no size of memory is no sample."""
    verdict = Judge(SUBJECT).observe(math.nan, 100, None)
    assert verdict.kind is VerdictKind.UNDECIDED
    assert verdict.reasons == ("No sample has been taken.",)
    assert loads(Verdict, dumps(verdict)) == verdict


def test_a_young_process_is_undecided_and_then_steady() -> None:
    """Ten minutes of age, counted from the process's start and not from the first sample."""
    verdicts = judge_over(flat, 30 * MINUTE)
    assert kinds(verdicts) == [VerdictKind.UNDECIDED, VerdictKind.STEADY]
    assert first(verdicts, VerdictKind.STEADY) == 10 * MINUTE
    assert "warm-up is not judged before 10 min" in verdicts[5][1].reasons[0]
    known = judge_over(flat, 30 * MINUTE, age=1 * HOUR)
    assert first(known, VerdictKind.STEADY) < 3 * MINUTE


def test_without_a_start_time_age_counts_from_the_first_sample() -> None:
    """Unknown age is the youngest possible one."""
    verdicts = judge_over(flat, 30 * MINUTE, judge=Judge(SUBJECT))
    assert first(verdicts, VerdictKind.STEADY) == 10 * MINUTE


@pytest.mark.parametrize("spacing", [1.0, 10.0, 20.0, 60.0])
def test_a_leak_is_called_long_before_half_the_headroom_is_used(spacing: float) -> None:
    """Two hours to full from an hour on: leaking within a third, whatever the spacing."""
    verdicts = judge_over(leak_after(HOUR, 2 * HOUR), 3 * HOUR, spacing=spacing, age=2 * HOUR)
    at = first(verdicts, VerdictKind.LEAKING)
    assert HOUR < at < HOUR + 2 * HOUR / 3
    assert first(verdicts, VerdictKind.EXHAUSTING) > at
    assert verdicts[-1][1].kind is VerdictKind.EXHAUSTING
    assert VerdictKind.UNDECIDED not in kinds(verdicts)[1:]


def test_a_leak_from_the_start_waits_for_the_gate_and_no_longer() -> None:
    """Two hours to full from its first second: growing, and leaking at 40 min."""
    verdicts = judge_over(leak_after(0, 2 * HOUR), 2 * HOUR)
    assert first(verdicts, VerdictKind.GROWING) == 10 * MINUTE
    assert 40 * MINUTE <= first(verdicts, VerdictKind.LEAKING) <= 42 * MINUTE


def test_the_first_verdict_of_a_leak_says_when_it_began() -> None:
    """The onset is the change point of the floor: within two blocks of the window that saw it."""
    verdicts = judge_over(leak_after(HOUR, 2 * HOUR), 3 * HOUR, age=DAY)
    at = first(verdicts, VerdictKind.LEAKING)
    verdict = next(v for t, v in verdicts if t == at)
    assert verdict.onset_at is not None
    assert abs(verdict.onset_at - (START + HOUR)) < 2 * 75


def test_a_forecast_range_holds_the_truth_of_a_constant_leak() -> None:
    """From the first alarm on, the time that is really left lies between the two ends."""
    verdicts = judge_over(leak_after(HOUR, 4 * HOUR), 5 * HOUR - 120, age=DAY)
    alarms = [(t, v) for t, v in verdicts if v.kind is VerdictKind.LEAKING]
    assert len(alarms) > 500
    held = 0
    for _, verdict in alarms:
        assert verdict.forecast is not None
        low, high = (
            verdict.forecast.exhaustion_low_seconds,
            verdict.forecast.exhaustion_high_seconds,
        )
        assert low is not None
        left = START + 5 * HOUR - verdict.at
        held += low <= left <= (high or math.inf)
    assert held / len(alarms) > 0.95


@pytest.mark.parametrize("spacing", [1.0, 5.0, 10.0])
def test_a_runaway_that_fills_the_host_in_five_minutes_is_seen(spacing: float) -> None:
    """EXHAUSTING with at least a minute and a half to go."""
    verdicts = judge_over(leak_after(HOUR, 300), HOUR + 300, spacing=spacing, age=2 * HOUR)
    assert first(verdicts, VerdictKind.EXHAUSTING) < HOUR + 210


def test_of_several_windows_the_soonest_exhaustion_counts() -> None:
    """A slow leak that turns into a fast one: the forecast follows the newest rate."""
    turns = 80 * MINUTE

    def shape(t: float) -> float:
        # 8 MiB a minute, and at 840 MiB, with 23 min to go, 32 MiB a minute.
        slow, fast = min(t, turns) / MINUTE, max(0.0, t - turns) / MINUTE
        return (200 + 8 * slow + 32 * fast) * MIB

    verdicts = judge_over(shape, turns + 3.5 * MINUTE, age=DAY, spacing=5.0)
    verdict = verdicts[-1][1]
    assert verdict.kind is VerdictKind.EXHAUSTING
    assert verdict.forecast is not None
    assert verdict.forecast.exhaustion_seconds is not None
    assert 1.5 * MINUTE < verdict.forecast.exhaustion_seconds < 3.5 * MINUTE


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.75])
def test_half_an_hour_of_warm_up_is_no_leak(share: float) -> None:
    """A cache that fills in a straight line for 30 min and stops grows, and is then steady."""
    verdicts = judge_over(lambda t: LIMIT * (0.05 + share * min(1.0, t / (30 * MINUTE))), 12 * HOUR)
    assert set(kinds(verdicts)) <= {
        VerdictKind.UNDECIDED,
        VerdictKind.GROWING,
        VerdictKind.STEADY,
    }
    assert verdicts[-1][1].kind is VerdictKind.STEADY


def test_steady_after_warm_up_tells_the_level_and_not_the_climb() -> None:
    """The range is that of a window that is level, so that the words fit the verdict."""
    verdicts = judge_over(lambda t: 50 * MIB + 600 * MIB * min(1.0, t / 1800), 3 * HOUR)
    last = verdicts[-1][1]
    assert last.kind is VerdictKind.STEADY
    assert "it stood between 650 MiB and 65" in last.reasons[0]


def test_a_burst_that_comes_again_is_known() -> None:
    """Ten minutes up by half the limit and back each hour: after the first, not a word."""
    verdicts = judge_over(
        lambda t: LIMIT * (0.2 + 0.5 * max(0.0, 1 - abs(t % HOUR - 1800) / 600)),
        12 * HOUR,
        age=DAY,
    )
    later = [v for t, v in verdicts if t > 2 * HOUR]
    assert all(v.kind in (VerdictKind.STEADY, VerdictKind.GROWING) for v in later)


def test_a_leak_that_is_mended_calms_down_but_not_at_once() -> None:
    """After memory is given back the alarm is held, says so, and then ends."""
    mended = 2 * HOUR

    def shape(t: float) -> float:
        return leak_after(HOUR, 2 * HOUR)(t) if t < mended else 220.0 * MIB

    verdicts = judge_over(shape, 6 * HOUR, age=DAY)
    at_repair = [v for t, v in verdicts if t <= mended][-1]
    assert at_repair.kind is VerdictKind.LEAKING
    after = [(t, v) for t, v in verdicts if t > mended]
    calm_at = next(t for t, v in after if v.kind is not VerdictKind.LEAKING)
    assert mended + 5 * MINUTE <= calm_at <= mended + HOUR
    assert verdicts[-1][1].kind is VerdictKind.STEADY
    held = [v for t, v in after if t < calm_at and any("is held" in r for r in v.reasons)]
    assert held


def test_between_blocks_the_same_verdict_is_returned() -> None:
    """Most samples only widen the block under way: nothing is computed for them."""
    judge = Judge(SUBJECT, started_at=START - DAY)
    verdicts = [
        judge.observe(START + second, 100 * MIB, limit_at(100 * MIB)) for second in range(100)
    ]
    assert len({id(verdict) for verdict in verdicts}) == 20


@pytest.mark.parametrize(
    ("at", "memory_bytes"),
    [
        (START + 500.0, 5),
        (START + 600.0, 5),
        (math.nan, 5),
        (math.inf, 5),
        (-math.inf, 5),
        (START + 601.0, -1),
        (START + 601.0, 2**63),
        (START + 601.0, 10**400),
    ],
)
def test_a_sample_that_cannot_be_is_ignored(at: float, memory_bytes: int) -> None:
    """Out of order, repeated, not a time, not a size: no verdict changes, now or later."""
    judge, other = (Judge(SUBJECT, started_at=START - DAY) for _ in range(2))
    for second in range(601):
        judge.observe(START + second, 100 * MIB, limit_at(100 * MIB))
        other.observe(START + second, 100 * MIB, limit_at(100 * MIB))
    before = judge.observe(START + 600.5, 100 * MIB, None)
    assert judge.observe(at, memory_bytes, None) is before
    other.observe(START + 600.5, 100 * MIB, None)
    for second in range(602, 1200):
        value = 100 * MIB + second * MIB
        mine = judge.observe(START + second, value, limit_at(value, 4 * GIB))
        assert mine == other.observe(START + second, value, limit_at(value, 4 * GIB))


def test_a_gap_is_no_evidence() -> None:
    """After hours without samples it is undecided until there are blocks enough."""
    judge = Judge(SUBJECT, started_at=START - DAY)
    before = judge_over(flat, 30 * MINUTE, judge=judge)
    assert before[-1][1].kind is VerdictKind.STEADY
    verdict = judge.observe(START + 10 * HOUR, 200 * MIB, limit_at(200 * MIB))
    assert verdict.kind is VerdictKind.UNDECIDED
    assert "blocks of the last" in verdict.reasons[0]


def test_the_judge_asks_no_clock() -> None:
    """A leak seen on a clock that began at zero gives the same kinds."""
    early, late = Judge(SUBJECT, started_at=0.0), Judge(SUBJECT, started_at=START)
    for second in range(0, 9000, 10):
        value = int(leak_after(3600, 7200)(second))
        one = early.observe(float(second), value, limit_at(value))
        two = late.observe(START + second, value, limit_at(value))
        assert (one.kind, one.reasons) == (two.kind, two.reasons)


def test_state_is_bounded() -> None:
    """Seven windows of 24 blocks, whatever is fed; a quiet process has no more than it needs."""
    judge = Judge(SUBJECT, started_at=START)
    rng = random.Random(12)
    for minute in range(20000):
        judge.observe(START + 60.0 * minute, rng.randrange(1, 2**40), None)
    floor = judge._floor
    assert floor is not None
    assert len(floor.scales) == 7
    assert all(len(scale.blocks) <= 24 for scale in floor.scales)
    assert all(len(scale.returns) <= RULES.returns_max for scale in floor.scales)


def test_replay_is_the_judge_over_a_series() -> None:
    """One verdict per sample, the same as feeding them by hand."""
    times = array("d", [START + 10.0 * i for i in range(900)])
    values = array("d", [float(int(leak_after(3600, 7200)(t - START))) for t in times])
    series = Series(subject=SUBJECT, signal="memory_bytes", times=times, values=values)
    verdicts = replay(series, lambda at, value: limit_at(value), started_at=START - DAY)
    judge = Judge(SUBJECT, started_at=START - DAY)
    assert verdicts == [judge.observe(t, int(v), limit_at(v)) for t, v in series]
    assert VerdictKind.LEAKING in {verdict.kind for verdict in verdicts}


def test_every_verdict_survives_json() -> None:
    """Numbers are finite, so that a verdict can be journalled."""
    for _, verdict in judge_over(leak_after(HOUR, HOUR), 2 * HOUR, age=DAY)[::20]:
        assert loads(Verdict, dumps(verdict)) == verdict


def test_rules_are_a_parameter() -> None:
    """A host that knows its services may wait less."""
    rules = replace(
        RULES,
        leak_age_seconds_min=15 * MINUTE,
        leak_age_windows_min=0.5,
        extrapolation_rises_young=4.0,
    )
    judge = Judge(SUBJECT, rules, started_at=START)
    hasty = judge_over(leak_after(0, 2 * HOUR), HOUR, judge=judge)
    assert first(hasty, VerdictKind.LEAKING) < 30 * MINUTE


def test_with_seconds_left_a_judgement_does_not_wait_for_the_end_of_a_block() -> None:
    """A block of five seconds, and one more to confirm, is longer than what is left."""
    verdicts = judge_over(lambda t: LIMIT * min(1.0, 0.3 + t / 60), 42.0, spacing=1.0)
    alarm = first(verdicts, VerdictKind.EXHAUSTING)
    # 85% of the limit are used at 33 s; seven blocks have ended at 35 s.
    assert alarm <= 37.0


def test_with_minutes_left_the_same_verdict_is_given_until_a_block_ends() -> None:
    """What is not urgent costs one judgement per block, however often samples come."""
    verdicts = judge_over(lambda t: LIMIT * (0.3 + t / (20 * MINUTE)), 60.0, spacing=1.0)
    distinct = {id(verdict) for _, verdict in verdicts}
    assert len(distinct) <= 60 / RULES.block_seconds + 1
