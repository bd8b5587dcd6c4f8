"""Facts: each is computed from values found at pointers into the entries of a review bundle.

A fact can only be made by a `Book`, through a derivation named in the table below, so that its
text is a pure function of bytes that a manifest has hashed.
"""

import datetime
import hashlib
import math
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from forestall.audit.exhaustion import cgroup_exhaustion, host_exhaustion
from forestall.audit.findings import audit
from forestall.errors import InputError
from forestall.incident.review import forms, statement
from forestall.incident.site import missing_keys, terms_of
from forestall.model import codec
from forestall.model.codec import Json
from forestall.model.facts import HostFacts
from forestall.model.finding import Finding
from forestall.model.review import Stamp
from forestall.model.sample import CgroupSample
from forestall.units import HOUR, MIB, MINUTE, format_bytes, format_duration

TERMS = "/host"
"""Where site.toml states what no host knows of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place in the bundle: an entry and a JSON pointer (RFC 6901) into it.

    A TOML entry is pointed into as the JSON object it stands for; an empty pointer is the whole,
    and of an entry that is neither JSON nor TOML it is the bytes.
    """

    entry: str
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value as the review shows it, and where it comes from.

    `derivation` names the row of DERIVATIONS that turns the values at `sources`, and after them
    `parameter` where there is one, into `text`.
    """

    name: str
    text: str
    sources: tuple[Source, ...]
    derivation: str
    parameter: str | int | None = None


# What a pure function over values of the wrong kind may raise; a bundle is foreign input.
_UNDERIVABLE = (
    ArithmeticError,
    AttributeError,
    InputError,
    LookupError,
    StopIteration,
    TypeError,
    ValueError,
)


class Book:
    """The entries of a review bundle, read as facts. Entries are bytes by name."""

    def __init__(self, entries: Mapping[str, bytes]) -> None:
        self.entries = entries
        self._parsed: dict[str, Json] = {}

    def document(self, entry: str) -> Json:
        """A JSON or TOML entry as JSON values, any other as its bytes. Raises InputError."""
        if entry not in self._parsed:
            self._parsed[entry] = _parse(entry, self.entries[entry])
        return self._parsed[entry]

    def value(self, source: Source) -> Json:
        """What stands at a place; None where there is nothing."""
        if source.entry not in self.entries:
            return None
        value = self.document(source.entry)
        for step in source.pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value

    def fact(
        self, name: str, derivation: str, *sources: Source, parameter: str | int | None = None
    ) -> Fact:
        """The fact that a derivation gives for what stands at `sources`.

        Raises InputError where a value is missing or of the wrong kind.
        """
        values = [self.value(source) for source in sources]
        if parameter is not None:
            values.append(parameter)
        try:
            text = DERIVATIONS[derivation](*values)
        except _UNDERIVABLE as error:
            places = ", ".join(f"{source.entry}{source.pointer}" for source in sources)
            raise InputError(
                f"no {derivation} of {places}: {error or type(error).__name__}",
                help="the bundle was written by another version, or is damaged",
            ) from None
        return Fact(
            name=name, text=text, sources=sources, derivation=derivation, parameter=parameter
        )


def _parse(entry: str, data: bytes) -> Json:
    try:
        if entry.endswith(".toml"):
            return tomllib.loads(data.decode())
        return codec.parse_json(data) if entry.endswith(".json") else data
    except (InputError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{entry}: {error}") from None


def plain(text: str) -> str:
    """Text of foreign origin as part of one line: nothing in it can start a line, or a mark."""
    blank = " ".join(text[:_FOREIGN_LENGTH_MAX].split())
    shown = "".join(c if c.isprintable() else "�" for c in blank)
    return shown.translate(_MARKS).strip() or "�"


_FOREIGN_LENGTH_MAX = 2_000
_MARKS = str.maketrans({"`": "'", "[": "(", "]": ")", "{": "(", "}": ")"})


def local(at: float, zone: str) -> datetime.datetime:
    """A moment at the site. Raises ValueError for one that no calendar has."""
    return datetime.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(zone))


def _as_it_is(value: str | int) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{value!r} is neither text nor a whole number")
    return plain(str(value))


def _time(at: float, reference: float, zone: str) -> str:
    """A time of day; on another day than the reference's, date and time."""
    moment = local(at, zone)
    if moment.date() == local(reference, zone).date():
        return moment.strftime("%I:%M %p %Z")
    return moment.strftime("%Y-%m-%d %H:%M %Z")


def _second(at: float, reference: float, zone: str) -> str:
    moment = local(at, zone)
    if moment.date() == local(reference, zone).date():
        return moment.strftime("%I:%M:%S %p %Z")
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")


def stamp(at: float, zone: str) -> Stamp:
    """A moment as the record of a review holds it, to the second below."""
    moment = local(math.floor(at), zone)
    naive = moment.replace(tzinfo=None, fold=0)
    return Stamp(at=naive.isoformat(), zone=zone, fold=moment.fold)


def _stamp(at: float, zone: str) -> str:
    return statement.text(forms.Moment().show(codec.encode(stamp(at, zone)), ""))


def _forecast(at: float, seconds: float, reference: float, zone: str) -> str:
    return _time(at + seconds, reference, zone)


def _day_in_words(at: float, zone: str) -> str:
    day = local(at, zone).date().isoformat()
    return statement.text(forms.Day(in_words=True).show(day, ""))


def _deadline(at: float, days: int, zone: str) -> str:
    return (local(at, zone).date() + datetime.timedelta(days=days)).isoformat()


def _fills_in(held: int, left: int, bytes_per_second: float) -> str:
    """How long a service that starts again from nothing takes to where the limit was reached."""
    return format_duration((held + left) / bytes_per_second)


def _rate(bytes_per_second: float) -> str:
    """A rate in the unit of time in which it is at least a mebibyte, if there is one."""
    if abs(bytes_per_second) * MINUTE >= MIB:
        return f"{format_bytes(bytes_per_second * MINUTE)}/min"
    return f"{format_bytes(bytes_per_second * HOUR)}/h"


def _percent(part: float, whole: float) -> str:
    share = part / whole if whole else math.nan
    if not math.isfinite(share):
        raise ValueError("no share of nothing")
    return f"{share * 100:.0f}%"


def _lasted(until: float, since: float, took: float = 0.0) -> float:
    """Seconds from `since`, or from `took` seconds before it, until `until`."""
    return until - (since - took)


def _money(per_hour: float, currency: str, *ends: float) -> str:
    return f"{_lasted(*ends) / HOUR * per_hour:,.2f} {currency}"


def _series_at(series: Json, at: float) -> tuple[float, float]:
    """The (time, value) of a series document that is nearest to `at`."""
    points = list(zip(series["times"], series["values"], strict=True))
    return min(points, key=lambda point: abs(point[0] - at))


# What the kernel tells user space, on every architecture that forestall runs on (USER_HZ).
_TICKS_PER_SECOND = 100


def _host_sentence(facts: Json, index: int) -> str:
    return plain(host_exhaustion(codec.from_document(HostFacts, facts)).because[index].text)


def _cgroup_sentence(facts: Json, cgroup: Json, index: int) -> str:
    host = codec.from_document(HostFacts, facts)
    return plain(cgroup_exhaustion(host, codec.decode(CgroupSample, cgroup)).because[index].text)


def _headline(facts: Json) -> str:
    return _sentence(host_exhaustion(codec.from_document(HostFacts, facts)).headline)


def _cgroup_headline(facts: Json, cgroup: Json) -> str:
    host = codec.from_document(HostFacts, facts)
    return _sentence(cgroup_exhaustion(host, codec.decode(CgroupSample, cgroup)).headline)


def audited(facts: HostFacts, stated: Json) -> tuple[Finding, ...]:
    """What the audit says of a host on the terms that site.toml states of it, if any."""
    return audit(facts, terms_of(stated))


def _finding(facts: Json, stated: Json, *values: Json) -> Finding:
    """The finding of the rule that the last value names; the others are what it observed."""
    found = audited(codec.from_document(HostFacts, facts), stated)
    return next(finding for finding in found if finding.rule == values[-1])


def _closing(key: str, stated: Json, rule: str) -> str:
    """The command that answers true once the rule has nothing to say against this host.

    The roles that site.toml states are said again, so that it is asked of the same rules.
    """
    host = plain(key.partition("/")[0])
    roles = terms_of(stated).roles
    if not _BARE_HOST.fullmatch(host):
        host, roles = "'" + host.translate(_QUOTES) + "'", None
    closed = f"rule {rule} = pass or rule {rule} = not-applicable"
    same = "".join(f" --role {role}={host}" for role in sorted(roles or ()))
    return f'forestall audit check "all host where host = {host}: {closed}"{same}'


_BARE_HOST = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_QUOTES = str.maketrans("'\"", "??")


def _sentence(text: str) -> str:
    """Foreign text as a sentence of its own."""
    shown = plain(text)
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."


def _whole_minutes(*ends: float) -> str:
    return statement.text(forms.Minutes().show(round(_lasted(*ends) / MINUTE), ""))


def _start(reference: float, since: float, *rest: Json) -> str:
    took, zone = rest if len(rest) == 2 else (0.0, rest[0])
    return _second(since - took, reference, zone)


def _person(source: str) -> str:
    """Who wrote a note, fit for the attribute that marks it."""
    return plain(source).replace('"', "'")


LIMIT_KINDS: Mapping[str, str] = {
    "cgroup": "the memory limit of its cgroup",
    "host": "the memory of the whole host",
    "given": "the limit",
}

DERIVATIONS: Mapping[str, Callable[..., str]] = {
    "as it is": _as_it_is,
    "as a sentence": lambda text: _sentence(str(text)),
    "size": lambda value: format_bytes(value),
    "percent of": _percent,
    "rate": _rate,
    "duration": lambda seconds: format_duration(seconds),
    "time between": lambda since, until: format_duration(until - since),
    "whole minutes between": _whole_minutes,
    "local time": _time,
    "local time to the second": _second,
    "local time of the start": _start,
    "time it lasted": lambda *ends: format_duration(_lasted(*ends)),
    "name of a person": _person,
    "local stamp": _stamp,
    "local day": _day_in_words,
    "local day after": _deadline,
    "forecast time": _forecast,
    "time to fill": _fills_in,
    "ticks after boot": lambda ticks, booted, reference, zone: _time(
        booted + ticks / _TICKS_PER_SECOND, reference, zone
    ),
    "time since ticks after boot": lambda ticks, booted, until: format_duration(
        until - booted - ticks / _TICKS_PER_SECOND
    ),
    "factor": lambda value: f"{value:g}",
    "host of the key": lambda key: plain(key.partition("/")[0]),
    "service of the key": lambda key: plain(key.partition("/")[2]),
    "kind of limit in words": lambda kind: LIMIT_KINDS[kind],
    "size in the series near": lambda series, at: format_bytes(_series_at(series, at)[1]),
    "penalty": _money,
    "amount": lambda value: f"{value:,.2f}",
    "list": lambda values: ", ".join(plain(value) for value in values),
    "missing keys": lambda site: ", ".join(missing_keys(site)) or "nothing",
    "sentence on the exhaustion of the host": _host_sentence,
    "sentence on the exhaustion of the cgroup": _cgroup_sentence,
    "exhaustion of the host": _headline,
    "exhaustion of the cgroup": _cgroup_headline,
    "what the rule found": lambda *values: _sentence(_finding(*values).text),
    "remedy of the rule": lambda *values: _sentence(_finding(*values).remedy),
    "what closes it": _closing,
    "sha256 of the bytes": lambda data: hashlib.sha256(data).hexdigest(),
}
"""How a fact's text follows from the values it points at. Small and pure; a value of the wrong
kind raises."""
