"""Documents to records: what is read, what is kept, what is refused, and why."""

from pathlib import Path

import pytest
from tools import check_seed

from forestall.errors import InputError
from forestall.incident.review import parse as parsing
from forestall.incident.review.parse import parse
from forestall.incident.review.render import render
from forestall.model.review import FollowUps, Layout, Patch, Stamp

DATA = Path(__file__).parents[3] / "data" / "reviews"
LEAK = (DATA / "thread-leak.md").read_text()


def read(old="", new="", *, zone=None):
    """The sample with one passage changed, parsed; it must come back whatever was changed."""
    assert old in LEAK
    data = LEAK.replace(old, new).encode() if old else LEAK.encode()
    parsed = parse(data, zone=zone)
    assert render(parsed.review) == data
    return parsed


@pytest.mark.parametrize(("name", "leaves_min"), [("thread-leak", 60), ("price-cache", 45)])
def test_each_leaf_changes_its_own_place_only(name, leaves_min):
    """Every leaf of the JSON, changed, changes the document in that leaf's place, and is read."""
    assert check_seed.check((DATA / f"{name}.md").read_bytes(), leaves_min=leaves_min)


def test_a_whole_document_leaves_no_residual():
    """Every field of the sample is read, and nothing is left over."""
    parsed = read()
    review = parsed.review
    assert (review.residual, review.layout, parsed.remarks) == ((), None, ())
    assert review.number == "INC-20260312-003"
    assert review.date == "2026-03-12"
    assert review.affected is not None
    assert review.affected.servers == ("book-db-07", "book-db-08")
    assert review.timeline is not None
    assert review.timeline.resolved == Stamp(at="2026-03-13T01:25:00", zone="Europe/Berlin")
    assert review.timeline.downtime_minutes == 95
    assert [team.name for team in review.teams or ()] == ["Platform Team", "Database Team"]
    assert parsed.source["timeline/resolved"] == 21


def test_other_order_and_missing_parts():
    """Parts in another order and parts that are absent are layout, not residual."""
    data = (DATA / "expired-certificate.md").read_bytes()
    review = parse(data).review
    assert render(review) == data
    assert review.follow_ups == FollowUps(
        deadline="2026-02-01",
        owner="Web Team",
        items=review.follow_ups and review.follow_ups.items,
    )
    assert review.causes is not None
    assert review.causes.contributing is None
    assert review.layout is not None
    assert review.layout.order is not None
    assert review.layout.order["follow_ups"] == ("owner", "deadline", "items")
    assert review.residual == (Patch(after="timeline/space", insert=("----------", ""), line=3),)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("-   **Reported", "-   **Weather:** rain\n-   **Reported", "not a part of this section"),
        ("-   **Reported", "-   **Incident Name:** B\n-   **Reported", "a second Incident Name"),
        ("March 12, 2026", "12.3.2026", "expected a date like March 2, 2026"),
        ("March 12, 2026", "February 30, 2026", "expected a date like 2026-03-02, one that exists"),
        ("March 12, 2026", "March 01, 2026", "would be written 'March 1, 2026'"),
        ("1 hour 35 minutes", "95 min", "expected a duration like 2 hours 40 minutes"),
        ("1 hour 35 minutes", "95 minutes", "would be written '1 hour 35 minutes'"),
        ("`book-db-07`, `book-db-08`", "book-db-07", "expected names like `one`, with commas"),
        ("2026-03-13, 01:25 AM", "2026-03-13 01:25", "expected a time like 2026-03-02, 02:20 PM"),
        ("2.  Train", "3.  Train", "numbered 3 where 2 was expected"),
        (
            "    -   Server Name",
            "    -   Colour: red\n    -   Server Name",
            "not a part of Affected",
        ),
        ("### **Lessons Learned**", "### Lessons", "not a heading of this shape"),
        ("-   **Impact:**", "-   **Impact:** much", "expected nothing on the line of Impact"),
        ("-   Threads", "\x07-   Threads", "bytes that are no UTF-8, or control characters"),
    ],
)
def test_what_is_not_understood_is_kept_with_its_reason(old, new, why):
    """A line of another shape stays as it is, with its line number and why; no refusal."""
    parsed = read(old, new)
    line = LEAK[: LEAK.index(old)].count("\n") + 1
    said = [remark for remark in parsed.remarks if why in remark.why]
    assert [remark.line for remark in said] == [line]
    assert not parsed.is_refused
    assert any(patch.line == line and why in (patch.why or "") for patch in parsed.review.residual)


def test_a_label_of_another_style_is_still_a_label():
    """A constant line written otherwise is residual, and what stands below it is read."""
    parsed = read("2.  **Contributing Factors:**", "1.  **Contributing Factors:**  ")
    assert parsed.review.causes is not None
    assert len(parsed.review.causes.contributing or ()) == 3
    assert parsed.review.residual == (
        Patch(
            after="causes/primary/1",
            drop=("causes/contributing",),
            insert=("1.  **Contributing Factors:**  ",),
            line=33,
        ),
    )


def test_items_that_stand_apart_are_not_taken_for_neighbours():
    """An item below a field that follows the list would have to move, so it is kept as it is."""
    owner = "-   **Owner:** Platform Team\n"
    text = LEAK.replace(owner, "").replace("2.  Add swap to", f"{owner}2.  Add swap to")
    parsed = parse(text.encode())
    assert render(parsed.review) == text.encode()
    assert any("stands apart" in remark.why for remark in parsed.remarks)
    assert parsed.review.follow_ups is not None
    assert len(parsed.review.follow_ups.items or ()) == 1


def test_bullets_of_an_unknown_label_are_not_those_of_the_label_before():
    """What stands below a label nobody knows belongs to no part of the section."""
    parsed = read(
        "    -   No panel showed", "3.  **Weather:**\n    -   Rain.\n    -   No panel showed"
    )
    assert parsed.review.causes is not None
    assert len(parsed.review.causes.contributing or ()) == 1
    assert sum("belongs to no part" in remark.why for remark in parsed.remarks) == 1


def test_a_time_that_its_place_does_not_have_is_refused():
    """CET in July in Frankfurt is no time: it stays as it is, and a person is asked."""
    parsed = read("2026-03-12, 11:52 PM CET", "2026-07-12, 11:52 PM CET")
    assert parsed.is_refused
    assert parsed.review.timeline is not None
    assert parsed.review.timeline.responded is None
    (remark,) = parsed.remarks
    assert remark.line == 20
    assert "Europe/Berlin says CEST" in remark.why
    assert "--zone" in remark.why


def test_without_a_place_the_zone_is_given_by_hand():
    """Times of a place nobody knows are refused, in prose too, until --zone says what is meant."""
    place = ("(Frankfurt, Germany)", "(Nowhere)")
    parsed = read(*place)
    assert parsed.is_refused
    assert {remark.line for remark in parsed.remarks if remark.refused} == {19, 44}
    told = read(*place, zone="Europe/Zurich")
    assert told.remarks == ()
    assert told.review.timeline is not None
    assert told.review.timeline.detected == Stamp(at="2026-03-12T23:40:00", zone="Europe/Zurich")


def test_a_zone_that_does_not_exist():
    """--zone is checked before anything is read."""
    with pytest.raises(InputError, match="no such time zone"):
        parse(b"", zone="Mars/Olympus")


@pytest.mark.parametrize(
    ("data", "layout"),
    [
        (b"", None),
        (b"\n", Layout(final_newline=True)),
        (b"\r\n", Layout(final_newline=True, newline="\r\n")),
        (b"\xef\xbb\xbf", Layout(bom=True)),
        (b"a\r\nb\n", Layout(final_newline=True)),
        (b"a\rb", None),
        (b"\xff\x00", None),
    ],
)
def test_newlines_and_marks(data, layout):
    """Only what differs from the profile's own layout is layout; the bytes come back."""
    review = parse(data).review
    assert review.layout == layout
    assert render(review) == data


def test_windows_text_is_read_as_any_other():
    """CRLF, a byte order mark and a final newline leave every field readable."""
    data = b"\xef\xbb\xbf" + LEAK.replace("\n", "\r\n").encode() + b"\r\n"
    review = parse(data).review
    assert review.layout == Layout(newline="\r\n", bom=True, final_newline=True)
    assert review.residual == ()
    assert render(review) == data


def test_a_document_that_is_too_long():
    """The limit is stated, and one byte below it is still read."""
    with pytest.raises(InputError, match="4 MiB"):
        parse(b"x" * (parsing.BYTES_MAX + 1))
    assert parse(b"x" * parsing.BYTES_MAX).review.residual


def test_reasons_are_bounded():
    """A document of nothing but strange lines says why only so often."""
    rows = "\n\n".join(f"-   **Weather {i}:** rain" for i in range(3 * parsing.REASONS_MAX))
    parsed = parse(b"#### **Incident Metadata**\n" + rows.encode())
    assert sum(patch.why is not None for patch in parsed.review.residual) == parsing.REASONS_MAX
