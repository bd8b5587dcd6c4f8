"""Nothing a review says goes without a fact or a person who answers for it."""

import functools
import re

import pytest
from tests.fakes import leak

from forestall.errors import InputError
from forestall.incident.review import verify as verifying
from forestall.incident.review.compose import compose
from forestall.incident.review.render import render
from forestall.incident.review.tokens import bears_claim, words


@functools.cache
def draft():
    return compose(leak.review_entries(scale=60.0))


@functools.cache
def document():
    return render(draft().review).decode()


def compare(text):
    return verifying.compare(text.encode(), draft())


def edited(old, new):
    assert document().count(old) >= 1, old
    return document().replace(old, new, 1)


def line_of(text):
    return document()[: document().index(text)].count("\n") + 1


def test_a_drafted_review_holds():
    """As it was drafted, every claim is found and nothing is unresolved."""
    found = compare(document())
    assert found.holds
    assert len(found.claims) == len(draft().claims)
    assert (found.reworded, found.left_out, found.persons, found.hint) == ((), 0, (), None)
    assert found.fact_count > 80


def claim_bearing_places():
    """(start, end) of each word that carries a claim.

    Headings and lines that only label are the profile's own words, and the counts of lists are
    nobody's.
    """
    for match in re.finditer(r"\S+", document()):
        start = document().rfind("\n", 0, match.start()) + 1
        line = document()[start : document().find("\n", start)]
        if re.search(r":\*\* *$", line) and "Team" not in line:
            continue
        if re.match(r"#|\s*(-|\d+\.)$", document()[start : match.end()]):
            continue
        for word in words(match[0]):
            at = match.start() + match[0].index(word.text.replace("`", "")[:1])
            inner = document().find(word.text, match.start(), match.end())
            if inner >= 0 and bears_claim(word):
                yield (inner, inner + len(word.text))
            elif bears_claim(word):
                yield (at, at + 1)


def test_changing_any_number_time_name_or_version_is_caught():
    """One character of each word that carries a claim, changed: unresolved, on its line."""
    places = list(claim_bearing_places())
    assert len(places) > 250
    for start, end in places:
        middle = sorted(range(start, end), key=lambda at: abs(at - (start + end) // 2))
        at = next(at for at in middle if document()[at].isalnum())
        old = document()[at]
        new = str((int(old) + 1) % 10) if old.isdigit() else "q" if old != "q" else "w"
        found = compare(document()[:at] + new + document()[at + 1 :])
        line = document().count("\n", 0, at) + 1
        assert not found.holds, (line, document()[start:end], new)
        assert line in {one.line for one in found.unresolved}, (line, found.unresolved)


def test_swapping_two_facts_is_caught():
    """The right numbers in the wrong order are wrong."""
    found = compare(edited("from 310 MiB to 1.2 GiB", "from 1.2 GiB to 310 MiB"))
    assert {one.line for one in found.unresolved} == {line_of("from 310 MiB to")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "Its memory had been growing since 02:20 AM CDT, for 2 h 5 min, from",
            "Since 02:20 AM CDT, for 2 h 5 min, its memory was growing from",
        ),
        ("to be LEAKING.", "LEAKING."),
        (", and held 1.2 GiB of memory at that time.", "."),
        ("-   None recorded yet.", "-   none recorded so far"),
        ("and held 1.2 GiB", "which held 1.2 GiB"),
    ],
)
def test_rewording_without_new_facts_is_allowed(old, new):
    """A sentence may be said otherwise, and facts left out; the line is reported as reworded."""
    found = compare(edited(old, new))
    assert found.holds, found.unresolved
    assert found.reworded == (line_of(old),)


@pytest.mark.parametrize(
    ("old", "new", "token"),
    [
        ("The limit was not reached", "The limit was reached", "not"),
        ("and did not come back", "and did come back", "not"),
        ("was away for at most", "was not away for at most", "not"),
        ("Its memory had been", "Its memory of Redis had been", "Redis"),
        ("Its memory had been", "Its memory, with twelve others, had been", "twelve"),
        ("Ada Okafor", "ada Okafor", "ada"),
        ("Platform Team:", "Platforms Team:", "Platforms"),
        ("04:26:34 AM CDT: evidence", "04:26:34 AM CST: evidence", "CST"),
        ("`depot-db02`", "`depotdb`", "depotdb"),
        ("3.10.0-957.el7.x86_64", "3.10.0-1160.el7.x86_64", "3.10.0-1160.el7.x86_64"),
        ("----------\n", "It cost us ½ a day.\n", "½"),
    ],
)
def test_what_no_fact_says_is_named(old, new, token):
    """New names, numbers in words, lost negations and plain-looking names are unresolved."""
    found = compare(edited(old, new))
    assert token in [one.token for one in found.unresolved]


def test_an_added_line_needs_a_person():
    """A sentence of nobody's is unresolved; the same sentence with a name is that person's."""
    said = "Parcels were delayed in 3 warehouses of Acme."
    anchor = "-   None recorded yet.\n"
    bare = compare(edited(anchor, f"{anchor}    -   {said}\n"))
    assert [one.token for one in bare.unresolved] == ["Parcels", "3", "Acme"]
    marked = compare(edited(anchor, f'{anchor}    -   [{said}]{{by="Jane Doe"}}\n'))
    assert marked.holds
    (passage,) = marked.persons
    assert (passage.by, passage.text, passage.line) == ("Jane Doe", said, line_of(anchor) + 1)


def test_a_person_may_speak_inside_a_sentence():
    """The marked passage is theirs, the rest of the sentence is still checked."""
    marked = '[as in 2024]{by="Jane Doe"}'
    assert compare(edited("was not reached:", f"was not reached {marked}:")).holds
    found = compare(edited("853 MiB of 2.0 GiB", f"854 MiB {marked} of 2.0 GiB"))
    assert [one.token for one in found.unresolved] == ["854"]


def test_leaving_out_a_sentence_is_counted():
    """What a person takes out is no false statement, and is not hidden either."""
    lines = document().splitlines(keepends=True)
    index = next(i for i, line in enumerate(lines) if "Penalties" in line)
    found = compare("".join(lines[:index] + lines[index + 1 :]))
    assert found.holds
    assert found.left_out == 1


def test_leaving_out_an_item_of_a_counted_list():
    """The counts of a list are nobody's claim: an item may go, and the rest be counted anew."""
    first = document().index("2.  Keep services that may leak")
    end = document().index("\n", first) + 1
    rest = document()[end:]
    for text in (rest, re.sub(r"^3\.  ", "2.  ", rest, count=1, flags=re.MULTILINE)):
        found = compare(document()[:first] + text)
        assert found.holds, found.unresolved
        assert found.left_out == 1


def test_a_sentence_belongs_where_it_stands():
    """A contributing factor under the label of the primary cause is another statement."""
    label = "2.  **Contributing Factors:**\n    \n"
    assert not compare(edited(label, "")).holds


def test_moving_a_person_to_another_team_is_caught():
    """The same names in another order are another statement."""
    one, other = "    -   Bo Lindqvist\n", "    -   Cem Yildiz\n"
    text = document().replace(one, "#").replace(other, one).replace("#", other)
    found = compare(text)
    assert {"Lindqvist", "Yildiz"} & {one.token for one in found.unresolved}


def test_text_that_is_not_understood_is_checked_too():
    """Residual text cannot hide a claim: a table, a comment, a code block."""
    for extra in ("| 17 | Acme |", "<!-- 17 -->", "```\nAcme\n```", "# Acme"):
        assert not compare(f"{document()}\n\n{extra}\n").holds


def test_bounds():
    """A document that no review can be is refused, not worked on for minutes."""
    for data in (b"x" * (verifying.REVIEW_BYTES_MAX + 1), b"\n" * (verifying.LINES_MAX + 1)):
        with pytest.raises(InputError, match="a review of more than"):
            verifying.compare(data, draft())


def test_another_version_is_told():
    """A draft by another version may be worded otherwise, and the answer says so."""
    entries = leak.review_entries()
    entries["draft.json"] = entries["draft.json"].replace(b'"0.1.0"', b'"0.0.9"')
    other = compose(entries)
    found = verifying.compare(render(other.review).replace(b"LEAKING", b"FLYING", 1), other)
    assert "0.0.9" in found.hint


@pytest.mark.parametrize("document", ["", "\n\n", "Nothing to see here.\n"])
def test_a_document_that_says_nothing_of_the_draft_is_not_its_review(document):
    """An empty file is not backed by having nothing that could be wrong."""
    found = compare(document)
    assert not found.holds
    assert "nothing of the draft" in found.hint
