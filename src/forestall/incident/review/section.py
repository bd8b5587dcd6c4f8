"""One section of a document, read line by line into the record by its profile."""

import re
from typing import Any

from forestall.errors import InputError
from forestall.incident.review import render, statement
from forestall.incident.review.forms import Context, Form, Unreadable
from forestall.incident.review.profile import (
    INDENT,
    MEMBER,
    PARAGRAPH,
    SENTENCE,
    WORDS,
    Field,
    Fields,
    Group,
    Items,
    Part,
    Prose,
    Section,
    Teams,
)
from forestall.model.codec import Json

_FIELD = re.compile(r"-   \*\*([^*]+):\*\*(.*)")
_NESTED_FIELD = re.compile(r"    -   ([^:]+): (.+)")
_NUMBERED_LABEL = re.compile(r"(\d{1,9})\.  \*\*(.+):\*\*( *)")
_ITEM = re.compile(r"(\d{1,9})\.  (.+)")
_BULLET = re.compile(r"-   (.+)")
_NESTED_BULLET = re.compile(r"    -   (.+)")

Labelled = Field | Fields | Group | Prose


class SectionReading:
    """What has been read of one section; `opened` are its parts in the order they came.

    Fills `record`, and notes in `taken` from which line (counted from 0) each label was read.
    """

    def __init__(
        self, section: Section, record: dict[str, Json], taken: dict[str, int], context: Context
    ) -> None:
        self.section = section
        self.record = record
        self.taken = taken
        self.context = context
        self.opened: list[str] = []
        self.nested: list[str] = []
        self._current: Part | None = None
        self._values: list[Json] = []
        self._labelled: dict[str, Labelled] = {
            part.label: part for part in section.parts if not isinstance(part, Items | Teams)
        }
        self._list = next((p for p in section.parts if isinstance(p, Items | Teams)), None)
        if section.path is not None:
            is_list = self._list is not None and self._list.path == section.path
            put(record, section.path, self._values if is_list else {})

    def read_line(self, index: int, line: str) -> None:
        """Read one line that is not blank. Raises Unreadable with why it is left as it is."""
        if not statement.is_fit(line):
            raise Unreadable("holds bytes that are no UTF-8, or control characters")
        if line.startswith(INDENT):
            self._read_inner(index, line)
            return
        self._current = None
        bullet = _FIELD.fullmatch(line)
        numbered = _NUMBERED_LABEL.fullmatch(line)
        if bullet and bullet[1] in self._labelled:
            self._open(index, self._labelled[bullet[1]], bullet[2])
        elif numbered and numbered[2] in self._labelled:
            self._open(index, self._labelled[numbered[2]], numbered[3])
        elif isinstance(self._list, Teams) and numbered:
            self._open_team(index, self._list, numbered)
        elif isinstance(self._list, Items):
            self._read_item(index, self._list, line)
        else:
            raise Unreadable("not a part of this section")

    def _open(self, index: int, part: Labelled, rest: str) -> None:
        """A label and, for a field, its value."""
        if part.key in self.opened:
            raise Unreadable(f"a second {part.label}")
        label = render.part_label(self.section, part)
        if isinstance(part, Field):
            if not rest.startswith(" ") or not rest.strip():
                raise Unreadable(f"{part.label} has no value")
            put(self.record, part.path, self._take(label, index, part.form, rest[1:]))
        else:
            if rest.strip():
                raise Unreadable(f"expected nothing on the line of {part.label}")
            self.taken[label] = index
            self._current = part
            self._values = []
            put(self.record, part.path, {} if isinstance(part, Fields) else self._values)
        self.opened.append(part.key)

    def _open_team(self, index: int, part: Teams, match: "re.Match[str]") -> None:
        count = len(self._list_values(part)) + 1
        self._expect_number(match[1], count)
        if match[3]:
            raise Unreadable("blanks after the name of a team")
        name = self._take(f"{self._label(part)}/{count}", index, WORDS, match[2])
        self._list_values(part).append({"name": name, "members": []})
        self._current = part

    def _read_item(self, index: int, part: Items, line: str) -> None:
        match = (_ITEM if part.numbered else _BULLET).fullmatch(line)
        if match is None:
            raise Unreadable("not an item of this list")
        if part.key in self.opened and self.opened[-1] != part.key:
            raise Unreadable("stands apart from the other items")
        values = self._list_values(part)
        if part.numbered:
            self._expect_number(match[1], len(values) + 1)
        label = f"{self._label(part)}/{len(values) + 1}"
        values.append(self._take(label, index, SENTENCE, match[match.re.groups]))

    def _read_inner(self, index: int, line: str) -> None:
        part = self._current
        bullet = _NESTED_BULLET.fullmatch(line)
        if isinstance(part, Fields):
            self._read_nested_field(index, part, line)
        elif isinstance(part, Group) and bullet:
            label = f"{self._label(part)}/{len(self._values) + 1}"
            self._values.append(self._take(label, index, SENTENCE, bullet[1]))
        elif isinstance(part, Prose) and not bullet:
            label = f"{self._label(part)}/{len(self._values) + 1}"
            self._values.append(self._take(label, index, PARAGRAPH, line[len(INDENT) :]))
        elif isinstance(part, Teams) and bullet:
            team = self._list_values(part)[-1]
            label = f"{self._label(part)}/{len(self._list_values(part))}"
            label = f"{label}/{len(team['members']) + 1}"
            team["members"].append(self._take(label, index, MEMBER, bullet[1]))
        else:
            raise Unreadable("belongs to no part of this section")

    def _read_nested_field(self, index: int, part: Fields, line: str) -> None:
        match = _NESTED_FIELD.fullmatch(line)
        field = next((f for f in part.fields if match and f.label == match[1]), None)
        if match is None or field is None:
            raise Unreadable(f"not a part of {part.label}")
        if field.key in self.nested:
            raise Unreadable(f"a second {field.label}")
        label = f"{self._label(part)}/{field.key}"
        put(self.record, field.path, self._take(label, index, field.form, match[2]))
        self.nested.append(field.key)

    def _take(self, label: str, index: int, form: Form, text: str) -> Json:
        """Read one line's leaves; Unreadable unless writing them gives the same text again."""
        value = form.read(text, self.context)
        try:
            shown = statement.text(form.show(value, ""))
        except InputError as error:
            raise Unreadable(error.message) from None
        if shown != text:
            raise Unreadable(f"would be written {shown!r}")
        self.taken[label] = index
        return value

    def _list_values(self, part: Items | Teams) -> list[Any]:
        """The list that `part` is read into, made when its first item comes."""
        if part.key not in self.opened:
            self.opened.append(part.key)
            if part.path != self.section.path:
                self._items: list[Any] = []
                put(self.record, part.path, self._items)
            else:
                self._items = self._values
        return self._items

    def _label(self, part: Part) -> str:
        return render.part_label(self.section, part)

    def _expect_number(self, found: str, expected: int) -> None:
        if found != str(expected):
            raise Unreadable(f"numbered {found} where {expected} was expected")


def put(record: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    """Set the value at `path`, making the objects on the way."""
    for step in path[:-1]:
        record = record.setdefault(step, {})
    record[path[-1]] = value
