"""The arithmetic on one window of floors: is there a trend, how steep, does it still go on?

Slope: Theil-Sen, the median of all pairwise slopes, with Sen's rank interval (Sen 1968).
Significance: Mann-Kendall with ties (Kendall 1975), its variance widened by the lag-1
autocorrelation of what the line leaves over (Bartlett 1946).
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from forestall.detect.rules import Rules

Point = tuple[int, float]
"""Number of the block in its window, and its floor in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A significant rise within one window. Rates in bytes per block; counts in blocks.

    `onset` and `last` are the positions in the window of its first and newest block, `rising`
    counts the blocks above the one before. `early_bytes`: growth from the first third of the
    window to the middle one; `late_bytes`: from there to the last; `growth_bytes`: both;
    `newest_bytes`: from the older half of the last third to its newer half.
    """

    z: float
    rate: float
    rate_low: float
    rate_high: float
    filled: int
    span: int
    onset: int
    last: int
    rising: int
    early_bytes: float
    late_bytes: float
    newest_bytes: float
    floor_bytes: float

    @property
    def growth_bytes(self) -> float:
        return self.early_bytes + self.late_bytes

    @property
    def goes_on_now(self) -> float:
        """Growth within the last third as a share of what the rate would make of it."""
        return self.newest_bytes / (self.rate * max(1.0, self.filled / 6))

    @property
    def rise(self) -> int:
        """Blocks from the onset to the newest."""
        return self.last - self.onset + 1


def find_trend(blocks: Sequence[float], rules: Rules) -> Trend | None:
    """The rise in a window of block minima, oldest first, not-a-number where there is none.

    None where there are too few blocks or no significant rise of a size that matters.
    """
    values = [value for value in blocks if value == value]
    count = len(values)
    if count < rules.blocks_min:
        return None
    third = max(1, count // 3)
    # Most windows of most processes end here, before anything is sorted.
    if max(values[-third:]) - min(values[:third]) < rules.growth_bytes_min:
        return None
    first = median(values[:third])
    middle = median(values[third : count - third])
    last = median(values[count - third :])
    if last - first < rules.growth_bytes_min:
        return None
    points = [(i, value) for i, value in enumerate(blocks) if value == value]
    slopes, score, deviation = _fit(points, rules)
    z = (score - 1) / deviation if deviation > 0 else 0.0
    if z < rules.significance_z:
        return None
    began = onset(points)
    rise = [point for point in points if point[0] >= began]
    if len(rise) >= rules.blocks_min and len(rise) < count:
        # The flat part before the rise says that there is one, but would dilute its slope.
        slopes, _, deviation = _fit(rise, rules)
    reach = rules.interval_z * deviation
    low = max(0, math.floor((len(slopes) - reach) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))
    rate = median(slopes)
    if rate <= 0:
        return None
    return Trend(
        z=z,
        rate=rate,
        rate_low=slopes[low],
        rate_high=slopes[high],
        filled=count,
        span=points[-1][0] - points[0][0] + 1,
        onset=began,
        last=points[-1][0],
        rising=sum(b > a for a, b in pairwise(values)),
        early_bytes=middle - first,
        late_bytes=last - middle,
        newest_bytes=_newest(values[count - third :]),
        floor_bytes=last,
    )


def _fit(points: Sequence[Point], rules: Rules) -> tuple[list[float], int, float]:
    """All pairwise slopes, ascending; Kendall's score; and the score's deviation by chance."""
    slopes = [
        (later - value) / (later_x - x)
        for i, (x, value) in enumerate(points)
        for later_x, later in points[i + 1 :]
    ]
    slopes.sort()
    score = len(slopes) - bisect_right(slopes, 0.0) - bisect_left(slopes, 0.0)
    inflation = _inflation(points, slopes[len(slopes) // 2], rules)
    return slopes, score, math.sqrt(_variance(points) * inflation)


def _newest(values: Sequence[float]) -> float:
    half = (len(values) + 1) // 2
    return median(values[-half:]) - median(values[:half])


def median(values: Sequence[float]) -> float:
    """The middle of `values`, which holds at least one."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def _variance(points: Sequence[Point]) -> float:
    """Variance of Kendall's score if there were no trend, with ties."""
    count = len(points)
    sizes = Counter(value for _, value in points).values()
    ties = sum(n * (n - 1) * (2 * n + 5) for n in sizes)
    return (count * (count - 1) * (2 * count + 5) - ties) / 18


def _inflation(points: Sequence[Point], rate: float, rules: Rules) -> float:
    """How much autocorrelation widens the variance: (1 + r) / (1 - r), r from the residuals.

    Of fewer blocks than a leak is called on, r is noise itself and not corrected for.
    """
    if len(points) < rules.leak_blocks_min:
        return 1.0
    rest = [value - rate * x for x, value in points]
    centre = median(rest)
    rest = [value - centre for value in rest]
    power = sum(value * value for value in rest)
    if power == 0:
        return 1.0
    lagged = sum(a * b for a, b in pairwise(rest))
    r = min(max(lagged / power, 0.0), rules.autocorrelation_max)
    return (1 + r) / (1 - r)


def flattens_to(trend: Trend, rules: Rules) -> float | None:
    """The floor a flattening rise tends to, in bytes; None if it does not flatten.

    If growth shrinks by a factor r from third to third, all growth to come is a geometric
    series: late * r / (1 - r).
    """
    if trend.early_bytes <= 0:
        return None
    ratio = max(0.0, trend.late_bytes / trend.early_bytes)
    if ratio > rules.flattening_ratio_max:
        return None
    return trend.floor_bytes + max(0.0, trend.late_bytes) * ratio / (1 - ratio)


def onset(points: Sequence[Point]) -> int:
    """The block at which growth began: a flat part, then a straight rise, by least squares.

    The start k of the hinge max(0, x - k) with the smallest squared error; the first block if
    the whole window rises.
    """
    count, base = len(points), points[0][1]
    mean_y = sum(value - base for _, value in points) / count
    best, best_gain = points[0][0], -1.0
    # Sums over the points from each start on, gathered from the newest to the oldest.
    n = sum_x = sum_xx = 0
    sum_y = sum_xy = 0.0
    for start, value in reversed(points):
        y = value - base
        n, sum_x, sum_xx = n + 1, sum_x + start, sum_xx + start * start
        sum_y, sum_xy = sum_y + y, sum_xy + start * y
        if n < 3:
            continue
        mean = (sum_x - n * start) / count
        power = sum_xx - 2 * start * sum_x + n * start * start - count * mean * mean
        both = sum_xy - start * sum_y - count * mean * mean_y
        # The squared error is the same total for every start, less this.
        gain = both * both / power if both > 0 else 0.0
        if gain >= best_gain:
            best, best_gain = start, gain
    return best
