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
    scales: Sequence[Scale],
    trends: Sequence[Trend | None],
    number: int,
    moment: Moment,
    rules: Rules,
) -> Opinion | None:
    """What the window `number` says; None where it sees no growth that matters."""
    scale, trend, limit = scales[number], trends[number], moment.limit
    if trend is None:
        return None
    matters = rules.growth_bytes_min
    if limit is not None:
        matters = max(matters, int(rules.growth_headroom_min * limit.headroom_bytes))
    if trend.growth_bytes < matters:
        return None
    if trend.late_bytes < rules.late_share_min * trend.growth_bytes:
        return None
    if _repeats(scales, number, trend, rules.same_return_margin):
        # What came back before, no higher, no faster and no longer, is how this service breathes.
        return None
    forecast = None
    if limit is not None:
        rates = _rates(scales, trends, number, rules)
        forecast = _forecast_of(scale, trend, rates, moment, limit, rules)
    flattens = _flattens(trend, moment, rules)
    repeats = _repeats(scales, number, trend, rules.leak_return_margin)
    young = _doubts_of_age(scales, trends, number, moment, forecast, rules)
    rests = _rests(trend, rules)
    kind = VerdictKind.GROWING
    if (
        forecast is not None
        and not rests
        and not flattens
        and _runs_out_soon(forecast, moment, rules)
    ):
        kind = VerdictKind.EXHAUSTING
    elif number == 0 or moment.age_seconds < rules.start_seconds:
        # The shortest window sees every request burst, and starting is growing: only
        # exhaustion itself is worth a word there.
        return None
    elif not (rests or flattens or repeats or young):
        kind = VerdictKind.LEAKING
    return Opinion(
        kind=kind,
        number=number,
        trend=trend,
        forecast=forecast,
        doubts=(*rests, *flattens, *repeats, *young),
    )


def _rates(
    scales: Sequence[Scale], trends: Sequence[Trend | None], number: int, rules: Rules
) -> tuple[float, float]:
    """The lowest and the highest rate, in bytes per second, that can be defended.

    The window's own interval knows the noise on its line, not that the line bends: a leak
    follows the load. So the rates that the next shorter and all longer windows see count too.
    """
    own = trends[number]
    assert own is not None, "only a window with a trend has an opinion"
    rate = own.rate / scales[number].block_seconds
    low, high = rate * (1 - rules.rate_share_min), rate * (1 + rules.rate_share_min)
    for scale, trend in list(zip(scales, trends, strict=False))[max(0, number - 1) :]:
        if trend is not None:
            low = min(low, trend.rate_low / scale.block_seconds)
            high = max(high, trend.rate_high / scale.block_seconds)
    return low, high


def _forecast_of(
    scale: Scale,
    trend: Trend,
    rates: tuple[float, float],
    moment: Moment,
    limit: Limit,
    rules: Rules,
) -> Forecast:
    """The range of the time to exhaustion from the interval of the rate.

    What runs into the limit is not the floor but what stands on it: memory that recently stood
    higher than now will do so again. Only the late end trusts that it will not.
    """
    rate, (low, high) = trend.rate / scale.block_seconds, rates
    headroom = max(0, limit.headroom_bytes)
    below_peak = max(0.0, headroom - max(0.0, scale.peak - moment.memory_bytes))
    return Forecast(
        limit=limit,
        rate_bytes_per_second=rate,
        rate_low_bytes_per_second=low,
        rate_high_bytes_per_second=high,
        exhaustion_seconds=_seconds_to(below_peak, rate, rules),
        exhaustion_low_seconds=_seconds_to(below_peak, high, rules),
        exhaustion_high_seconds=_seconds_to(headroom, low, rules),
        window_seconds=trend.rise * scale.block_seconds,
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
    if low > rules.exhausting_low_seconds or middle > rules.exhausting_seconds:
        return False
    if middle > rules.exhausting_rises_max * forecast.window_seconds:
        return False
    limit = forecast.limit
    return (
        moment.age_seconds >= rules.leak_age_seconds_min
        or limit.headroom_bytes <= rules.exhausting_young_headroom_max * limit.limit_bytes
    )


def _rests(trend: Trend, rules: Rules) -> tuple[Doubt, ...]:
    """A rise that hardly goes on in the newest part of its window may just have stopped."""
    if trend.goes_on_now >= rules.newest_share_min:
        return ()
    return (Doubt(name="rests", value=trend.newest_bytes),)


def _flattens(trend: Trend, moment: Moment, rules: Rules) -> tuple[Doubt, ...]:
    """A rise that tends to a floor within the headroom ends by itself."""
    tends_to = flattens_to(trend, rules)
    if tends_to is None:
        return ()
    to_come = (tends_to - trend.floor_bytes) * rules.asymptote_margin
    if moment.limit is not None and to_come >= moment.limit.headroom_bytes:
        return ()
    return (Doubt(name="flattens", value=tends_to),)


def _repeats(
    scales: Sequence[Scale], number: int, trend: Trend, margin: float
) -> tuple[Doubt, ...]:
    """A rise like one before that came back, on this scale or a longer one, may come back too."""
    rate = trend.rate / scales[number].block_seconds
    for scale in scales[number:]:
        earlier = scale.explained_by(trend.floor_bytes, rate, margin)
        if earlier is not None:
            return (Doubt(name="seen before", value=earlier.peak),)
    return ()


def widest_of(trends: Sequence[Trend | None], number: int) -> int:
    """The window that shows where this one's rise began: itself, or a longer one.

    A rise that fills its whole window began before it, so the next longer one is asked.
    """
    for longer in range(number + 1, len(trends)):
        trend, beyond = trends[longer - 1], trends[longer]
        if beyond is None or trend is None or trend.onset > 1:
            return longer - 1
    return len(trends) - 1


def rise_of(scale: Scale, trend: Trend) -> float:
    """How long the rise has lasted, in seconds; longer than its window if it fills it."""
    blocks = trend.rise
    if trend.onset <= 1:
        blocks = max(blocks, scale.index - scale.leg_index)
    return blocks * scale.block_seconds


def _doubts_of_age(
    scales: Sequence[Scale],
    trends: Sequence[Trend | None],
    number: int,
    moment: Moment,
    forecast: Forecast | None,
    rules: Rules,
) -> tuple[Doubt, ...]:
    """Reasons why so short a history cannot tell a leak from a rise that will end."""
    scale, trend = scales[number], trends[number]
    assert trend is not None, "only a window with a trend has an opinion"
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
    # Only the longest window may count on a rise longer than itself: whether a rise flattens is
    # seen within a window, and for the others a longer one looks.
    longest = len(rules.block_multiples) - 1
    rise_seconds = trend.rise * scale.block_seconds
    if number == longest:
        rise_seconds = rise_of(scale, trend)
    widest = widest_of(trends, number)
    whole = trends[widest]
    assert whole is not None, "the widest window with the rise has a trend"
    whole_rise_seconds = max(rise_seconds, rise_of(scales[widest], whole))
    farthest = min(
        rules.extrapolation_rises_max * rise_seconds,
        max(
            rules.extrapolation_rises_young * whole_rise_seconds,
            rules.extrapolation_ages_max * moment.age_seconds,
        ),
    )
    seconds = forecast.exhaustion_seconds
    if seconds is None or seconds > farthest:
        doubts.append(Doubt(name="far", value=farthest))
    return tuple(doubts)
