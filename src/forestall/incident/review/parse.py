"""Any bytes to a record: what fits the profile exactly is read, the rest stays as residual.

A line is read only if writing what was read gives the same line again, so no reading can lose
or change a byte. Everything is one pass over the lines; what was not understood, and why, is
handed on with its line number.
"""

import re
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from forestall.errors import InputError
from forestall.incident.review import render, residual, statement
from forestall.incident.review.forms import Context, Unreadable
from forestall.incident.review.profile import (
    DOCUMENT,
    METADATA,
    RULE,
    SECTIONS,
    Fields,
    Section,
    find,
)
from forestall.incident.review.section import SectionReading
from forestall.incident.zones import zone_info
from forestall.model import codec
from forestall.model.codec import Json
from forestall.model.review import Patch, Review

BYTES_MAX = 4 << 20
# Beyond this many, lines that are not understood are kept without saying why.
REASONS_MAX = 1000

_HEADING = re.compile(r"#{1,6} ")
_TITLE = re.compile(r"### \*\*(.+)\*\*")
_BY_HEADING = {section.headings[0]: section for section in SECTIONS}


class Remark(NamedTuple):
    """What a person should know about the reading: line counted from 1, why, and its weight."""

    line: int
    why: str
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A reading. `remarks` are in the order of lines; `source` maps a label to its line."""

    review: Review
    remarks: tuple[Remark, ...]
    source: dict[str, int]

    @property
    def is_refused(self) -> bool:
        """Whether a time could not be placed, so that a person must say what was meant."""
        return any(remark.refused for remark in self.remarks)


def parse(data: bytes, *, zone: str | None = None) -> Parsed:
    """Read a document; `zone` is the IANA zone of its times where its place does not say.

    Raises InputError above `BYTES_MAX` bytes, and for a `zone` that does not exist.
    """
    if len(data) > BYTES_MAX:
        raise InputError(
            f"{len(data):,} bytes are more than a review may have ({BYTES_MAX >> 20} MiB)",
            help="split the document",
        )
    if zone is not None:
        zone_info(zone)
    lines, layout = _lines(data)
    reader = _Reader(lines, zone)
    reader.read()
    if reader.order:
        layout["order"] = reader.order
    review = codec.decode(Review, {**reader.record, "layout": layout or None})
    rendered = [(line.label, line.text) for line in render.lines(review)]
    patches = residual.compare(rendered, lines, reader.taken, reader.why)
    return Parsed(
        review=replace(review, residual=patches),
        remarks=_remarks(patches, reader),
        source={label: index + 1 for label, index in reader.taken.items()},
    )


def _lines(data: bytes) -> tuple[list[str], dict[str, Json]]:
    """The lines of the document, and what its bytes have that the profile's do not."""
    text = data.decode("utf-8", "surrogateescape")
    layout: dict[str, Json] = {}
    if text.startswith(render.BOM):
        layout["bom"] = True
        text = text[len(render.BOM) :]
    newline = "\n"
    if "\n" in text and text.count("\r\n") == text.count("\n"):
        layout["newline"] = newline = "\r\n"
    lines = text.split(newline)
    if len(lines) > 1 and lines[-1] == "":
        layout["final_newline"] = True
        lines.pop()
    # No line at all and one empty line are the same bytes.
    return ([] if lines == [""] and not layout.get("final_newline") else lines), layout


def _remarks(patches: tuple[Patch, ...], reader: "_Reader") -> tuple[Remark, ...]:
    remarks = list(reader.unplaced)
    for patch in patches:
        assert patch.line is not None
        if any(line.strip() for line in patch.insert):
            count = len(patch.insert)
            kept = "kept as it is" if count == 1 else f"{count} lines kept as they are"
            why = patch.why or "not of the review's shape"
            remarks.append(Remark(patch.line, f"{kept}: {why}", patch.line in reader.refused))
        elif patch.insert:
            remarks.append(Remark(patch.line, f"{len(patch.insert)} blank lines more than usual"))
        else:
            remarks.append(Remark(patch.line, f"not there: {', '.join(patch.drop)}"))
    return tuple(sorted(remarks, key=lambda remark: remark.line))


class _Reader:
    """One reading of one document, line by line; holds what has been understood so far."""

    def __init__(self, lines: list[str], zone: str | None) -> None:
        self.lines = lines
        self.context = Context(zone=zone)
        self.record: dict[str, Json] = {}
        self.taken: dict[str, int] = {}
        self.why: dict[int, str] = {}
        self.refused: set[int] = set()
        self.unplaced: list[Remark] = []
        self.order: dict[str, list[str]] = {}

    def read(self) -> None:
        segments = self._segments()
        self._note_order(DOCUMENT, tuple(s.key for s in SECTIONS), [s.key for s, _ in segments])
        # The place decides what the times mean, and their date what the prose means.
        first = (METADATA, "timeline")
        for section, span in sorted(
            segments, key=lambda s: first.index(s[0].key) if s[0].key in first else len(first)
        ):
            self._read_section(section, span)
            if section.key in first:
                self._learn()

    def _segments(self) -> list[tuple[Section, range]]:
        """The known sections and the lines below their headings; the title on the way."""
        starts: list[tuple[int, Section | None]] = []
        seen: set[str] = set()
        for index, line in enumerate(self.lines):
            if not _HEADING.match(line):
                continue
            section = _BY_HEADING.get(line)
            title = _TITLE.fullmatch(line)
            last = starts[-1][1] if starts else None
            if section is not None and section.key not in seen:
                seen.add(section.key)
                starts.append((index, section))
                self.taken[f"{section.key}/heading"] = index
            elif last is not None and line in last.headings[1:]:
                continue
            elif title and not starts and statement.is_fit(line) and "title" not in self.record:
                self.record["title"] = title[1]
                self.taken["title"] = index
            else:
                known = "a second such section" if section else "not a heading of this shape"
                self._note(index, Unreadable(known))
                starts.append((index, None))
        bounded = pairwise([*starts, (len(self.lines), None)])
        return [
            (section, range(start + 1, end))
            for (start, section), (end, _) in bounded
            if section is not None
        ]

    def _learn(self) -> None:
        """Place and day, as far as they are known now."""
        self.context.place = find(self.record, ("affected", "location", "place"))
        at = find(self.record, ("timeline", "detected", "at"))
        day = at[:10] if at else self.record.get("date")
        self.context.day = date.fromisoformat(day) if day else None

    def _read_section(self, section: Section, span: range) -> None:
        reading = SectionReading(section, self.record, self.taken, self.context)
        for index in span:
            line = self.lines[index]
            if not line.strip() or line == RULE or line in section.headings:
                continue
            try:
                reading.read_line(index, line)
            except Unreadable as reason:
                self._note(index, reason)
            self._drain_unplaced(index)
        self._note_order(section.key, tuple(part.key for part in section.parts), reading.opened)
        for part in section.parts:
            if isinstance(part, Fields):
                self._note_order(part.key, tuple(f.key for f in part.fields), reading.nested)

    def _drain_unplaced(self, index: int) -> None:
        for reason in self.context.unplaced[: REASONS_MAX - len(self.unplaced)]:
            self.unplaced.append(Remark(index + 1, f"a time is left as text: {reason}", True))
        self.context.unplaced.clear()

    def _note(self, index: int, reason: Unreadable) -> None:
        if len(self.why) < REASONS_MAX or reason.refused:
            self.why[index] = reason.why
        if reason.refused:
            self.refused.add(index + 1)

    def _note_order(self, name: str, usual: tuple[str, ...], found: list[str]) -> None:
        if found != [key for key in usual if key in found]:
            self.order[name] = found
