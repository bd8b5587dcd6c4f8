"""The sentences of a verdict, read as a person on call would."""

from forestall.detect import reasons
from forestall.detect.opinion import Doubt, Moment, Opinion
from forestall.detect.rules import RULES
from forestall.detect.trend import Trend
from forestall.model.verdict import Forecast, Limit, LimitKind, VerdictKind
from forestall.units import GIB, HOUR, KIB, MIB, MINUTE

TREND = Trend(
    z=6.8,
    rate=135 * KIB,
    rate_low=120 * KIB,
    rate_high=150 * KIB,
    filled=24,
    span=24,
    onset=0,
    last=23,
    rising=22,
    early_bytes=1 * MIB,
    late_bytes=1 * MIB,
    newest_bytes=1 * MIB,
    floor_bytes=300 * MIB,
)
MOMENT = Moment(at=1e9, memory_bytes=300 * MIB, limit=None, age_seconds=3 * HOUR)


def forecast(kind: LimitKind, low: float | None, high: float | None) -> Forecast:
    return Forecast(
        limit=Limit(kind=kind, limit_bytes=2 * GIB, headroom_bytes=212 * MIB, source="memory.max"),
        rate_bytes_per_second=1.8 * KIB,
        rate_low_bytes_per_second=1.6 * KIB,
        rate_high_bytes_per_second=2.0 * KIB,
        exhaustion_seconds=low,
        exhaustion_low_seconds=low,
        exhaustion_high_seconds=high,
        window_seconds=1800.0,
    )


def opinion(
    kind: VerdictKind = VerdictKind.GROWING,
    ahead: Forecast | None = None,
    doubts: tuple[Doubt, ...] = (),
) -> Opinion:
    return Opinion(kind=kind, number=2, trend=TREND, forecast=ahead, doubts=doubts)


def words(*arguments: object, **options: object) -> list[str]:
    return reasons.of_growth(opinion(*arguments, **options), 75.0, MOMENT, RULES)  # type: ignore[arg-type]


def test_the_rise_is_told_with_its_length_its_rate_and_its_blocks() -> None:
    """Numbers and units of what was measured, in one sentence."""
    (said,) = words()
    assert said == (
        "Its floor rose by about 3.2 MiB over the last 30 min (1.8 KiB/s); it rose in"
        " 22 of the 23 steps between the 24 blocks of 1 min 15 s looked at (z = 6.8)."
    )


def test_the_forecast_is_a_range_against_a_named_limit() -> None:
    """Both ends, the headroom, and where the limit was read."""
    said = words(ahead=forecast(LimitKind.CGROUP, 30 * MINUTE, 45 * MINUTE))
    assert said[1] == (
        "At 1.6 KiB/s to 2.0 KiB/s, by every window that sees it, the 212 MiB of headroom below its"
        " cgroup's limit of 2.0 GiB (memory.max) lasts between 30 min and 45 min."
    )


def test_the_hosts_headroom_is_said_to_move_for_other_reasons_too() -> None:
    """The subject's rate against everybody's headroom: not to be taken for more."""
    said = words(ahead=forecast(LimitKind.HOST, 30 * MINUTE, None))
    assert "lasts between 30 min and no foreseeable end." in said[1]
    assert said[2] == (
        "That is its own rate against the host's headroom; what other processes take or give back"
        " moves it."
    )


def test_what_is_beyond_sight_is_said_to_be() -> None:
    """No number stands for the unforeseeable."""
    said = words(ahead=forecast(LimitKind.GIVEN, None, None))
    assert said[1].endswith("would last more than 30 d.")


def test_each_doubt_is_a_sentence() -> None:
    """Whatever kept the verdict mild is told."""
    names = ["rests", "flattens", "seen before", "few blocks", "young", "no limit", "far"]
    said = words(doubts=tuple(Doubt(name=name, value=7200.0) for name in names))
    assert len(said) == 1 + len(names)
    assert len(set(said)) == len(said)
    assert all(sentence.endswith(".") for sentence in said)
    assert "The process is 3 h old; a rise this long may be warm-up until 2 h." in said


def test_start_says_when_judging_begins() -> None:
    """Age and gate."""
    young = Moment(at=1e9, memory_bytes=1, limit=None, age_seconds=240.0)
    assert reasons.of_start(young, RULES) == (
        "The process is 4 min old; warm-up is not judged before 10 min."
    )


def test_steady_says_where_the_floor_stood() -> None:
    """The window and its range."""
    assert reasons.of_steady(210 * MIB, 214 * MIB, 7200.0) == (
        "Its floor shows no growth that lasts: over the last 2 h it stood between 210 MiB and"
        " 214 MiB."
    )


def test_few_blocks_says_how_many_are_needed() -> None:
    """What is there and what is missing."""
    assert reasons.of_few_blocks(3, 7, 600.0) == (
        "Only 3 blocks of the last 10 min have samples; 7 are needed to judge."
    )
