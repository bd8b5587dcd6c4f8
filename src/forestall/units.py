"""Bytes and seconds to words and back.

Conversion happens at the edges; inside, there are only bytes and seconds.
"""

import re

from forestall.errors import UsageError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_SIZES = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_DURATIONS = {"s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def format_bytes(count: float) -> str:
    """`1536` -> `1.5 KiB`; one decimal below ten, none above."""
    sign, size = ("-", -count) if count < 0 else ("", count)
    for unit, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        # Half a unit of rounding earlier, 1023.7 KiB would print as "1024 KiB".
        if size >= factor * (1 if unit == "KiB" else 0.9995):
            value = size / factor
            return f"{sign}{value:.1f} {unit}" if value < 9.95 else f"{sign}{value:.0f} {unit}"
    return f"{sign}{size:.0f} B"


def parse_bytes(text: str) -> int:
    """`512M`, `1.5GiB`, `4096` -> bytes; powers of 1024.

    Raises UsageError for anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"not a size: {text!r}", help="write for example 512M or 1.5G")
    return int(float(match[1]) * _SIZES[match[2].upper()])


def format_duration(seconds: float) -> str:
    """`9600` -> `2 h 40 min`; at most the two largest units."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 and whole != seconds else f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if whole < 2 * DAY:
        hours, rest = divmod(round(whole / 60), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, rest = divmod(round(whole / 3600), 24)
    return f"{days} d {rest} h" if rest else f"{days} d"


def parse_duration(text: str) -> float:
    """`90s`, `15m`, `6h`, `30d`, `2w` or a bare number of seconds -> seconds.

    Raises UsageError for anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", text)
    if match is None:
        raise UsageError(f"not a duration: {text!r}", help="write for example 90s, 15m, 6h or 30d")
    return float(match[1]) * _DURATIONS[match[2] or "s"]
