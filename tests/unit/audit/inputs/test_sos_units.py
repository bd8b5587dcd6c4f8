"""Units of reports whose sos did not ask systemd: from their files, as systemd would show them."""

import pytest

from forestall.audit.inputs.sos_units import (
    UNIT_LIMIT,
    shown_slices,
    shown_units,
    why_slices_cut,
)

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


def test_no_more_slices_than_the_limit_are_made_of_names():
    """Every part of a name may be another slice."""
    names = (f"sys/fs/cgroup/{n}.slice/" + "a.slice/" * 100 + "memory.max" for n in range(100))
    files = dict.fromkeys(names, b"max\n")
    assert shown_slices(files).count("Id=") == UNIT_LIMIT + 1
    assert "left out" in why_slices_cut(files)


def test_a_slice_whose_limits_were_not_copied_is_a_reason():
    """Without swap accounting no slice has a limit of swap; with it, each has."""
    place = "sys/fs/cgroup/work.slice"
    files = {f"{place}/memory.max": b"max\n", f"{place}/memory.high": b"max\n"}
    assert why_slices_cut(files) is None
    assert why_slices_cut({**files, f"{place}/memory.max": b""}).endswith(f"{place}/memory.max")
    other = {"sys/fs/cgroup/x.service/memory.swap.max": b"max\n"}
    assert why_slices_cut(files | other).endswith(f"{place}/memory.swap.max")
