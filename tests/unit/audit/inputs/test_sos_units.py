"""Units of reports whose sos did not ask systemd: from their files, as systemd would show them."""

import pytest

from forestall.audit.inputs.sos_units import shown_units

LISTED = "  feed-sync.service  loaded active running Feed\n"
PATH = "etc/systemd/system/feed-sync.service"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("512M", str(512 * 1024**2)),
        ("1.5G", str(3 * 1024**3 // 2)),
        ("4096", "4096"),
        ("infinity", "infinity"),
        ("80%", "80%"),
        ("", "infinity"),
    ],
)
def test_a_limit_is_shown_in_bytes(written, shown):
    """A size is the same number whichever of systemd's spellings the file has."""
    text = shown_units({PATH: f"[Service]\nMemoryMax={written}\n".encode()}, LISTED)
    assert f"MemoryMax={shown}\n" in text
