"""A parsed review as the rules of `lint` see it: sentences with lines, times as instants."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from forestall.incident import zones
from forestall.incident.review import statement
from forestall.incident.review.parse import Parsed
from forestall.model.review import Stamp, Statement

# Rules that compare each with each look at so many of a list; no review written by a person
# comes near it, and a hostile one cannot make them slow.
COMPARED_MAX = 200


class Severity(StrEnum):
    """contradiction: two places cannot both be right. gap: something is missing. doubt: asks."""

    CONTRADICTION = "contradiction"
    GAP = "gap"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One thing to ask. `line` counts from 1; None where it is about the whole document."""

    rule: str
    severity: Severity
    line: int | None
    message: str
    question: str


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the document, and the label of its line."""

    label: str
    text: str
    statement: Statement


class Reading:
    """The record and its source lines."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.review = parsed.review

    def line(self, *labels: str) -> int | None:
        """The line of the first of `labels` that the document has."""
        source = self.parsed.source
        return next((source[label] for label in labels if label in source), None)

    def finding(
        self, rule: str, severity: Severity, label: str, message: str, question: str
    ) -> LintFinding:
        """A finding at the line of `label`, or at the heading of its section."""
        section = label.split("/", 1)[0]
        line = self.line(label, f"{section}/heading")
        return LintFinding(
            rule=rule, severity=severity, line=line, message=message, question=question
        )

    @cached_property
    def primary(self) -> list[Said]:
        causes = self.review.causes
        return _said("causes/primary", causes.primary if causes else None)

    @cached_property
    def contributing(self) -> list[Said]:
        causes = self.review.causes
        return _said("causes/contributing", causes.contributing if causes else None)

    @cached_property
    def description(self) -> list[Said]:
        details = self.review.details
        paragraphs = (details.description if details else None) or ()
        return [
            Said(f"details/description/{number}", _text(one), one)
            for number, paragraph in enumerate(paragraphs, 1)
            for one in paragraph
        ]

    @cached_property
    def impact(self) -> list[Said]:
        details = self.review.details
        return _said("details/impact", details.impact if details else None)

    @cached_property
    def immediate(self) -> list[Said]:
        resolution = self.review.resolution
        return _said("resolution/immediate", resolution.immediate if resolution else None)

    @cached_property
    def post_incident(self) -> list[Said]:
        resolution = self.review.resolution
        return _said("resolution/post_incident", resolution.post_incident if resolution else None)

    @cached_property
    def measures(self) -> list[Said]:
        return _said("preventative", self.review.preventative)

    @cached_property
    def lessons(self) -> list[Said]:
        return _said("lessons", self.review.lessons)

    @cached_property
    def follow_ups(self) -> list[Said]:
        follow_ups = self.review.follow_ups
        return _said("follow_ups/items", follow_ups.items if follow_ups else None)

    @cached_property
    def sentences(self) -> list[Said]:
        """All of them, in the order of the profile."""
        return [
            *self.primary,
            *self.contributing,
            *self.description,
            *self.impact,
            *self.immediate,
            *self.post_incident,
            *self.measures,
            *self.lessons,
            *self.follow_ups,
        ]

    @cached_property
    def whole_text(self) -> str:
        """Every sentence and the name, in small letters, also those not understood."""
        kept = [line for patch in self.review.residual for line in patch.insert]
        said = [said.text for said in self.sentences]
        return "\n".join([self.review.name or "", *said, *kept]).lower()

    @cached_property
    def milestones(self) -> dict[str, datetime]:
        """detected, responded, resolved as instants, as far as they are known."""
        timeline = self.review.timeline
        stamps = {
            "detected": timeline.detected if timeline else None,
            "responded": timeline.responded if timeline else None,
            "resolved": timeline.resolved if timeline else None,
        }
        return {name: _instant(stamp) for name, stamp in stamps.items() if stamp is not None}

    @cached_property
    def outage(self) -> timedelta | None:
        """From detection to resolution, else what the document states."""
        times = self.milestones
        if "detected" in times and "resolved" in times:
            return times["resolved"] - times["detected"]
        timeline = self.review.timeline
        stated = timeline.downtime_minutes if timeline else None
        return None if stated is None else timedelta(minutes=stated)


def _said(label: str, statements: tuple[Statement, ...] | None) -> list[Said]:
    return [
        Said(f"{label}/{number}", _text(one), one) for number, one in enumerate(statements or (), 1)
    ]


def _text(one: Statement) -> str:
    return statement.plain(one.text, one.values)


def _instant(stamp: Stamp) -> datetime:
    local = datetime.fromisoformat(stamp.at)
    return local.replace(tzinfo=zones.zone_info(stamp.zone), fold=stamp.fold)
