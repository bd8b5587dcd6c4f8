"""Reviews: no byte is ever lost, and what is written is read back as it was."""

# ruff: noqa: DTZ001 - a review states local times, which have no zone of their own

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forestall.errors import InputError
from forestall.incident import zones
from forestall.incident.review import document
from forestall.incident.review import profile as shape
from forestall.incident.review.forms import Context, Paragraph, Sentence
from forestall.incident.review.parse import parse
from forestall.incident.review.render import lines, render
from forestall.model import codec
from forestall.model.review import Review

DATA = Path(__file__).parents[1] / "data" / "reviews"
SAMPLES = {path.stem: path.read_bytes() for path in sorted(DATA.glob("*.md"))}
LINES = sorted({line for data in SAMPLES.values() for line in data.decode().split("\n")})
NOISE = [
    "",
    " ",
    "    ",
    "----------",
    "# x",
    "*   y",
    "\ttab",
    "|a|b|",
    "caf\udce9",
    "\x00",
    "a\rb",
]
PLACES = [("Dallas, TX", "America/Chicago"), ("Osaka, Japan", "Asia/Tokyo"), (None, "UTC")]

fast = settings(max_examples=100, deadline=None)


def survives(data: bytes) -> Review:
    """Assert that `data` comes back, also through JSON, and that no leaf is shadowed."""
    parsed = parse(data)
    review = parsed.review
    assert render(review) == data
    again = document.load(document.dump(review).encode())
    assert again == review
    dropped = {label for patch in review.residual for label in patch.drop}
    for line in lines(review):
        if line.label in dropped:
            assert not any(piece.leaves for piece in line.pieces), line
    count = data.count(b"\n") + 1
    assert all(1 <= remark.line <= count + 1 for remark in parsed.remarks)
    return review


@given(st.binary(max_size=200))
@fast
def test_any_bytes_survive(data):
    """No sequence of bytes is changed by parse and render."""
    survives(data)


@given(
    st.lists(st.sampled_from(LINES + NOISE), max_size=60),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
@fast
def test_shuffled_lines_survive(chosen, newline, bom, final_newline):
    """Lines of reviews in any order, repeated, between lines that are none, come back."""
    text = ("\ufeff" if bom else "") + newline.join(chosen) + (newline if final_newline else "")
    survives(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_line_deleted_doubled_or_changed(name):
    """A document with any one line gone, doubled, cut, grown or moved comes back."""
    rows = SAMPLES[name].split(b"\n")
    whole = codec.to_document(survives(SAMPLES[name]))
    for i, row in enumerate(rows):
        for changed in ([], [row, row], [row[:-1]], [row + b"."], [row.lower()], [b" " + row]):
            other = b"\n".join([*rows[:i], *changed, *rows[i + 1 :]])
            if other != SAMPLES[name]:
                # Nothing passes unnoticed: the record or its residual tells the difference.
                assert codec.to_document(survives(other)) != whole
        moved = rows[:i] + rows[i + 1 :]
        moved.insert((i * 7) % len(rows), row)
        survives(b"\n".join(moved))


def test_every_byte_changed():
    """A document with any other byte of it changed comes back, and never as the same record."""
    data = SAMPLES["price-cache"]
    whole = codec.to_document(parse(data).review)
    for i in range(0, len(data), 2):
        other = data[:i] + bytes([data[i] ^ (1 << i // 2 % 8)]) + data[i + 1 :]
        assert codec.to_document(survives(other)) != whole


LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="*,()`")
PHRASE = (
    st.text(LETTERS, min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda text: text and not text.startswith("-") and not text.startswith("#"))
)
FACTS = ["12,500", "7.6", "16GB", "$25,000", "€9.50", "`x y`", "03:05 AM CST", "11:00 PM UTC"]
SENTENCE_TEXT = (
    st.lists(
        st.one_of(PHRASE, st.sampled_from([*FACTS, "regions (Nord, Sud)", "{", "}", "Done. Next"])),
        min_size=1,
        max_size=6,
    )
    .map(" ".join)
    .filter(lambda text: not text.startswith("-"))
)


@st.composite
def records(draw):
    """The JSON of a review as the profile can write it."""
    place, zone = draw(st.sampled_from(PLACES))
    context = Context(place=place)
    body = {}

    def maybe(where, key, strategy):
        value = draw(st.none() | strategy)
        if value is not None:
            where[key] = value

    day = st.dates(date(1990, 1, 1), date(2037, 1, 1)).map(date.isoformat)
    qualified = st.tuples(PHRASE, st.none() | PHRASE)
    maybe(body, "title", PHRASE)
    maybe(body, "number", PHRASE)
    maybe(body, "date", day)
    maybe(body, "reported_by", qualified.map(lambda p: {"role": p[0], "via": p[1]}))
    maybe(body, "priority", qualified.map(lambda p: {"code": p[0], "label": p[1]}))
    affected = {}
    maybe(affected, "servers", st.lists(PHRASE, min_size=1, max_size=3))
    if place:
        affected["location"] = {"place": place, "site": draw(st.none() | PHRASE)}
    if affected or draw(st.booleans()):
        body["affected"] = affected
    timeline = {}
    for key in ("detected", "responded", "resolved"):
        maybe(timeline, key, stamps(zone))
    maybe(timeline, "downtime_minutes", st.integers(0, 10_000))
    if timeline or draw(st.booleans()):
        body["timeline"] = timeline
    detected = timeline.get("detected")
    stated = detected["at"][:10] if detected else body.get("date")
    context.day = date.fromisoformat(stated) if stated else None

    said = SENTENCE_TEXT.map(lambda text: Sentence().read(text, context))
    listed = st.lists(said, max_size=3)
    prose = st.lists(SENTENCE_TEXT.map(lambda text: Paragraph().read(text, context)), max_size=3)
    for key, parts in (
        ("causes", {"primary": listed, "contributing": listed}),
        ("details", {"description": prose, "impact": listed}),
        ("resolution", {"immediate": listed, "post_incident": listed}),
        ("follow_ups", {"deadline": day, "owner": PHRASE, "items": st.lists(said, min_size=1)}),
    ):
        inner = {}
        for name, strategy in parts.items():
            maybe(inner, name, strategy)
        if inner or draw(st.booleans()):
            body[key] = inner
    maybe(body, "preventative", listed)
    maybe(body, "lessons", listed)
    members = st.lists(qualified.map(lambda p: {"name": p[0], "role": p[1]}), max_size=2)
    team = st.fixed_dictionaries({"name": PHRASE, "members": members})
    maybe(body, "teams", st.lists(team, max_size=3))
    layout = {}
    maybe(layout, "newline", st.just("\r\n"))
    maybe(layout, "bom", st.just(True))
    order = draw(orders(body))
    if order:
        layout["order"] = order
    return {"schema": Review.SCHEMA, **body, "layout": layout or None}


def stamps(zone):
    """Local times that a clock in `zone` shows, each in its one way of being written."""

    def stamp(at, fold):
        local = at.replace(microsecond=0, fold=fold)
        try:
            name = zones.abbreviation(local, zone)
        except InputError:
            local += timedelta(hours=1)
            name = zones.abbreviation(local, zone)
        plain = local.replace(fold=0)
        return {"at": plain.isoformat(), "zone": zone, "fold": zones.fold_of(plain, zone, name)}

    nights = [datetime(2024, 11, 3, 1, 30), datetime(2024, 3, 10, 2, 30)]
    at = st.sampled_from(nights) | st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1))
    return st.builds(stamp, at, st.sampled_from([0, 1]))


@st.composite
def orders(draw, body):
    """An order of the parts that `body` has, where it is not the usual one."""
    found = {}
    sections = [s for s in shape.SECTIONS if is_there(s, body)]
    keys = {shape.DOCUMENT: [section.key for section in sections]}
    for section in sections:
        keys[section.key] = [
            part.key
            for part in section.parts
            # A list that is the whole section shows in no line while it is empty.
            if shape.find(body, part.path) is not None
            and (part.path != section.path or shape.find(body, part.path))
        ]
    for name, usual in keys.items():
        chosen = draw(st.permutations(usual)) if draw(st.booleans()) else usual
        if chosen != usual:
            found[name] = chosen
    return found


def is_there(section, body):
    if section.path is not None:
        return shape.find(body, section.path) is not None
    return any(shape.find(body, part.path) is not None for part in section.parts)


@given(records())
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_back(record):
    """Rendering a record and parsing the document gives the record, and no residual."""
    review = codec.from_document(Review, record)
    data = render(review)
    parsed = parse(data)
    assert json.loads(document.dump(parsed.review)) == json.loads(document.dump(review))
    assert render(parsed.review) == data


@given(records(), st.data())
@fast
def test_a_line_too_many_is_only_residual(record, data):
    """A line of no known shape changes the residual of a document and no leaf."""
    review = codec.from_document(Review, record)
    rows = render(review).split(b"\n")
    rows.insert(data.draw(st.integers(1, len(rows))), b"> strange")
    survives(b"\n".join(rows))
