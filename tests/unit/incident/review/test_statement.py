"""Sentences and their slots."""

import pytest

from forestall.errors import InputError
from forestall.incident.review import statement


def anywhen(local, abbreviation):
    return True


@pytest.mark.parametrize(
    ("sentence", "template", "values"),
    [
        ("Nothing to count.", "Nothing to count.", {}),
        ("Over 12,500 rows.", "Over {quantity} rows.", {"quantity": 12500}),
        ("3 of 4 nodes", "{quantity} of {quantity_2} nodes", {"quantity": 3, "quantity_2": 4}),
        ("in 2026", "in {number}", {"number": "2026"}),
        ("version 3.10.0-957 ran", "version {number} ran", {"number": "3.10.0-957"}),
        ("port 0080", "port {number}", {"number": "0080"}),
        ("from 4GB", "from {size}", {"size": {"amount": "4", "unit": "GB"}}),
        ("from 4 GB", "from {quantity} GB", {"quantity": 4}),
        ("$25,000 lost", "{money} lost", {"money": {"amount": "25000", "currency": "USD"}}),
        ("€9.50 lost", "{money} lost", {"money": {"amount": "9.50", "currency": "EUR"}}),
        ("CHF 1,200.", "{money}.", {"money": {"amount": "1200", "currency": "CHF"}}),
        ("$25000 lost", "$25000 lost", {}),
        ("zones (Nord, Sud)", "zones ({zones})", {"zones": ["Nord", "Sud"]}),
        ("Zones (Nord, Sud)", "Zones ({names})", {"names": ["Nord", "Sud"]}),
        ("at `db {1}`", "at `{code}`", {"code": "db {1}"}),
        ("a {b} c", "a {{b}} c", {}),
        ("INC-20260302-001 and P1", "INC-20260302-001 and P1", {}),
        (
            "at 12:05 AM CET",
            "at {time}",
            {"time": {"local": "00:05", "abbreviation": "CET"}},
        ),
    ],
)
def test_slots(sentence, template, values):
    """Each kind of fact becomes a slot, and the sentence is shown again as it was."""
    read = statement.read(sentence, anywhen)
    assert read == {"text": template, "values": values}
    assert statement.text(statement.show(read, "")) == sentence


def test_a_time_nobody_can_place_stays_text():
    """A time of day with an abbreviation that is not in force is no fact; its numbers are."""
    read = statement.read("at 03:05 AM CST", lambda local, abbreviation: False)
    assert read == {"text": "at 03:05 AM CST", "values": {}}


def test_a_sentence_of_too_many_facts():
    """Slots end at a stated limit, and the sentence is whole."""
    sentence = " ".join(["7"] * 5000)
    read = statement.read(sentence, anywhen)
    assert len(read["values"]) == statement.SLOTS_MAX
    assert statement.text(statement.show(read, "")) == sentence


@pytest.mark.parametrize(
    ("template", "values", "said"),
    [
        ("a {b} c", {}, "the slot {b} has no value at /x/text"),
        ("a {b} {b}", {"b": 1}, "the slot {b} stands twice at /x/text"),
        ("a", {"b": 1}, "no slot {b} in /x/text for /x/values/b"),
        ("a { b", {}, "a lone { at /x/text"),
        ("a } b", {}, "a lone } at /x/text"),
        ("", {}, "empty text at /x/text"),
        ("a\nb", {}, "a newline in the text at /x/text"),
        ("{b}", {"b": True}, "no known shape at /x/values/b"),
        ("{b}", {"b": -1}, "no known shape at /x/values/b"),
        ("{b}", {"b": 1.5}, "no known shape at /x/values/b"),
        ("{b}", {"b": None}, "no known shape at /x/values/b"),
        ("{b}", {"b": []}, "no known shape at /x/values/b"),
        ("{b}", {"b": ["a", 1]}, "expected text at /x/values/b/1"),
        ("{b}", {"b": {"amount": "1"}}, "no known shape at /x/values/b"),
        ("{b}", {"b": {"amount": 1, "unit": "GB"}}, "expected text at /x/values/b/amount"),
        ("{b}", {"b": {"amount": "x", "currency": "USD"}}, "/x/values/b/amount"),
        ("{b}", {"b": {"amount": "1", "currency": "usd"}}, "/x/values/b/currency"),
        ("{b}", {"b": {"local": "25:00", "abbreviation": "CET"}}, "/x/values/b/local"),
    ],
)
def test_what_cannot_be_shown(template, values, said):
    """A damaged statement is an InputError with the pointer of the leaf at fault."""
    with pytest.raises(InputError) as error:
        statement.show({"text": template, "values": values}, "/x")
    assert said in error.value.message


def test_each_piece_knows_its_leaf():
    """The runs of a sentence name the leaves they show."""
    read = statement.read("from 4GB on", anywhen)
    assert statement.show(read, "/s") == [
        ("from ", ("/s/text",)),
        ("4", ("/s/values/size/amount",)),
        ("GB", ("/s/values/size/unit",)),
        (" on", ("/s/text",)),
    ]


@pytest.mark.parametrize("hour", range(24))
def test_hours_of_the_day(hour):
    """Midnight is 12 AM, noon is 12 PM, and each hour is read back."""
    shown = statement.show_time_of_day(f"{hour:02d}:07")
    assert shown == f"{hour % 12 or 12:02d}:07 {'AM' if hour < 12 else 'PM'}"
    assert statement.read_time_of_day(shown) == f"{hour:02d}:07"
