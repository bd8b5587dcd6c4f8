"""Fixed rings."""

import pytest

from forestall.model.sample import HostSample, ProcessKey, ProcessSample, Sample
from forestall.model.verdict import Subject
from forestall.sense.ring import PAGE_BYTES, Ring, Rings

START = 1_700_000_000


def _sample(at, *pids, memory=10 * PAGE_BYTES):
    processes = tuple(
        ProcessSample(
            key=ProcessKey(boot_id="b", pid=pid, start_ticks=1),
            name="x",
            rss_bytes=2 * memory,
            anon_bytes=memory,
        )
        for pid in pids
    )
    return Sample(at=at, monotonic=at, boot_id="b", host=HostSample(), processes=processes)


def _subject(pid):
    key = ProcessKey(boot_id="b", pid=pid, start_ticks=1)
    return Subject(host="h", name="x", process=key)


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


def test_each_process_has_a_series_per_signal():
    """Signals are attributes of a process sample; None values leave a gap."""
    rings = Rings(signals=("memory_bytes", "rss_bytes", "swap_bytes"), interval_seconds=1)
    rings.record(_sample(START, 1, 2))
    rings.record(_sample(START + 1, 1))
    series = rings.series(_subject(1), "rss_bytes")
    assert list(series) == [(START, 20 * PAGE_BYTES), (START + 1, 20 * PAGE_BYTES)]
    assert series.subject.process.pid == 1
    assert len(rings.series(_subject(2))) == 1
    assert len(rings.series(_subject(1), "swap_bytes")) == 0
    assert rings.series(_subject(3)) is None
    assert rings.series(_subject(1), "cpu_seconds") is None
    assert rings.series(Subject(host="h", name="x")) is None


def test_the_one_that_ended_first_gives_way():
    """A dead process is kept for the evidence until somebody needs its room."""
    rings = Rings(subject_limit=3, interval_seconds=1)
    rings.record(_sample(START, 1, 2, 3))
    rings.record(_sample(START + 1, 1, 3))
    rings.record(_sample(START + 2, 1))
    rings.record(_sample(START + 3, 1, 4))
    assert rings.series(_subject(2)) is None
    assert rings.series(_subject(3)) is not None
    rings.record(_sample(START + 4, 1, 4, 5))
    assert rings.series(_subject(3)) is None
    assert rings.refused_count == 0


def test_the_living_never_give_way():
    """When all live, a further process is refused and counted, and nobody loses a series."""
    rings = Rings(subject_limit=2, interval_seconds=1)
    rings.record(_sample(START, 1, 2, 3))
    assert len(rings) == 2
    assert rings.refused_count == 1
    assert rings.series(_subject(1)) is not None
    assert rings.series(_subject(2)) is not None


def test_a_process_that_was_missed_once_goes_on():
    """Coming back takes it off the list of the dead."""
    rings = Rings(subject_limit=2, interval_seconds=1)
    rings.record(_sample(START, 1, 2))
    rings.record(_sample(START + 1, 2))
    rings.record(_sample(START + 2, 1, 2))
    rings.record(_sample(START + 3, 2))
    rings.record(_sample(START + 4, 1, 2, 3))
    assert len(rings.series(_subject(1))) == 3
    assert rings.refused_count == 1
