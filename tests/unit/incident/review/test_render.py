"""Records to documents, and what is said when a record cannot be shown."""

import json
from pathlib import Path

import pytest

from forestall.errors import InputError
from forestall.incident.review import document
from forestall.incident.review.parse import parse
from forestall.incident.review.render import places, render
from forestall.model.review import Review, Team

DATA = Path(__file__).parents[3] / "data" / "reviews"
LEAK = (DATA / "thread-leak.md").read_bytes()


def edited(pointer, value):
    """The document of the sample's record with one value set."""
    record = json.loads(document.dump(parse(LEAK).review))
    *steps, last = pointer.split("/")[1:]
    inner = record
    for step in steps:
        inner = inner[int(step) if isinstance(inner, list) else step]
    inner[int(last) if isinstance(inner, list) else last] = value
    return render(document.load(json.dumps(record).encode()))


@pytest.mark.parametrize(
    ("pointer", "value", "said"),
    [
        ("/name", "two\nlines", "a newline in the text at /name"),
        ("/name", "", "empty text at /name"),
        ("/name", 7, "expected text at /name, found a number"),
        ("/name", "\ud800", "control character in the text at /name"),
        ("/nmae", "x", "unknown field /nmae"),
        ("/schema", "forestall/review/9", "expected schema forestall/review/1"),
        ("/date", "March 12, 2026", "no date at /date"),
        ("/date", "2026-02-30", "no date at /date"),
        ("/timeline/detected/at", "2026-03-12", "no local time at /timeline/detected/at"),
        ("/timeline/detected/at", "2026-03-12T23:40:00Z", "no local time at /timeline/detected"),
        ("/timeline/detected/zone", "CET+1", "/timeline/detected: no such time zone"),
        ("/timeline/detected/at", "2026-03-29T02:30:00", "does not exist in Europe/Berlin"),
        ("/timeline/detected/fold", 2, "no local time at /timeline/detected/fold"),
        ("/timeline/downtime_minutes", 1.5, "a whole number at /timeline/downtime_minutes"),
        ("/timeline/downtime_minutes", -1, "a negative duration at /timeline/downtime_minutes"),
        ("/affected/servers", [], "an empty list at /affected/servers"),
        ("/teams/0/members/0/name", "a\rb", "carriage return in the text at /teams/0/members/0"),
        ("/details/description/0", [], "an empty paragraph at /details/description/0"),
        ("/details/impact/0/values/quantity", [1], "/details/impact/0/values/quantity"),
        ("/layout", {"newline": "\r"}, "no newline at /layout/newline"),
        ("/layout", {"order": {"document": ["end"]}}, "/layout/order/document/0"),
        (
            "/residual",
            [{"after": "lessons/9", "insert": ["x"]}],
            "/residual/0 names the line 'lessons/9'",
        ),
        ("/residual", [{"after": "", "insert": ["a\nb"]}], "a newline in a line at /residual/0"),
    ],
)
def test_a_leaf_that_cannot_be_shown(pointer, value, said):
    """One clear line with the JSON pointer, for each kind of damage."""
    with pytest.raises(InputError) as error:
        edited(pointer, value)
    assert said in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": NaN}', "\xff", "[" * 5000])
def test_what_is_no_record(text):
    """Anything that is no record's JSON is an InputError."""
    with pytest.raises(InputError):
        document.load(text.encode("latin-1"))


def test_an_edit_of_the_residual_and_of_the_record_meet():
    """A kept line stays after the line it followed, also when that line is edited."""
    data = LEAK.replace(b"-   Threads are", b"> quoted\n-   Threads are")
    record = json.loads(document.dump(parse(data).review))
    record["lessons"][0]["text"] = "Count threads."
    rendered = render(document.load(json.dumps(record).encode()))
    assert rendered == data.replace(b"Threads are memory too.", b"Count threads.")


def test_places_are_the_bytes_of_the_leaf():
    """Each leaf's range holds its text, counted in bytes."""
    review = parse(LEAK).review
    where = places(review)
    for pointer, shown in (
        ("/name", "Kernel Panic of the Booking Database"),
        ("/timeline/detected/zone", "CET"),
        ("/timeline/detected/at", "2026-03-12, 11:40 PM"),
        ("/details/impact/2/values/money/currency", "€"),
        ("/details/impact/2/values/money/amount", "4,800.50"),
        ("/teams/0/members/0/role", "Shift Lead"),
    ):
        start, end = where[pointer][0]
        assert LEAK[start:end] == shown.encode()


def test_empty_parts_are_headings_and_labels():
    """What is there and says nothing shows as a heading; what is absent does not show."""
    assert render(Review()) == b""
    assert render(Review(lessons=())) == b"### **Lessons Learned**"
    assert render(Review(title="T", lessons=(), teams=(Team(name="A"),))) == (
        b"### **T**\n\n### **Support Teams Involved**\n\n1.  **A:**\n\n----------\n\n"
        b"### **Lessons Learned**"
    )


def test_absent_leaves_are_not_in_the_json():
    """The JSON has no null, no empty values and no layout of its own."""
    text = document.dump(parse(LEAK).review)
    for word in ("null", '"values": {}', "layout", "residual", "fold"):
        assert word not in text
