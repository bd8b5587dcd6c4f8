"""Rules about what is to be done: does each measure have somebody who will see to it, by when?"""

import re
from collections.abc import Iterator

from forestall.incident.review import lint_words
from forestall.incident.review.reading import COMPARED_MAX, LintFinding, Reading, Severity

_NOBODY = re.compile(
    r"(?:t\.?b\.?[dac]\.?|to be (?:decided|determined|defined|confirmed|assigned)|unassigned"
    r"|none|nobody|unknown|n/?a|-+|\?+|open|everyone|all)",
    re.IGNORECASE,
)
# Words in the names of teams that say nothing about what the team looks after.
_ANY_TEAM = frozenset(
    lint_words.stems(
        "team group squad crew department administration development engineering operations"
        " support on-call service services systems"
    )
)


def measures_have_follow_ups(reading: Reading) -> Iterator[LintFinding]:
    """A measure that no follow-up carries out remains a wish."""
    items = reading.follow_ups[:COMPARED_MAX]
    for measure in reading.measures[:COMPARED_MAX]:
        if not any(lint_words.is_about(measure.text, item.text) for item in items):
            yield reading.finding(
                "measure-without-follow-up",
                Severity.GAP,
                measure.label,
                f"no follow-up carries out this measure: {measure.text}",
                "who does it, and by when?",
            )


def follow_ups_have_an_owner(reading: Reading) -> Iterator[LintFinding]:
    """Somebody in particular."""
    follow_ups = reading.review.follow_ups
    if follow_ups is None or not follow_ups.items:
        return
    if follow_ups.owner is None or _NOBODY.fullmatch(follow_ups.owner.strip()):
        yield reading.finding(
            "follow-up-owner",
            Severity.GAP,
            "follow_ups/owner",
            "the follow-ups have no owner",
            "who answers for them?",
        )


def follow_ups_have_a_date(reading: Reading) -> Iterator[LintFinding]:
    """A day that can pass."""
    follow_ups = reading.review.follow_ups
    if follow_ups is not None and follow_ups.items and follow_ups.deadline is None:
        yield reading.finding(
            "follow-up-date",
            Severity.GAP,
            "follow_ups/deadline",
            "the follow-ups have no date that can be read",
            "when are they due?",
        )


def owner_took_part(reading: Reading) -> Iterator[LintFinding]:
    """The owner is one of the teams or people of this review."""
    owner = _owner(reading)
    teams = reading.review.teams or ()
    if owner is None or not teams:
        return
    known = [name for team in teams for name in (team.name, *(m.name for m in team.members))]
    if not any(_is_same(owner, name) for name in known):
        yield reading.finding(
            "owner-unknown",
            Severity.DOUBT,
            "follow_ups/owner",
            f"{owner} owns the follow-ups, but took no part in the incident",
            "do they know that they do?",
        )


def owner_can_do_it(reading: Reading) -> Iterator[LintFinding]:
    """A follow-up in another team's field has an owner who can get it done there."""
    owner = _owner(reading)
    teams = reading.review.teams or ()
    ours = next((team for team in teams if owner and _is_same(owner, team.name)), None)
    if ours is None:
        return
    fields = {team.name: _field(team.name) for team in (ours, *teams[:COMPARED_MAX])}
    for item in reading.follow_ups[:COMPARED_MAX]:
        words = set(lint_words.stems(item.text))
        others = [name for name, field in fields.items() if words & field and name != ours.name]
        if others and not words & fields[ours.name]:
            yield reading.finding(
                "follow-up-other-team",
                Severity.DOUBT,
                item.label,
                f"{ours.name} owns this follow-up, which is in the field of {others[0]}: "
                f"{item.text}",
                f"has {others[0]} agreed to do it, and by when?",
            )


def _owner(reading: Reading) -> str | None:
    follow_ups = reading.review.follow_ups
    owner = follow_ups.owner if follow_ups else None
    return None if owner is None or _NOBODY.fullmatch(owner.strip()) else owner


def _field(name: str) -> set[str]:
    return set(lint_words.stems(name)) - _ANY_TEAM


def _is_same(owner: str, name: str) -> bool:
    """`SRE` and `SRE Team`; `Mia Holt` and `Mia Holt (lead)`."""
    one, other = (f" {' '.join(text.casefold().split())} " for text in (owner, name))
    return one in other or other in one


RULES = (
    measures_have_follow_ups,
    follow_ups_have_an_owner,
    follow_ups_have_a_date,
    owner_took_part,
    owner_can_do_it,
)
