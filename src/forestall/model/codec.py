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
    """JSON values of `text`. Raises InputError where it is no JSON, with line and column."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"no JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"no JSON: {error}") from None


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _schema(cls: type) -> str:
    schema = getattr(cls, "SCHEMA", None)
    assert isinstance(schema, str), f"{cls.__name__} declares no SCHEMA"
    return schema


class _Unsure(Exception):  # noqa: N818 (no error: the question goes to the strict decoder)
    """Something is not as a sound document has it."""


_Read = Callable[[Json], Any]
_Field = tuple[frozenset[type], _Read | None]
"""The exact JSON types that a field takes, and what makes its value of one that is not None."""


@functools.cache
def _plain(cls: Any) -> _Read:
    """The decoder of sound documents of `cls`: several times as fast as the one that explains.

    A fleet's facts are read by the hundred thousand, so types are looked up once a noun.
    """
    if not _is_noun(cls):
        return functools.partial(_refuse, cls)
    fields = {f.name: _field(_hints_of(cls)[f.name]) for f in dataclasses.fields(cls)}
    sound = frozenset((name, kind) for name, (kinds, _) in fields.items() for kind in kinds)
    build = _builder(cls)
    makers = [(name, make) for name, (_, make) in fields.items() if make is not None]
    sizes = _sizes(cls)

    def read(data: Json) -> Any:
        # One set operation looks at every name and type: most fields are a plain value or null.
        if type(data) is not dict or not sound.issuperset(
            zip(data, map(type, data.values()), strict=True)
        ):
            raise _Unsure
        if sizes and min(filter(None, map(data.get, sizes)), default=0) < 0:
            raise _Unsure
        made = {name: make(value) for name, make in makers if (value := data.get(name)) is not None}
        return build({**data, **made})

    return read


@functools.cache
def _sizes(cls: Any) -> tuple[str, ...]:
    """The fields that hold a whole number of bytes, which is at least 0."""
    hints = _hints_of(cls)
    return tuple(
        f.name
        for f in dataclasses.fields(cls)
        if f.name.endswith("_bytes")
        and hints[f.name] in (int, int | None)
        and not f.metadata.get("signed")
    )


def _builder(cls: Any) -> _Read:
    """`cls(**values)`, for most nouns in half the time.

    The __init__ of a frozen class looks each slot up by name; this fills the slots themselves,
    where that is all that __init__ would do.
    """
    fields = dataclasses.fields(cls)
    does_more = hasattr(cls, "__post_init__") or not hasattr(cls, "__slots__")
    if does_more or any(f.default_factory is not dataclasses.MISSING or not f.init for f in fields):
        return lambda values: cls(**values)
    fill = [getattr(cls, f.name).__set__ for f in fields]
    defaults = {f.name: f.default for f in fields}
    needed = frozenset(f.name for f in fields if f.default is dataclasses.MISSING)

    def build(values: Json) -> Any:
        if not needed <= values.keys():
            raise _Unsure
        noun = object.__new__(cls)
        # Of the names that both have, the place is that of `defaults`: the order of the fields.
        for put, value in zip(fill, {**defaults, **values}.values(), strict=True):
            put(noun, value)
        return noun

    return build


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
    # An enumeration refuses what it does not know by itself; JSON that is carried has no type.
    return frozenset(_JSON_TYPES), None if hint in (Any, object) else hint


_JSON_TYPES = (dict, list, str, int, float, bool, type(None))


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
    return names.get(type(data)) or ("a negative number" if data < 0 else "a number")


def _escape(key: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
