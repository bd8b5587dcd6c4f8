"""Rules about times: do the stated times, dates and durations agree with each other?"""

import re
from collections.abc import Iterator
from datetime import UTC, date, timedelta
from itertools import pairwise

from forestall.incident.review.reading import LintFinding, Reading, Severity
from forestall.units import format_duration

_NUMBER = re.compile(r"[A-Z]+-(\d{4})(\d{2})(\d{2})-\d+")


def times_in_order(reading: Reading) -> Iterator[LintFinding]:
    """Detected, responded, resolved: none before the one that must come first."""
    names = ("detected", "responded", "resolved")
    known = [(name, reading.milestones[name]) for name in names if name in reading.milestones]
    for (earlier, first), (later, second) in pairwise(known):
        # Two readings of one zone subtract as wall clocks; instants do not.
        if second.astimezone(UTC) < first.astimezone(UTC):
            yield reading.finding(
                "times-order",
                Severity.CONTRADICTION,
                f"timeline/{later}",
                f"{later} at {second:%Y-%m-%d %H:%M %Z}, before {earlier} at "
                f"{first:%Y-%m-%d %H:%M %Z}",
                "which of the two times is wrong?",
            )


def downtime_adds_up(reading: Reading) -> Iterator[LintFinding]:
    """The stated downtime is the time from detection to resolution, or it is said what it is."""
    if any(said.text.startswith("Total Downtime is ") for said in reading.impact):
        return
    timeline = reading.review.timeline
    times = reading.milestones
    if timeline is None or timeline.downtime_minutes is None:
        return
    if "detected" not in times or "resolved" not in times:
        return
    measured = times["resolved"].astimezone(UTC) - times["detected"].astimezone(UTC)
    stated = timedelta(minutes=timeline.downtime_minutes)
    # A stated downtime has whole minutes, the times may have seconds.
    if measured >= timedelta(0) and abs(measured - stated) >= timedelta(minutes=1):
        yield reading.finding(
            "downtime",
            Severity.CONTRADICTION,
            "timeline/downtime",
            f"stated downtime is {format_duration(stated.total_seconds())}, but from detection "
            f"to resolution it is {format_duration(measured.total_seconds())}",
            "is a time wrong, or is downtime counted from and to something else?",
        )


def date_is_of_detection(reading: Reading) -> Iterator[LintFinding]:
    """The date of the incident is the local day on which it was detected."""
    stated = reading.review.date
    detected = reading.milestones.get("detected")
    if stated and detected and stated != detected.date().isoformat():
        yield reading.finding(
            "date",
            Severity.CONTRADICTION,
            "metadata/date",
            f"date of incident is {stated}, but it was detected on {detected.date()}",
            "did it begin on another day than it was detected, or is one of the two wrong?",
        )


def number_is_of_date(reading: Reading) -> Iterator[LintFinding]:
    """The day in the incident's number is the date of the incident."""
    match = _NUMBER.fullmatch(reading.review.number or "")
    stated = reading.review.date
    if match and stated and stated != "-".join(match.groups()):
        yield reading.finding(
            "number-date",
            Severity.CONTRADICTION,
            "metadata/number",
            f"{match[0]} is numbered for {'-'.join(match.groups())}, the incident is of {stated}",
            "is the number of another incident, or the date wrong?",
        )


def prose_keeps_to_timeline(reading: Reading) -> Iterator[LintFinding]:
    """A description that gives times gives at least one that the timeline has."""
    told = [
        (said, value)
        for said in reading.description
        for value in said.statement.values.values()
        if isinstance(value, dict) and "local" in value
    ]
    known = {(f"{at:%H:%M}", f"{at:%Z}") for at in reading.milestones.values()}
    shown = [(value["local"], value["abbreviation"]) for _, value in told]
    if not known or not shown or set(shown) & known:
        return
    # Times in another zone than the timeline's are another way of writing, not a contradiction.
    if not {zone for _, zone in shown} & {zone for _, zone in known}:
        return
    yield reading.finding(
        "prose-time",
        Severity.CONTRADICTION,
        told[0][0].label,
        f"the description speaks of {' '.join(shown[0])}, a time that the timeline does not have",
        "which of the two is right, or what happened at that time?",
    )


def times_can_be_placed(reading: Reading) -> Iterator[LintFinding]:
    """Every time has a zone that its place has on that day."""
    for remark in reading.parsed.remarks:
        if remark.refused:
            yield LintFinding(
                rule="zone",
                severity=Severity.CONTRADICTION,
                line=remark.line,
                message=remark.why,
                question="when was this, on which clock?",
            )


def deadline_lies_ahead(reading: Reading) -> Iterator[LintFinding]:
    """Follow-ups are due after the incident."""
    follow_ups = reading.review.follow_ups
    happened = reading.review.date
    due = follow_ups.deadline if follow_ups else None
    if due and happened and date.fromisoformat(due) < date.fromisoformat(happened):
        yield reading.finding(
            "deadline-past",
            Severity.CONTRADICTION,
            "follow_ups/deadline",
            f"follow-ups are due on {due}, before the incident of {happened}",
            "which year or month was meant?",
        )


RULES = (
    times_in_order,
    downtime_adds_up,
    date_is_of_detection,
    number_is_of_date,
    prose_keeps_to_timeline,
    times_can_be_placed,
    deadline_lies_ahead,
)
