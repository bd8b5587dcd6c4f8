"""What an input says of one host: its facts, or why there are none."""

from dataclasses import dataclass, replace

from forestall.model.facts import HostFacts
from forestall.units import format_duration

AHEAD_SECONDS = 300.0
"""Facts of a later moment than this have no age: one of the two clocks is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One host of an input. `name` is what that input calls it (its hostname where that is known).

    `facts` None: nothing could be read, and `problem` says why. Both: what could be read is in the
    facts, and the rest is missing for the reason in `problem` (half an archive).
    """

    name: str
    facts: HostFacts | None = None
    problem: str | None = None


def no_older(seen: Seen, at: float, max_age_seconds: float | None) -> Seen:
    """`seen`, without facts that are older than this at the moment `at`, or from after it.

    Without a limit whatever was seen counts, however long ago.
    """
    if seen.facts is None or max_age_seconds is None:
        return seen
    age = at - seen.facts.at
    if age > max_age_seconds:
        return replace(seen, facts=None, problem=f"its facts are {format_duration(age)} old")
    if -age > AHEAD_SECONDS:
        problem = f"its facts are of {format_duration(-age)} from now"
        return replace(seen, facts=None, problem=problem)
    return seen
