"""What guard remembers when it decides: past plans with their outcomes, folded from the ledger."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from forestall.model.action import Action, ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.sample import ProcessKey

PAST_MAX = 256
"""Plans kept in memory, where the agent has to stay small."""

DISRUPTIVE = (ActionKind.STOP, ActionKind.RESTART)
"""The kinds that take a process down."""

EASING = (ActionKind.CONTAIN, ActionKind.SWITCHOVER)
"""The kinds that make the host safer without taking anything down."""

UNDOABLE = (*EASING, ActionKind.RESTART)
"""The kinds that may leave something half done that can be taken back.

A restart is among them where a manager stops the service and then starts it: cut short between
the two, it leaves the service down, and nobody else would start it.
"""

_STOPS_FIRST = ("supervisord", "container")
"""The methods of a restart whose manager was told to stop the service, and does as it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One plan and the outcomes recorded for it so far."""

    plan: Plan
    outcomes: tuple[Outcome, ...] = ()

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Ids of the actions without an outcome: under way, or forestall died half-way."""
        answered = {outcome.action_id for outcome in self.outcomes}
        return tuple(action.id for action in self.plan.actions if action.id not in answered)

    @property
    def disruptive(self) -> bool:
        """The plan meant to take a process down, whether or not it came to that."""
        return any(action.kind in DISRUPTIVE for action in self.plan.actions)

    @property
    def acted(self) -> bool:
        """A stop or restart was tried, whatever came of it."""
        return any(
            outcome.kind in DISRUPTIVE and outcome.state in (OutcomeState.DONE, OutcomeState.FAILED)
            for outcome in self.outcomes
        )

    @property
    def easing(self) -> tuple[Outcome, ...]:
        """What came of containing and moving, their undoing apart."""
        ids = {action.id for action in self.plan.actions if action.kind in EASING}
        return tuple(outcome for outcome in self.outcomes if outcome.action_id in ids)

    @property
    def contained(self) -> bool:
        """The service was contained, or would have been in another mode."""
        return any(
            o.kind is ActionKind.CONTAIN and o.state in (OutcomeState.DONE, OutcomeState.WOULD)
            for o in self.outcomes
        )

    @property
    def stopped_short(self) -> bool:
        """It is over, and nothing was taken down, nor left out only because of the mode."""
        return not self.unanswered and not self.acted and not self.would

    def outcome_of(self, action: Action) -> Outcome | None:
        """What came of the action itself, not of its undoing."""
        return next((o for o in self.outcomes if o.action_id == action.id), None)

    @property
    def owes_undo(self) -> tuple[Action, ...]:
        """The actions whose traces are still to be taken back, last first.

        What failed or was cut short may be half done: a switchover, a containment, a restart
        whose manager stopped the service and did not start it. A containment that worked is
        taken back once its service was recycled, and stays where it was not: the service is held.
        """
        if self.plan.mode is not Mode.ACT:
            return ()
        unanswered = self.unanswered
        owed = []
        for action in reversed(self.plan.actions):
            outcome = self.outcome_of(action)
            if not _can_be_undone(action) or self._undone(action):
                continue
            if outcome is None:
                # Later ones were never begun.
                half_done = unanswered[0] == action.id
            else:
                half_done = outcome.state is OutcomeState.FAILED
            if half_done or (self.recycled and action in self.stays):
                owed.append(action)
        return tuple(owed)

    @property
    def recycled(self) -> bool:
        """The judged process was taken down, and that was seen to have worked."""
        return any(o.kind in DISRUPTIVE and o.state is OutcomeState.DONE for o in self.outcomes)

    @property
    def stays(self) -> tuple[Action, ...]:
        """Containments that were set and not taken back."""
        return tuple(
            action
            for action in self.plan.actions
            if action.kind is ActionKind.CONTAIN
            and not self._undone(action)
            and (outcome := self.outcome_of(action)) is not None
            and outcome.state is OutcomeState.DONE
        )

    @property
    def would(self) -> bool:
        """A stop or restart was left out only because of the mode."""
        return any(
            outcome.kind in DISRUPTIVE and outcome.state is OutcomeState.WOULD
            for outcome in self.outcomes
        )

    def _undone(self, action: Action) -> bool:
        return any(
            o.state is OutcomeState.UNDONE and o.action_id.startswith(undo_id(action))
            for o in self.outcomes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Past plans, oldest first, at most PAST_MAX.

    Where there are more, the oldest that took nothing down is forgotten first: however many
    refusals there are, those that count against a limit stay.
    """

    past: tuple[Past, ...] = ()

    def with_plan(self, plan: Plan) -> "History":
        """This history and one more plan; unchanged where it is known already."""
        if self.knows(plan.id):
            return self
        past = [*self.past, Past(plan=plan)]
        if len(past) > PAST_MAX:
            _forget_one(past)
        return History(past=tuple(past))

    def with_outcome(self, outcome: Outcome) -> "History":
        """This history with an outcome added to its plan.

        Unchanged where the plan is not known, or has an outcome for this action already.
        """
        for index in range(len(self.past) - 1, -1, -1):
            past = self.past[index]
            if past.plan.id == outcome.plan_id:
                if any(known.action_id == outcome.action_id for known in past.outcomes):
                    return self
                answered = replace(past, outcomes=(*past.outcomes, outcome))
                return History(past=(*self.past[:index], answered, *self.past[index + 1 :]))
        return self

    def knows(self, plan_id: str) -> bool:
        """Whether a plan of this id was recorded before."""
        return any(past.plan.id == plan_id for past in self.past)

    @property
    def owed(self) -> "tuple[tuple[Past, Action], ...]":
        """What is still to be taken back, by the plan that left it.

        A containment that stayed is owed too, once a later plan recycled its service.
        """
        owed: list[tuple[Past, Action]] = []
        recycled: set[str] = set()
        for past in reversed(self.past):
            actions = past.owes_undo
            if past.plan.subject.service in recycled:
                actions = (*actions, *(a for a in past.stays if a not in actions))
            owed += [(past, action) for action in actions]
            if past.recycled:
                recycled.add(past.plan.subject.service)
        return tuple(reversed(owed))

    def within(self, at: float, seconds: float) -> tuple[Past, ...]:
        """Plans no further than `seconds` from `at`, in either direction.

        A wall clock that was set back leaves plans in the future: near ones still count, and
        those of a clock that was wrong by years do not hold guard back for years.
        """
        return tuple(past for past in self.past if abs(at - past.plan.at) <= seconds)


def undo_id(action: Action) -> str:
    """Under which id the taking back of `action` is recorded, beside its own outcome."""
    return f"{action.id}-undo"


def fold(records: Iterable[Plan | Outcome], history: History | None = None) -> History:
    """Plans and outcomes in the order they were recorded -> the state they add up to."""
    folded = History() if history is None else history
    for record in records:
        if isinstance(record, Plan):
            folded = folded.with_plan(record)
        else:
            folded = folded.with_outcome(record)
    return folded


def disruptions(past: Iterable[Past], mode: Mode) -> tuple[Past, ...]:
    """Those that count against a limit in `mode`.

    What was only journaled does not hold back a guard that may now act; in the other modes it
    counts as if it had been done, so that the ledger shows what act would have shown.
    """
    return tuple(
        entry
        for entry in past
        if entry.disruptive and (mode is not Mode.ACT or entry.plan.mode is Mode.ACT)
    )


def of_service(past: Iterable[Past], service: str) -> tuple[Past, ...]:
    """Those about one service."""
    return tuple(entry for entry in past if entry.plan.subject.service == service)


def of_incident(past: Iterable[Past], incident: str, mode: Mode) -> tuple[Past, ...]:
    """Those about one trouble, in one mode."""
    return tuple(e for e in past if e.plan.incident == incident and e.plan.mode is mode)


def of_process(past: Iterable[Past], process: ProcessKey | None) -> tuple[Past, ...]:
    """Those about one process."""
    return tuple(entry for entry in past if entry.plan.subject.process == process)


def _can_be_undone(action: Action) -> bool:
    if action.kind is ActionKind.RESTART:
        return action.parameters.get("method") in _STOPS_FIRST
    return action.kind in UNDOABLE


def _forget_one(past: list[Past]) -> None:
    index = next((i for i, entry in enumerate(past) if not _counts(entry)), 0)
    del past[index]


def _counts(entry: Past) -> bool:
    """Whether it counts against a limit, or something of it may have to be taken back."""
    return entry.disruptive or any(action.kind in UNDOABLE for action in entry.plan.actions)
