"""Incident numbers, INC-YYYYMMDD-NNN: the day is the local day of detection at the site."""

import datetime
import os
import re
import zoneinfo
from collections.abc import Iterator

from forestall.errors import InputError

INCIDENTS_PER_DAY_MAX = 999

_NUMBER = re.compile(r"INC-\d{8}-\d{3}")


def is_number(name: str) -> bool:
    """Whether `name` has the form of an incident number."""
    return _NUMBER.fullmatch(name) is not None


def local_day(at: float, zone: str) -> str:
    """`YYYYMMDD` of `at` (seconds since the epoch) in an IANA zone."""
    moment = datetime.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(zone))
    return moment.strftime("%Y%m%d")


def candidates(at: float, zone: str) -> Iterator[str]:
    """Numbers of that local day, ascending. Raises InputError when the day has no more."""
    day = local_day(at, zone)
    for count in range(1, INCIDENTS_PER_DAY_MAX + 1):
        yield f"INC-{day}-{count:03d}"
    raise InputError(
        f"more than {INCIDENTS_PER_DAY_MAX} incidents on {day}",
        help="something opens incidents in a loop; see `forestall incident list`",
    )


def listed(folder: str) -> list[str]:
    """The numbers that have a folder under `folder`, ascending; none where it does not exist."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if is_number(name))
