"""What one window of floors says: growth, a leak, exhaustion soon, and what speaks against it."""

from collections.abc import Sequence
from dataclasses import dataclass

from forestall.detect.floor import Scale
from forestall.detect.rules import Rules
from forestall.detect.trend import Trend, flattens_to
from forestall.model.verdict import Forecast, Limit, VerdictKind

RANK = {
    VerdictKind.UNDECIDED: -1,
    VerdictKind.STEADY: 0,
    VerdictKind.GROWING: 1,
    VerdictKind.LEAKING: 2,
    VerdictKind.EXHAUSTING: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is known beside the floor when a judgement is made. Times in seconds."""

    at: float
    memory_bytes: int
    limit: Limit | None
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """One window's answer. `number` is its scale's place; `doubts` say why it is no more."""

    kind: VerdictKind
    number: int
    trend: Trend
    forecast: Forecast | None
    doubts: tuple["Doubt", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One thing that speaks against a leak, and the number it rests on (bytes or seconds)."""

    name: str
    value: float


def opinion_of(
    scales: Sequence[Scale], number: int, trend: Trend, moment: Moment, rules: Rules
) -> Opinion | None:
    """What the window `number` with this trend says; None where it is no growth that matters."""
    scale, limit = scales[number], moment.limit
    matters = rules.growth_bytes_min
    if limit is not None:
        matters = max(matters, int(rules.growth_headroom_min * limit.headroom_bytes))
    if trend.growth_bytes < matters:
        return None
    if trend.late_bytes < rules.late_share_min * trend.growth_bytes:
        return None
    forecast = None if limit is None else forecast_of(scale, trend, moment, limit, rules)
    lasting = _doubts_that_it_lasts(scales, number, trend, moment, rules)
    young = _doubts_of_age(scale, trend, moment, forecast, rules)
    kind = VerdictKind.GROWING
    if not lasting and forecast is not None and _runs_out_soon(forecast, moment, rules):
        kind = VerdictKind.EXHAUSTING
    elif not lasting and not young:
        kind = VerdictKind.LEAKING
    elif number == 0 or moment.age_seconds < rules.start_seconds:
        # The shortest window sees every request burst, and starting is growing: only
        # exhaustion itself is worth a word there.
        return None
    return Opinion(
        kind=kind, number=number, trend=trend, forecast=forecast, doubts=(*lasting, *young)
    )


def forecast_of(scale: Scale, trend: Trend, moment: Moment, limit: Limit, rules: Rules) -> Forecast:
    """The range of the time to exhaustion from the interval of the rate.

    The soonest end also takes the swings above the floor into account: memory that recently
    stood higher than now can do so again.
    """
    seconds = scale.block_seconds
    swing = max(0.0, scale.peak - moment.memory_bytes)
    headroom = max(0, limit.headroom_bytes)
    return Forecast(
        limit=limit,
        rate_bytes_per_second=trend.rate / seconds,
        rate_low_bytes_per_second=trend.rate_low / seconds,
        rate_high_bytes_per_second=trend.rate_high / seconds,
        exhaustion_seconds=_seconds_to(headroom, trend.rate / seconds, rules),
        exhaustion_low_seconds=_seconds_to(
            max(0.0, headroom - swing), trend.rate_high / seconds, rules
        ),
        exhaustion_high_seconds=_seconds_to(headroom, trend.rate_low / seconds, rules),
        window_seconds=trend.rise * seconds,
    )


def _seconds_to(headroom_bytes: float, rate: float, rules: Rules) -> float | None:
    if rate <= 0:
        return None
    seconds = headroom_bytes / rate
    return seconds if seconds <= rules.sight_seconds else None


def _runs_out_soon(forecast: Forecast, moment: Moment, rules: Rules) -> bool:
    low, middle = forecast.exhaustion_low_seconds, forecast.exhaustion_seconds
    if low is None or middle is None:
        return False
    if moment.age_seconds < rules.leak_age_seconds_min:
        return middle <= rules.exhausting_young_seconds
    return low <= rules.exhausting_low_seconds and middle <= rules.exhausting_seconds


def _doubts_that_it_lasts(
    scales: Sequence[Scale], number: int, trend: Trend, moment: Moment, rules: Rules
) -> tuple[Doubt, ...]:
    """Reasons to expect the rise to end by itself; they also speak against exhaustion."""
    doubts = []
    tends_to = flattens_to(trend, rules)
    if tends_to is not None:
        to_come = (tends_to - trend.floor_bytes) * rules.asymptote_margin
        if moment.limit is None or to_come < moment.limit.headroom_bytes:
            doubts.append(Doubt(name="flattens", value=tends_to))
    for scale in scales[number:]:
        if scale.explains(trend.floor_bytes):
            doubts.append(Doubt(name="seen before", value=scale.returned_peak))
            break
    return tuple(doubts)


def _doubts_of_age(
    scale: Scale, trend: Trend, moment: Moment, forecast: Forecast | None, rules: Rules
) -> tuple[Doubt, ...]:
    """Reasons why so short a history cannot tell a leak from a rise that will end."""
    doubts = []
    if trend.filled < rules.leak_blocks_min:
        doubts.append(Doubt(name="few blocks", value=trend.filled))
    age_needed = max(rules.leak_age_seconds_min, rules.leak_age_windows_min * scale.window_seconds)
    if moment.age_seconds < age_needed:
        doubts.append(Doubt(name="young", value=age_needed))
    if forecast is None:
        if scale.window_seconds < rules.unlimited_window_seconds_min:
            doubts.append(Doubt(name="no limit", value=rules.unlimited_window_seconds_min))
        return tuple(doubts)
    farthest = min(
        rules.extrapolation_windows_max * trend.span * scale.block_seconds,
        rules.extrapolation_ages_max * moment.age_seconds,
    )
    seconds = forecast.exhaustion_seconds
    if seconds is None or seconds > farthest:
        doubts.append(Doubt(name="far", value=farthest))
    return tuple(doubts)
