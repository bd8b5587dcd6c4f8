"""What an input says of one host: its facts, or why there are none."""

from dataclasses import dataclass

from forestall.model.facts import HostFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One host of an input. `name` is what that input calls it (its hostname where that is known).

    `facts` None: nothing could be read, and `problem` says why. Both: what could be read is in the
    facts, and the rest is missing for the reason in `problem` (half an archive).
    """

    name: str
    facts: HostFacts | None = None
    problem: str | None = None
