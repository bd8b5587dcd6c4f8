"""Facts are computed from what stands at pointers, or refused."""

import json

import pytest
from tests.fakes import leak

from forestall.errors import InputError
from forestall.incident.review.facts import DERIVATIONS, Book, Source, plain

AT = leak.DETECTED_AT


def book(**entries):
    return Book({name.replace("_", "."): data for name, data in entries.items()})


def test_a_fact_says_where_it_is_from():
    """Text, sources and derivation together are the proof."""
    source = Source(entry="a.json", pointer="/x~1y/1/m~0n")
    made = book(a_json=b'{"x/y": [0, {"m~n": 1610612736}]}').fact("memory", "size", source)
    assert made.text == "1.5 GiB"
    assert (made.sources, made.derivation) == ((source,), "size")


@pytest.mark.parametrize(
    ("pointer", "derivation"),
    [
        ("/missing", "size"),
        ("/n/0", "size"),
        ("/list/9", "as it is"),
        ("/list/-1", "as it is"),
        ("/list", "size"),
        ("/yes", "as it is"),
        ("/text", "size"),
        ("/n", "local time"),
        ("/n", "host of the key"),
        ("/text", "exhaustion of the host"),
        ("/nothing", "no such derivation"),
    ],
)
def test_what_is_not_there_is_no_fact(pointer, derivation):
    """A missing value or one of the wrong kind is one clear line with its place."""
    data = json.dumps({"n": 1.5, "list": ["a"], "yes": True, "text": "t", "nothing": None})
    with pytest.raises(InputError, match=r"a\.json/"):
        book(a_json=data.encode()).fact("x", derivation, Source(entry="a.json", pointer=pointer))


def test_a_damaged_entry_is_named():
    """An entry that is no JSON is an error with its name."""
    with pytest.raises(InputError, match=r"a\.json: no JSON"):
        book(a_json=b"{").fact("x", "size", Source(entry="a.json", pointer="/x"))


@pytest.mark.parametrize(
    ("derivation", "values", "text"),
    [
        ("local time", (AT, AT, "America/Chicago"), "04:25 AM CDT"),
        ("local time", (AT + 86_400, AT, "America/Chicago"), "2026-03-15 04:25 CDT"),
        ("local time to the second", (AT, AT, "Asia/Tokyo"), "06:25:30 PM JST"),
        ("local stamp", (AT + 0.9, "UTC"), "2026-03-14, 09:25:30 AM UTC"),
        ("local stamp", (AT - 30, "UTC"), "2026-03-14, 09:25 AM UTC"),
        ("local day", (AT, "America/Chicago"), "March 14, 2026"),
        ("local day after", (AT, 10, "America/Chicago"), "2026-03-24"),
        ("forecast time", (AT, 3_600, AT, "UTC"), "10:25 AM UTC"),
        ("time to fill", (180 * 2**20, 332 * 2**20, 2**20 / 15), "2 h 8 min"),
        ("local time of the start", (AT, AT, 30.0, "UTC"), "09:25:00 AM UTC"),
        ("local time of the start", (AT, AT, "UTC"), "09:25:30 AM UTC"),
        ("time it lasted", (AT + 90, AT), "1 min 30 s"),
        ("time it lasted", (AT, AT, 7.6), "7.6 s"),
        ("whole minutes between", (AT + 9_600, AT), "2 hours 40 minutes"),
        ("whole minutes between", (AT, AT, 5.0), "0 minutes"),
        ("time between", (AT, AT + 7_500), "2 h 5 min"),
        ("penalty", (1_200, "USD", AT + 3_600, AT), "1,200.00 USD"),
        ("rate", (290_000.0,), "17 MiB/min"),
        ("rate", (900.0,), "3.1 MiB/h"),
        ("percent of", (1, 3), "33%"),
        ("factor", (60.0,), "60"),
        ("list", (["a", "b"],), "a, b"),
        ("host of the key", ("h/s/t",), "h"),
        ("service of the key", ("h/s/t",), "s/t"),
        ("as a sentence", ("It is so",), "It is so."),
        ("kind of limit in words", ("cgroup",), "the memory limit of its cgroup"),
        ("ticks after boot", (360_000, AT - 7_200, AT, "UTC"), "08:25 AM UTC"),
        ("time since ticks after boot", (360_000, AT - 7_200, AT), "1 h"),
        (
            "sha256 of the bytes",
            (b"",),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
    ],
)
def test_derivations(derivation, values, text):
    """Each row of the table, on values whose answer is known."""
    assert DERIVATIONS[derivation](*values) == text


def test_series_near_a_time():
    """The nearest sample is taken, from either side."""
    series = {"times": [0.0, 10.0, 20.0], "values": [0, 1024, 2048]}
    near = DERIVATIONS["size in the series near"]
    assert (near(series, 14), near(series, 16), near(series, 99)) == (
        "1.0 KiB",
        "2.0 KiB",
        "2.0 KiB",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", "a b c"),
        ("`rm` [x]{by}", "'rm' (x)(by)"),
        ("\x1b[31m", "�(31m"),
        ("", "�"),
        ("\u202eabc", "�abc"),
        ("a" * 3_000, "a" * 2_000),
    ],
)
def test_foreign_text_stays_on_its_line(text, shown):
    """Names come from hostile processes: nothing of them can start a line or a mark."""
    assert plain(text) == shown
