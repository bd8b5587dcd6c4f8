"""Fixed rings."""

import pytest

from forestall.sense.ring import PAGE_BYTES, Ring

START = 1_700_000_000


def test_points_come_back_in_order():
    """Seconds and bytes, oldest first."""
    ring = Ring(4, 1)
    for step in range(3):
        ring.add(START + step, step * PAGE_BYTES)
    times, values = ring.columns()
    assert list(times) == [START, START + 1, START + 2]
    assert list(values) == [0, PAGE_BYTES, 2 * PAGE_BYTES]
    assert times.typecode == values.typecode == "d"


def test_a_full_ring_forgets_the_oldest():
    """Capacity is fixed, before and after it is reached."""
    ring = Ring(3, 1)
    for step in range(10):
        ring.add(START + step, step * PAGE_BYTES)
        assert len(ring) == min(step + 1, 3)
    assert list(ring.columns()[0]) == [START + 7, START + 8, START + 9]


def test_of_one_interval_the_last_value_is_kept():
    """Ten ticks of a second give one point of ten seconds."""
    ring = Ring(5, 10)
    for step in range(25):
        ring.add(START + step, step * PAGE_BYTES)
    times, values = ring.columns()
    assert list(times) == [START, START + 10, START + 20]
    assert list(values) == [9 * PAGE_BYTES, 19 * PAGE_BYTES, 24 * PAGE_BYTES]


def test_a_clock_that_was_set_back_does_not_disorder_a_series():
    """Times ascend whatever the wall clock does."""
    ring = Ring(5, 1)
    for at in (START, START + 2, START + 1, START + 3, -5, 2.0**40):
        ring.add(at, PAGE_BYTES)
    assert list(ring.columns()[0]) == [START, START + 2, START + 3]


def test_values_are_pages_within_their_range():
    """Below a page is zero; more than 32 bits of pages is the largest there is."""
    ring = Ring(3, 1)
    ring.add(START, PAGE_BYTES - 1)
    ring.add(START + 1, 2**60)
    ring.add(START + 2, -1)
    assert list(ring.columns()[1]) == [0, (2**32 - 1) * PAGE_BYTES, 0]


@pytest.mark.parametrize(("capacity", "interval"), [(0, 1), (1, 0)])
def test_a_ring_without_room_is_a_mistake(capacity, interval):
    """Said at once, not at the first point."""
    with pytest.raises(ValueError, match="room"):
        Ring(capacity, interval)
