"""What an input says of one host: its facts, or why there are none."""

from dataclasses import dataclass

from forestall.errors import InputError
from forestall.model.facts import HostFacts

NAME_LIMIT = 255
"""Characters of a host's name: what DNS allows, and four times what Linux does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One host of an input. `name` is what that input calls it (its hostname where that is known).

    `facts` None: nothing could be read, and `problem` says why. Both: what could be read is in the
    facts, and the rest is missing for the reason in `problem` (half an archive).
    """

    name: str
    facts: HostFacts | None = None
    problem: str | None = None


def check_name(name: str) -> None:
    """Raises InputError for a name by which no report could tell its host."""
    if not name.strip():
        raise InputError("the host's name is empty")
    if len(name) > NAME_LIMIT:
        raise InputError(f"the host's name has {len(name):,} characters: at most {NAME_LIMIT}")
