"""Notify: people are told what was done, what was not, and why."""

from collections.abc import Iterator, Sequence
from functools import partial

from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.bounded import within
from forestall.guard.handler import Done, Step
from forestall.guard.history import DISRUPTIVE, Past
from forestall.model.action import Action, ActionKind, Outcome, OutcomeState
from forestall.model.notice import Notice, Urgency
from forestall.notify.protocol import Notifier

NOTIFIERS_MAX = 8

_WELL = (OutcomeState.DONE, OutcomeState.WOULD, OutcomeState.UNDONE)
_VERBS = {ActionKind.STOP: "stopped", ActionKind.RESTART: "restarted"}


class NotifyHandler:
    """Tells through every notifier, each for its share of the timeout; one failure fails none else.

    `clock` stamps the notice.
    """

    def __init__(self, notifiers: Sequence[Notifier], *, clock: Clock) -> None:
        assert len(notifiers) <= NOTIFIERS_MAX
        self._notifiers = tuple(notifiers)
        self._clock = clock

    def precondition(self, step: Step) -> str | None:
        return None if self._notifiers else "Nobody to tell: no notifier is configured."

    def do(self, step: Step) -> Done:
        notice = notice_of(step, self._clock.now())
        share = step.action.timeout_seconds / len(self._notifiers)
        told, faults = [], []
        for notifier in self._notifiers:
            try:
                within(share, notifier.name, partial(notifier.send, notice))
                told.append(notifier.name)
            except ForestallError as error:
                faults.append(error.message)
            except OSError as error:
                faults.append(f"{notifier.name}: {error.strerror or error}")
        if faults:
            reached = f" Told through {', '.join(told)}." if told else ""
            raise ForestallError(f"{'; '.join(faults)}.{reached}")
        return Done(detail=f"Told through {', '.join(told)}.")

    def verify(self, step: Step, done: Done) -> str | None:
        # A notifier raises where a notice did not arrive; nothing more can be known here.
        return None

    def undo(self, step: Step) -> str | None:
        return None


def notice_of(step: Step, at: float) -> Notice:
    """What people are told about a plan after all but the telling of it was done, or not."""
    plan = step.plan
    subject = plan.subject
    wrong = [o for o in step.before if o.state not in _WELL]
    acted = any(o.kind in DISRUPTIVE and o.state is OutcomeState.DONE for o in step.before)
    lines = [*plan.because, *plan.left_out, *plan.refusals]
    lines += [plan.hold] if plan.hold else []
    lines += [f"{o.kind.value}: {o.state.value}. {o.detail}" for o in step.before]
    lines += _left_to_people(step)
    return Notice(
        at=at,
        host=subject.host,
        service=subject.service,
        urgency=Urgency.INFORM if acted and not wrong else Urgency.PAGE,
        title=_title(step, wrong, acted),
        lines=tuple(lines),
        plan_id=plan.id,
        evidence=tuple(o.evidence for o in step.before if o.evidence is not None),
    )


def _left_to_people(step: Step) -> Iterator[str]:
    """What guard has changed and never changes back by itself."""
    past = Past(plan=step.plan, outcomes=step.before)
    for action in past.stays:
        yield _still_limited(action)
    for action in step.plan.actions:
        outcome = past.outcome_of(action)
        if action.kind is not ActionKind.SWITCHOVER or outcome is None:
            continue
        if outcome.state is OutcomeState.DONE:
            leader, candidate = action.parameters["leader"], action.parameters["candidate"]
            yield (
                f"The primary is on {candidate} now and stays there. To move it back once "
                f"{leader} is well: patronictl switchover {action.parameters['scope']} "
                f"--leader {candidate} --candidate {leader}"
            )


def _still_limited(action: Action) -> str:
    """Which cgroup has a limit now, and how a person takes it off by hand."""
    # Loaded by the plan that brought the action.
    from forestall.guard.containment import ContainMethod, from_parameters, own_folder

    contained = from_parameters(action.parameters)
    process = action.subject.process
    if contained.method is ContainMethod.OWN_CGROUP and process is not None:
        where, back = (
            f"the cgroup {own_folder(contained, process.pid)}",
            f"moves its processes back to {contained.cgroup} and removes it",
        )
    else:
        limits = [("memory.max", contained.max_bytes, contained.before_max_bytes)]
        if contained.version == 2:
            limits.insert(0, ("memory.high", contained.high_bytes, contained.before_high_bytes))
        else:
            limits = [("memory.limit_in_bytes", *limits[0][1:])]
        was = " and ".join(
            f"{name} was {'none' if before is None else before}"
            for name, now, before in limits
            if now is not None
        )
        where, back = contained.unit or contained.cgroup, f"sets it back ({was})"
    return f"The limit on {where} stays until guard has recycled the service, or a person {back}."


def _title(step: Step, wrong: list[Outcome], acted: bool) -> str:
    plan = step.plan
    where = f"{plan.subject.service} on {plan.subject.host}"
    kind = plan.verdict.kind.value
    if plan.refusals:
        return f"{where} is {kind} and needs a person: {plan.refusals[0]}"
    if plan.hold is not None:
        held = "is contained" if Past(plan=plan, outcomes=step.before).stays else "is left running"
        return f"{where} is {kind}, {held} and needs a person: {plan.hold}"
    verb = next((_VERBS[a.kind] for a in plan.actions if a.kind in _VERBS), "recycled")
    if acted and not wrong:
        return f"{where} was {kind} and has been {verb}."
    if acted:
        return f"{where} was {kind} and has been {verb}, but {wrong[0].kind.value} failed."
    if wrong:
        return (
            f"{where} is {kind} and was not {verb}: {wrong[0].kind.value} {wrong[0].state.value}."
        )
    return f"{where} is {kind} and would have been {verb}; the mode is {plan.mode.value}."
