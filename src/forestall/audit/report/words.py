"""Texts and values as reports show them: printable, and bounded."""

import json
import math
from datetime import UTC, datetime

from forestall.model.codec import Json
from forestall.model.finding import Fact
from forestall.units import format_bytes

VALUE_LIMIT = 400


def printable(text: str) -> str:
    """`text` with all that a terminal would obey, or could not show, as an escape of Python's."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def xml_text(text: str) -> str:
    """`text` without what no XML or HTML document may hold (control characters, surrogates)."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def bounded(value: Json) -> Json:
    """A fact's value, cut where it is longer than anybody reads."""
    if isinstance(value, str):
        return value if len(value) <= VALUE_LIMIT else f"{value[:VALUE_LIMIT]}..."
    if isinstance(value, list | dict):
        text = json.dumps(value)
        return value if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}..."
    return value


def percent(share: float) -> str:
    """A share, never rounded up: what is not all must not read as 100 %."""
    return f"{math.floor(100 * share)} %"


def shown(fact: Fact) -> str:
    """A value in words: bytes with their unit, None as what it is."""
    value = fact.value
    if value is None:
        # What a service or slice was asked for and lacks is a setting that nobody made.
        return "not set" if fact.pointer.startswith(("/units/", "/slices/")) else "not seen"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and fact.pointer.endswith("_bytes"):
        return format_bytes(value)
    if isinstance(value, dict):
        told = {name: one for name, one in value.items() if one is not None}
        return str(bounded(", ".join(f"{name} {one}" for name, one in told.items()))) or "none"
    if isinstance(value, list):
        return ", ".join(str(one) for one in bounded(value) or ()) if value else "none"
    return str(bounded(value))


def observed(facts: tuple[Fact, ...], limit: int = 6) -> str:
    """What was seen, in one line."""
    parts = [f"{fact.name} {shown(fact)}" for fact in facts[:limit]]
    more = len(facts) - limit
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def moment(at: float) -> str:
    """A time in UTC, to the minute."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def plural(count: int, noun: str) -> str:
    """`1 host`, `1,204 hosts`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
