"""Numbers follow the local day of the site."""

import pytest

from forestall.errors import InputError
from forestall.incident import numbers


@pytest.mark.parametrize(
    ("at", "zone", "day"),
    [
        (1_773_467_999.0, "America/Chicago", "20260314"),
        (1_773_464_399.0, "America/Chicago", "20260313"),  # 23:59:59 there, the 14th in UTC
        (1_773_464_399.0, "UTC", "20260314"),
        (1_773_464_399.0, "Pacific/Kiritimati", "20260314"),
        (1_773_500_000.0, "Pacific/Kiritimati", "20260315"),
    ],
)
def test_the_day_is_local(at, zone, day):
    """Midnight at the site divides the days, not midnight in UTC."""
    assert next(numbers.candidates(at, zone)) == f"INC-{day}-001"


def test_a_day_has_an_end():
    """Incident 1000 of a day is refused, with advice."""
    with pytest.raises(InputError, match="more than 999") as caught:
        list(numbers.candidates(0.0, "UTC"))
    assert "incident list" in caught.value.help


def test_only_numbers_are_listed(tmp_path):
    """Other files in the folder are no incidents; a folder that is not there has none."""
    for name in ("INC-20260314-002", "INC-20260314-001", ".lock", "INC-1", "notes"):
        (tmp_path / name).mkdir()
    assert numbers.listed(str(tmp_path)) == ["INC-20260314-001", "INC-20260314-002"]
    assert numbers.listed(str(tmp_path / "none")) == []
