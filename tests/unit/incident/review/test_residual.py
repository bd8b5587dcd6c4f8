"""Patches between the profile's lines and a document's."""

import pytest

from forestall.errors import InputError
from forestall.incident.review import residual
from forestall.model.review import Patch

ROWS = [("a", "one"), ("gap", ""), ("b", "two"), ("rule", "---"), ("c", "three")]
TAKEN = {"a": 0, "b": 2, "c": 4}


def texts(patches):
    """The document that `patches` make of ROWS."""
    known = dict(ROWS)
    found = []
    for label, inserted in residual.apply(list(known), patches):
        found.extend([known[label]] if label else inserted)
    return found


def taken(original):
    """Where the leaves of ROWS stand in `original`, as a parser would know."""
    return {
        label: original.index(dict(ROWS)[label]) for label in TAKEN if dict(ROWS)[label] in original
    }


@pytest.mark.parametrize(
    "original",
    [
        [],
        ["one", "", "two", "---", "three"],
        ["x", "one", "", "two", "---", "three"],
        ["one", "two", "three"],
        ["one", "", "", "two", "three", "", "end"],
        ["three", "one"],
        ["---", "---", "---"],
    ],
)
def test_apply_is_the_inverse_of_compare(original):
    """Whatever the document, its patches give it back; no patch only when it is the profile's."""
    patches = residual.compare(ROWS, original, taken(original), {})
    assert texts(patches) == original
    assert (not patches) == (original == [text for _, text in ROWS])


def test_reasons_split_a_run():
    """Lines kept for different reasons are patches of their own, each with its line."""
    original = ["one", "", "p", "q", "q", "two", "---", "three"]
    at = {"a": 0, "b": 5, "c": 7}
    patches = residual.compare(ROWS, original, at, {2: "strange", 3: "odd", 4: "odd"})
    assert patches == (
        Patch(after="gap", insert=("p",), line=3, why="strange"),
        Patch(after="gap", insert=("q", "q"), line=4, why="odd"),
    )


@pytest.mark.parametrize("patch", [Patch(after="z", insert=("x",)), Patch(after="a", drop=("z",))])
def test_a_patch_whose_line_is_gone(patch):
    """A patch that names a line the record does not give is refused, by its number."""
    with pytest.raises(InputError, match="/residual/0 names the line 'z'"):
        texts((patch,))
