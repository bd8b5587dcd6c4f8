"""The seam of an action: what may stop it, doing it, and whether it worked."""

from dataclasses import dataclass
from typing import Protocol

from forestall.model.action import Action, Outcome, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action within its plan, and what came of the actions before it."""

    plan: Plan
    action: Action
    before: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done, as a sentence; `evidence` is the id of a bundle it made.

    A handler whose `verify` must know more gives it in a subclass of its own.
    """

    detail: str
    evidence: str | None = None


class ActionHandler(Protocol):
    """One kind of action. Each method ends within the action's timeout.

    `do`, `verify` and `undo` raise ForestallError or OSError for what did not work; the
    executor records it as FAILED.
    """

    def precondition(self, step: Step) -> str | None:
        """Why this cannot be done here and now, as a sentence, or None."""
        ...

    def do(self, step: Step) -> Done:
        """Do it."""
        ...

    def verify(self, step: Step, done: Done) -> str | None:
        """What shows that it did not work, as a sentence, or None."""
        ...

    def undo(self, step: Step) -> str | None:
        """Take back what `do` left, from the plan alone; a sentence, or None: nothing to take back.

        Idempotent, and safe after a `do` that never ran or was cut short: an agent that was killed
        in the middle undoes at its next start with nothing but the plan in its ledger.
        """
        ...
