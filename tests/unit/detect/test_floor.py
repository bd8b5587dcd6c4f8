"""Block minima over several scales, and the memory of rises that came back."""

import math
import random

from forestall.detect.floor import Floor, Scale
from forestall.detect.rules import RULES, Rules
from forestall.units import MIB


def brute_force(
    samples: list[tuple[float, float]], multiple: int, rules: Rules
) -> list[float | None]:
    """Minima of all ended blocks of one width, None for empty ones, straight from the samples."""
    width = multiple * rules.block_seconds
    start = samples[0][0]
    newest = int((samples[-1][0] - start) / rules.block_seconds) // multiple
    minima: list[float | None] = [None] * newest
    for at, value in samples:
        index = int((at - start) / rules.block_seconds) // multiple
        if index < newest:
            known = minima[index]
            minima[index] = value if known is None else min(known, value)
    assert width > 0
    return minima[-rules.blocks_per_window :]


def test_every_scale_holds_the_minima_of_its_blocks() -> None:
    """The cascade from fine to coarse equals the minima taken from the samples themselves."""
    rng = random.Random(3)
    at, samples = 1_700_000_000.0, []
    for _ in range(6000):
        samples.append((at, rng.uniform(1e8, 9e8)))
        # One to sixty seconds apart, and now and then a gap of up to an hour.
        at += rng.uniform(1, 60) if rng.random() < 0.99 else rng.uniform(60, 3600)
    floor = Floor(*samples[0], RULES)
    for sample in samples[1:]:
        floor.add(*sample)
    assert len(floor.scales) == len(RULES.block_multiples)
    for scale in floor.scales:
        found = [None if math.isnan(value) else value for value in scale.blocks]
        assert found == brute_force(samples, scale.multiple, RULES), scale.multiple
        assert scale.filled_count == sum(value is not None for value in found)


def test_longer_scales_exist_only_once_they_are_needed() -> None:
    """A process of a minute has three scales, not seven."""
    floor = Floor(0.0, 1.0, RULES)
    for second in range(1, 60):
        floor.add(float(second), 1.0)
    assert len(floor.scales) == 3
    assert [len(scale.blocks) for scale in floor.scales] == [11, 2, 0]


def test_a_gap_longer_than_the_window_leaves_only_gaps() -> None:
    """After a year without samples nothing old is in any window, and it costs no year of work."""
    floor = Floor(0.0, 1.0, RULES)
    floor.add(10.0, 1.0)
    floor.add(3.15e7, 1.0)
    for scale in floor.scales:
        assert len(scale.blocks) <= RULES.blocks_per_window
        assert scale.filled_count == 0


def test_peak_is_the_highest_value_of_the_window_not_of_the_floor() -> None:
    """A spike inside a block is not in its minimum, but in the peak; a window later it is gone."""
    floor = Floor(0.0, 100.0, RULES)
    for second in range(1, 600):
        floor.add(float(second), 900.0 if second == 100 else 100.0)
    ten_minutes = floor.scales[1]
    assert max(ten_minutes.blocks) == 100.0
    assert ten_minutes.peak == 900.0
    for second in range(600, 1800):
        floor.add(float(second), 100.0)
    assert ten_minutes.peak == 100.0


def feed(scale: Scale, values: list[float]) -> None:
    for value in values:
        scale.add(value, value)
        scale.close(scale.index + 1)


def ramp(low: float, high: float, blocks: int) -> list[float]:
    return [low + (high - low) * i / blocks for i in range(blocks + 1)]


def test_a_rise_that_came_back_explains_the_same_rise_again() -> None:
    """Up to 500 MiB and back: the next rise to 500 MiB is known, one to 700 MiB is not."""
    scale = Scale(1, 0, RULES)
    feed(scale, [100 * MIB] * 5 + ramp(100 * MIB, 500 * MIB, 10) + [100 * MIB] * 3)
    feed(scale, ramp(100 * MIB, 400 * MIB, 8))
    rate = 40 * MIB / RULES.block_seconds
    known = scale.explained_by(500 * MIB, rate, 0.1)
    assert known is not None
    assert (known.peak, known.rise) == (500 * MIB, 400 * MIB)
    assert scale.explained_by(539 * MIB, rate, 0.1) is not None
    assert scale.explained_by(541 * MIB, rate, 0.1) is None
    assert scale.explained_by(701 * MIB, rate, 0.5) is None


def test_a_rise_that_never_came_back_explains_nothing() -> None:
    """Warm-up is no return."""
    scale = Scale(1, 0, RULES)
    feed(scale, ramp(100 * MIB, 500 * MIB, 10) + [500 * MIB] * 40)
    assert scale.returns == ()
    assert scale.explained_by(200 * MIB, 1.0, 0.1) is None


def test_a_slow_return_does_not_explain_a_runaway() -> None:
    """A rise four times as fast as the one remembered is something else."""
    scale = Scale(1, 0, RULES)
    feed(scale, ramp(100 * MIB, 500 * MIB, 20) + [100 * MIB] * 3)
    rate = 20 * MIB / RULES.block_seconds
    assert scale.explained_by(300 * MIB, 2.9 * rate, 0.1) is not None
    assert scale.explained_by(300 * MIB, 4 * rate, 0.1) is None


def test_a_short_return_does_not_explain_a_long_rise() -> None:
    """A burst of 6 blocks once reached 500 MiB; a rise that has lasted 14 blocks is no burst."""
    scale = Scale(1, 0, RULES)
    feed(scale, [100 * MIB] * 3 + [500 * MIB] * 5 + [100 * MIB] * 3)
    feed(scale, ramp(100 * MIB, 200 * MIB, 9))
    assert scale.explained_by(200 * MIB, 1.0, 0.1) is not None
    feed(scale, ramp(202 * MIB, 300 * MIB, 9))
    assert scale.explained_by(300 * MIB, 1.0, 0.1) is None


def test_a_return_is_forgotten_when_it_does_not_come_again() -> None:
    """After the rules' time without a repetition the service has changed."""
    rules = Rules(return_memory_seconds=1000.0)
    scale = Scale(1, 0, rules)
    feed(scale, [100 * MIB] * 3 + ramp(100 * MIB, 500 * MIB, 10) + [100 * MIB] * 3)
    assert scale.explained_by(300 * MIB, 1.0, 0.1) is not None
    feed(scale, [100 * MIB] * 201)
    assert scale.explained_by(300 * MIB, 1.0, 0.1) is None


def test_returns_are_bounded() -> None:
    """However many different rises come back, at most returns_max are kept."""
    rng = random.Random(5)
    scale = Scale(1, 0, RULES)
    for _ in range(300):
        top = rng.uniform(120, 900) * MIB
        feed(scale, ramp(100 * MIB, top, rng.randrange(1, 12)) + [100 * MIB] * 2)
    assert 1 <= len(scale.returns) <= RULES.returns_max


def test_after_warm_up_a_small_return_is_still_noticed() -> None:
    """A rise that has rested is over: later swings are measured from where it rests."""
    scale = Scale(1, 0, RULES)
    feed(scale, ramp(100 * MIB, 900 * MIB, 10) + [900 * MIB] * 20)
    feed(scale, ramp(900 * MIB, 950 * MIB, 5) + ramp(950 * MIB, 900 * MIB, 5))
    assert [kept.peak for kept in scale.returns] == [950 * MIB]
