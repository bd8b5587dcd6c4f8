"""A record to the bytes of its document: labelled lines by the profile, then the residual.

Each line knows which leaf each run of its text shows, so `places` can say where a leaf stands.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, TypeVar

from forestall.errors import InputError
from forestall.incident.review import residual
from forestall.incident.review.profile import (
    DOCUMENT,
    INDENT,
    MEMBER,
    METADATA,
    PARAGRAPH,
    RULE,
    SECTIONS,
    SENTENCE,
    Field,
    Fields,
    Group,
    Items,
    Part,
    Prose,
    Section,
    Teams,
    find,
    pointer,
)
from forestall.incident.review.statement import Piece, Pieces, fit, text
from forestall.model import codec
from forestall.model.codec import Json
from forestall.model.review import Layout, Review

BOM = "\ufeff"
_NEWLINES = ("\n", "\r\n")


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


_Part = TypeVar("_Part", bound=_Keyed)


class Line(NamedTuple):
    """One line of the document. `label` names its place in the profile, `lessons/2`."""

    label: str
    pieces: Pieces

    @property
    def text(self) -> str:
        return text(self.pieces)


def render(review: Review) -> bytes:
    """The document. Raises InputError with the JSON pointer of a leaf that no line can show."""
    newline, start, end = _layout(review.layout or Layout())
    body = newline.join(line.text for line in document_lines(review))
    try:
        return f"{start}{body}{end}".encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InputError(
            "a text of the record holds half a surrogate pair", help="see its \\ud8.. escapes"
        ) from None


def places(review: Review) -> dict[str, list[tuple[int, int]]]:
    """Where each leaf stands in the document, as byte ranges, by its JSON pointer."""
    newline, start, _ = _layout(review.layout or Layout())
    at = len(start.encode())
    found: dict[str, list[tuple[int, int]]] = {}
    for line in document_lines(review):
        for piece in line.pieces:
            end = at + len(piece.text.encode("utf-8", "surrogateescape"))
            for leaf in piece.leaves:
                found.setdefault(leaf, []).append((at, end))
            at = end
        at += len(newline)
    return found


def document_lines(review: Review) -> Iterator[Line]:
    """The lines of the document, with what the residual drops and puts in."""
    known = {line.label: line for line in lines(review)}
    for label, inserted in residual.apply(list(known), review.residual):
        if label:
            yield known[label]
        for line in inserted:
            yield Line("", [Piece(line)])


def lines(review: Review) -> list[Line]:
    """The lines the profile gives a record, without its residual. Labels are unique."""
    record = codec.encode(review)
    order = _orders(review.layout)
    rendered: list[Line] = []
    if review.title is not None:
        shown = Piece(fit(review.title, "/title"), ("/title",))
        rendered.append(Line("title", [Piece("### **"), shown, Piece("**")]))
    is_first = True
    for section in _arranged(SECTIONS, order.get(DOCUMENT, ()), DOCUMENT):
        if not is_present(section, record):
            continue
        rendered.extend(_opening(section, is_start=not rendered, is_first=is_first))
        body = list(_body(section, record, order))
        if body:
            rendered.append(_blank(f"{section.key}/heading/space"))
        rendered.extend(body)
        is_first = False
    return rendered


def is_present(section: Section, record: Json) -> bool:
    """Whether a record has this section, be it empty."""
    if section.path is not None:
        return find(record, section.path) is not None
    return any(find(record, part.path) is not None for part in section.parts)


def _opening(section: Section, *, is_start: bool, is_first: bool) -> Iterator[Line]:
    """What stands before a section, and its headings."""
    if not is_start:
        yield _blank(f"{section.key}/space")
    if not is_first and section.key != METADATA:
        yield Line(f"{section.key}/rule", [Piece(RULE)])
        yield _blank(f"{section.key}/rule/space")
    yield Line(f"{section.key}/heading", [Piece(section.headings[0])])
    for heading in section.headings[1:]:
        yield _blank(f"{section.key}/subheading/space")
        yield Line(f"{section.key}/subheading", [Piece(heading)])


def _body(section: Section, record: Json, order: Mapping[str, tuple[str, ...]]) -> Iterator[Line]:
    before: Part | None = None
    number = 0
    for part in _arranged(section.parts, order.get(section.key, ()), section.key):
        value = find(record, part.path)
        if value is None:
            continue
        label = part_label(section, part)
        if before is not None and section.between is not None and type(before) is not type(part):
            yield _blank(f"{label}/before", section.between)
        number += isinstance(part, Group) and part.numbered
        yield from _part(part, label, value, number, order)
        before = part


def part_label(section: Section, part: Part) -> str:
    """The label of a part; a section that is one list gives it its own."""
    return section.key if part.path == section.path else f"{section.key}/{part.key}"


def group_heading(part: Group, number: int) -> str:
    """The line that opens a group."""
    return f"{number}.  **{part.label}:**" if part.numbered else f"-   **{part.label}:**"


def _part(
    part: Part, label: str, value: Json, number: int, order: Mapping[str, tuple[str, ...]]
) -> Iterator[Line]:
    where = pointer(part.path)
    match part:
        case Field():
            yield Line(label, [Piece(part.before), *part.form.show(value, where)])
        case Fields():
            yield Line(label, [Piece(f"-   **{part.label}:**")])
            for field in _arranged(part.fields, order.get(part.key, ()), part.key):
                inner = value[field.path[-1]]
                if inner is not None:
                    shown = field.form.show(inner, pointer(field.path))
                    yield Line(f"{label}/{field.key}", [Piece(field.before), *shown])
        case Group():
            yield Line(label, [Piece(group_heading(part, number))])
            if value:
                yield _blank(f"{label}/space", INDENT)
            yield from _list(label, value, where, f"{INDENT}-   ")
        case Prose():
            yield Line(label, [Piece(f"-   **{part.label}:**  ")])
            for index, paragraph in enumerate(value):
                if index:
                    yield _blank(f"{label}/{index + 1}/space", INDENT)
                shown = PARAGRAPH.show(paragraph, f"{where}/{index}")
                yield Line(f"{label}/{index + 1}", [Piece(INDENT), *shown])
        case Items():
            yield from _list(label, value, where, None if part.numbered else "-   ")
        case Teams():
            yield from _teams(label, value, where)


def _list(label: str, items: Json, where: str, bullet: str | None) -> Iterator[Line]:
    for index, item in enumerate(items):
        shown = SENTENCE.show(item, f"{where}/{index}")
        yield Line(f"{label}/{index + 1}", [Piece(bullet or f"{index + 1}.  "), *shown])


def _teams(label: str, teams: Json, where: str) -> Iterator[Line]:
    for index, team in enumerate(teams):
        at = f"{where}/{index}"
        name = Piece(fit(team["name"], f"{at}/name"), (f"{at}/name",))
        yield Line(f"{label}/{index + 1}", [Piece(f"{index + 1}.  **"), name, Piece(":**")])
        for count, member in enumerate(team["members"]):
            shown = MEMBER.show(member, f"{at}/members/{count}")
            yield Line(f"{label}/{index + 1}/{count + 1}", [Piece(f"{INDENT}-   "), *shown])


def _blank(label: str, content: str = "") -> Line:
    return Line(label, [Piece(content)])


def _arranged(parts: tuple[_Part, ...], order: tuple[str, ...], name: str) -> list[_Part]:
    """`parts`, those that `order` names first and in its order."""
    by_key = {part.key: part for part in parts}
    for index, key in enumerate(order):
        if key not in by_key:
            known = ", ".join(by_key)
            raise InputError(f"no part {key!r} at /layout/order/{name}/{index}: one of {known}")
    return [by_key[key] for key in dict.fromkeys((*order, *by_key))]


def _orders(layout: Layout | None) -> Mapping[str, tuple[str, ...]]:
    return (layout.order if layout else None) or {}


def _layout(layout: Layout) -> tuple[str, str, str]:
    """Newline, start and end of the document."""
    newline = layout.newline or "\n"
    if newline not in _NEWLINES:
        raise InputError("no newline at /layout/newline", help='write "\\n" or "\\r\\n"')
    return newline, BOM if layout.bom else "", newline if layout.final_newline else ""
