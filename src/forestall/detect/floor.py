"""The floor of a series: its minima over blocks of time, on several scales at once.

What a service holds at its emptiest moments is what it does not give back; the minimum of a
block forgets garbage not yet collected, request bursts and batch jobs shorter than the block.
"""

import math
from array import array

from forestall.detect.rules import Rules

_NONE = math.nan


class Scale:
    """Block minima of one width: a window of them, oldest first, not-a-number where there were
    no samples; the rise now under way, and the highest rise that came back.

    A block is known by its number since the first sample, `index`. Memory: the window
    (24 floats as shipped) and twelve numbers.
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
        "returned_blocks",
        "returned_index",
        "returned_peak",
        "returned_rise",
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
        self.returned_peak = self.returned_rise = _NONE
        self.returned_index = self.returned_blocks = 0

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
        self._push(lowest)
        for _ in range(missing):
            self._push(_NONE)
        self._remember_peak(highest, 1 + missing)
        self._follow(lowest)
        self.index = index
        self._lowest, self._highest = math.inf, -math.inf
        return lowest, highest

    def _push(self, value: float) -> None:
        blocks = self.blocks
        if len(blocks) == self._rules.blocks_per_window:
            oldest = blocks.pop(0)
            self.filled_count -= oldest == oldest
        blocks.append(value)
        self.filled_count += value == value

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
        if not self.leg_low <= value:
            self._ground(value, value)
        elif value > self.leg_high:
            self.leg_high = value
            self._leg_high_index = self.index
        else:
            rise = self.leg_high - self.leg_low
            if (
                rise >= rules.growth_bytes_min
                and value <= self.leg_high - rules.return_share_min * rise
            ):
                self._remember_return(rise)
                self._ground(value, value)
            elif (self.index - self._leg_high_index) * 2 >= rules.blocks_per_window:
                # A rise that has rested for half a window is over: where it rests is new
                # ground, or else warm-up would dwarf every later rise and its return.
                recent = [v for v in self.blocks[-(rules.blocks_per_window // 2) :] if v == v]
                self._ground(min(recent), max(recent))

    def _ground(self, low: float, high: float) -> None:
        self.leg_low, self.leg_high = low, high
        self.leg_index = self._leg_high_index = self.index

    def _remember_return(self, rise: float) -> None:
        forgotten = (
            self.index - self.returned_index
            > self._rules.territory_memory_windows * self._rules.blocks_per_window
        )
        # A comparison with not-a-number is false, so the first return is always remembered.
        if forgotten or not self.leg_high < self.returned_peak:
            self.returned_peak, self.returned_rise = self.leg_high, rise
            self.returned_blocks = max(1, self.index - self.leg_index)
            self.returned_index = self.index

    def explains(self, floor_bytes: float) -> bool:
        """Whether a floor this high is only where an earlier rise went and came back from."""
        rules = self._rules
        if math.isnan(self.returned_peak):
            return False
        if floor_bytes > self.returned_peak + rules.territory_margin * self.returned_rise:
            return False
        if (
            self.index - self.returned_index
            > rules.territory_memory_windows * rules.blocks_per_window
        ):
            return False
        return self.index - self.leg_index <= rules.territory_patience * self.returned_blocks


class Floor:
    """The scales of one series, the finest first; a longer one exists once it has a block."""

    __slots__ = ("_rules", "_started_at", "scales")

    def __init__(self, at: float, value: float, rules: Rules) -> None:
        self._rules = rules
        self._started_at = at
        self.scales = [Scale(rules.block_multiples[0], 0, rules)]
        self.scales[0].add(value, value)

    def add(self, at: float, value: float) -> int:
        """Take one value later than all before. Returns how many scales ended a block by it."""
        scales, rules = self.scales, self._rules
        index = int((at - self._started_at) / rules.block_seconds)
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
        return self._started_at + (first + position) * scale.block_seconds
