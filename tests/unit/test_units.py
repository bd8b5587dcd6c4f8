"""Bytes and durations, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestall import units
from forestall.errors import UsageError


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10 * units.KIB, "10 KiB"),
        (units.MIB - 1, "1.0 MiB"),
        (512 * units.MIB, "512 MiB"),
        (33 * units.GIB, "33 GiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_bytes_are_shown_in_the_largest_unit_that_fits(count, text):
    """A size reads as a person would say it."""
    assert units.format_bytes(count) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [("512M", 512 * units.MIB), ("1.5GiB", 1610612736), ("4096", 4096), ("2 kb", 2048)],
)
def test_sizes_are_parsed_in_powers_of_1024(text, count):
    """The suffixes people type are understood."""
    assert units.parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "M", "-1M", "1X", "1.2.3G", "nan"])
def test_what_is_no_size_is_refused_with_help(text):
    """A mistyped size is one clear line that says what to write."""
    with pytest.raises(UsageError, match="not a size") as caught:
        units.parse_bytes(text)
    assert "512M" in caught.value.help


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (1.5, "1.5 s"),
        (59.6, "1 min"),
        (75, "1 min 15 s"),
        (9600, "2 h 40 min"),
        (3599.9, "1 h"),
        (86400 * 2, "2 d"),
        (86400 * 2 + 7200, "2 d 2 h"),
        (-90, "-1 min 30 s"),
    ],
)
def test_durations_show_their_two_largest_units(seconds, text):
    """A duration reads as a person would say it."""
    assert units.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5h", 5400), ("30d", 2592000), ("7", 7)]
)
def test_durations_are_parsed(text, seconds):
    """The suffixes people type are understood."""
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1 hour", "1y"])
def test_what_is_no_duration_is_refused_with_help(text):
    """A mistyped duration is one clear line that says what to write."""
    with pytest.raises(UsageError, match="not a duration") as caught:
        units.parse_duration(text)
    assert "30d" in caught.value.help


@given(st.integers(min_value=0, max_value=2**60))
def test_a_shown_size_is_within_rounding_of_the_count(count):
    """What is shown, read again, is at most five per cent from what was measured."""
    shown = units.parse_bytes(units.format_bytes(count).replace(" ", ""))
    assert abs(shown - count) <= 0.051 * count
