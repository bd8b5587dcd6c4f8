"""The arithmetic on one window, against values worked out by hand or by brute force."""

import math
import random

from forestall.detect.rules import RULES
from forestall.detect.trend import find_trend, flattens_to, median, onset
from forestall.units import MIB

NONE = math.nan


def line(start: float, step: float, count: int = 24) -> list[float]:
    return [start + step * i for i in range(count)]


def test_a_straight_rise_has_its_own_rate_and_no_width() -> None:
    """24 blocks that rise by 3 MiB each: rate 3 MiB per block, z of a perfect rise."""
    trend = find_trend(line(100 * MIB, 3 * MIB), RULES)
    assert trend is not None
    assert trend.rate == trend.rate_low == trend.rate_high == 3 * MIB
    # S = 276 pairs, Var = 24 * 23 * 53 / 18; z = (S - 1) / sqrt(Var).
    assert math.isclose(trend.z, 275 / math.sqrt(24 * 23 * 53 / 18))
    assert (trend.filled, trend.span, trend.rising, trend.onset, trend.last) == (24, 24, 23, 0, 23)


def test_a_flat_window_has_no_trend() -> None:
    """Ties are no rise."""
    assert find_trend([5.0 * MIB] * 24, RULES) is None


def test_a_fall_has_no_trend() -> None:
    """Memory given back is not growth."""
    assert find_trend(line(900 * MIB, -3 * MIB), RULES) is None


def test_growth_too_small_to_matter_has_no_trend() -> None:
    """A perfect rise of 1 KiB per block stays below the rules' smallest growth."""
    assert find_trend(line(100 * MIB, 1024), RULES) is None


def test_six_blocks_are_too_few_and_seven_are_enough() -> None:
    """Below blocks_min nothing is said; at it a perfect rise is just significant."""
    assert find_trend(line(0, 10 * MIB, 6), RULES) is None
    assert find_trend(line(0, 10 * MIB, 7), RULES) is not None


def test_gaps_keep_their_place_in_time() -> None:
    """Blocks without samples do not make a rise look steeper."""
    blocks = line(0, 10 * MIB)
    for i in (3, 4, 5, 11, 20):
        blocks[i] = NONE
    trend = find_trend(blocks, RULES)
    assert trend is not None
    assert trend.rate == 10 * MIB
    assert trend.filled == 19


def test_one_wild_block_moves_the_rate_little() -> None:
    """Theil-Sen: a block that reads zero, as of a process that is just dying, does no harm."""
    blocks = line(100 * MIB, 3 * MIB)
    blocks[12] = 0.0
    trend = find_trend(blocks, RULES)
    assert trend is not None
    assert abs(trend.rate - 3 * MIB) < 0.05 * MIB


def test_noise_alone_is_seldom_significant() -> None:
    """White noise passes z = 3 in well under one window of a hundred."""
    rng = random.Random(7)
    found = sum(
        find_trend([500 * MIB + rng.gauss(0, 50 * MIB) for _ in range(24)], RULES) is not None
        for _ in range(2000)
    )
    assert found <= 10


def test_noise_that_remembers_itself_is_judged_more_strictly() -> None:
    """A random walk rises by chance; the correction for autocorrelation takes most of it back."""
    rng = random.Random(8)
    loose = RULES.__class__(autocorrelation_max=0.0)
    walks = []
    for _ in range(500):
        value, walk = 1000.0 * MIB, []
        for _ in range(24):
            value = 1000 * MIB + 0.7 * (value - 1000 * MIB) + rng.gauss(0, 50 * MIB)
            walk.append(value)
        walks.append(walk)
    strict_found = sum(find_trend(walk, RULES) is not None for walk in walks)
    loose_found = sum(find_trend(walk, loose) is not None for walk in walks)
    assert loose_found > 3 * max(1, strict_found)


def test_the_interval_holds_the_rate_about_as_often_as_it_says() -> None:
    """The 90% interval of the slope covers the true slope in 85% to 97% of noisy lines."""
    rng = random.Random(9)
    held = count = 0
    for _ in range(400):
        blocks = [v + rng.gauss(0, 10 * MIB) for v in line(0, 5 * MIB)]
        trend = find_trend(blocks, RULES)
        if trend is not None and trend.onset == 0:
            count += 1
            held += trend.rate_low <= 5 * MIB <= trend.rate_high
    assert count > 150
    assert 0.85 <= held / count <= 0.97


def test_the_flat_part_before_a_rise_does_not_dilute_its_rate() -> None:
    """Twelve flat blocks, then 4 MiB per block: the rate is that of the rise."""
    blocks = [100.0 * MIB] * 12 + line(104 * MIB, 4 * MIB, 12)
    trend = find_trend(blocks, RULES)
    assert trend is not None
    assert trend.onset == 11
    assert math.isclose(trend.rate, 4 * MIB)
    assert trend.rise == 13


def test_a_rise_that_halves_from_third_to_third_tends_to_its_limit() -> None:
    """Growth 80 then 40: all to come is 40 * 0.5 / 0.5 = 40."""
    tau = 8 / math.log(2)
    blocks = [1000 * MIB * (1 - math.exp(-i / tau)) for i in range(24)]
    trend = find_trend(blocks, RULES)
    assert trend is not None
    tends_to = flattens_to(trend, RULES)
    assert tends_to is not None
    assert math.isclose(tends_to, 1000 * MIB, rel_tol=0.01)


def test_a_straight_rise_does_not_flatten() -> None:
    """Equal growth in both halves has no asymptote."""
    trend = find_trend(line(0, 10 * MIB), RULES)
    assert trend is not None
    assert flattens_to(trend, RULES) is None


def test_onset_is_found_where_a_brute_force_fit_finds_it() -> None:
    """The running sums give the same hinge as fitting every hinge by least squares."""
    rng = random.Random(10)
    for _ in range(50):
        k = rng.randrange(0, 18)
        points = [
            (i, 1e8 + 1e6 * max(0, i - k) + rng.gauss(0, 3e5))
            for i in range(24)
            if rng.random() < 0.85
        ]
        assert onset(points) == _brute_force_onset(points)


def _brute_force_onset(points: list[tuple[int, float]]) -> int:
    best, best_error = points[0][0], math.inf
    ys = [y for _, y in points]
    mean_y = sum(ys) / len(ys)
    for start, _ in points[:-2]:
        xs = [max(0, x - start) for x, _ in points]
        mean_x = sum(xs) / len(xs)
        power = sum((x - mean_x) ** 2 for x in xs)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / power
        slope = max(0.0, slope)
        error = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
        if error < best_error:
            best, best_error = start, error
    return best


def test_median_of_even_and_odd_counts() -> None:
    """The middle, or the mean of the two middles."""
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5
