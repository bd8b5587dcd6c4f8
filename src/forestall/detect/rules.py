"""Every threshold of the judge, with its unit and its why, and the table of transitions.

Nothing here is a wall-clock assumption: each length is a time scale, so the same rules judge
a clock that runs faster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from forestall.model.verdict import VerdictKind
from forestall.units import DAY, HOUR, MIB, MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Thresholds. A window is `blocks_per_window` blocks; a scale is named by its window's length.

    With the shipped values the windows are 2 min, 10 min, 30 min, 2 h, 6 h, 24 h and 72 h.
    """

    # The finest block. Five seconds lets a leak that fills a host in minutes show itself in
    # seven blocks, and holds a whole sample at the agent's usual spacing of one to ten seconds.
    block_seconds: float = 5.0

    # Width of a block on each scale, in finest blocks; each divides the next, so that a coarse
    # block is exactly a run of finer ones and a sample is looked at once.
    block_multiples: tuple[int, ...] = (1, 5, 15, 60, 180, 720, 2160)

    # 24 blocks rank well (a perfect rise has z = 6.8) and a sort of their 276 slopes is cheap.
    blocks_per_window: int = 24

    # Below seven blocks even a perfect rise cannot reach `significance_z`.
    blocks_min: int = 7

    # A leak is called on at least half a window: fewer blocks are a run, not a history.
    leak_blocks_min: int = 12

    # Mann-Kendall z, corrected for autocorrelation. Three is one in 700 by chance for one
    # window, and each process has seven windows that are judged over and over.
    significance_z: float = 3.0

    # The correction's lag-1 correlation is capped: a flat part followed by a rise looks
    # autocorrelated through and through, and uncapped it would hide every young leak.
    autocorrelation_max: float = 0.5

    # z of the two-sided 90% interval that rates and times to exhaustion are given with.
    interval_z: float = 1.645

    # ... but never with less than this share to either side: nothing leaks at a constant rate.
    rate_share_min: float = 0.1

    # Growth below this within a window is allocator noise for any service worth watching.
    growth_bytes_min: int = 2 * MIB

    # Growth that matters here: this share of the headroom within one window.
    growth_headroom_min: float = 0.01

    # A rise still goes on if the later half of its window has at least this share of it (a
    # straight line has one half). Less: it has stopped, and the window only remembers it.
    late_share_min: float = 0.25

    # ... and an alarm is raised only if it goes on within the last third too, at this share of
    # its rate: what stopped a third of a window ago still has a late half.
    newest_share_min: float = 0.25

    # If the growth from third to third shrinks, by at least this factor, the rise flattens and
    # has an asymptote; nearer to one the asymptote is beyond what a window can tell.
    flattening_ratio_max: float = 0.9

    # An asymptote is an estimate: it bounds the rise only if that much room remains beyond it.
    asymptote_margin: float = 1.25

    # A rise has come back when its floor fell by this share of it.
    return_share_min: float = 0.5

    # A rise up to this share above one that came back is the same again, and no growth at all;
    # up to the other it may be, as peaks differ from day to day, so it is not called a leak,
    same_return_margin: float = 0.1
    leak_return_margin: float = 0.5

    # ... as long as it is not much faster (an hourly job does not explain a runaway loop),
    return_haste: float = 3.0

    # ... and as long as it has not lasted this many times as long as that one came and went.
    return_patience: float = 2.0

    # Jobs and days come again within a week; what did not, the service no longer does.
    return_memory_seconds: float = 8 * DAY

    # High, long and fast rises explain different things; more than four kinds are rare.
    returns_max: int = 4

    # Growth of a process younger than this is not judged at all: starting is growing.
    start_seconds: float = 10 * MINUTE

    # No process younger than this is called leaking: caches fill for the first half hour.
    leak_age_seconds_min: float = 40 * MINUTE

    # On a longer scale warm-up lasts longer: the process must be as old as the whole window.
    leak_age_windows_min: float = 1.0

    # How far ahead a leak is foretold, in lengths of the rise seen: 4 means that it has taken a
    # fifth of the headroom it began with. What needs longer is GROWING until then.
    extrapolation_rises_max: float = 4.0

    # ... and no further than this many ages of the process: the first rise of a young one may be
    # its first day or its first batch, which history has not shown to come back,
    extrapolation_ages_max: float = 0.7

    # ... except that a rise which has taken a third of the headroom has said enough.
    extrapolation_rises_young: float = 2.0

    # Without a limit nothing runs out, so only windows of at least this length call a leak.
    unlimited_window_seconds_min: float = 6 * HOUR

    # EXHAUSTING: the soonest end of the time to exhaustion is below this. It is the time a
    # person needs to be woken and to look.
    exhausting_low_seconds: float = 15 * MINUTE

    # ... and the middle of the range is below this: one end alone may be a wide guess.
    exhausting_seconds: float = 20 * MINUTE

    # ... and the rise has taken two fifths of the headroom it began with, so that no burst of
    # requests that needs a tenth of the memory for a minute is an emergency.
    exhausting_rises_max: float = 1.5

    # Before `leak_age_seconds_min` a rise is mostly a working set being loaded, and stopping a
    # service that starts only makes it start again: there, this share of the limit must be all
    # that is left.
    exhausting_young_headroom_max: float = 0.15

    # A time to exhaustion beyond this is not within sight and is given as None.
    sight_seconds: float = 30 * DAY

    # A graver verdict is confirmed by one more block, but that may not cost more than this share
    # of the time that is left.
    confirm_share: float = 0.05

    # Between two blocks nothing is judged, except with less than this left by the finest window:
    # there a block is a long time to wait with an opinion, and with its confirmation.
    haste_seconds: float = 1 * MINUTE

    # A verdict that calms down is held for this share of the window that raised it.
    hold_windows: float = 0.25

    # ... and for at least this long, so that a verdict from the shortest window does not flap.
    hold_seconds_min: float = 5 * MINUTE

    @property
    def window_seconds(self) -> tuple[float, ...]:
        """Length of each scale's window in seconds."""
        return tuple(
            self.block_seconds * multiple * self.blocks_per_window
            for multiple in self.block_multiples
        )


RULES = Rules()


class Change(StrEnum):
    """How an opinion becomes the verdict.

    NOW: at once. CONFIRM: once the scale that says so still says so one block later.
    HOLD: once no sample has asked for the present kind for the time the rules hold it.
    """

    NOW = "now"
    CONFIRM = "confirm"
    HOLD = "hold"


_UNDECIDED, _STEADY, _GROWING, _LEAKING, _EXHAUSTING = (
    VerdictKind.UNDECIDED,
    VerdictKind.STEADY,
    VerdictKind.GROWING,
    VerdictKind.LEAKING,
    VerdictKind.EXHAUSTING,
)

# Upwards is confirmed, downwards is held: an alarm that comes and goes is worse than either.
# Only the mild answers change at once, because nobody acts on them.
TRANSITIONS: Mapping[VerdictKind, Mapping[VerdictKind, Change]] = MappingProxyType(
    {
        _UNDECIDED: {
            _STEADY: Change.NOW,
            _GROWING: Change.NOW,
            _LEAKING: Change.CONFIRM,
            _EXHAUSTING: Change.CONFIRM,
        },
        _STEADY: {
            _UNDECIDED: Change.NOW,
            _GROWING: Change.CONFIRM,
            _LEAKING: Change.CONFIRM,
            _EXHAUSTING: Change.CONFIRM,
        },
        _GROWING: {
            _UNDECIDED: Change.HOLD,
            _STEADY: Change.HOLD,
            _LEAKING: Change.CONFIRM,
            _EXHAUSTING: Change.CONFIRM,
        },
        _LEAKING: {
            _UNDECIDED: Change.HOLD,
            _STEADY: Change.HOLD,
            _GROWING: Change.HOLD,
            _EXHAUSTING: Change.CONFIRM,
        },
        _EXHAUSTING: {
            _UNDECIDED: Change.HOLD,
            _STEADY: Change.HOLD,
            _GROWING: Change.HOLD,
            _LEAKING: Change.HOLD,
        },
    }
)
