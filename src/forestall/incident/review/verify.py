"""Verify a review against its bundle: whatever it says is said by the bundle, or by a person.

The review is composed once more from the bundle, which is pure, and the two are laid side by
side, unit by unit (a unit is a line; in the description a sentence). A unit that is unchanged
stands on its claims. A reworded one may leave facts out, never add, change or reorder one.
Everything else that carries a number, a time, a name or a version is unresolved.
"""

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forestall import __version__
from forestall.errors import ForestallError, InputError
from forestall.incident.review import bundle as bundles
from forestall.incident.review import render, statement
from forestall.incident.review.claims import Claim
from forestall.incident.review.compose import Draft, compose
from forestall.incident.review.tokens import (
    PERSON,
    Word,
    bears_claim,
    is_negation,
    is_plain,
    words,
)

REVIEW_BYTES_MAX = 1 << 20
LINES_MAX = 5_000
UNITS_MAX = 10_000

_ITEM = re.compile(r"^\s*(?:-|\d+\.)\s+")
_LABEL = re.compile(r"(?:-|\d+\.)\s+\*\*(.+?):\*\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A word that no fact answers for. `line` counts from 1."""

    line: int
    token: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What a person answers for."""

    line: int
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A claim that stands in the review unchanged, and where."""

    line: int
    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The answer. `damages` are the bundle's; `reworded` are lines that say it otherwise.

    `left_out` counts units of the draft that the review no longer has.
    """

    claims: tuple[Placed, ...]
    reworded: tuple[int, ...]
    left_out: int
    persons: tuple[Passage, ...]
    unresolved: tuple[Unresolved, ...]
    damages: tuple[str, ...] = ()
    hint: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the review says something, and all of it is backed by a bundle that is whole."""
        return bool(self.claims) and not self.unresolved and not self.damages

    @property
    def fact_count(self) -> int:
        """Different facts that the unchanged claims stand on."""
        return len({fact for placed in self.claims for fact in placed.claim.facts})


@dataclass(frozen=True, slots=True)
class _Unit:
    """A line, or a sentence of the description; `kind` is its place in the document.

    A unit of the draft has the claims that any part of it shows.
    """

    line: int
    kind: str
    text: str
    claims: tuple[Claim, ...] = ()


def verify(review: bytes, bundle_path: str) -> Verification:
    """Check `review` against the bundle in a folder.

    Raises InputError or EvidenceError where one of them cannot be read.
    """
    found = bundles.damages(bundle_path)
    try:
        draft = compose(bundles.entries(bundle_path))
    except ForestallError as error:
        if not found:
            raise
        # A damaged bundle is an answer; what it would have said cannot be asked any more.
        found.append(error.message)
        return Verification(
            claims=(), reworded=(), left_out=0, persons=(), unresolved=(), damages=tuple(found)
        )
    return compare(review, draft, damages=tuple(found))


def compare(review: bytes, draft: Draft, *, damages: tuple[str, ...] = ()) -> Verification:
    """Lay a review beside the draft of its bundle. Pure."""
    if len(review) > REVIEW_BYTES_MAX or review.count(b"\n") > LINES_MAX:
        raise InputError(
            f"a review of more than {REVIEW_BYTES_MAX >> 10} KiB or {LINES_MAX} lines",
            help="verify the review as it was drafted, not a collection",
        )
    theirs, persons = _read(review)
    if len(theirs) > UNITS_MAX:
        raise InputError(f"a review of more than {UNITS_MAX} sentences")
    ours = _units_of(draft)
    placed, reworded, unresolved, matched = _align(theirs, ours)
    hint = None
    if not placed:
        hint = "nothing of the draft is in it: is it the review of this bundle?"
    elif unresolved and draft.version != __version__:
        hint = (
            f"drafted by forestall {draft.version}; this is {__version__}, and may word it "
            "otherwise"
        )
    return Verification(
        claims=tuple(placed),
        reworded=tuple(reworded),
        left_out=len(ours) - matched,
        persons=tuple(persons),
        unresolved=tuple(unresolved),
        damages=damages,
        hint=hint,
    )


def _read(review: bytes) -> tuple[list[_Unit], list[Passage]]:
    """The units of a document, without what persons answer for, and those passages."""
    text = review.decode("utf-8", "surrogateescape").removeprefix(render.BOM)
    units: list[_Unit] = []
    persons = []
    place = _Place()
    for number, line in enumerate(text.split("\n"), start=1):
        for passage in PERSON.finditer(line):
            persons.append(Passage(line=number, by=passage[2], text=passage[1]))
        place.move(line)
        # A person's passage may hold several sentences, and is none of the draft's.
        said = " ".join(PERSON.sub(" ", line).split()) if place.is_prose else line
        for sentence in place.sentences(said):
            units.extend(_unit(number, place.kind, sentence, ()))
    return units, persons


class _Place:
    """Where a line stands, as a reader sees it: below which heading, and below which label.

    Not as the profile reads it: a list whose count a person left out of step is still that list.
    """

    def __init__(self) -> None:
        self._heading = self._label = ""

    @property
    def kind(self) -> str:
        return f"{self._heading}/{self._label}"

    @property
    def is_prose(self) -> bool:
        """Whether lines here are paragraphs of sentences."""
        return self._label == "Description"

    def move(self, line: str) -> None:
        """Take the next line into account."""
        label = _LABEL.match(line)
        if line.startswith("#"):
            self._heading, self._label = line.strip(), ""
        elif label is not None:
            self._label = label[1]

    def sentences(self, line: str) -> list[str]:
        """The units of a line here."""
        return statement.split(line) if self.is_prose else [line]


def _units_of(draft: Draft) -> list[_Unit]:
    by_place = {claim.where: claim for claim in draft.claims}
    units: list[_Unit] = []
    place = _Place()
    for number, line in enumerate(render.document_lines(draft.review), start=1):
        claims = [_claim_of(piece, by_place) for piece in line.pieces]
        ends = list(itertools.accumulate(len(piece.text) for piece in line.pieces))
        place.move(line.text)
        start = 0
        for text in place.sentences(line.text):
            start = line.text.index(text, start)
            end = start + len(text)
            shown = [
                claim
                for claim, last, piece in zip(claims, ends, line.pieces, strict=True)
                if claim is not None and last > start and last - len(piece.text) < end
            ]
            units.extend(_unit(number, place.kind, text, tuple(dict.fromkeys(shown))))
            start = end
    return units


def _claim_of(piece: statement.Piece, by_place: Mapping[str, Claim]) -> Claim | None:
    """The claim of the leaf that a piece shows; a claim is of a leaf or of all leaves below it."""
    for leaf in piece.leaves:
        place = leaf
        while place:
            if place in by_place:
                return by_place[place]
            place = place.rpartition("/")[0]
    return None


def _unit(number: int, kind: str, text: str, claims: tuple[Claim, ...]) -> Iterator[_Unit]:
    """A unit, if there is anything in it. Marks of lists are not: an item may be taken out."""
    text = " ".join(_ITEM.sub("", PERSON.sub(" ", text)).split())
    if text.strip("-"):
        yield _Unit(number, kind, text, claims)


def _align(
    theirs: Sequence[_Unit], ours: Sequence[_Unit]
) -> tuple[list[Placed], list[int], list[Unresolved], int]:
    """(claims found unchanged, lines reworded, unresolved, units of ours that were found again)."""
    placed: dict[str, Placed] = {}
    reworded: list[int] = []
    unresolved: list[Unresolved] = []
    matched = 0
    matcher = difflib.SequenceMatcher(
        None,
        [(unit.kind, unit.text) for unit in ours],
        [(unit.kind, unit.text) for unit in theirs],
        autojunk=False,
    )
    for tag, first, last, start, end in matcher.get_opcodes():
        if tag == "equal":
            matched += last - first
            for mine, unit in zip(ours[first:last], theirs[start:end], strict=True):
                for claim in mine.claims:
                    placed.setdefault(claim.where, Placed(line=unit.line, claim=claim))
            continue
        left = list(ours[first:last])
        for unit in theirs[start:end]:
            index, faults = _best(unit, left)
            unresolved.extend(faults)
            if index is not None:
                del left[: index + 1]
                matched += 1
                reworded.append(unit.line)
    return list(placed.values()), sorted(set(reworded)), unresolved, matched


def _best(unit: _Unit, left: Sequence[_Unit]) -> tuple[int | None, list[Unresolved]]:
    """Which unit of the gap this one rewords, and what nothing answers for.

    The first of the same kind that answers for all of it; else the fewest faults are reported.
    """
    candidates = [(index, old) for index, old in enumerate(left) if old.kind == unit.kind]
    best: list[Unresolved] | None = None
    for index, old in candidates:
        faults = _faults(unit, old)
        if not faults:
            return index, []
        if best is None or len(faults) < len(best):
            best = faults
    if best is None:
        best = [
            Unresolved(line=unit.line, token=word.text, why="no fact answers for it")
            for word in words(unit.text)
            if bears_claim(word)
        ]
    return None, best


def _faults(unit: _Unit, old: _Unit) -> list[Unresolved]:
    """What `unit` says that `old` does not, were it a rewording of it."""

    def fault(token: str, why: str) -> Unresolved:
        return Unresolved(line=unit.line, token=token, why=why)

    new_words, old_words = words(unit.text), words(old.text)
    known = [_key(word) for word in old_words]
    faults = []
    at = 0
    for word in filter(bears_claim, new_words):
        if _key(word) in known[at:]:
            at = known.index(_key(word), at) + 1
        else:
            faults.append(fault(word.text, "not what the facts of this place say"))
    kept = {_key(word) for word in new_words}
    faults += [
        fault(word.text, "was left out, which turns the sentence round")
        for word in old_words
        if is_negation(word) and _key(word) not in kept
    ]
    if not faults:
        faults = [
            fault(word.text, "stands where a fact stood")
            for word in _in_place_of_facts(new_words, old_words, _fact_words(old))
        ]
    return faults


def _key(word: Word) -> str:
    """What makes two words the same: their letters, and of a negation not their case."""
    return word.text.lower() if is_negation(word) else word.text


def _fact_words(unit: _Unit) -> set[str]:
    """The words of a unit that facts gave it, however plain they look."""
    facts = {fact for claim in unit.claims for fact in claim.facts}
    return {word.text for fact in facts for word in words(fact.text)}


def _in_place_of_facts(
    new: Sequence[Word], old: Sequence[Word], fact_words: set[str]
) -> Iterator[Word]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, first, last, start, end in matcher.get_opcodes():
        gone = old[first:last] if tag == "replace" else ()
        if any(word.text in fact_words or bears_claim(word) for word in gone):
            yield from (word for word in new[start:end] if not is_plain(word))
