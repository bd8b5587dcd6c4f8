"""Clocks."""

import pytest

from forestall.clock import ScaledClock, SystemClock


def test_a_scaled_clock_runs_faster_on_both_readings():
    """Wall and monotonic time advance together, `scale` times the host's."""
    host, scaled = SystemClock(), ScaledClock(1000.0)
    # The host is read inside, so a pause between two readings cannot be held against it.
    wall, monotonic, before = scaled.now(), scaled.monotonic(), host.monotonic()
    scaled.sleep(20.0)
    host_seconds = host.monotonic() - before
    assert scaled.monotonic() - monotonic >= 20.0
    assert scaled.now() - wall >= 20.0
    assert scaled.monotonic() - monotonic > 100 * host_seconds


def test_sleeping_for_less_than_nothing_returns_at_once():
    """A tick that is late does not raise."""
    SystemClock().sleep(-1.0)
    ScaledClock(2.0).sleep(-1.0)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_clock_cannot_stand_still_or_run_backwards(scale):
    """A scale that makes no sense is a programmer's error."""
    with pytest.raises(ValueError, match="positive"):
        ScaledClock(scale)
