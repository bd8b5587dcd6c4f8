"""The shape of a review: its sections, the parts of each, and the form of each leaf.

`SECTIONS` says it all, in the order of a document; the renderer writes by it and the parser
reads by it.
"""

from dataclasses import dataclass

from forestall.incident.review.forms import (
    Day,
    Form,
    Listed,
    Minutes,
    Moment,
    Paragraph,
    Qualified,
    Sentence,
    Words,
)
from forestall.model.codec import Json

RULE = "----------"
INDENT = "    "
DOCUMENT = "document"
METADATA = "metadata"

WORDS = Words()
SENTENCE = Sentence()
PARAGRAPH = Paragraph()
MEMBER = Qualified("name", "role", alone="name")


@dataclass(frozen=True, slots=True)
class Field:
    """`-   **Label:** value`; one step below a group, `    -   Label: value`."""

    key: str
    label: str
    path: tuple[str, ...]
    form: Form
    nested: bool = False

    @property
    def before(self) -> str:
        """What stands before the value."""
        return f"{INDENT}-   {self.label}: " if self.nested else f"-   **{self.label}:** "


@dataclass(frozen=True, slots=True)
class Fields:
    """`-   **Label:**` and nested fields below it."""

    key: str
    label: str
    path: tuple[str, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A label, a blank line, and bullets. Numbered by its place in the section, or a bullet."""

    key: str
    label: str
    path: tuple[str, ...]
    numbered: bool


@dataclass(frozen=True, slots=True)
class Prose:
    """`-   **Label:**` with a hard break, and indented paragraphs."""

    key: str
    label: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """Sentences, as a numbered or a bulleted list."""

    key: str
    path: tuple[str, ...]
    numbered: bool


@dataclass(frozen=True, slots=True)
class Teams:
    """Numbered team names, the members of each below it."""

    key: str
    path: tuple[str, ...]


Part = Field | Fields | Group | Prose | Items | Teams


@dataclass(frozen=True, slots=True)
class Section:
    """Headings with a blank line after each, and parts; `between` separates parts of two kinds."""

    key: str
    headings: tuple[str, ...]
    parts: tuple[Part, ...]
    between: str | None = None
    path: tuple[str, ...] | None = None


def _section(key: str, heading: str, *parts: Part, between: str | None = None) -> Section:
    return Section(key, (f"### **{heading}**",), parts, between, (key,))


_moment = Moment()
SECTIONS: tuple[Section, ...] = (
    Section(
        METADATA,
        ("#### **Incident Metadata**",),
        (
            Field("number", "Incident Number", ("number",), WORDS),
            Field("name", "Incident Name", ("name",), WORDS),
            Field("date", "Date of Incident", ("date",), Day(in_words=True)),
            Field(
                "reported_by",
                "Reported By",
                ("reported_by",),
                Qualified("role", "via", alone="role"),
            ),
            Field(
                "priority",
                "Priority Level",
                ("priority",),
                Qualified("code", "label", alone="code"),
            ),
            Fields(
                "affected",
                "Affected Systems",
                ("affected",),
                (
                    Field("servers", "Server Name", ("affected", "servers"), Listed("`"), True),
                    Field(
                        "location",
                        "Location",
                        ("affected", "location"),
                        Qualified("site", "place", alone="place"),
                        True,
                    ),
                    Field(
                        "applications",
                        "Applications Impacted",
                        ("affected", "applications"),
                        Listed(),
                        True,
                    ),
                ),
            ),
        ),
    ),
    _section(
        "timeline",
        "Incident Timeline",
        Field("detected", "Incident Detected", ("timeline", "detected"), _moment),
        Field("responded", "First Response", ("timeline", "responded"), _moment),
        Field("resolved", "Resolution Time", ("timeline", "resolved"), _moment),
        Field("downtime", "Total Downtime", ("timeline", "downtime_minutes"), Minutes()),
    ),
    Section(
        "causes",
        ("### **Root Cause Analysis**", "#### **Causes**"),
        (
            Group("primary", "Primary Cause", ("causes", "primary"), numbered=True),
            Group(
                "contributing", "Contributing Factors", ("causes", "contributing"), numbered=True
            ),
        ),
        path=("causes",),
    ),
    _section(
        "details",
        "Incident Details",
        Prose("description", "Description", ("details", "description")),
        Group("impact", "Impact", ("details", "impact"), numbered=False),
        between=INDENT,
    ),
    _section(
        "resolution",
        "Resolution Steps",
        Group("immediate", "Immediate Actions", ("resolution", "immediate"), numbered=True),
        Group(
            "post_incident",
            "Post-Incident Actions",
            ("resolution", "post_incident"),
            numbered=True,
        ),
    ),
    _section("teams", "Support Teams Involved", Teams("teams", ("teams",))),
    _section("preventative", "Preventative Measures", Items("items", ("preventative",), True)),
    _section("lessons", "Lessons Learned", Items("items", ("lessons",), False)),
    _section(
        "follow_ups",
        "Follow-Up Actions",
        Field("deadline", "Deadline", ("follow_ups", "deadline"), Day()),
        Field("owner", "Owner", ("follow_ups", "owner"), WORDS),
        Items("items", ("follow_ups", "items"), True),
        between="",
    ),
)


def find(document: Json, path: tuple[str, ...]) -> Json:
    """The value at `path` of a record's JSON; None where a step is absent."""
    for step in path:
        if document is None:
            return None
        document = document.get(step)
    return document


def pointer(path: tuple[str, ...]) -> str:
    """The JSON pointer of `path`."""
    return "".join(f"/{step}" for step in path)
