"""What one window says, and what keeps it from saying more."""

from dataclasses import replace

from forestall.detect.floor import Scale
from forestall.detect.opinion import Moment, Opinion, opinion_of
from forestall.detect.rules import RULES, Rules
from forestall.detect.trend import find_trend
from forestall.model.verdict import Limit, LimitKind, VerdictKind
from forestall.units import DAY, GIB, HOUR, MIB, MINUTE

THIRTY_MINUTES = 2
OLD = 30 * DAY


def given(headroom: int, limit: int = 4 * GIB) -> Limit:
    return Limit(kind=LimitKind.GIVEN, limit_bytes=limit, headroom_bytes=headroom, source="--limit")


def moment(headroom: int | None, *, age: float = OLD, memory: int = 1 * GIB) -> Moment:
    limit = None if headroom is None else given(headroom)
    return Moment(at=1e9, memory_bytes=memory, limit=limit, age_seconds=age)


def scales_of(
    values: list[float], rules: Rules = RULES, number: int = THIRTY_MINUTES
) -> list[Scale]:
    """Three scales, of which one (by default 30 min, blocks of 75 s) holds `values`."""
    scales = [Scale(multiple, 0, rules) for multiple in rules.block_multiples[:3]]
    for value in values:
        scales[number].add(value, value)
        scales[number].close(scales[number].index + 1)
    return scales


def ask(
    values: list[float], when: Moment, rules: Rules = RULES, *, number: int = THIRTY_MINUTES
) -> Opinion | None:
    scales = scales_of(values, rules, number)
    trends = [find_trend(scale.blocks, rules) for scale in scales]
    return opinion_of(scales, trends, number, when, rules)


def ramp(step: float, count: int = 24, start: float = 500 * MIB) -> list[float]:
    return [start + step * i for i in range(count)]


def doubts(opinion: Opinion | None) -> set[str]:
    assert opinion is not None
    return {doubt.name for doubt in opinion.doubts}


def test_a_lasting_rise_of_an_old_process_is_a_leak() -> None:
    """10 MiB per 75 s against 480 MiB: one hour left, two rises ahead."""
    opinion = ask(ramp(10 * MIB), moment(480 * MIB))
    assert opinion is not None
    assert opinion.kind is VerdictKind.LEAKING
    assert opinion.doubts == ()
    forecast = opinion.forecast
    assert forecast is not None
    assert forecast.exhaustion_seconds == 3600.0
    assert forecast.window_seconds == 1800.0


def test_the_range_is_never_narrower_than_the_rules_allow() -> None:
    """A perfect line still gives ten percent to either side."""
    forecast = getattr(ask(ramp(10 * MIB), moment(480 * MIB)), "forecast", None)
    assert forecast is not None
    rate = forecast.rate_bytes_per_second
    assert forecast.rate_low_bytes_per_second == rate * 0.9
    assert forecast.rate_high_bytes_per_second == rate * 1.1
    assert forecast.exhaustion_low_seconds == 3600 / 1.1
    assert forecast.exhaustion_high_seconds == 3600 / 0.9


def test_memory_that_stood_higher_just_now_shortens_the_time() -> None:
    """A peak of 100 MiB above now eats that much headroom, except at the late end."""
    scales = scales_of(ramp(10 * MIB)[:-1])
    last = ramp(10 * MIB)[-1]
    scales[THIRTY_MINUTES].add(last, last + 100 * MIB)
    scales[THIRTY_MINUTES].close(24)
    trends = [find_trend(scale.blocks, RULES) for scale in scales]
    when = moment(480 * MIB, memory=int(last))
    opinion = opinion_of(scales, trends, THIRTY_MINUTES, when, RULES)
    assert opinion is not None
    assert opinion.forecast is not None
    assert opinion.forecast.exhaustion_seconds == 380 / 480 * 3600
    assert opinion.forecast.exhaustion_high_seconds == 3600 / 0.9


def test_a_rate_that_another_window_sees_widens_the_range() -> None:
    """The next shorter window sees twice the rate: the soonest end comes from it."""
    scales = scales_of(ramp(10 * MIB))
    for value in ramp(20 * MIB * 25 / 75):
        scales[1].add(value, value)
        scales[1].close(scales[1].index + 1)
    trends = [find_trend(scale.blocks, RULES) for scale in scales]
    opinion = opinion_of(scales, trends, THIRTY_MINUTES, moment(480 * MIB), RULES)
    assert opinion is not None
    assert opinion.forecast is not None
    assert round(opinion.forecast.exhaustion_low_seconds or 0) == 1800


def test_a_young_process_grows_but_does_not_leak() -> None:
    """The same rise at the age of half an hour may be warm-up."""
    opinion = ask(ramp(10 * MIB), moment(480 * MIB, age=30 * MINUTE))
    assert opinion is not None
    assert opinion.kind is VerdictKind.GROWING
    assert "young" in doubts(opinion)


def test_a_longer_window_needs_an_older_process() -> None:
    """40 min for every window, and for a long one a given number of its lengths."""
    rise = ramp(10 * MIB)
    assert "young" not in doubts(ask(rise, moment(480 * MIB, age=40 * MINUTE)))
    assert "young" in doubts(ask(rise, moment(480 * MIB, age=39 * MINUTE)))
    rules = replace(RULES, leak_age_windows_min=4.0)
    assert "young" in doubts(ask(rise, moment(480 * MIB, age=119 * MINUTE), rules))
    assert "young" not in doubts(ask(rise, moment(480 * MIB, age=120 * MINUTE), rules))


def test_a_starting_process_gets_no_opinion() -> None:
    """Before the age of ten minutes growth means nothing."""
    assert ask(ramp(10 * MIB), moment(480 * MIB, age=9 * MINUTE)) is None


def test_headroom_for_much_longer_than_the_rise_is_no_leak_yet() -> None:
    """Five rises ahead is further than this history may look."""
    assert "far" in doubts(ask(ramp(10 * MIB), moment(5 * 240 * MIB)))
    assert "far" not in doubts(ask(ramp(10 * MIB), moment(4 * 240 * MIB)))


def test_growth_below_a_hundredth_of_the_headroom_does_not_matter_here() -> None:
    """160 MiB of growth (median of the first third to the last) against 20 GiB of headroom."""
    assert ask(ramp(10 * MIB), moment(20 * GIB)) is None
    assert ask(ramp(10 * MIB), moment(10 * GIB)) is not None


def test_a_rise_that_has_stopped_is_over() -> None:
    """The last third is flat: the window only remembers the rise."""
    values = ramp(10 * MIB, 12)
    assert ask(values + [values[-1]] * 12, moment(200 * MIB)) is None


def test_a_rise_that_stopped_a_third_ago_raises_no_alarm() -> None:
    """Eight flat blocks of 24: its window still has a late half, its newest part has not."""
    values = ramp(10 * MIB, 16)
    opinion = ask(values + [values[-1]] * 8, moment(30 * MIB))
    assert doubts(opinion) == {"rests"}


def test_a_rise_that_flattens_below_the_limit_is_growth() -> None:
    """Halving from third to third, the floor tends to far below the limit."""
    values = [500 * MIB + 400 * MIB * (1 - 2 ** (-i / 8)) for i in range(24)]
    opinion = ask(values, moment(400 * MIB))
    assert opinion is not None
    assert opinion.kind is VerdictKind.GROWING
    assert "flattens" in doubts(opinion)


def test_a_rise_that_flattens_beyond_the_limit_still_runs_into_it() -> None:
    """The same curve with 60 MiB left."""
    values = [500 * MIB + 400 * MIB * (1 - 2 ** (-i / 8)) for i in range(24)]
    opinion = ask(values, moment(60 * MIB))
    assert opinion is not None
    assert opinion.kind is VerdictKind.EXHAUSTING


def test_a_rise_like_one_that_came_back_is_no_growth() -> None:
    """Up by 240 MiB and back; the second rise, no higher, is how this service breathes."""
    once = [500.0 * MIB] * 3 + ramp(10 * MIB) + [500.0 * MIB] * 3
    assert ask(once + ramp(10 * MIB), moment(480 * MIB)) is None


def test_a_rise_somewhat_above_one_that_came_back_is_no_leak_yet() -> None:
    """A third higher than the one before grows; twice as high leaks."""
    once = [500.0 * MIB] * 3 + ramp(10 * MIB) + [500.0 * MIB] * 3
    higher = ask(once + ramp(14 * MIB), moment(480 * MIB))
    assert doubts(higher) == {"seen before"}
    twice = ask(once + ramp(20 * MIB), moment(960 * MIB))
    assert doubts(twice) == set()


def test_exhaustion_within_minutes_is_said_whatever_the_cause() -> None:
    """100 MiB left at 8 MiB a minute, after a rise that took more than that."""
    opinion = ask(ramp(10 * MIB), moment(100 * MIB))
    assert opinion is not None
    assert opinion.kind is VerdictKind.EXHAUSTING


def test_the_shortest_window_speaks_only_of_exhaustion() -> None:
    """Two minutes of growth are a burst of requests, unless the limit is two minutes away."""
    assert ask(ramp(10 * MIB), moment(480 * MIB), number=0) is None
    near = ask(ramp(10 * MIB), moment(100 * MIB), number=0)
    assert near is not None
    assert near.kind is VerdictKind.EXHAUSTING


def test_a_small_fast_rise_is_no_emergency() -> None:
    """It must have taken two fifths of its headroom before it counts as exhausting."""
    rules = replace(RULES, exhausting_low_seconds=2 * HOUR, exhausting_seconds=2 * HOUR)
    late = ask(ramp(10 * MIB), moment(359 * MIB), rules)
    early = ask(ramp(10 * MIB), moment(362 * MIB), rules)
    assert late is not None
    assert early is not None
    assert late.kind is VerdictKind.EXHAUSTING
    assert early.kind is VerdictKind.LEAKING


def test_a_starting_process_exhausts_only_when_little_is_left() -> None:
    """At the age of 20 min 15% of the limit must be all that is left."""
    rules = replace(RULES, exhausting_low_seconds=2 * HOUR, exhausting_seconds=2 * HOUR)
    tight, roomy = given(150 * MIB, 1000 * MIB), given(160 * MIB, 1000 * MIB)
    when = moment(1, age=20 * MINUTE)
    late = ask(ramp(10 * MIB), replace(when, limit=tight), rules)
    early = ask(ramp(10 * MIB), replace(when, limit=roomy), rules)
    assert late is not None
    assert early is not None
    assert late.kind is VerdictKind.EXHAUSTING
    assert early.kind is VerdictKind.GROWING


def test_without_a_limit_a_short_window_calls_no_leak_and_forecasts_nothing() -> None:
    """Nothing runs out within half an hour's evidence if nothing is known to run out."""
    opinion = ask(ramp(10 * MIB), moment(None))
    assert opinion is not None
    assert opinion.kind is VerdictKind.GROWING
    assert opinion.forecast is None
    assert doubts(opinion) == {"no limit"}


def test_exhaustion_beyond_sight_is_none() -> None:
    """A rate that needs more than thirty days gives no number."""
    rules = replace(RULES, growth_headroom_min=0.0, sight_seconds=1 * HOUR)
    opinion = ask(ramp(10 * MIB), moment(20 * GIB), rules)
    assert opinion is not None
    assert opinion.forecast is not None
    assert opinion.forecast.exhaustion_seconds is None
    assert opinion.forecast.exhaustion_high_seconds is None
