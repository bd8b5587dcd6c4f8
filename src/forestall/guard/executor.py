"""The only place that acts: records the plan, looks again, acts, verifies, records what came of it.

What holds for every plan, whatever fails:
- nothing is done before the plan is on disk, and no plan is carried out twice;
- nothing is taken down before its evidence is kept, or the reason why not is on disk;
- only the judged process, as it was judged, and never a protected one, is touched;
- where hosts share a lease, nothing but containing and evidence is done without it;
- what was left half done is taken back, and so is a containment once its service was recycled;
- people are told.

A containment or switchover that failed does not hold the rest back: each later step makes the
host safer by itself. A capture that failed does, and so does a record that could not be written.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from forestall.clock import Clock
from forestall.errors import ForestallError, JournalError
from forestall.guard import succession
from forestall.guard.handler import ActionHandler, Step
from forestall.guard.history import DISRUPTIVE, EASING, History, Past, undo_id
from forestall.guard.lease import NEEDS_LEASE, Lease
from forestall.guard.recheck import Recheck
from forestall.model.action import Action, ActionKind, Mode, Outcome, OutcomeState, Plan

TOUCHES = (*EASING, *DISRUPTIVE)
"""The kinds that change something beside our own files, and are looked at again before."""

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
    is refused. `lease` is the fleet's; None = this host shares none.
    """

    def __init__(
        self,
        handlers: Mapping[ActionKind, ActionHandler],
        *,
        ledger: Records,
        recheck: Recheck,
        clock: Clock,
        lease: Lease | None = None,
    ) -> None:
        self._handlers = handlers
        self._ledger = ledger
        self._recheck = recheck
        self._clock = clock
        self._lease = lease
        self._leased = False
        self._contained: succession.Contained | None = None

    def execute(self, plan: Plan) -> tuple[Outcome, ...]:
        """Carry `plan` out as far as its mode allows: an outcome for each action, in order, and
        one for each that was taken back.

        An idle plan, or one that was recorded before, has none. What no handler foresees is
        raised after the plan was recorded as half-done and people were told.
        """
        if plan.idle or self._ledger.history.knows(plan.id):
            return ()
        stopped: str | None = None
        try:
            self._ledger.record(plan)
        except JournalError as error:
            stopped = f"the plan could not be recorded: {error.message}"
        try:
            return self._carry_all_out(plan, stopped)
        finally:
            self._give_back_lease()

    def recover(self) -> tuple[Outcome, ...]:
        """Close the plans that an earlier forestall left half-done; to be called at the start.

        They are recorded as such, what they left half done is taken back, and people are told;
        nothing of them is repeated.
        """
        closed: list[Outcome] = []
        for past in self._ledger.history.past:
            if past.unanswered:
                why = "forestall ended while the plan was under way"
                closed += self._abandon(past.plan, past.outcomes, why)
        return (*closed, *self.settle())

    def settle(self) -> tuple[Outcome, ...]:
        """Take back what plans of the past still owe; to be called again while `owing`.

        What could not be taken back is tried again at each call, and said once.
        """
        settled: list[Outcome] = []
        for past, action in self._ledger.history.owed:
            if not past.unanswered:
                settled += self._take_back(past, (action,))
        return tuple(settled)

    def rehearse(self, plan: Plan) -> tuple[Outcome, ...]:
        """What stands in the way of each action, if all before it went well; nothing is done.

        WOULD where nothing does, REFUSED with the reason where something does. The lease is not
        asked for: it may be another host's by the time it is needed.
        """
        shown = replace(plan, mode=Mode.OBSERVE)
        outcomes: list[Outcome] = []
        for action in plan.actions:
            step = Step(plan=shown, action=action, before=tuple(outcomes))
            reason = self._forbidden(step) or self._impossible(step)
            state = OutcomeState.WOULD if reason is None else OutcomeState.REFUSED
            outcomes.append(self._outcome(step, state, reason or "Nothing stands in its way."))
        return tuple(outcomes)

    def _impossible(self, step: Step) -> str | None:
        handler = self._handlers.get(step.action.kind)
        if handler is None:
            return "Nothing here can do this."
        try:
            return handler.precondition(step)
        except (ForestallError, OSError) as error:
            return _sentence(error, step.action)

    @property
    def owing(self) -> bool:
        """Whether something of an earlier plan is still to be taken back."""
        return bool(self._ledger.history.owed)

    def _carry_all_out(self, plan: Plan, stopped: str | None) -> tuple[Outcome, ...]:
        outcomes: list[Outcome] = []
        self._contained = None
        for action in plan.actions:
            if action.kind is ActionKind.NOTIFY:
                outcomes += self._take_back_of(plan, outcomes)
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

    def _abandon(
        self, plan: Plan, before: tuple[Outcome, ...], why: str, broken: str | None = None
    ) -> tuple[Outcome, ...]:
        """Give each action without an outcome one; half-done ones are taken back, people told."""
        answered = {outcome.action_id for outcome in before}
        outcomes = list(before)
        for action in plan.actions:
            if action.id in answered:
                continue
            if action.kind is ActionKind.NOTIFY:
                outcomes += self._take_back_of(plan, outcomes)
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

    def _take_back_of(self, plan: Plan, outcomes: list[Outcome]) -> list[Outcome]:
        past = Past(plan=plan, outcomes=tuple(outcomes))
        return self._take_back(past, past.owes_undo)

    def _take_back(self, past: Past, actions: tuple[Action, ...]) -> list[Outcome]:
        """Undo these actions of a plan, each with an outcome of its own."""
        taken: list[Outcome] = []
        for action in actions:
            handler = self._handlers.get(action.kind)
            step = Step(plan=past.plan, action=action, before=past.outcomes)
            said = [o for o in past.outcomes if o.action_id.startswith(undo_id(action))]
            number = f"-{len(said) + 1}" if said else ""
            outcome = self._undo(handler, step, undo_id(action) + number)
            if outcome.state is OutcomeState.FAILED and said:
                continue
            taken.append(outcome)
            self._record_if_possible(outcome)
        return taken

    def _undo(self, handler: ActionHandler | None, step: Step, outcome_id: str) -> Outcome:
        started = self._clock.monotonic()
        state = OutcomeState.UNDONE
        try:
            if handler is None:
                raise ForestallError("nothing here can take it back")
            detail = handler.undo(step) or "There was nothing to take back."
        except (ForestallError, OSError) as error:
            state, detail = OutcomeState.FAILED, f"Not taken back: {_sentence(error, step.action)}"
        except Exception as error:  # noqa: BLE001
            # A fault of one undo must not keep another one from being tried, nor people in the
            # dark: it is on record, and the next attempt may do better.
            state, detail = OutcomeState.FAILED, f"Not taken back: {type(error).__name__}."
        return self._outcome(step, state, detail, started, action_id=outcome_id)

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
        ended = self._ended_contained(step)
        if ended is not None:
            return ended
        forbidden = self._forbidden(step)
        if forbidden is not None:
            return self._outcome(step, OutcomeState.REFUSED, forbidden)
        if action.kind not in MODES[plan.mode]:
            detail = f"Not done: the mode is {plan.mode.value}."
            return self._outcome(step, OutcomeState.WOULD, detail)
        unleased = self._without_lease(step)
        if unleased is not None:
            return self._outcome(step, OutcomeState.REFUSED, unleased)
        return self._act(step)

    def _ended_contained(self, step: Step) -> Outcome | None:
        """What came of a restart that is not needed: the limit was reached first. Else None.

        Where the service came back it was recycled, by guard's own limit: that counts for the
        ladder, and the limit is taken off as after any other restart.
        """
        before, processes = self._contained, self._recheck.processes
        if before is None or step.action.kind is not ActionKind.RESTART:
            return None
        if not succession.has_ended(step.action, processes):
            return None
        started = self._clock.monotonic()
        back, said = succession.came_back(step.action, before, processes, self._clock)
        state = OutcomeState.DONE if back else OutcomeState.FAILED
        return self._outcome(step, state, said, started)

    def _forbidden(self, step: Step) -> str | None:
        """What speaks against it in any mode, as a sentence, or None."""
        plan, action = step.plan, step.action
        if action.kind is ActionKind.NOTIFY:
            return None
        if plan.refusals and action.kind not in TOUCHES:
            return "The plan itself refuses."
        if action.kind in TOUCHES:
            forbidden = self._recheck.why_not(plan, action)
            if forbidden is not None:
                return forbidden
        if action.kind in DISRUPTIVE:
            return _without_evidence(step)
        if "only_contained" in action.parameters and not _is_contained(step):
            return "There is no time for it, because the service is not contained."
        return None

    def _without_lease(self, step: Step) -> str | None:
        """Why the fleet's lease forbids it, as a sentence, or None: it is ours, or not needed."""
        if self._lease is None or step.action.kind not in NEEDS_LEASE:
            return None
        try:
            if not self._leased:
                reason = self._lease.acquire(step.plan.id)
                self._leased = reason is None
                return None if reason is None else f"No lease: {reason}"
            if self._lease.held():
                return None
        except (ForestallError, OSError) as error:
            return f"No lease: {_sentence(error, step.action)}"
        return "No lease: it was lost while the plan was under way."

    def _give_back_lease(self) -> None:
        if self._lease is None or not self._leased:
            return
        self._leased = False
        try:
            self._lease.release()
        except (ForestallError, OSError):
            # It ends by itself, soon: until then the other hosts only contain.
            return

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
        except (ForestallError, OSError) as error:
            problem = _sentence(error, step.action)
        else:
            if problem is None:
                if step.action.kind is ActionKind.CONTAIN:
                    with suppress(ForestallError, OSError):
                        self._contained = succession.look(step.action, self._recheck.processes)
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
        action_id: str | None = None,
    ) -> Outcome:
        took = 0.0 if started is None else max(0.0, self._clock.monotonic() - started)
        return Outcome(
            plan_id=step.plan.id,
            action_id=action_id or step.action.id,
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
    if outcome.kind in EASING:
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
        if _later(step, ActionKind.CAPTURE) or "no_capture" not in step.action.parameters:
            return "The plan keeps no evidence first, and nothing is taken down without."
        return None
    kept = OutcomeState.DONE if step.plan.mode is Mode.ACT else OutcomeState.WOULD
    if captures[-1].state is kept:
        return None
    if "without_evidence" in step.action.parameters:
        return None
    return f"Its evidence was not kept: {captures[-1].detail}"


def _later(step: Step, kind: ActionKind) -> bool:
    """Whether the plan has an action of `kind` that was not come to yet."""
    answered = {outcome.action_id for outcome in step.before}
    return any(a.kind is kind and a.id not in answered for a in step.plan.actions)


def _is_contained(step: Step) -> bool:
    kept = (OutcomeState.DONE, OutcomeState.WOULD)
    return any(o.kind is ActionKind.CONTAIN and o.state in kept for o in step.before)


def _sentence(error: ForestallError | OSError, action: Action) -> str:
    if isinstance(error, ForestallError):
        parts = (error.message, error.help or "")
        return "; ".join(part.rstrip(".") for part in parts if part) + "."
    return f"{error.filename or action.kind.value}: {error.strerror or error}."
