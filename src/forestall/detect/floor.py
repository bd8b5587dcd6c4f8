"""The floor of a series: its minima over blocks of time, on several scales at once.

What a service holds at its emptiest moments is what it does not give back; the minimum of a
block forgets garbage not yet collected, request bursts and batch jobs shorter than the block.
"""

import math
from array import array
from typing import NamedTuple

from forestall.detect.rules import Rules

_NONE = math.nan


class Return(NamedTuple):
    """A rise that came back. Heights in bytes, lengths and `ended` in blocks of its scale.

    `rise_blocks` from its ground to its peak, `blocks` until it had come back.
    """

    peak: float
    rise: float
    rise_blocks: int
    blocks: int
    ended: int

    @property
    def rate(self) -> float:
        """How fast it rose, in bytes per block."""
        return self.rise / self.rise_blocks

    def covers(self, other: "Return") -> bool:
        """Whether all that `other` explains, this explains too."""
        return self.peak >= other.peak and self.blocks >= other.blocks and self.rate >= other.rate


class Scale:
    """Block minima of one width: a window of them, oldest first, not-a-number where there were
    no samples; the rise now under way, and rises that came back.

    A block is known by its number since the first sample, `index`. Memory: the window
    (24 floats as shipped), eleven numbers, and up to `returns_max` returns of five.
    """

    __slots__ = (
        "_half_count",
        "_half_highest",
        "_half_highest_before",
        "_highest",
        "_leg_high_index",
        "_lowest",
        "_rules",
        "blocks",
        "filled_count",
        "index",
        "leg_high",
        "leg_index",
        "leg_low",
        "multiple",
        "returns",
    )

    def __init__(self, multiple: int, index: int, rules: Rules) -> None:
        self.multiple = multiple
        self.index = index
        self.blocks = array("d")
        self.filled_count = 0
        self._rules = rules
        self._lowest = math.inf
        self._highest = -math.inf
        self._half_highest = -math.inf
        self._half_highest_before = -math.inf
        self._half_count = 0
        self.leg_low = self.leg_high = _NONE
        self.leg_index = self._leg_high_index = index
        self.returns: tuple[Return, ...] = ()

    @property
    def block_seconds(self) -> float:
        return self.multiple * self._rules.block_seconds

    @property
    def window_seconds(self) -> float:
        return self.block_seconds * self._rules.blocks_per_window

    @property
    def peak(self) -> float:
        """The highest value of the last half to whole window."""
        return max(self._half_highest, self._half_highest_before)

    def add(self, lowest: float, highest: float) -> None:
        """Widen the block under way by values that belong to it."""
        if lowest < self._lowest:
            self._lowest = lowest
        if highest > self._highest:
            self._highest = highest

    def close(self, index: int) -> tuple[float, float]:
        """End the block under way, because a sample of block `index` has come.

        Blocks between the two had no samples. Returns the ended block's lowest and highest.
        """
        lowest, highest = self._lowest, self._highest
        capacity = self._rules.blocks_per_window
        missing = min(index - self.index - 1, capacity)
        self._follow(lowest)
        self._push(lowest, missing)
        self._remember_peak(highest, 1 + missing)
        self.index = index
        self._lowest, self._highest = math.inf, -math.inf
        return lowest, highest

    def _push(self, value: float, missing: int) -> None:
        """Append a block and the gap after it; drop what leaves the window."""
        blocks = self.blocks
        blocks.append(value)
        if missing:
            blocks.extend([_NONE] * missing)
        self.filled_count += 1
        excess = len(blocks) - self._rules.blocks_per_window
        if excess > 0:
            self.filled_count -= sum(old == old for old in blocks[:excess])
            del blocks[:excess]

    def _remember_peak(self, highest: float, count: int) -> None:
        self._half_highest = max(self._half_highest, highest)
        self._half_count += count
        if self._half_count * 2 >= self._rules.blocks_per_window:
            self._half_highest_before = self._half_highest
            self._half_highest = -math.inf
            self._half_count = 0

    def _follow(self, value: float) -> None:
        """Follow the rise under way and see whether it came back."""
        rules = self._rules
        rise = self.leg_high - self.leg_low
        # With no rise under way all three are comparisons with not-a-number, which are false.
        if (
            rise >= rules.growth_bytes_min
            and value <= self.leg_high - rules.return_share_min * rise
        ):
            self._remember_return(rise)
            self._ground(value, value)
        elif value > self.leg_high:
            self.leg_high = value
            self._leg_high_index = self.index
        elif not value > self.leg_low:
            self._ground(value, value)
        elif (self.index - self._leg_high_index) * 2 >= rules.blocks_per_window:
            # A rise that has rested for half a window is over: where it rests is new ground,
            # or else warm-up would dwarf every later rise and its return.
            half = rules.blocks_per_window // 2
            recent = [value, *(old for old in self.blocks[-half:] if old == old)]
            self._ground(min(recent), max(recent))

    def _ground(self, low: float, high: float) -> None:
        self.leg_low, self.leg_high = low, high
        self.leg_index = self._leg_high_index = self.index

    def _remember_return(self, rise: float) -> None:
        """Keep the rise that just ended, unless one that is kept explains as much."""
        new = Return(
            peak=self.leg_high,
            rise=rise,
            rise_blocks=max(1, self._leg_high_index - self.leg_index),
            blocks=max(1, self.index - self.leg_index),
            ended=self.index,
        )
        kept = [
            # One that came again, if smaller, is not forgotten.
            old._replace(ended=self.index) if old.covers(new) else old
            for old in self.returns
            if not new.covers(old) and not self._forgotten(old)
        ]
        if not any(old.covers(new) for old in kept):
            kept.append(new)
        if len(kept) > self._rules.returns_max:
            kept.remove(min(kept))
        self.returns = tuple(kept)

    def _forgotten(self, old: Return) -> bool:
        return (self.index - old.ended) * self.block_seconds > self._rules.return_memory_seconds

    def explained_by(
        self, floor_bytes: float, rate_bytes_per_second: float, margin: float
    ) -> Return | None:
        """An earlier rise that came back and that a rise to this floor, at this rate, repeats.

        `margin` is how far above the earlier peak still counts, as a share of that rise.
        """
        rules = self._rules
        rate = rate_bytes_per_second * self.block_seconds
        age = self.index - self.leg_index
        for old in self.returns:
            if (
                floor_bytes <= old.peak + margin * old.rise
                and rate <= rules.return_haste * old.rate
                and age <= rules.return_patience * old.blocks
                and not self._forgotten(old)
            ):
                return old
        return None


class Floor:
    """The scales of one series, the finest first; a longer one exists once it has a block."""

    __slots__ = ("_rules", "scales", "started_at")

    def __init__(self, at: float, value: float, rules: Rules) -> None:
        self._rules = rules
        self.started_at = at
        self.scales = [Scale(rules.block_multiples[0], 0, rules)]
        self.scales[0].add(value, value)

    def add(self, at: float, value: float) -> int:
        """Take one value later than all before. Returns how many scales ended a block by it."""
        scales, rules = self.scales, self._rules
        index = int((at - self.started_at) / rules.block_seconds)
        finest = scales[0]
        if index == finest.index:
            finest.add(value, value)
            return 0
        lowest, highest = finest.close(index)
        closed = 1
        for number in range(1, len(rules.block_multiples)):
            multiple = rules.block_multiples[number]
            if number == len(scales):
                # The first closed block of the finest scale starts every coarser block at 0.
                scales.append(Scale(multiple, 0, rules))
            scale = scales[number]
            scale.add(lowest, highest)
            if index // multiple == scale.index:
                break
            lowest, highest = scale.close(index // multiple)
            closed += 1
        finest.add(value, value)
        return closed

    def starts_at(self, scale: Scale, position: int) -> float:
        """When the block at `position` of the scale's window started, seconds since the epoch."""
        first = scale.index - len(scale.blocks)
        return self.started_at + (first + position) * scale.block_seconds
