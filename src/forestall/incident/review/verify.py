"""Verify a review against its bundle: whatever it says is said by the bundle, or by a person.

The review is composed once more from the bundle, which is pure, and the two are laid side by
side, unit by unit (a unit is a line; in the description a sentence). A unit that is unchanged
stands on its claims. A reworded one may leave facts out, never add, change or reorder one.
Everything else that carries a number, a time, a name or a version is unresolved.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forestall import __version__
from forestall.errors import ForestallError, InputError
from forestall.incident.review import bundle as bundles
from forestall.incident.review import parse as parsing
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
from forestall.model.review import Review

REVIEW_BYTES_MAX = 1 << 20
LINES_MAX = 5_000
UNITS_MAX = 10_000

_ITEM = re.compile(r"^\s*(?:-|\d+\.)\s+")
_COUNT = re.compile(r"/\d+")


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
        """Whether everything the review says is backed, by a bundle that is whole."""
        return not self.unresolved and not self.damages

    @property
    def fact_count(self) -> int:
        """Different facts that the unchanged claims stand on."""
        return len({fact for placed in self.claims for fact in placed.claim.facts})


@dataclass(frozen=True, slots=True)
class _Unit:
    """A line, or a sentence of the description; `kind` is its place in the profile."""

    line: int
    kind: str
    text: str


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
    ours = _units_of(draft.review)
    unchanged, reworded, unresolved, matched = _align(theirs, ours, draft.claims)
    hint = None
    if unresolved and draft.version != __version__:
        hint = (
            f"drafted by forestall {draft.version}; this is {__version__}, and may word it "
            "otherwise"
        )
    return Verification(
        claims=tuple(_placed(unchanged, draft.claims)),
        reworded=tuple(reworded),
        left_out=len(ours) - matched,
        persons=tuple(persons),
        unresolved=tuple(unresolved),
        damages=damages,
        hint=hint,
    )


def _read(review: bytes) -> tuple[list[_Unit], list[Passage]]:
    """The units of a document, without what persons answer for, and those passages."""
    parsed = parsing.parse(review)
    labels = {line: label for label, line in parsed.source.items()}
    text = review.decode("utf-8", "surrogateescape").removeprefix(render.BOM)
    units: list[_Unit] = []
    persons = []
    for number, line in enumerate(text.splitlines(), start=1):
        for passage in PERSON.finditer(line):
            persons.append(Passage(line=number, by=passage[2], text=passage[1]))
        units.extend(_split(number, labels.get(number, ""), line))
    return units, persons


def _units_of(review: Review) -> list[_Unit]:
    lines = enumerate(render.document_lines(review), start=1)
    return [unit for number, line in lines for unit in _split(number, line.label, line.text)]


def _split(number: int, label: str, line: str) -> Iterator[_Unit]:
    """The units of one line. Marks of lists are not theirs: an item may be taken out."""
    text = " ".join(_ITEM.sub("", PERSON.sub(" ", line)).split())
    kind = _COUNT.sub("", label)
    pieces = statement.split(text) if kind == "details/description" else [text]
    for piece in pieces:
        if any(character.isalnum() for character in piece):
            yield _Unit(number, kind, piece)


def _align(
    theirs: Sequence[_Unit], ours: Sequence[_Unit], claims: Sequence[Claim]
) -> tuple[list[_Unit], list[int], list[Unresolved], int]:
    """(unchanged, lines reworded, unresolved, units of ours that were found again)."""
    unchanged: list[_Unit] = []
    reworded: list[int] = []
    unresolved: list[Unresolved] = []
    matched = 0
    matcher = difflib.SequenceMatcher(
        None, [unit.text for unit in ours], [unit.text for unit in theirs], autojunk=False
    )
    for tag, first, last, start, end in matcher.get_opcodes():
        if tag == "equal":
            unchanged.extend(theirs[start:end])
            matched += last - first
            continue
        left = list(ours[first:last])
        for unit in theirs[start:end]:
            index, faults = _best(unit, left, claims)
            unresolved.extend(faults)
            if index is not None:
                del left[: index + 1]
                matched += 1
                reworded.append(unit.line)
    return unchanged, sorted(set(reworded)), unresolved, matched


def _best(
    unit: _Unit, left: Sequence[_Unit], claims: Sequence[Claim]
) -> tuple[int | None, list[Unresolved]]:
    """Which unit of the gap this one rewords, and what nothing answers for.

    The first of the same kind that answers for all of it; else the fewest faults are reported.
    """
    candidates = [(index, old) for index, old in enumerate(left) if old.kind == unit.kind]
    best: list[Unresolved] | None = None
    for index, old in candidates:
        faults = _faults(unit, old.text, claims)
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


def _faults(unit: _Unit, old: str, claims: Sequence[Claim]) -> list[Unresolved]:
    """What `unit` says that `old` does not, were it a rewording of it."""

    def fault(token: str, why: str) -> Unresolved:
        return Unresolved(line=unit.line, token=token, why=why)

    new_words, old_words = words(unit.text), words(old)
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
            for word in _in_place_of_facts(new_words, old_words, _fact_words(old, claims))
        ]
    return faults


def _key(word: Word) -> str:
    """What makes two words the same: their letters, and of a negation not their case."""
    return word.text.lower() if is_negation(word) else word.text


def _fact_words(text: str, claims: Sequence[Claim]) -> set[str]:
    """The words of a unit that facts gave it, however plain they look."""
    return {
        word.text
        for claim in claims
        if claim.text in text or text in claim.text
        for fact in claim.facts
        for word in words(fact.text)
    }


def _in_place_of_facts(
    new: Sequence[Word], old: Sequence[Word], fact_words: set[str]
) -> Iterator[Word]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, first, last, start, end in matcher.get_opcodes():
        gone = old[first:last] if tag == "replace" else ()
        if any(word.text in fact_words or bears_claim(word) for word in gone):
            yield from (word for word in new[start:end] if not is_plain(word))


def _placed(unchanged: Sequence[_Unit], claims: Sequence[Claim]) -> Iterator[Placed]:
    """Each claim at the first unchanged unit, in order, that shows it."""
    at = 0
    for claim in claims:
        shown = " ".join(PERSON.sub(" ", claim.text).split())
        for index in range(at, len(unchanged)):
            if shown in unchanged[index].text or unchanged[index].text in shown:
                at = index
                yield Placed(line=unchanged[index].line, claim=claim)
                break
