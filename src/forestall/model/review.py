"""The incident review as a record. Every leaf appears once in the rendered document.

None is what a document does not have: a section, a field or a part of one. An empty tuple is
a heading or a label that stands there with nothing under it. Text is one line of Markdown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forestall.model.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A local time and its IANA zone; the abbreviation shown follows from both.

    `at` is ISO 8601 without an offset, `2026-03-02T14:20:00`. `fold` is 1 only for the second
    of two equal readings on the night the clock goes back.
    """

    at: str
    zone: str
    fold: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence. `{name}` in `text` is a slot filled from `values`; a literal brace is doubled.

    A value is shown by its shape: a whole number with thousands separators, text as it is, a
    list joined by commas, `{"amount", "currency"}` as money, `{"amount", "unit"}` as a size
    (`16GB`), `{"local", "abbreviation"}` as a time of day (`03:05 AM CST` for local `03:05`).
    Every slot has one value and every value one slot.
    """

    text: str
    values: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reported it, and through what."""

    role: str
    via: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """`P1` and what that stands for."""

    code: str
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """`place` is a town, a region or a country, and decides the time zone; `site` what is there."""

    place: str
    site: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """What was hit."""

    servers: tuple[str, ...] | None = None
    location: Location | None = None
    applications: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestones:
    """The four lines of the timeline. `downtime_minutes` is what the document states."""

    detected: Stamp | None = None
    responded: Stamp | None = None
    resolved: Stamp | None = None
    downtime_minutes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """Why it happened, and what let it."""

    primary: tuple[Statement, ...] | None = None
    contributing: tuple[Statement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """`description` is paragraphs of sentences."""

    description: tuple[tuple[Statement, ...], ...] | None = None
    impact: tuple[Statement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What was done at once, and what afterwards."""

    immediate: tuple[Statement, ...] | None = None
    post_incident: tuple[Statement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person, and the role they had if they had one."""

    name: str
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team and who of it took part."""

    name: str
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUps:
    """What is still to be done: one owner and one deadline (`YYYY-MM-DD`) for the whole list."""

    deadline: str | None = None
    owner: str | None = None
    items: tuple[Statement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the document differs from the profile's own layout; None is the profile's.

    `order` gives, for `document` and for a section, its parts in the order they stand in.
    """

    newline: str | None = None
    bom: bool | None = None
    final_newline: bool | None = None
    order: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What the record does not say: after the line labelled `after`, omit the lines labelled
    `drop` and put in the lines `insert`.

    `after` is empty for the start of the document. `line` is where this stood in the document
    that was read, counted from 1; `why` says why it was not understood.
    """

    after: str
    drop: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()
    line: int | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review. `date` is the local day, `YYYY-MM-DD`."""

    SCHEMA = "forestall/review/1"

    title: str | None = None
    number: str | None = None
    name: str | None = None
    date: str | None = None
    reported_by: Reporter | None = None
    priority: Priority | None = None
    affected: Affected | None = None
    timeline: Milestones | None = None
    causes: Causes | None = None
    details: Details | None = None
    resolution: Resolution | None = None
    teams: tuple[Team, ...] | None = None
    preventative: tuple[Statement, ...] | None = None
    lessons: tuple[Statement, ...] | None = None
    follow_ups: FollowUps | None = None
    layout: Layout | None = None
    residual: tuple[Patch, ...] = ()
