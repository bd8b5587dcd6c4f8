"""Nouns to JSON and back, strictly: a wrong type, a missing or an unknown field is an InputError.

A noun that is written down as a document of its own declares `SCHEMA`, for example
`forestall/verdict/1`; `to_document` puts it first and `from_document` refuses any other.

A whole number of bytes is never negative, unless its field says so: `field(metadata=SIGNED)`.
"""

import dataclasses
import enum
import functools
import json
import math
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from forestall.errors import InputError

Json = Any
"""A JSON value carried as it is."""

Noun = TypeVar("Noun")

SIGNED: Mapping[str, bool] = {"signed": True}
"""The metadata of a field in bytes that may be below zero."""

_LARGEST = sys.float_info.max


def encode(value: object) -> Json:
    """A noun as JSON values. Tuples become lists, enums their value, nested nouns objects."""
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number that is not finite has no JSON; use None")
        return value
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        names = _names(typing.cast(Any, type(value)))
        return {name: encode(getattr(value, name)) for name in names}
    raise TypeError(f"{type(value).__name__} has no JSON")


@functools.cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(cls))


def decode(cls: type[Noun], data: Json) -> Noun:
    """The noun of `cls` that `data` holds. Raises InputError with the JSON pointer of the fault."""
    result: Noun
    try:
        result = _plain(typing.cast(Any, cls))(data)
    except (_Unsure, TypeError, ValueError, OverflowError):
        # Only what is not plain is looked at again, by the decoder that can say what is wrong.
        result = _decode(cls, data, "")
    return result


def to_document(noun: object) -> dict[str, Json]:
    """A noun as a document that says its own schema."""
    return {"schema": _schema(type(noun)), **encode(noun)}


def from_document(cls: type[Noun], data: Json) -> Noun:
    """The noun of `cls` in a document. Raises InputError for another schema or a damaged body."""
    if not isinstance(data, dict):
        raise InputError(f"expected a JSON object, found {_kind(data)}")
    body = dict(data)
    found = body.pop("schema", None)
    if found != _schema(cls):
        raise InputError(
            f"expected schema {_schema(cls)}, found {found!r}",
            help="the document was written by another version or is of another kind",
        )
    return decode(cls, body)


def dumps(noun: object) -> str:
    """One line of JSON for a document."""
    return json.dumps(to_document(noun), allow_nan=False, separators=(",", ":"))


def loads(cls: type[Noun], text: str | bytes) -> Noun:
    """Inverse of `dumps`. Raises InputError for text that is no JSON."""
    return from_document(cls, parse_json(text))


def parse_json(text: str | bytes) -> Json:
    """JSON values of `text`. Raises InputError where it is no JSON, with line and column.

    An object that names a key twice is refused: of two readers each may take another value.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise InputError(
            f"no JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"no JSON: no text in {error.encoding} at byte {error.start}") from None
    except RecursionError:
        raise InputError("no JSON: nested too deeply") from None
    except ValueError:
        # All that is left: Python makes no number of thousands of digits.
        raise InputError("no JSON: a number of too many digits") from None


def _no_constant(name: str) -> Json:
    raise InputError(f"no JSON: {name} is not JSON")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _schema(cls: type) -> str:
    schema = getattr(cls, "SCHEMA", None)
    assert isinstance(schema, str), f"{cls.__name__} declares no SCHEMA"
    return schema


class _Unsure(Exception):  # noqa: N818 (no error: the question goes to the strict decoder)
    """Something is not as a sound document has it."""


_Read = Callable[[Json], Any]
_Field = tuple[frozenset[type], _Read | None]
"""The exact JSON types that a field takes, and what makes its value of one that is not None."""

_Plan = tuple[list[tuple[int, _Read]], list[Callable[[Any, Any], None]], list[Any], _Read]
"""Which values must be made, by place; the slots they go into; defaults of what is left out; what
picks the sizes in bytes out of the values."""

PLANS = 1024
"""How many different documents of a noun are remembered; a fleet has a few dozen."""


@functools.cache
def _plain(cls: Any) -> _Read:
    """The decoder of sound documents of `cls`: several times as fast as the one that explains.

    A fleet's facts are read by the hundred thousand, and its documents are alike: what is to be
    done is worked out once for all that have the same names with values of the same types.
    """
    if not _is_noun(cls) or not hasattr(cls, "__slots__"):
        return functools.partial(_refuse, cls)
    plan = functools.lru_cache(PLANS)(functools.partial(_plan, cls))
    check = getattr(cls, "__post_init__", None)
    new = object.__new__

    def read(data: Json) -> Any:
        if type(data) is not dict:
            raise _Unsure
        makers, slots, defaults, sizes = plan(tuple(data), tuple(map(type, data.values())))
        values = [*data.values(), *defaults]
        if min(sizes(values)) < 0:
            raise _Unsure
        for place, make in makers:
            values[place] = make(values[place])
        # What __init__ does, in a third of the time: that of a frozen class looks up each slot.
        noun = new(cls)
        for put, value in zip(slots, values, strict=False):
            put(noun, value)
        if check is not None:
            check(noun)
        return noun

    return read


def _plan(cls: Any, names: tuple[str, ...], kinds: tuple[type, ...]) -> _Plan:
    """How a document with these names and types is read. Raises _Unsure where it is not sound."""
    hints = _hints_of(cls)
    makers: list[tuple[int, _Read]] = []
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        accepted, make = _field(hints[name]) if name in hints else _NO_FIELD
        if kind not in accepted:
            raise _Unsure
        if make is not None and kind is not type(None):
            makers.append((place, make))
    left_out = [f for f in dataclasses.fields(cls) if f.name not in names]
    for place, f in enumerate(left_out, len(names)):
        if f.default_factory is not dataclasses.MISSING:
            makers.append((place, functools.partial(_made, f.default_factory)))
        elif f.default is dataclasses.MISSING:
            raise _Unsure
    slots = [getattr(cls, name).__set__ for name in (*names, *(f.name for f in left_out))]
    return makers, slots, [f.default for f in left_out], _sizes_of(cls, names, kinds)


def _sizes_of(cls: Any, names: tuple[str, ...], kinds: tuple[type, ...]) -> _Read:
    """What picks the sizes in bytes out of the values of such a document, and is never empty."""
    told = _sizes(cls)
    places = [
        place
        for place, (name, kind) in enumerate(zip(names, kinds, strict=True))
        if kind is int and name in told
    ]
    if not places:
        return lambda _values: (0,)
    # Of one place alone `itemgetter` would give the bare value.
    return operator.itemgetter(*places, places[0])


@functools.cache
def _sizes(cls: Any) -> frozenset[str]:
    """The fields that hold a whole number of bytes, which is at least 0."""
    hints = _hints_of(cls)
    return frozenset(
        f.name
        for f in dataclasses.fields(cls)
        if f.name.endswith("_bytes")
        and hints[f.name] in (int, int | None)
        and not f.metadata.get("signed")
    )


def _made(factory: Callable[[], Any], _default: Any) -> Any:
    return factory()


def _is_noun(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint)


def _refuse(_cls: Any, _data: Json) -> Any:
    raise _Unsure


def _field(hint: Any) -> _Field:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [argument for argument in arguments if argument is not type(None)]
        accepted, make = _field(inner)
        return accepted | {type(None)}, make
    if origin is tuple:
        return frozenset((list,)), _items(_field(arguments[0]))
    if _is_noun(hint):
        return frozenset((dict,)), _plain(hint)
    if origin is not None and issubclass(origin, Mapping):
        return frozenset((dict,)), _mapping(_field(arguments[1]))
    if hint is float:
        return frozenset((float, int)), _finite
    if hint in (int, str, bool):
        return frozenset((hint,)), None
    if hint in (Any, object):
        return frozenset(_JSON_TYPES), None
    # An enumeration refuses what it does not know by itself.
    return frozenset((str,)), hint


_JSON_TYPES = (dict, list, str, int, float, bool, type(None))
_NO_FIELD: _Field = (frozenset(), None)


def _items(field: _Field) -> _Read:
    accepted, make = field

    def read(data: Json) -> Any:
        if not accepted.issuperset(map(type, data)):
            raise _Unsure
        if make is None:
            return tuple(data)
        return tuple([None if item is None else make(item) for item in data])

    return read


def _mapping(field: _Field) -> _Read:
    accepted, make = field

    def read(data: Json) -> Any:
        if not accepted.issuperset(map(type, data.values())):
            raise _Unsure
        if make is None:
            return dict(data)
        return {key: None if value is None else make(value) for key, value in data.items()}

    return read


def _finite(data: Json) -> float:
    value = float(data)
    if not -_LARGEST <= value <= _LARGEST:
        raise _Unsure
    return value


def _decode(hint: Any, data: Json, where: str) -> Any:
    if hint is Any or hint is object:
        return data
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(arguments, data, where)
    if origin is tuple:
        _expect(isinstance(data, list), "a list", data, where)
        return tuple(_decode(arguments[0], item, f"{where}/{i}") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(data, dict), "an object", data, where)
        return {
            key: _decode(arguments[1], item, f"{where}/{_escape(key)}")
            for key, item in data.items()
        }
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, data, where)
    return _decode_scalar(hint, data, where)


def _decode_union(arguments: tuple[Any, ...], data: Json, where: str) -> Any:
    if data is None and type(None) in arguments:
        return None
    (inner,) = [argument for argument in arguments if argument is not type(None)]
    return _decode(inner, data, where)


def _decode_dataclass(cls: Any, data: Json, where: str) -> Any:
    _expect(isinstance(data, dict), "an object", data, where)
    hints = _hints_of(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for name in data:
        if name not in fields:
            raise InputError(f"unknown field {where}/{_escape(name)} in {cls.__name__}")
    values = {}
    for name, f in fields.items():
        if name in data:
            value = _decode(hints[name], data[name], f"{where}/{name}")
            _expect(
                name not in _sizes(cls) or value is None or value >= 0,
                "a size of at least 0",
                data[name],
                f"{where}/{name}",
            )
            values[name] = value
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise InputError(f"missing field {where}/{name} in {cls.__name__}")
    try:
        return cls(**values)
    except ValueError as error:
        raise InputError(f"bad {cls.__name__} at {where or '/'}: {error}") from None


@functools.cache
def _hints_of(cls: Any) -> dict[str, Any]:
    """The types of a noun's fields, looked up once: it would take half the time of decoding."""
    return typing.get_type_hints(cls)


def _decode_scalar(hint: Any, data: Json, where: str) -> Any:
    if issubclass(hint, enum.Enum):
        try:
            return hint(data)
        except ValueError:
            known = ", ".join(str(member.value) for member in hint)
            raise InputError(f"unknown value {data!r} at {where or '/'}: one of {known}") from None
    if hint is float:
        _expect(
            isinstance(data, int | float) and not isinstance(data, bool), "a number", data, where
        )
        # JSON has no infinity, and yet Python makes one of 1e999 and fails at 10**999.
        _expect(-_LARGEST <= data <= _LARGEST, "a number of usual size", data, where)
        return float(data)
    if hint is int:
        _expect(isinstance(data, int) and not isinstance(data, bool), "a whole number", data, where)
        return data
    _expect(isinstance(data, hint), {str: "text", bool: "true or false"}[hint], data, where)
    return data


def _expect(ok: bool, wanted: str, data: Json, where: str) -> None:
    if not ok:
        raise InputError(f"expected {wanted} at {where or '/'}, found {_kind(data)}")


def _kind(data: Json) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        type(None): "null",
    }
    negative = isinstance(data, int | float) and data < 0
    return names.get(type(data), "a negative number" if negative else "a number")


def _escape(key: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
