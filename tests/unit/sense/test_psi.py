"""Pressure stall information."""

import pytest
from tests.fakes.host import FakeHost

from forestall.errors import InputError
from forestall.sense.psi import parse_pressure, read_pressure

TEXT = b"""some avg10=1.50 avg60=0.25 avg300=0.05 total=2500000
full avg10=0.75 avg60=0.10 avg300=0.01 total=1000000
"""


def test_both_lines_are_read_and_totals_become_seconds():
    """Percent stay percent; the kernel's microseconds become seconds."""
    pressure = parse_pressure(TEXT)
    assert (pressure.some_avg10, pressure.some_avg60, pressure.some_total_seconds) == (
        1.5,
        0.25,
        2.5,
    )
    assert (pressure.full_avg10, pressure.full_avg60, pressure.full_total_seconds) == (
        0.75,
        0.1,
        1.0,
    )


def test_a_kernel_without_the_full_line_has_none_for_it():
    """The line that is not there is None, never zero."""
    pressure = parse_pressure(TEXT.splitlines(keepends=True)[0])
    assert pressure.full_avg10 is None
    assert pressure.full_total_seconds is None


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", 1),
        (b"full avg10=0 avg60=0 total=0\n", 1),
        (TEXT + b"some avg10=high avg60=0 total=0\n", 3),
        (b"some avg10=0.0\n", 1),
        (b"\t\n", 1),
        (b"some avg10=nan avg60=0 total=0\n", 1),
        (b"some avg10=0 avg60=0 total=1e999\n", 1),
        (b"some avg10 avg60 total\n", 1),
    ],
)
def test_anything_else_names_the_path_and_the_line(data, line):
    """A damaged file is an error that says where."""
    with pytest.raises(InputError, match=f"proc/pressure/memory line {line}"):
        parse_pressure(data)


def test_a_kernel_without_psi_has_none(tmp_path):
    """No file, no pressure."""
    fake = FakeHost(tmp_path)
    assert read_pressure(fake.host()) is not None
    fake.remove("proc/pressure")
    assert read_pressure(fake.host()) is None
