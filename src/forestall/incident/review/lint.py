"""What a careful reader asks of a review: contradictions, gaps, and things that do not add up.

Each rule is a small function of a `Reading`; RULES lists them all. A rule speaks only where the
document itself gives it reason to, and ends in a question that a person can answer.
"""

from collections.abc import Callable, Iterator

from forestall.incident.review import lint_follow_ups, lint_story, lint_times
from forestall.incident.review.parse import Parsed
from forestall.incident.review.reading import LintFinding, Reading

Rule = Callable[[Reading], Iterator[LintFinding]]

RULES: tuple[Rule, ...] = (*lint_times.RULES, *lint_story.RULES, *lint_follow_ups.RULES)


def lint(parsed: Parsed) -> tuple[LintFinding, ...]:
    """Every finding, in the order of the document's lines."""
    reading = Reading(parsed)
    findings = [finding for rule in RULES for finding in rule(reading)]
    return tuple(sorted(findings, key=lambda finding: finding.line or 0))
