"""Local time and its abbreviation: `CST` means nothing without a place and a date.

An abbreviation is resolved to an IANA zone, or refused with what would resolve it. It is never
guessed: CST is in force in Dallas in January and not in July, in Shanghai always, in Cuba too.
"""

import functools
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo

from forestall.errors import InputError
from forestall.incident import places

_UTC_NAMES = ("UTC", "Z")
_NAMED_IN_MESSAGE_MAX = 3


def abbreviation(local: datetime, zone: str) -> str:
    """What a clock in `zone` calls its time at the naive `local` (its `fold` counts).

    Raises InputError for a zone nobody knows, and for a reading the clock there never shows.
    """
    aware = local.replace(tzinfo=zone_info(zone))
    if not _exists(aware):
        raise InputError(
            f"{local.isoformat(sep=' ')} does not exist in {zone}: the clock goes forward there"
        )
    return aware.tzname() or ""


def resolve(name: str, place: str | None, local: datetime) -> str:
    """The IANA zone in which the naive `local` time is called `name`, at `place`.

    With a place, the abbreviation must be the one in force there on that date. Without one, or
    at a place nobody knows, only UTC, GMT and an abbreviation that a single zone of the world
    uses on that date are accepted. Raises InputError otherwise, with what would resolve it.
    """
    if name in _UTC_NAMES:
        return "UTC"
    found = places.candidates(place) if place else ()
    if place and found:
        return _resolve_among(found, name, place, local)
    if name == "GMT":
        return "Etc/GMT"
    return _resolve_anywhere(name, place, local)


def confirm(name: str, zone: str, local: datetime) -> str:
    """`zone` itself, if `name` is in force there at `local`. Raises InputError otherwise."""
    if name in _UTC_NAMES:
        return "UTC"
    if _reading(local, zone, name) is None:
        raise _not_in_force(name, zone, zone, local)
    return zone


def fold_of(local: datetime, zone: str, name: str) -> int:
    """0, or 1 when only the second of two equal readings is called `name`."""
    reading = _reading(local, zone, name)
    return reading.fold if reading else 0


@functools.lru_cache(maxsize=1024)
def zone_info(zone: str) -> tzinfo:
    """The rules of an IANA zone. Raises InputError if it is unknown, or none are installed."""
    if zone == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    if not zoneinfo.available_timezones():
        raise InputError(
            f"this host has no time zone database, so {zone} cannot be looked up",
            help="install it: `pip install tzdata`, or the system's package tzdata",
        )
    raise InputError(f"no such time zone: {zone!r}", help="write for example America/Chicago")


def _resolve_among(found: tuple[str, ...], name: str, place: str, local: datetime) -> str:
    readings = {zone: _reading(local, zone, name) for zone in found}
    fitting = {zone: reading for zone, reading in readings.items() if reading is not None}
    if len({reading.utcoffset() for reading in fitting.values()}) == 1:
        return next(iter(fitting))
    if fitting:
        raise InputError(
            f"{name} in {place} on {local.date()} may be {_listed(tuple(fitting), local)}",
            help=f"say which with --zone {next(iter(fitting))}",
        )
    if name == "GMT" and not any(_ever_called(zone, name, local.year) for zone in found):
        return "Etc/GMT"
    raise _not_in_force(name, place, found[0], local)


def _resolve_anywhere(name: str, place: str | None, local: datetime) -> str:
    zones = places.canonical_zones()
    if not zones:
        # Without tables nothing can be known to be unique, only whether there are rules at all.
        zone_info("America/Chicago")
    fitting = tuple(zone for zone in zones if _reading(local, zone, name))
    if len(fitting) == 1:
        return fitting[0]
    where = f"nothing is known of the place {place!r}" if place else "no place is given"
    if not fitting:
        raise InputError(
            f"no zone calls its time {name} on {local.date()}, and {where}",
            help="give the zone with --zone, for example --zone America/Chicago",
        )
    raise InputError(
        f"{name} may be {_listed(fitting, local)}, and {where}",
        help=f"name the place in the document, or give the zone, for example --zone {fitting[0]}",
    )


def _reading(local: datetime, zone: str, name: str) -> datetime | None:
    """The aware reading of `local` that is called `name` in `zone`, if there is one."""
    rules = zone_info(zone)
    for fold in (0, 1):
        aware = local.replace(tzinfo=rules, fold=fold)
        if aware.tzname() == name and _exists(aware):
            return aware
    return None


def _exists(aware: datetime) -> bool:
    """False for a reading that is skipped when the clock goes forward."""
    try:
        back = aware.astimezone(UTC).astimezone(aware.tzinfo)
    except OverflowError:
        return True
    return back.replace(tzinfo=None, fold=0) == aware.replace(tzinfo=None, fold=0)


def _ever_called(zone: str, name: str, year: int) -> bool:
    rules = zone_info(zone)
    return any(datetime(year, month, 15, tzinfo=rules).tzname() == name for month in (1, 7))


def _not_in_force(name: str, place: str, zone: str, local: datetime) -> InputError:
    aware = local.replace(tzinfo=zone_info(zone))
    wrong = f"{name} is not in force in {place} on {local.date()}"
    if not _exists(aware):
        return InputError(
            f"{wrong}: {local:%H:%M} does not exist there, the clock goes forward",
            help="correct the time",
        )
    return InputError(
        f"{wrong}: {zone} says {aware.tzname()}",
        help=f"write {aware.tzname()} if that was meant, or give the zone that was with --zone",
    )


def _listed(zones: tuple[str, ...], local: datetime) -> str:
    """A few of `zones` in words, one for each offset as far as they differ."""
    by_offset = {_offset(zone, local): zone for zone in reversed(zones)}
    first = [zone for zone in zones if zone in by_offset.values()]
    chosen = (first if len(first) > 1 else list(zones))[:_NAMED_IN_MESSAGE_MAX]
    shown = [f"{zone} ({_offset(zone, local)})" for zone in chosen]
    if len(zones) > len(shown):
        shown.append(f"one of {len(zones) - len(shown)} more")
    return ", ".join(shown[:-1]) + " or " + shown[-1]


def _offset(zone: str, local: datetime) -> str:
    offset = local.replace(tzinfo=zone_info(zone)).utcoffset() or timedelta(0)
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
    return f"UTC{'-' if offset < timedelta(0) else '+'}{hours:02d}:{minutes:02d}"
