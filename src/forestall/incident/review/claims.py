"""Claims: a leaf of the review as it is shown, and the facts that back every part of it."""

import re
from dataclasses import dataclass

from forestall.incident.review.facts import Fact
from forestall.incident.review.templates import TEMPLATES
from forestall.model.review import Statement

_SLOT = re.compile(r"\{\{|\}\}|\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One leaf. `text` is how it is shown; `template` is None where the fact is all of it.

    `where` is the JSON pointer of the leaf in the Review document.
    """

    where: str
    text: str
    facts: tuple[Fact, ...]
    template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A sentence before it has a place in the review."""

    statement: Statement
    text: str
    template: str
    facts: tuple[Fact, ...]

    def at(self, where: str) -> Claim:
        """This sentence as the claim of one leaf."""
        return Claim(where=where, text=self.text, facts=self.facts, template=self.template)


def say(template: str, **slots: Fact) -> Said:
    """The sentence of a template with facts in its slots; exactly the ones it has."""
    text = TEMPLATES[template]
    names = [name for name in _SLOT.findall(text) if name]
    assert sorted(names) == sorted(slots), f"{template}: {names} are not {sorted(slots)}"
    values = {name: slots[name].text for name in names}
    return Said(
        statement=Statement(text=text, values=values),
        text=_SLOT.sub(lambda slot: values[slot[1]] if slot[1] else slot[0][0], text),
        template=template,
        facts=tuple(slots[name] for name in names),
    )
