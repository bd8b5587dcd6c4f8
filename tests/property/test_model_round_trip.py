"""Every noun that is a document survives JSON, and damage to the document is refused."""

import dataclasses
import importlib
import json
import pkgutil
import types
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forestall.model
from forestall.errors import InputError
from forestall.model import codec

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def _values(hint):
    """What a field of this type may hold; JSON carried as it is where the type is Any."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return JSON_VALUES
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(_values, arguments))
    if origin is tuple:
        return st.lists(_values(arguments[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.dictionaries(st.text(max_size=4), _values(arguments[1]), max_size=3)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = {f.name: _of_field(f, hints[f.name]) for f in dataclasses.fields(hint)}
        return st.builds(hint, **fields)
    return st.from_type(hint)


def _of_field(field, hint):
    """A size in bytes is at least 0, unless its field says otherwise."""
    sized = field.name.endswith("_bytes") and not field.metadata.get("signed")
    if sized and hint in (int, int | None):
        size = st.integers(min_value=0)
        return size if hint is int else st.none() | size
    return _values(hint)


def _documents():
    found = []
    for module in pkgutil.iter_modules(forestall.model.__path__):
        names = vars(importlib.import_module(f"forestall.model.{module.name}"))
        found += [
            noun
            for noun in names.values()
            if dataclasses.is_dataclass(noun) and "SCHEMA" in vars(noun)
        ]
    return sorted(set(found), key=lambda noun: noun.SCHEMA)


DOCUMENTS = _documents()


def test_there_are_documents_and_no_two_share_a_schema():
    """A schema names one noun, so a reader can tell what it was given."""
    schemas = [noun.SCHEMA for noun in DOCUMENTS]
    assert len(schemas) >= 8
    assert len(set(schemas)) == len(schemas)


@pytest.mark.parametrize("noun", DOCUMENTS, ids=lambda noun: noun.__name__)
def test_a_document_survives_json(noun):
    """Writing a noun down and reading it again gives the same noun."""

    @settings(max_examples=25, deadline=None)
    @given(_values(noun))
    def check(value):
        text = codec.dumps(value)
        assert codec.loads(noun, text) == value
        assert json.loads(text)["schema"] == noun.SCHEMA

    check()


@pytest.mark.parametrize("noun", DOCUMENTS, ids=lambda noun: noun.__name__)
def test_a_document_of_another_schema_is_refused(noun):
    """A verdict is not read as a plan, nor version 2 as version 1."""
    with pytest.raises(InputError, match="expected schema"):
        codec.from_document(noun, {"schema": noun.SCHEMA + "0"})
    with pytest.raises(InputError, match="expected a JSON object"):
        codec.from_document(noun, [])


@pytest.mark.parametrize("noun", DOCUMENTS, ids=lambda noun: noun.__name__)
def test_a_damaged_document_is_refused_with_its_place(noun):
    """A missing, an unknown and a wrongly typed field are each named."""

    @settings(max_examples=5, deadline=None)
    @given(_values(noun), st.data())
    def check(value, data):
        document = codec.to_document(value)
        required = [
            f.name
            for f in dataclasses.fields(noun)
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        ]
        name = data.draw(st.sampled_from(required)) if required else None
        with pytest.raises(InputError, match="unknown field /extra~1field"):
            codec.from_document(noun, {**document, "extra/field": 1})
        if name is not None:
            with pytest.raises(InputError, match=f"/{name}"):
                codec.from_document(noun, {k: v for k, v in document.items() if k != name})
            with pytest.raises(InputError, match=f"/{name}"):
                codec.from_document(noun, {**document, name: object()})

    check()


@given(JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_no_json_value_at_all_makes_the_reader_fall_over(value):
    """Whatever is given where a document is expected, the answer is an InputError."""
    for noun in DOCUMENTS:
        with pytest.raises(InputError):
            codec.from_document(noun, value)


@pytest.mark.parametrize("text", ["", "{", "NaN", b"\xff\xfe", "[" * 100_000, '{"a": Infinity}'])
def test_what_is_no_json_is_refused_in_one_line(text):
    """Damaged JSON names its place and never raises anything else."""
    with pytest.raises(InputError) as caught:
        codec.parse_json(text)
    assert "\n" not in caught.value.message


def test_numbers_that_are_not_finite_have_no_json():
    """Unknown is None; NaN and infinity are programmer's errors."""
    with pytest.raises(ValueError, match="finite"):
        codec.encode(float("inf"))
