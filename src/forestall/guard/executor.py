"""The only place that acts: records the plan, looks again, acts, verifies, records what came of it.

What holds for every plan, whatever fails:
- nothing is done before the plan is on disk, and no plan is carried out twice;
- nothing is taken down before its evidence is kept, or the reason why not is on disk;
- only the judged process, as it was judged, and never a protected one, is taken down;
- after the first failure nothing more is done, except that people are told.
"""

from collections.abc import Mapping
from typing import Protocol

from forestall.clock import Clock
from forestall.errors import ForestallError, JournalError
from forestall.guard.handler import ActionHandler, Step
from forestall.guard.history import DISRUPTIVE, History
from forestall.guard.recheck import Recheck
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState, Plan

MODES = {
    Mode.OBSERVE: frozenset[ActionKind](),
    Mode.ADVISE: frozenset({ActionKind.NOTIFY}),
    Mode.ACT: frozenset(ActionKind),
}
"""The kinds of action that each mode carries out; the others are journaled as would-have."""


class Records(Protocol):
    """Where plans and outcomes are made safe; `Ledger` on a host."""

    @property
    def history(self) -> History: ...

    def record(self, noun: Plan | Outcome) -> None: ...


class Executor:
    """Carries plans out: one thread, one plan at a time, within its actions' timeouts.

    `clock` stamps the outcomes. Each kind of action has its handler in `handlers`; one without
    is refused.
    """

    def __init__(
        self,
        handlers: Mapping[ActionKind, ActionHandler],
        *,
        ledger: Records,
        recheck: Recheck,
        clock: Clock,
    ) -> None:
        self._handlers = handlers
        self._ledger = ledger
        self._recheck = recheck
        self._clock = clock

    def execute(self, plan: Plan) -> tuple[Outcome, ...]:
        """Carry `plan` out as far as its mode allows; one outcome for each action, in order.

        An idle plan, or one that was recorded before, has none. What no handler foresees is
        raised after the plan was recorded as half-done and people were told.
        """
        if plan.idle or self._ledger.history.knows(plan.id):
            return ()
        outcomes: list[Outcome] = []
        stopped: str | None = None
        try:
            self._ledger.record(plan)
        except JournalError as error:
            stopped = f"the plan could not be recorded: {error.message}"
        for action in plan.actions:
            step = Step(plan=plan, action=action, before=tuple(outcomes))
            try:
                outcome = self._carry_out(step, stopped)
            except BaseException as error:
                why = f"{action.id} broke ({type(error).__name__})"
                self._abandon(plan, tuple(outcomes), why, broken=action.id)
                raise
            outcomes.append(outcome)
            stopped = stopped or _stops(outcome, plan)
            try:
                self._ledger.record(outcome)
            except JournalError as error:
                stopped = stopped or f"an outcome could not be recorded: {error.message}"
        return tuple(outcomes)

    def recover(self) -> tuple[Outcome, ...]:
        """Close the plans that an earlier forestall left half-done; to be called at the start.

        They are recorded as such and people are told; nothing of them is repeated.
        """
        closed: list[Outcome] = []
        for past in self._ledger.history.past:
            if past.unanswered:
                why = "forestall ended while the plan was under way"
                closed += self._abandon(past.plan, past.outcomes, why)
        return tuple(closed)

    def _abandon(
        self, plan: Plan, before: tuple[Outcome, ...], why: str, broken: str | None = None
    ) -> tuple[Outcome, ...]:
        """Give each action without an outcome one; only people are still told."""
        answered = {outcome.action_id for outcome in before}
        outcomes = list(before)
        for action in plan.actions:
            if action.id in answered:
                continue
            step = Step(plan=plan, action=action, before=tuple(outcomes))
            if action.id == broken:
                outcome = self._outcome(step, OutcomeState.FAILED, f"Not finished: {why}.")
            elif action.kind is ActionKind.NOTIFY:
                outcome = self._tell(step)
            elif action.kind not in MODES[plan.mode]:
                outcome = self._outcome(step, OutcomeState.WOULD, f"Not done: {why}.")
            elif broken is None and len(outcomes) == len(before):
                detail = f"Whether it was done is not known: {why}. It is not repeated."
                outcome = self._outcome(step, OutcomeState.FAILED, detail)
            else:
                outcome = self._outcome(step, OutcomeState.SKIPPED, f"Not done: {why}.")
            outcomes.append(outcome)
            self._record_if_possible(outcome)
        return tuple(outcomes[len(before) :])

    def _tell(self, step: Step) -> Outcome:
        try:
            return self._carry_out(step, None)
        except BaseException as error:
            # Recorded, so that the next start does not run into the same fault again.
            detail = f"Not finished: {type(error).__name__}."
            self._record_if_possible(self._outcome(step, OutcomeState.FAILED, detail))
            raise

    def _record_if_possible(self, outcome: Outcome) -> None:
        try:
            self._ledger.record(outcome)
        except JournalError:
            # The plan stays half-done on disk, and is closed at the next start.
            return

    def _carry_out(self, step: Step, stopped: str | None) -> Outcome:
        plan, action = step.plan, step.action
        notify = action.kind is ActionKind.NOTIFY
        if stopped is not None and not notify:
            return self._outcome(step, OutcomeState.SKIPPED, f"Not done, because {stopped}.")
        if action.kind in DISRUPTIVE:
            forbidden = self._recheck.why_not(plan, action) or _without_evidence(step)
            if forbidden is not None:
                return self._outcome(step, OutcomeState.REFUSED, forbidden)
        elif plan.refusals and not notify:
            return self._outcome(step, OutcomeState.REFUSED, "The plan itself refuses.")
        if action.kind not in MODES[plan.mode]:
            detail = f"Not done: the mode is {plan.mode.value}."
            return self._outcome(step, OutcomeState.WOULD, detail)
        return self._act(step)

    def _act(self, step: Step) -> Outcome:
        handler = self._handlers.get(step.action.kind)
        if handler is None:
            return self._outcome(step, OutcomeState.REFUSED, "Nothing here can do this.")
        started = self._clock.monotonic()
        evidence = None
        try:
            reason = handler.precondition(step)
            if reason is not None:
                return self._outcome(step, OutcomeState.REFUSED, reason)
            done = handler.do(step)
            evidence = done.evidence
            problem = handler.verify(step, done)
        except ForestallError as error:
            parts = (error.message, error.help or "")
            problem = "; ".join(part.rstrip(".") for part in parts if part) + "."
        except OSError as error:
            problem = f"{error.filename or step.action.kind.value}: {error.strerror or error}."
        else:
            if problem is None:
                return self._outcome(step, OutcomeState.DONE, done.detail, started, evidence)
            problem = f"{done.detail} {problem}"
        return self._outcome(step, OutcomeState.FAILED, problem, started, evidence)

    def _outcome(
        self,
        step: Step,
        state: OutcomeState,
        detail: str,
        started: float | None = None,
        evidence: str | None = None,
    ) -> Outcome:
        took = 0.0 if started is None else max(0.0, self._clock.monotonic() - started)
        return Outcome(
            plan_id=step.plan.id,
            action_id=step.action.id,
            kind=step.action.kind,
            subject=step.action.subject,
            state=state,
            at=self._clock.now(),
            took_seconds=took,
            detail=detail,
            evidence=evidence,
        )


def _stops(outcome: Outcome, plan: Plan) -> str | None:
    """Why nothing more of the plan is done after this outcome, or None."""
    if outcome.state in (OutcomeState.DONE, OutcomeState.WOULD):
        return None
    if outcome.kind is ActionKind.CAPTURE and _goes_on_without(plan):
        return None
    how = "failed" if outcome.state is OutcomeState.FAILED else f"was {outcome.state.value}"
    return f"the {outcome.kind.value} {how}"


def _goes_on_without(plan: Plan) -> bool:
    """Whether policy recorded, in the plan, why this one does not wait for its evidence."""
    return any("without_evidence" in action.parameters for action in plan.actions)


def _without_evidence(step: Step) -> str | None:
    """No stop or restart before a capture, or a recorded reason why not."""
    captures = [outcome for outcome in step.before if outcome.kind is ActionKind.CAPTURE]
    if not captures:
        return "The plan keeps no evidence first, and nothing is taken down without."
    kept = OutcomeState.DONE if step.plan.mode is Mode.ACT else OutcomeState.WOULD
    if captures[-1].state is kept:
        return None
    if "without_evidence" in step.action.parameters:
        return None
    return f"Its evidence was not kept: {captures[-1].detail}"
