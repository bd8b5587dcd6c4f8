"""The sentences of a verdict. Each is whole, and says its numbers with their units."""

from forestall.detect.opinion import Doubt, Moment, Opinion
from forestall.detect.rules import Rules
from forestall.model.verdict import Forecast, LimitKind, VerdictKind
from forestall.units import format_bytes, format_duration

_LIMITS = {
    LimitKind.CGROUP: "its cgroup's limit",
    LimitKind.HOST: "the host's memory",
    LimitKind.GIVEN: "the given limit",
}


def of_growth(opinion: Opinion, block_seconds: float, moment: Moment, rules: Rules) -> list[str]:
    """Why GROWING, LEAKING or EXHAUSTING: the rise, the forecast, and what speaks against."""
    trend = opinion.trend
    rose = trend.rate * trend.rise
    growth = (
        f"Its floor rose by about {format_bytes(rose)} over the last"
        f" {format_duration(trend.rise * block_seconds)}"
        f" ({_rate(trend.rate / block_seconds)});"
        f" it rose in {trend.rising} of the {trend.filled - 1} steps between the"
        f" {trend.filled} blocks of {format_duration(block_seconds)} looked at"
        f" (z = {trend.z:.1f})."
    )
    reasons = [growth]
    if opinion.forecast is not None:
        reasons.extend(_of_forecast(opinion.forecast, rules))
    reasons.extend(_of_doubt(doubt, opinion, moment, rules) for doubt in opinion.doubts)
    if opinion.kind is VerdictKind.LEAKING:
        reasons.append(
            "It does not flatten, it is above every earlier rise that came back, and the process is"
            f" {format_duration(moment.age_seconds)} old: warm-up does not explain it."
        )
    return reasons


def _of_forecast(forecast: Forecast, rules: Rules) -> list[str]:
    limit = forecast.limit
    name = _LIMITS[limit.kind]
    headroom = (
        f"{format_bytes(limit.headroom_bytes)} of headroom below {name} of"
        f" {format_bytes(limit.limit_bytes)} ({limit.source})"
    )
    low, high = forecast.exhaustion_low_seconds, forecast.exhaustion_high_seconds
    if low is None:
        sight = format_duration(rules.sight_seconds)
        return [f"At this rate the {headroom} would last more than {sight}."]
    until = "no foreseeable end" if high is None else format_duration(high)
    rates = (
        f"{_rate(forecast.rate_low_bytes_per_second)} to"
        f" {_rate(forecast.rate_high_bytes_per_second)}"
    )
    lasts = f"lasts between {format_duration(low)} and {until}"
    reasons = [f"At {rates}, by every window that sees it, the {headroom} {lasts}."]
    if limit.kind is LimitKind.HOST:
        reasons.append(
            "That is its own rate against the host's headroom; what other processes take or give"
            " back moves it."
        )
    return reasons


def _of_doubt(doubt: Doubt, opinion: Opinion, moment: Moment, rules: Rules) -> str:
    if doubt.name == "rests":
        return f"It hardly goes on: its newest blocks rose by {format_bytes(doubt.value)}."
    if doubt.name == "flattens":
        return f"The rise flattens: it tends to a floor of about {format_bytes(doubt.value)}."
    if doubt.name == "seen before":
        return (
            f"An earlier rise reached {format_bytes(doubt.value)} and came back; this one is no"
            " longer, no faster and not much higher."
        )
    if doubt.name == "few blocks":
        return (
            f"Only {doubt.value:.0f} blocks have samples; a leak is called on"
            f" {rules.leak_blocks_min} or more."
        )
    if doubt.name == "young":
        return (
            f"The process is {format_duration(moment.age_seconds)} old; a rise this long may be"
            f" warm-up until {format_duration(doubt.value)}."
        )
    if doubt.name == "no limit":
        return (
            "No limit is known, so no window shorter than"
            f" {format_duration(doubt.value)} calls it a leak."
        )
    return (
        f"The headroom outlasts the {format_duration(doubt.value)} that this history allows to"
        " look ahead, so it may still stop by itself."
    )


def of_steady(lowest: float, highest: float, seconds: float) -> str:
    """Why STEADY: where its floor stood, over the longest window."""
    return (
        "Its floor shows no growth that lasts: over the last"
        f" {format_duration(seconds)} it stood between {format_bytes(lowest)} and"
        f" {format_bytes(highest)}."
    )


def of_start(moment: Moment, rules: Rules) -> str:
    """Why UNDECIDED: too young."""
    return (
        f"The process is {format_duration(moment.age_seconds)} old; warm-up is not judged before"
        f" {format_duration(rules.start_seconds)}."
    )


def of_few_blocks(filled: int, needed: int, seconds: float) -> str:
    """Why UNDECIDED: too little history, or gaps in it."""
    return (
        f"Only {filled} blocks of the last {format_duration(seconds)} have samples;"
        f" {needed} are needed to judge."
    )


def of_hold(kind: VerdictKind, opinion: VerdictKind, seconds: float) -> str:
    """Why a verdict stands although the newest judgement is milder."""
    return (
        f"The newest judgement is {opinion.value}; {kind.value} is held until that has lasted"
        f" {format_duration(seconds)}."
    )


def of_confirmation(opinion: VerdictKind, seconds: float) -> str:
    """Why a verdict is not raised yet."""
    return (
        f"The newest judgement is {opinion.value}; it counts once it has lasted"
        f" {format_duration(seconds)}."
    )


def _rate(bytes_per_second: float) -> str:
    if abs(bytes_per_second) < 10:
        return f"{format_bytes(bytes_per_second * 3600)}/h"
    return f"{format_bytes(bytes_per_second)}/s"
