"""Pressure stall information (kernel 4.20 and later, where it is switched on)."""

import math

from forestall.errors import InputError
from forestall.model.sample import Pressure
from forestall.sense.host import Host, decode

MEMORY_PATH = "proc/pressure/memory"


def parse_pressure(data: bytes, path: str = MEMORY_PATH) -> Pressure:
    """One PSI file: shares in percent, totals from microseconds to seconds.

    Raises InputError for anything but `some ...` and an optional `full ...` line.
    """
    lines: dict[str, dict[str, float]] = {}
    for number, line in enumerate(data.splitlines(), 1):
        try:
            kind, *pairs = decode(line).split()
            values = dict(pair.split("=") for pair in pairs)
            lines[kind] = {key: _number(values[key]) for key in ("avg10", "avg60", "total")}
        except (ValueError, KeyError):
            raise InputError(f"{path} line {number}: no pressure in {decode(line)!r}") from None
    some = lines.get("some")
    if some is None:
        raise InputError(f"{path} line 1: no `some` line")
    full = lines.get("full")
    return Pressure(
        some_avg10=some["avg10"],
        some_avg60=some["avg60"],
        some_total_seconds=some["total"] / 1e6,
        full_avg10=full["avg10"] if full else None,
        full_avg60=full["avg60"] if full else None,
        full_total_seconds=full["total"] / 1e6 if full else None,
    )


def _number(text: str) -> float:
    """A finite number; Python would take `nan` and `inf` for floats too."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def read_pressure(host: Host, path: str = MEMORY_PATH) -> Pressure | None:
    """The pressure in one file; None where this kernel keeps none."""
    data = host.read_bytes(path, 1024)
    return parse_pressure(data, path) if data else None
