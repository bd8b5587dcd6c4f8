"""From a bad verdict to a plan, its outcomes and their events; guard decides and acts."""

import os
from collections.abc import Callable, Mapping, Sequence

from forestall.agent.config import ServiceConfig
from forestall.agent.hands import EVIDENCE_FOLDER
from forestall.agent.log import Log
from forestall.agent.situation import Situation, policy_for
from forestall.agent.troubles import Trouble, Troubles
from forestall.clock import Clock
from forestall.errors import EvidenceError, JournalError
from forestall.guard.executor import Executor, Records
from forestall.guard.handler import ActionHandler, Step
from forestall.guard.history import History
from forestall.guard.lease import Lease
from forestall.guard.ledger import LEDGER_NAME, Ledger
from forestall.guard.live import HostProcesses
from forestall.guard.policy import Policy
from forestall.guard.recheck import Recheck
from forestall.guard.recipe import Recipe, to_parameters
from forestall.model.action import Action, ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.event import TimelineEvent
from forestall.model.verdict import Subject, Verdict, VerdictKind
from forestall.sense.host import Host

RETRY_SECONDS = 30.0

Tell = Callable[[Sequence[TimelineEvent]], None]
"""Takes the events of what was planned and done."""


class _Ledger:
    """Guard's ledger, counting the writes that failed; `problem` is the present one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.error_count = 0
        self.problem: str | None = None

    @property
    def history(self) -> History:
        return self._ledger.history

    def record(self, noun: Plan | Outcome) -> None:
        try:
            self._ledger.record(noun)
            self.problem = None
        except JournalError as error:
            self.error_count += 1
            self.problem = error.message
            raise

    def outcomes_of(self, plan_id: str) -> tuple[Outcome, ...]:
        found = (past.outcomes for past in self.history.past if past.plan.id == plan_id)
        return next(found, ())

    def close(self) -> None:
        self._ledger.close()


class Acting:
    """Guard's policy and executor on one host, with their record in the folder `state`.

    Without a folder nothing is planned: nothing is done before the plan is on disk.
    `counts` are outcomes by kind and state.
    """

    def __init__(
        self,
        *,
        host: Host,
        clock: Clock,
        situation: Situation,
        policy: Policy,
        protected: tuple[str, ...] = (),
        state: str | None,
        handlers: Mapping[ActionKind, ActionHandler],
        lease: Lease | None = None,
        troubles: Troubles,
        log: Log,
    ) -> None:
        self._host = host
        self._clock = clock
        self._situation = situation
        self._policy = policy
        self._protected = protected
        self._state = state
        self._handlers = handlers
        self._lease = lease
        self._troubles = troubles
        self._log = log
        self._ledger: _Ledger | None = None
        self._executor: Executor | None = None
        self._retry_at = float("-inf")
        self._settle_at = float("-inf")
        self._open_error_count = 0
        self._open_problem: str | None = None
        self.counts: dict[tuple[ActionKind, OutcomeState], int] = {}

    @property
    def error_count(self) -> int:
        """How often the ledger could not be opened or written."""
        return self._open_error_count + (self._ledger.error_count if self._ledger else 0)

    @property
    def problem(self) -> str | None:
        """Why the ledger cannot be written now, in words."""
        return self._ledger.problem if self._ledger else self._open_problem

    def open(self) -> list[TimelineEvent]:
        """Open the ledger and close what an earlier agent left half-done; its events."""
        if self._state is None or self._clock.monotonic() < self._retry_at:
            return []
        try:
            self._ledger = _Ledger(Ledger(os.path.join(self._state, LEDGER_NAME)))
        except JournalError as error:
            self._retry_at = self._clock.monotonic() + RETRY_SECONDS
            self._open_error_count += 1
            self._open_problem = error.message
            return []
        self._open_problem = None
        self._executor = self.executor_on(self._ledger)
        self._situation.preload()
        return [self._troubles.ended(outcome) for outcome in self._executor.recover()]

    def executor_on(
        self, ledger: Records, handlers: Mapping[ActionKind, ActionHandler] | None = None
    ) -> Executor:
        """What acts on this host, with its record in `ledger`, by its own hands or others."""
        return Executor(
            self._handlers if handlers is None else handlers,
            ledger=ledger,
            recheck=Recheck(
                processes=HostProcesses(self._host),
                own_pids=self._situation.own_pids,
                protected=self._protected,
            ),
            clock=self._clock,
            lease=self._lease,
        )

    def restart_problem(self, subject: Subject, recipe: Recipe) -> str | None:
        """Why this service could not be restarted this way, as a sentence, or None."""
        verdict = Verdict(
            subject=subject,
            kind=VerdictKind.UNDECIDED,
            at=self._clock.now(),
            memory_bytes=0,
            reasons=(),
        )
        action = Action(
            id="1-restart",
            kind=ActionKind.RESTART,
            subject=subject,
            timeout_seconds=self._policy.restart_timeout_seconds,
            parameters=to_parameters(recipe),
        )
        plan = Plan(
            id="plan-test",
            at=verdict.at,
            mode=Mode.OBSERVE,
            verdict=verdict,
            actions=(action,),
            because=(),
        )
        handler = self._handlers[ActionKind.RESTART]
        return handler.precondition(Step(plan=plan, action=action))

    def settle(self, tell: Tell) -> None:
        """Try again, now and then, to take back what an earlier plan left on this host."""
        now = self._clock.monotonic()
        if self._executor is None or now < self._settle_at:
            return
        self._settle_at = now + RETRY_SECONDS
        if self._executor.owing:
            self._tell_outcomes(self._executor.settle(), [], tell)

    def unspooled(self, spooled: set[str], since: float) -> list[TimelineEvent]:
        """Events of plans since then that are in the ledger and not in the spool.

        An agent that was killed between the two has told the ledger only.
        """
        events: list[TimelineEvent] = []
        for past in self._ledger.history.past if self._ledger else ():
            if past.plan.at >= since:
                found = [self._troubles.planned(past.plan)]
                found += [self._troubles.ended(outcome) for outcome in past.outcomes]
                events += [event for event in found if event.id not in spooled]
        return events

    def consider(self, trouble: Trouble, service: ServiceConfig | None, tell: Tell) -> Plan | None:
        """Decide about one trouble now, and carry out what was decided; None = nothing to do."""
        if self._executor is None:
            tell(self.open())
        if self._executor is None or self._ledger is None or trouble.bad_since is None:
            return None
        # An agent without trouble does not carry it; one that may act has loaded it, see `open`.
        from forestall.guard.decision import decide

        verdict, history = trouble.verdict, self._ledger.history
        state = self._situation.of(verdict, self._clock.now(), trouble.bad_since, service)
        policy = policy_for(self._policy, trouble.subject, service)
        plan = decide(verdict, state, policy, history)
        if plan.idle:
            self._arm(trouble)
        else:
            # Only now: the database and the cgroups are not asked at each look at a trouble.
            state = self._situation.complete(state, verdict)
            plan = decide(verdict, state, policy, history)
        if plan.idle:
            return None
        event = self._troubles.planned(plan)
        self._log.warning(event.text)
        try:
            outcomes = (*self._executor.execute(plan), *self._executor.settle())
        except Exception:
            # The executor closed the plan in the ledger; it is told before the loop counts this.
            self._tell_of(event, self._ledger.outcomes_of(plan.id), tell)
            raise
        self._tell_of(event, outcomes, tell)
        return plan

    def _arm(self, trouble: Trouble) -> None:
        """Have the last stage open what it would write, once for a trouble that is waited with.

        By the time it acts, opening a file may need memory that is not there.
        """
        arm = getattr(self._handlers.get(ActionKind.CONTAIN), "arm", None)
        process = trouble.subject.process
        if arm is None or trouble.armed or process is None:
            return
        trouble.armed = True
        containment = self._situation.containment_of(process)
        if isinstance(containment, str):
            return
        from forestall.guard.containment import to_parameters as contain_parameters

        arm(
            Action(
                id="1-contain",
                kind=ActionKind.CONTAIN,
                subject=trouble.subject,
                timeout_seconds=self._policy.contain_timeout_seconds,
                parameters=contain_parameters(containment),
            )
        )

    def _tell_of(self, planned: TimelineEvent, outcomes: Sequence[Outcome], tell: Tell) -> None:
        self._tell_outcomes(outcomes, [planned], tell)

    def _tell_outcomes(
        self, outcomes: Sequence[Outcome], events: list[TimelineEvent], tell: Tell
    ) -> None:
        """Tell of outcomes, after the events that come before them; nothing if there are none."""
        if not outcomes and not events:
            return
        first = len(events)
        for outcome in outcomes:
            events.append(self._troubles.ended(outcome))
            counted = (outcome.kind, outcome.state)
            self.counts[counted] = self.counts.get(counted, 0) + 1
            if outcome.evidence is not None:
                self._prune(outcome.evidence)
        for outcome, event in zip(outcomes, events[first:], strict=True):
            bad = outcome.state in (OutcomeState.FAILED, OutcomeState.REFUSED)
            (self._log.warning if bad else self._log.info)(event.text)
        tell(events)

    def _prune(self, just_made: str) -> None:
        """Keep all evidence within its limit, now that a bundle was added."""
        from forestall.evidence.retention import prune

        assert self._state is not None, "evidence is kept below the state folder"
        try:
            pruned = prune(os.path.join(self._state, EVIDENCE_FOLDER), just_made=just_made)
        except EvidenceError as error:
            self._log.error(error.message)
            return
        for bundle in pruned.removed:
            self._log.info(f"evidence {bundle.id} was removed to stay within the limit")

    def close(self) -> None:
        """Give the ledger back."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = self._executor = None
