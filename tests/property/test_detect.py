"""What holds for the judge over any series: causality, invariance, and what it must never say."""

import math
import random
from array import array
from collections.abc import Callable
from dataclasses import fields, replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from forestall.detect.rules import RULES, Rules
from forestall.detect.stream import Judge, replay
from forestall.model.codec import dumps
from forestall.model.series import Series
from forestall.model.verdict import Limit, LimitKind, Subject, Verdict, VerdictKind
from forestall.units import DAY, GIB, HOUR, MIB, MINUTE

SUBJECT = Subject(host="h", name="feed-sync")
ALARMS = {VerdictKind.LEAKING, VerdictKind.EXHAUSTING}
# A case takes up to a second: shrinking one would take minutes and tell little more.
SETTINGS = settings(
    max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)


def given_limit(limit_bytes: int, value: float) -> Limit:
    return Limit(
        kind=LimitKind.GIVEN,
        limit_bytes=limit_bytes,
        headroom_bytes=limit_bytes - int(value),
        source="--limit",
    )


def series_of(times: list[float], values: list[float]) -> Series:
    return Series(
        subject=SUBJECT, signal="memory_bytes", times=array("d", times), values=array("d", values)
    )


def judged(
    times: list[float],
    values: list[float],
    *,
    limit_bytes: int = GIB,
    rules: Rules = RULES,
    age: float = DAY,
) -> list[Verdict]:
    return replay(
        series_of(times, values),
        lambda at, value: given_limit(limit_bytes, value),
        rules=rules,
        started_at=times[0] - age,
    )


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    """Irregular times with gaps, and values that wander, leap, climb and fall to zero."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    pace = draw(st.sampled_from([1.0, 5.0, 10.0, 30.0, 60.0]))
    gap_share = draw(st.sampled_from([0.0, 0.01, 0.1]))
    climb = draw(st.sampled_from([0.0, 0.0, 0.05, 0.5])) * MIB
    noise = draw(st.sampled_from([0.0, 0.1, 2.0])) * MIB
    value, at = rng.uniform(50, 600) * MIB, 1e9
    times, values = [], []
    for _ in range(draw(st.integers(50, 900))):
        # Eighths of a second and whole bytes, so that a shift or a scale is exact arithmetic.
        at += round(8 * pace * rng.uniform(0.5, 1.5) + 1) / 8
        if rng.random() < gap_share:
            at += rng.choice([60, 600, 7200])
        value += climb * rng.random() + rng.gauss(0, 0.2) * noise
        if rng.random() < 0.003:
            value = rng.choice([0.0, 900.0 * MIB, 100.0 * MIB])
        values.append(float(int(min(max(value + rng.random() * noise, 0), 1000 * MIB))))
        times.append(at)
    return times, values


@SETTINGS
@given(walks(), st.data())
def test_a_prefix_gives_the_same_verdicts(
    walk: tuple[list[float], list[float]], data: st.DataObject
) -> None:
    """The judge is causal: what comes later changes nothing that was said."""
    times, values = walk
    cut = data.draw(st.integers(1, len(times)))
    assert judged(times[:cut], values[:cut]) == judged(times, values)[:cut]


@SETTINGS
@given(walks(), st.sampled_from([2.0**-4, 0.5, 2.0, 2.0**6]))
def test_scaled_time_and_scaled_rules_give_the_same_kinds(
    walk: tuple[list[float], list[float]], factor: float
) -> None:
    """Every length in the rules is a time scale: nothing knows how long a second is."""
    times, values = walk
    lengths = {
        f.name: getattr(RULES, f.name) * factor for f in fields(RULES) if "_seconds" in f.name
    }
    slow = judged(
        [t * factor for t in times], values, rules=replace(RULES, **lengths), age=DAY * factor
    )
    assert [v.kind for v in slow] == [v.kind for v in judged(times, values)]


@SETTINGS
@given(walks(), st.integers(0, 2**40))
def test_a_constant_on_top_of_memory_and_limit_changes_no_kind(
    walk: tuple[list[float], list[float]], shift: int
) -> None:
    """Only growth and headroom count, not how much memory there is."""
    times, values = walk
    shifted = judged(times, [v + shift for v in values], limit_bytes=GIB + shift)
    assert [v.kind for v in shifted] == [v.kind for v in judged(times, values)]


@SETTINGS
@given(walks(), st.integers(-(2**20), 2**20))
def test_the_date_changes_nothing(walk: tuple[list[float], list[float]], days: int) -> None:
    """Kinds and reasons do not depend on when it is."""
    times, values = walk
    other = judged([t + days * DAY for t in times], values)
    for mine, theirs in zip(judged(times, values), other, strict=True):
        assert (mine.kind, mine.reasons) == (theirs.kind, theirs.reasons)


@SETTINGS
@given(walks(), st.randoms(use_true_random=False))
def test_samples_out_of_order_or_repeated_do_no_harm(
    walk: tuple[list[float], list[float]], rng: random.Random
) -> None:
    """Stale, repeated and impossible samples between good ones leave every verdict as it was."""
    times, values = walk
    judge = Judge(SUBJECT, started_at=times[0] - DAY)
    found = []
    for i, (at, value) in enumerate(zip(times, values, strict=True)):
        limit = given_limit(GIB, value)
        found.append(judge.observe(at, int(value), limit))
        bad = [(at, 0), (times[rng.randint(0, i)], 5), (at + 1e-3, -1), (math.nan, 7)]
        for stale_at, stale in rng.sample(bad, 2):
            judge.observe(stale_at, stale, limit)
    assert found == judged(times, values)


@SETTINGS
@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 1e7),
            st.one_of(st.integers(0, 2**63 - 1), st.sampled_from([0, 1, 2**62])),
            st.one_of(st.none(), st.integers(-(2**62), 2**62)),
        ),
        max_size=300,
    )
)
def test_whatever_is_fed_every_verdict_is_a_document(
    steps: list[tuple[float, int, int | None]],
) -> None:
    """Huge values, zeros, negative headroom, gaps of months: finite numbers and whole sentences."""
    judge, at = Judge(SUBJECT), 0.0
    for step, value, headroom in steps:
        at += step
        limit = None
        if headroom is not None:
            limit = Limit(
                kind=LimitKind.HOST, limit_bytes=2**62, headroom_bytes=headroom, source="meminfo"
            )
        verdict = judge.observe(at, value, limit)
        dumps(verdict)
        assert verdict.reasons
        assert all(reason.endswith(".") for reason in verdict.reasons)
        assert verdict.onset_at is None or 0 <= verdict.onset_at <= at
        forecast = verdict.forecast
        if forecast is not None:
            ends = (
                forecast.exhaustion_low_seconds,
                forecast.exhaustion_seconds,
                forecast.exhaustion_high_seconds,
            )
            known = [end for end in ends if end is not None]
            assert known == sorted(known)
            assert all(end is None for end in ends[len(known) :])


leaks = st.fixed_dictionaries(
    {
        "fill": st.floats(1 * HOUR, 8 * HOUR),
        "base": st.floats(0.05, 0.5),
        "noise": st.floats(0.0, 0.02),
        "pace": st.sampled_from([5.0, 10.0, 20.0, 60.0]),
        "seed": st.integers(0, 2**32),
    }
)


@SETTINGS
@given(leaks)
def test_a_lasting_rise_under_noise_is_found(leak: dict[str, float]) -> None:
    """Constant leaks that fill their headroom in 1 to 8 hours: called before 60% of it is used."""
    rng = random.Random(leak["seed"])
    onset, base = 2 * HOUR, leak["base"] * GIB
    times, values, used_at = [], [], None
    t = 0.0
    while t < onset + leak["fill"]:
        used = max(0.0, t - onset) / leak["fill"]
        if used > 0.6 and used_at is None:
            used_at = len(times)
        value = base + (GIB - base) * used + leak["noise"] * GIB * rng.expovariate(1.0)
        times.append(1e9 + t)
        values.append(float(int(min(value, GIB))))
        t += leak["pace"] * rng.uniform(0.9, 1.1)
    verdicts = judged(times, values)
    before = [v for v in verdicts[:used_at] if v.kind in ALARMS]
    assert before
    assert before[0].at >= 1e9 + onset


def never_leaking(
    shape: Callable[[float], float],
    *,
    seed: int,
    hours: float,
    pace: float,
    age: float = 0.0,
    judged_from_hours: float = 0.0,
) -> None:
    rng = random.Random(seed)
    times, values, t = [], [], 0.0
    while t < hours * HOUR:
        times.append(1e9 + t)
        values.append(float(int(shape(t) * GIB + MIB * rng.expovariate(1.0))))
        t += pace * rng.uniform(0.9, 1.1)
    alarms = [
        verdict
        for verdict in judged(times, values, age=age)
        if verdict.kind in ALARMS and verdict.at >= 1e9 + judged_from_hours * HOUR
    ]
    assert not alarms, (len(alarms), alarms[0].kind, alarms[0].at - 1e9, alarms[0].reasons)


@SETTINGS
@given(
    low=st.floats(0.05, 0.5),
    swing=st.floats(0.01, 0.15),
    period=st.floats(MINUTE, 6 * HOUR),
    seed=st.integers(0, 2**32),
)
def test_a_bounded_sawtooth_is_never_leaking(
    low: float, swing: float, period: float, seed: int
) -> None:
    """A collector that lets memory climb by up to 15% of the limit and drops it."""
    never_leaking(lambda t: low + swing * (t / period % 1.0), seed=seed, hours=24, pace=30.0)


@SETTINGS
@given(
    low=st.floats(0.05, 0.2),
    size=st.floats(0.05, 0.6),
    tau=st.floats(10.0, 2 * HOUR),
    seed=st.integers(0, 2**32),
)
def test_an_exponential_warm_up_is_never_leaking(
    low: float, size: float, tau: float, seed: int
) -> None:
    """A cache that fills ever slower, to at most 80% of the limit."""
    never_leaking(lambda t: low + size * (1 - math.exp(-t / tau)), seed=seed, hours=24, pace=30.0)


@SETTINGS
@given(
    low=st.floats(0.02, 0.2),
    size=st.floats(0.05, 0.6),
    fill=st.floats(10.0, 30 * MINUTE),
    seed=st.integers(0, 2**32),
)
def test_a_cache_that_fills_within_half_an_hour_is_never_leaking(
    low: float, size: float, fill: float, seed: int
) -> None:
    """A straight rise of up to 30 min from the start, then a plateau."""
    never_leaking(lambda t: low + size * min(1.0, t / fill), seed=seed, hours=6, pace=10.0)


def day(low: float, swing: float, phase: float) -> Callable[[float], float]:
    return lambda t: low + swing * (0.5 + 0.5 * math.sin(2 * math.pi * (t + phase) / DAY))


@SETTINGS
@given(
    low=st.floats(0.05, 0.3),
    share=st.floats(0.05, 0.25),
    phase=st.floats(0, DAY),
    seed=st.integers(0, 2**32),
)
def test_a_day_is_never_leaking(low: float, share: float, phase: float, seed: int) -> None:
    """A daily swing of up to a quarter of the headroom, from the first day on."""
    never_leaking(day(low, share * (1 - low), phase), seed=seed, hours=60, pace=120.0)


@SETTINGS
@given(
    low=st.floats(0.05, 0.3),
    swing=st.floats(0.05, 0.6),
    phase=st.floats(0, DAY),
    seed=st.integers(0, 2**32),
)
def test_a_day_that_has_been_seen_is_never_leaking(
    low: float, swing: float, phase: float, seed: int
) -> None:
    """However large: once a whole day has gone up and come back, no later one alarms."""
    never_leaking(day(low, swing, phase), seed=seed, hours=96, pace=120.0, judged_from_hours=42)


@SETTINGS
@given(
    low=st.floats(0.05, 0.3),
    jumps=st.lists(st.tuples(st.floats(0, 48), st.floats(-0.05, 0.15)), max_size=4),
    seed=st.integers(0, 2**32),
)
def test_level_shifts_are_never_leaking(
    low: float, jumps: list[tuple[float, float]], seed: int
) -> None:
    """A step up is a step: nothing goes on rising after it."""
    never_leaking(
        lambda t: max(0.0, low + sum(size for at, size in jumps if t >= at * HOUR)),
        seed=seed,
        hours=48,
        pace=60.0,
        age=DAY,
    )
