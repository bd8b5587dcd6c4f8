"""The shipped thresholds fit together, and the table of transitions is whole."""

from itertools import pairwise

from forestall.detect.rules import RULES, TRANSITIONS, Change
from forestall.model.verdict import VerdictKind
from forestall.units import HOUR, MINUTE

GRAVITY = [
    VerdictKind.UNDECIDED,
    VerdictKind.STEADY,
    VerdictKind.GROWING,
    VerdictKind.LEAKING,
    VerdictKind.EXHAUSTING,
]


def test_the_windows_are_the_documented_ones() -> None:
    """2 min, 10 min, 30 min, 2 h, 6 h, 24 h and 72 h."""
    assert RULES.window_seconds == (
        2 * MINUTE,
        10 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        6 * HOUR,
        24 * HOUR,
        72 * HOUR,
    )


def test_each_block_is_a_run_of_the_next_finer_ones() -> None:
    """Else the cascade of minima would cut blocks in two."""
    multiples = RULES.block_multiples
    assert multiples[0] == 1
    for fine, coarse in pairwise(multiples):
        assert coarse % fine == 0
        assert coarse > fine


def test_blocks_min_can_reach_significance() -> None:
    """A perfect rise of blocks_min blocks is significant, and one of a block less is not."""

    def best_z(count: int) -> float:
        pairs = count * (count - 1) / 2
        return (pairs - 1) / (count * (count - 1) * (2 * count + 5) / 18) ** 0.5

    assert best_z(RULES.blocks_min) >= RULES.significance_z > best_z(RULES.blocks_min - 1)


def test_every_kind_can_become_every_other() -> None:
    """No state is a trap, and none moves to itself."""
    for old in VerdictKind:
        assert set(TRANSITIONS[old]) == set(VerdictKind) - {old}


def test_an_alarm_is_never_raised_or_dropped_at_once() -> None:
    """To LEAKING and EXHAUSTING one is confirmed, from them one is held."""
    for old in GRAVITY:
        for new in GRAVITY:
            if old is new:
                continue
            change = TRANSITIONS[old][new]
            graver = GRAVITY.index(new) > GRAVITY.index(old)
            if graver and new in GRAVITY[3:]:
                assert change is Change.CONFIRM, (old, new)
            if not graver and old in GRAVITY[3:]:
                assert change is Change.HOLD, (old, new)
