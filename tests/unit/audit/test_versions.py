"""Package versions: as rpm and dpkg have them, beside the real programs where they are there."""

import random
import shutil
from pathlib import Path

import pytest
from bench import audit_versions as beside
from hypothesis import given
from hypothesis import strategies as st

from forestall.audit.versions import compare_dpkg, compare_rpm, dpkg_key, rpm_key

ORDERED_RPM = (
    "3.10.0-957.el7",
    "3.10.0-957.21.3.el7",
    "3.10.0-1062.el7",
    "3.10.0-1160.119.1.el7",
    "4.18.0-372.9.1.el8",
    "4.18.0-553.8.1.el8_10",
    "4.18.0-553.27.1.el8_10",
    "4.18.0-553.157.1.el8_10",
    "1:1.0~rc1-1",
    "1:1.0-1",
    "1:1.0^20240101-1",
    "1:1.0.1-1",
)

ORDERED_DPKG = (
    "6.1.119-1~bpo11+1",
    "6.1.119-1",
    "6.8.0-31.31",
    "6.8.0-31.32",
    "6.8.0-100.100",
    "6.12.9-1~bpo12+1",
    "6.12.9-1",
    "1:1.0~rc1",
    "1:1.0",
    "1:1.0+b1",
)


@pytest.mark.parametrize(
    ("versions", "compare"), [(ORDERED_RPM, compare_rpm), (ORDERED_DPKG, compare_dpkg)]
)
def test_each_is_older_than_the_next(versions, compare):
    """Numbers as numbers, tilde before the end, caret after it, the epoch before everything."""
    for index, one in enumerate(versions):
        for place, other in enumerate(versions):
            assert compare(one, other) == (index > place) - (index < place), (one, other)


def test_z_streams_are_told_apart():
    """What another tool's pattern cut off: 957.21.3 is no 957, and 553.157 no 553.27."""
    assert compare_rpm("3.10.0-957.21.3.el7", "3.10.0-957.el7") == 1
    assert compare_rpm("4.18.0-553.157.1.el8_10", "4.18.0-553.27.1.el8_10") == 1


def test_what_is_missing():
    """No epoch is 0 for both; no release is the oldest for rpm, and revision 0 for dpkg."""
    assert compare_rpm("0:1.0-1", "1.0-1") == 0
    assert compare_rpm("1.0", "1.0-~1") == -1
    assert compare_dpkg("0:1.0", "1.0-0") == 0
    assert compare_dpkg("1.0", "1.0-1") == -1


def test_numbers_of_any_length():
    """Nothing overflows, and a thousand leading zeros weigh nothing."""
    long = "9" * 10_000
    for compare in (compare_rpm, compare_dpkg):
        assert compare(f"1.{long}-1", f"1.{long}9-1") == -1
        assert compare(f"1.{'0' * 1000}7-1", "1.7-1") == 0


@given(st.lists(st.text("019ab.~^+-:_", max_size=8), min_size=3, max_size=3))
def test_both_are_orders(versions):
    """Whatever the text: the opposite question has the opposite answer, and no circle exists."""
    for compare, key in ((compare_rpm, rpm_key), (compare_dpkg, dpkg_key)):
        low, middle, high = sorted(versions, key=key)
        assert compare(low, middle) <= 0
        assert compare(middle, high) <= 0
        assert compare(low, high) <= 0
        assert compare(high, low) == -compare(low, high)


@pytest.mark.skipif(not shutil.which("rpm"), reason="rpm is a system package")
def test_beside_rpm():
    """Two thousand generated pairs, one answer: ours is rpm's."""
    pairs = beside.pairs_of(random.Random(1), beside.rpm_version, 2000)
    theirs = beside.ask_rpm(pairs)
    assert [compare_rpm(*pair) for pair in pairs] == theirs
    assert set(theirs) == {-1, 0, 1}


@pytest.mark.skipif(
    not Path("/usr/share/perl5/Dpkg/Version.pm").exists(), reason="libdpkg-perl is a system package"
)
def test_beside_dpkg():
    """Two thousand generated pairs, and some of them asked of dpkg itself."""
    pairs = beside.pairs_of(random.Random(2), beside.dpkg_version, 2000, beside.LEGAL_DPKG)
    theirs = beside.ask_dpkg(pairs)
    assert [compare_dpkg(*pair) for pair in pairs] == theirs
    assert set(theirs) == {-1, 0, 1}
    assert beside.ask_dpkg_itself(pairs[:40]) == theirs[:40]
