"""Sentences about a verdict, with its numbers; the ledger, notices and plans share them."""

from forestall.model.verdict import Verdict
from forestall.units import HOUR, format_bytes, format_duration


def describe(verdict: Verdict) -> str:
    """The verdict in one or two sentences, with its numbers."""
    memory = format_bytes(verdict.memory_bytes)
    start = f"{verdict.subject.service} is {verdict.kind.value} and holds {memory}"
    forecast = verdict.forecast
    if forecast is None:
        return f"{start}; nothing is known of its limit."
    rate = format_bytes(forecast.rate_bytes_per_second * HOUR)
    left = format_bytes(forecast.limit.headroom_bytes)
    whole = format_bytes(forecast.limit.limit_bytes)
    return (
        f"{start}, growing by {rate} per hour: {when(verdict)}, "
        f"with {left} left of {whole} ({forecast.limit.source})."
    )


def when(verdict: Verdict) -> str:
    """The forecast's range in words: `exhaustion in 40 min to 1 h 10 min`."""
    forecast = verdict.forecast
    if forecast is None or (
        forecast.exhaustion_low_seconds is None and forecast.exhaustion_high_seconds is None
    ):
        return "exhaustion not within sight"
    low, high = forecast.exhaustion_low_seconds, forecast.exhaustion_high_seconds
    if low is None:
        return f"exhaustion at the latest in {format_duration(high or 0)}"
    if high is None:
        return f"exhaustion in {format_duration(low)} at the soonest"
    if format_duration(low) == format_duration(high):
        return f"exhaustion in {format_duration(low)}"
    return f"exhaustion in {format_duration(low)} to {format_duration(high)}"
