"""Abbreviations are resolved by place and date, or refused."""

# ruff: noqa: DTZ001 - the times of a review have no zone until it is resolved

import subprocess
import sys
from datetime import datetime

import pytest

from forestall.errors import InputError
from forestall.incident import zones

WINTER = datetime(2024, 11, 15, 3, 5)
SUMMER = datetime(2024, 7, 15, 3, 5)


@pytest.mark.parametrize(
    ("name", "place", "local", "zone"),
    [
        ("CST", "Dallas, TX", WINTER, "America/Chicago"),
        ("CDT", "Dallas, TX", SUMMER, "America/Chicago"),
        ("CST", "Dallas TX", WINTER, "America/Chicago"),
        ("CST", "Hall 3, Dallas, Texas, USA", WINTER, "America/Chicago"),
        ("MST", "El Paso, TX", WINTER, "America/Denver"),
        ("EST", "Knoxville, TN", WINTER, "America/New_York"),
        ("CST", "Nowhere, TN", WINTER, "America/Chicago"),
        ("CST", "Paris, TX", WINTER, "America/Chicago"),
        ("CET", "Paris", WINTER, "Europe/Paris"),
        ("CET", "Frankfurt, DE", WINTER, "Europe/Berlin"),
        ("EST", "Wilmington, DE", WINTER, "America/New_York"),
        ("EST", "London, ON", WINTER, "America/Toronto"),
        ("BST", "London, UK", SUMMER, "Europe/London"),
        ("CST", "Shanghai", WINTER, "Asia/Shanghai"),
        ("CST", "USA", WINTER, "America/Chicago"),
        ("AEST", "Australia", SUMMER, "Australia/Sydney"),
        ("-03", "São Paulo, Brazil", WINTER, "America/Sao_Paulo"),
        ("JST", None, WINTER, "Asia/Tokyo"),
        ("JST", "Building 9", WINTER, "Asia/Tokyo"),
        ("UTC", None, WINTER, "UTC"),
        ("UTC", "Dallas, TX", SUMMER, "UTC"),
        ("GMT", None, SUMMER, "Etc/GMT"),
        ("GMT", "Dallas, TX", SUMMER, "Etc/GMT"),
    ],
)
def test_what_is_in_force_is_resolved(name, place, local, zone):
    """The zone is the one that calls its time so, at that place, on that day."""
    assert zones.resolve(name, place, local) == zone


@pytest.mark.parametrize(
    ("name", "place", "local", "said"),
    [
        ("CST", "Dallas, TX", SUMMER, "America/Chicago says CDT"),
        ("MST", "Dallas, TX", WINTER, "America/Chicago says CST"),
        ("EST", "Nashville, TN", WINTER, "America/Chicago says CST"),
        ("GMT", "London", SUMMER, "Europe/London says BST"),
        ("SGT", "Singapore", WINTER, "Asia/Singapore says +08"),
        ("CST", "Dallas, TX", datetime(2024, 3, 10, 2, 30), "does not exist there"),
        ("CST", None, WINTER, "no place is given"),
        ("CST", "Gotham", WINTER, "nothing is known of the place 'Gotham'"),
        ("IST", None, WINTER, "Asia/Jerusalem (UTC+02:00)"),
        ("XYZ", None, WINTER, "no zone calls its time XYZ"),
    ],
)
def test_what_is_not_in_force_is_refused(name, place, local, said):
    """A wrong, an ambiguous and an unknown abbreviation are refused, and the message says why."""
    with pytest.raises(InputError) as refusal:
        zones.resolve(name, place, local)
    assert said in refusal.value.message
    assert refusal.value.help


def test_an_ambiguous_abbreviation_shows_different_offsets():
    """CST without a place names one zone for each offset it may have, and how to say which."""
    with pytest.raises(InputError) as refusal:
        zones.resolve("CST", None, WINTER)
    for shown in ("America/Chicago (UTC-06:00)", "Asia/Shanghai (UTC+08:00)"):
        assert shown in refusal.value.message
    assert "--zone America/Chicago" in (refusal.value.help or "")


def test_the_second_of_two_equal_readings():
    """On the night the clock goes back, the abbreviation tells the two readings apart."""
    night = datetime(2024, 11, 3, 1, 30)
    assert zones.fold_of(night, "America/Chicago", "CDT") == 0
    assert zones.fold_of(night, "America/Chicago", "CST") == 1
    assert zones.abbreviation(night.replace(fold=1), "America/Chicago") == "CST"


def test_a_given_zone_is_confirmed_or_refused():
    """A zone given by hand must call its time so too."""
    assert zones.confirm("CST", "America/Regina", SUMMER) == "America/Regina"
    with pytest.raises(InputError, match="America/Chicago says CDT"):
        zones.confirm("CST", "America/Chicago", SUMMER)


@pytest.mark.parametrize("zone", ["America/Atlantis", "America", "../etc/passwd", "", "a\0b"])
def test_unknown_zones(zone):
    """A zone that does not exist is one clear error, whatever its name."""
    with pytest.raises(InputError, match="no such time zone"):
        zones.abbreviation(WINTER, zone)


def test_a_reading_that_the_clock_skips():
    """A time that no clock there shows has no abbreviation."""
    with pytest.raises(InputError, match="does not exist in America/Chicago"):
        zones.abbreviation(datetime(2024, 3, 10, 2, 30), "America/Chicago")


def test_without_a_time_zone_database():
    """UTC still works, and anything else names the package that is missing."""
    script = """
import sys
sys.modules["tzdata"] = None
from datetime import datetime
from forestall.errors import InputError
from forestall.incident import zones
at = datetime(2024, 11, 15, 3, 5)
assert zones.resolve("UTC", "Dallas, TX", at) == "UTC"
assert zones.abbreviation(at, "UTC") == "UTC"
for name, place in (("CST", "Dallas, TX"), ("CST", None), ("CET", "Paris")):
    try:
        zones.resolve(name, place, at)
    except InputError as error:
        assert "no time zone database" in error.message, error.message
        assert "tzdata" in error.help
    else:
        raise AssertionError(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONTZPATH": "", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
