"""How a leaf is written: each form turns one value of a record's JSON into text and back."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Protocol

from forestall.errors import InputError
from forestall.incident import zones
from forestall.incident.review import statement
from forestall.incident.review.statement import Piece, Pieces
from forestall.model.codec import Json

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


class Unreadable(Exception):  # noqa: N818 - an answer of a reader, not an error of the program
    """Why a piece of text is not what its place asks for; `refused` where a person must decide."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.refused = refused


@dataclass(slots=True)
class Context:
    """What reading a time needs: the place, the day of the incident, and a zone given by hand.

    `unplaced` collects why times of day in prose stay text; who reads the lines empties it.
    """

    place: str | None = None
    day: date | None = None
    zone: str | None = None
    known: dict[tuple[str, datetime], str | InputError] = field(default_factory=dict)
    unplaced: list[str] = field(default_factory=list)

    def resolve(self, abbreviation: str, local: datetime) -> str:
        """The zone of a time. Raises InputError as `zones.resolve` does."""
        key = (abbreviation, local)
        if key not in self.known:
            try:
                if self.zone:
                    self.known[key] = zones.confirm(abbreviation, self.zone, local)
                else:
                    self.known[key] = zones.resolve(abbreviation, self.place, local)
            except InputError as error:
                self.known[key] = error
        answer = self.known[key]
        if isinstance(answer, InputError):
            raise answer
        return answer

    def knows_time(self, local: str, abbreviation: str) -> bool:
        """Whether a time of day in prose is one that this place has on the day of the incident."""
        if self.day is None and abbreviation not in ("UTC", "GMT"):
            self.unplaced.append(f"{local} {abbreviation} has no date to be resolved by")
            return False
        try:
            day = self.day or date(2000, 1, 1)
            self.resolve(abbreviation, datetime.combine(day, time.fromisoformat(local)))
        except InputError as error:
            self.unplaced.append(_with_help(error))
            return False
        return True


class Form(Protocol):
    """How one value is written. `show` raises InputError, `read` Unreadable."""

    def show(self, value: Json, where: str) -> Pieces: ...

    def read(self, text: str, context: Context) -> Json: ...


class Words:
    """Text as it is."""

    def show(self, value: Json, where: str) -> Pieces:
        return [Piece(statement.fit(value, where), (where,))]

    def read(self, text: str, context: Context) -> Json:
        return text


class Sentence:
    """A Statement, with its slots."""

    def show(self, value: Json, where: str) -> Pieces:
        return statement.show(value, where)

    def read(self, text: str, context: Context) -> Json:
        return statement.read(text, context.knows_time)


class Paragraph:
    """Statements with one blank between each two."""

    def show(self, value: Json, where: str) -> Pieces:
        if not value:
            raise InputError(f"an empty paragraph at {where}", help="remove it")
        pieces: Pieces = []
        for index, sentence in enumerate(value):
            pieces.append(Piece(" " if index else ""))
            pieces.extend(statement.show(sentence, f"{where}/{index}"))
        return pieces

    def read(self, text: str, context: Context) -> Json:
        return [statement.read(sentence, context.knows_time) for sentence in statement.split(text)]


class Listed:
    """Texts with a comma between, each between `mark`s."""

    def __init__(self, mark: str = "") -> None:
        self.mark = mark

    def show(self, value: Json, where: str) -> Pieces:
        if not value:
            raise InputError(f"an empty list at {where}", help="remove the field instead")
        pieces: Pieces = []
        for index, item in enumerate(value):
            leaf = f"{where}/{index}"
            pieces.append(Piece((", " if index else "") + self.mark))
            pieces.append(Piece(statement.fit(item, leaf), (leaf,)))
            pieces.append(Piece(self.mark))
        return pieces

    def read(self, text: str, context: Context) -> Json:
        items = text.split(", ")
        width = len(self.mark)
        for item in items:
            inner = item[width : len(item) - width]
            if not inner or item != f"{self.mark}{inner}{self.mark}":
                raise Unreadable(f"expected names like {self.mark}one{self.mark}, with commas")
        return [item[width : len(item) - width] for item in items]


class Qualified:
    """`one (other)`; without parentheses the whole is `alone`."""

    def __init__(self, outer: str, inner: str, alone: str) -> None:
        self.outer = outer
        self.inner = inner
        self.alone = alone

    def show(self, value: Json, where: str) -> Pieces:
        shown = {
            key: Piece(statement.fit(value[key], f"{where}/{key}"), (f"{where}/{key}",))
            for key in (self.outer, self.inner)
            if value[key] is not None
        }
        if len(shown) == 1:
            return list(shown.values())
        return [shown[self.outer], Piece(" ("), shown[self.inner], Piece(")")]

    def read(self, text: str, context: Context) -> Json:
        match = re.fullmatch(r"(.+) \(([^()]+)\)", text)
        if match is None:
            return {self.outer: None, self.inner: None, self.alone: text}
        return {self.outer: match[1], self.inner: match[2]}


class Day:
    """A day: `2026-03-02`, or `March 2, 2026` where `in_words`. The record has the first."""

    def __init__(self, *, in_words: bool = False) -> None:
        self.in_words = in_words

    def show(self, value: Json, where: str) -> Pieces:
        day = _day(statement.fit(value, where))
        if day is None:
            raise InputError(f"no date at {where}: {value!r}", help="write for example 2026-03-02")
        in_words = f"{MONTHS[day.month - 1]} {day.day}, {day.year:04d}"
        return [Piece(in_words if self.in_words else day.isoformat(), (where,))]

    def read(self, text: str, context: Context) -> Json:
        match = re.fullmatch(r"([A-Z][a-z]+) (\d{1,2}), (\d{4})", text, re.ASCII)
        iso = text
        if self.in_words:
            if match is None or match[1] not in MONTHS:
                raise Unreadable("expected a date like March 2, 2026")
            iso = f"{match[3]}-{MONTHS.index(match[1]) + 1:02d}-{int(match[2]):02d}"
        if _day(iso) is None:
            raise Unreadable("expected a date like 2026-03-02, one that exists")
        return iso


class Moment:
    """A Stamp, `2026-03-02, 02:20 PM CST`."""

    def show(self, value: Json, where: str) -> Pieces:
        at, zone, fold = value["at"], value["zone"], value["fold"]
        local = _local(at)
        if local is None or fold not in (0, 1):
            wrong = "/at" if local is None else "/fold"
            raise InputError(
                f"no local time at {where}{wrong}", help="write for example 2026-03-02T14:20:00"
            )
        try:
            name = zones.abbreviation(local.replace(fold=fold), zone)
        except InputError as error:
            raise InputError(f"{where}: {error.message}", help=error.help) from None
        clock = local.time().isoformat("seconds" if local.second else "minutes")
        shown = f"{local.date()}, {statement.show_time_of_day(clock)}"
        # The abbreviation follows from the time and the zone, so an edit of either may change it.
        leaves = (f"{where}/zone", f"{where}/at", *([f"{where}/fold"] if fold else []))
        return [Piece(shown, (f"{where}/at",)), Piece(" "), Piece(name, leaves)]

    def read(self, text: str, context: Context) -> Json:
        match = re.fullmatch(
            r"(\d{4}-\d\d-\d\d), (\d\d:\d\d(?::\d\d)? [AP]M) ([A-Z]{1,6}|[+-]\d\d(?:\d\d)?)",
            text,
            re.ASCII,
        )
        local = _local(f"{match[1]}T{statement.read_time_of_day(match[2])}") if match else None
        if match is None or local is None:
            raise Unreadable("expected a time like 2026-03-02, 02:20 PM CST")
        try:
            zone = context.resolve(match[3], local)
        except InputError as error:
            raise Unreadable(_with_help(error), refused=True) from None
        fold = zones.fold_of(local, zone, match[3])
        return {"at": local.isoformat(), "zone": zone, "fold": fold}


class Minutes:
    """A number of minutes, `2 hours 40 minutes`."""

    def show(self, value: Json, where: str) -> Pieces:
        if value < 0:
            raise InputError(f"a negative duration at {where}")
        hours, minutes = divmod(value, 60)
        parts = [
            f"{count} {unit}{'' if count == 1 else 's'}"
            for count, unit in ((hours, "hour"), (minutes, "minute"))
            if count
        ]
        return [Piece(" ".join(parts) or "0 minutes", (where,))]

    def read(self, text: str, context: Context) -> Json:
        match = re.fullmatch(r"(?:(\d{1,9}) hours?)? ?(?:(\d{1,2}) minutes?)?", text, re.ASCII)
        if match is None or not text:
            raise Unreadable("expected a duration like 2 hours 40 minutes")
        return int(match[1] or 0) * 60 + int(match[2] or 0)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def _local(text: str) -> datetime | None:
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    well_formed = "T" in text and local.tzinfo is None and local.microsecond == 0
    return local if well_formed else None


def _with_help(error: InputError) -> str:
    return f"{error.message} ({error.help})" if error.help else error.message
