"""Each type of a field takes its own JSON and no other."""

from dataclasses import dataclass

import pytest

from forestall.errors import InputError
from forestall.model import codec
from forestall.model.action import Mode
from forestall.model.event import TimelineEvent
from forestall.model.facts import HostFacts, PostgresFacts, UnitFacts
from forestall.model.sample import ProcessKey

EVENT = {"id": "e", "at": 1.0, "kind": "onset", "key": "h/s", "source": "s", "text": "t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A noun with a condition."""

    days: int
    at: str
    origin: str

    def __post_init__(self):
        if self.days < 0:
            raise ValueError("fewer than no days")


@pytest.mark.parametrize(
    ("noun", "given", "message"),
    [
        (ProcessKey, {"pid": True}, "expected a whole number at /pid, found true or false"),
        (ProcessKey, {"pid": 1.5}, "expected a whole number at /pid, found a number"),
        (ProcessKey, {"pid": None}, "expected a whole number at /pid, found null"),
        (ProcessKey, {"boot_id": 7}, "expected text at /boot_id, found a number"),
        (UnitFacts, {"limit_known": 1}, "expected true or false at /limit_known, found a number"),
        (UnitFacts, {"active": "yes"}, "expected true or false at /active, found text"),
        (TimelineEvent, {"at": True}, "expected a number at /at, found true or false"),
        (TimelineEvent, {"kind": "other"}, "unknown value 'other' at /kind: one of "),
        (TimelineEvent, {"data": []}, "expected an object at /data, found a list"),
        (TimelineEvent, {"evidence": "abc"}, "expected a list at /evidence, found text"),
        (TimelineEvent, {"evidence": ["a", 1]}, "expected text at /evidence/1, found a number"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(noun, given, message):
    """JSON's true is no 1 and its text no list, whatever Python would make of them."""
    whole = {
        ProcessKey: {"boot_id": "b", "pid": 1, "start_ticks": 2},
        UnitFacts: {"name": "x.service"},
        TimelineEvent: EVENT,
    }[noun]
    codec.decode(noun, whole)
    with pytest.raises(InputError) as caught:
        codec.decode(noun, {**whole, **given})
    assert caught.value.message.startswith(message)


def test_documents_of_other_shapes_are_each_read_as_they_are():
    """Names in any order, some left out, null for a value: none is read by another's plan."""
    whole = codec.encode(UnitFacts(name="x.service", main_pid=7, restart="no", limit_known=True))
    for _ in range(2):
        for given in (whole, dict(reversed(whole.items())), {"name": "x.service"}):
            read = codec.decode(UnitFacts, given)
            assert codec.encode(read) == {**codec.encode(UnitFacts(name="")), **given}
    with pytest.raises(InputError, match="missing field /name"):
        codec.decode(UnitFacts, {"main_pid": 7})
    with pytest.raises(InputError, match="unknown field /more"):
        codec.decode(UnitFacts, {**whole, "more": None})


def test_what_is_left_out_is_nobody_elses():
    """A default that is made anew, such as an empty mapping, is not shared by two documents."""
    one, other = (codec.decode(HostFacts, {"at": 1.0, "hostname": "h"}) for _ in range(2))
    assert one == other == HostFacts(at=1.0, hostname="h")
    assert one.sysctls is not other.sysctls


def test_a_null_is_no_member_of_an_enumeration():
    """A field that must say one of some words is refused without one."""
    with pytest.raises(InputError, match="unknown value None at /kind: one of "):
        codec.decode(TimelineEvent, {**EVENT, "kind": None})


def test_a_noun_that_looks_at_its_values_still_does():
    """What __post_init__ refuses is refused with its place, and what it accepts is accepted."""
    table = {"at": "2026-08-20", "origin": "o", "days": 1}
    assert codec.decode(Looked, table).days == 1
    with pytest.raises(InputError, match="bad Looked at /: fewer than no days"):
        codec.decode(Looked, {**table, "days": -1})


@pytest.mark.parametrize(
    ("noun", "given", "place"),
    [
        (HostFacts, {"memory": {"mem_total_bytes": -1}}, "/memory/mem_total_bytes"),
        (
            HostFacts,
            {"units": [{"name": "a", "memory_max_bytes": -5}]},
            "/units/0/memory_max_bytes",
        ),
    ],
)
def test_a_size_is_never_negative(noun, given, place):
    """Nonsense would pass every comparison; a setting of -1 is said to be one by its field."""
    with pytest.raises(InputError) as caught:
        codec.decode(noun, {"at": 1.0, "hostname": "a", **given})
    assert caught.value.message == (
        f"expected a size of at least 0 at {place}, found a negative number"
    )
    setting = codec.decode(PostgresFacts, {"autovacuum_work_mem_bytes": -1})
    assert setting.autovacuum_work_mem_bytes == -1


def test_a_whole_number_is_taken_for_a_number_and_comes_back_as_one():
    """Other writers leave out `.0`; seconds are a float all the same."""
    document = {"id": "e", "at": 5, "kind": "onset", "key": "h/s", "source": "s", "text": "t"}
    assert type(codec.decode(TimelineEvent, document).at) is float
    assert codec.encode(Mode.ACT) == "act"


@pytest.mark.parametrize("given", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_number_without_a_size_is_refused(given):
    """JSON has no infinity; a number that would become one is refused with its place."""
    document = codec.parse_json(
        f'{{"id": "e", "at": {given}, "kind": "onset", "key": "h/s", "source": "s", "text": "t"}}'
    )
    with pytest.raises(InputError, match="a number of usual size at /at"):
        codec.decode(TimelineEvent, document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice in one object"),
        ("[" * 100_000, "no JSON: nested too deeply"),
        ("1" * 5000, "no JSON: a number of too many digits"),
        ("[NaN]", "no JSON: NaN is not JSON"),
        (b"\xff\xfe\xfd", "no JSON: no text in utf-"),
    ],
)
def test_what_is_no_json_is_said_in_words(text, message):
    """Of two values under one key none is taken in silence; no message is Python's own."""
    with pytest.raises(InputError) as caught:
        codec.parse_json(text)
    assert caught.value.message.startswith(message)
