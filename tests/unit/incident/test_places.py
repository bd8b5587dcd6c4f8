"""Places and the zones they may be in."""

import pytest

from forestall.incident import places


@pytest.mark.parametrize(
    ("place", "zones"),
    [
        ("Dallas, TX", ("America/Chicago",)),
        ("dallas , texas", ("America/Chicago",)),
        ("Dallas", ("America/Chicago",)),
        ("Marfa, TX", ("America/Chicago",)),
        ("El Paso, TX", ("America/Denver",)),
        ("Tennessee", ("America/Chicago", "America/New_York")),
        ("Paris, France", ("Europe/Paris",)),
        ("Paris, TX", ("America/Chicago",)),
        ("München", ()),
        ("Munich", ("Europe/Berlin",)),
        ("Kyiv", ("Europe/Kyiv",)),
        ("Washington, DC", ("America/New_York",)),
        ("", ()),
        (",,", ()),
    ],
)
def test_candidates(place, zones):
    """A town counts within its region; a split state gives the zone of the town, or both."""
    assert places.candidates(place) == zones


def test_a_name_of_a_state_and_of_a_country_is_both():
    """Georgia may be either, so both zones stay candidates."""
    assert set(places.candidates("Georgia")) == {"America/New_York", "Asia/Tbilisi"}


def test_the_zone_of_most_people_comes_first():
    """The first candidate of a country is not the first of zone.tab."""
    assert places.candidates("Australia")[0] == "Australia/Sydney"
    assert places.canonical_zones()[0] == "America/New_York"
