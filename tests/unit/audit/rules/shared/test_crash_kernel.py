"""`crashkernel=` as the kernel reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestall.audit.rules.shared.crash_kernel import TABLES, needed_bytes, options, reserved_bytes

GIB, MIB = 1024**3, 1024**2
RANGES = "1G-4G:192M,4G-64G:256M,64G-:512M"


@pytest.mark.parametrize(
    ("value", "memory", "expected"),
    [
        ("256M", 8 * GIB, 256 * MIB),
        ("256m", 8 * GIB, 256 * MIB),
        ("1G", 8 * GIB, GIB),
        ("262144K", 8 * GIB, 256 * MIB),
        ("268435456", 8 * GIB, 256 * MIB),
        ("128M@16M", 8 * GIB, 128 * MIB),
        ("512M,high", 8 * GIB, 512 * MIB),
        (RANGES, GIB - 1, 0),
        (RANGES, GIB, 192 * MIB),
        (RANGES, 4 * GIB - 1, 192 * MIB),
        (RANGES, 4 * GIB, 256 * MIB),
        (RANGES, 64 * GIB, 512 * MIB),
        ("512M-2G:64M,2G-:128M@16M", 8 * GIB, 128 * MIB),
        ("auto", 8 * GIB, None),
        ("", 8 * GIB, None),
        ("4G:256M", 8 * GIB, None),
        ("1G-x:256M", 8 * GIB, None),
        ("1G-:y", 8 * GIB, None),
        ("9" * 40, 8 * GIB, None),
    ],
)
def test_syntax(value, memory, expected):
    """Sizes, offsets, ranges open and closed; what is none of these is not guessed at."""
    assert reserved_bytes(value, memory) == expected


def test_options_in_order():
    """Of a whole command line, in its order; a word that only contains it is another."""
    line = "ro crashkernel=512M,high xcrashkernel=1 crashkernel=72M,low quiet"
    assert options(line) == ["512M,high", "72M,low"]


@given(st.text(max_size=80), st.integers(0, 2**50))
def test_rubbish_is_never_an_amount_out_of_nothing(value, memory):
    """Any text gives an amount of at least 0 or None, and raises nothing."""
    found = reserved_bytes(value, memory)
    assert found is None or found >= 0


@given(st.sampled_from(sorted(TABLES)), st.integers(0, 2**44), st.integers(0, 2**44))
def test_more_memory_never_needs_less(key, one, other):
    """Each table rises with memory."""
    low, high = sorted((one, other))
    first, second = needed_bytes(*key, low), needed_bytes(*key, high)
    assert first is None or (second is not None and second >= first)
