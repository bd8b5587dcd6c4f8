"""What to do about a verdict: one pure function.

`decide` reads nothing and changes nothing. The same verdict, state, policy and history give
the same plan, so a plan of observe mode is the plan that act mode would have carried out.
"""

from forestall.guard.history import (
    History,
    Past,
    disruptions,
    of_incident,
    of_process,
    of_service,
)
from forestall.guard.host_state import HostState, runs_out_alone
from forestall.guard.policy import (
    Policy,
    allowance_of,
    imminent,
    remedy_of,
    soonest,
    used_share,
)
from forestall.guard.refusals import hold_of, incident_of, kind_of, may_be_contained, refusals_of
from forestall.guard.stages import Stages, notify_action, stages_of
from forestall.guard.words import describe
from forestall.model.action import Action, Mode, OutcomeState, Plan
from forestall.model.verdict import Verdict, VerdictKind
from forestall.units import format_duration


def decide(verdict: Verdict, state: HostState, policy: Policy, history: History) -> Plan:
    """What to do about `verdict`: a plan in stages, nothing yet, or a refusal.

    The stages: contain, move the database's traffic, keep evidence, stop or restart, tell
    people. A plan without actions is not worth recording (`Plan.idle`): `because` says what it
    waits for. One with `refusals` holds at most a notify; one with `hold` takes nothing down.
    Meant to be called at each change of a verdict, and again and again while it lasts: its id
    names the trouble and the attempt, so that the same again is the same plan.
    """
    trigger, calls = _trigger(verdict, state, policy)
    if not calls:
        return _plan(verdict, state, history, trigger)
    waiting = _waiting(verdict, state, policy, history)
    if waiting is not None:
        return _plan(verdict, state, history, (*trigger, waiting))
    remedy = remedy_of(verdict.subject, policy)
    refusals = refusals_of(verdict, state, policy, remedy)
    hold = hold_of(verdict.subject, state, policy, history)
    stages = None
    if not refusals or may_be_contained(refusals):
        hold = hold or (refusals[0] if refusals else None)
        stages = stages_of(verdict, state, policy, history, None if hold else remedy)
        if refusals and not stages.eases:
            stages = None
    if stages is None:
        hold = None
    said = _said_already(verdict, state, policy, history, (hold,) if hold else refusals)
    if said is None and hold is not None and stages is not None and not stages.eases:
        said = _held_already(verdict, state, policy, history)
    if said is not None:
        return _plan(verdict, state, history, (*trigger, said))
    if stages is None:
        because = (*trigger, "The plan: leave it alone, tell people.")
        notify = notify_action("1-notify", verdict.subject, policy)
        return _plan(verdict, state, history, because, actions=(notify,), refusals=refusals)
    because = (*trigger, *stages.because, *_would_need(verdict, state, policy))
    return _plan(verdict, state, history, because, stages=stages, hold=hold)


def _trigger(verdict: Verdict, state: HostState, policy: Policy) -> tuple[tuple[str, ...], bool]:
    """The sentences that say what the verdict amounts to, and whether it calls for action."""
    service = verdict.subject.service
    if verdict.kind not in (VerdictKind.LEAKING, VerdictKind.EXHAUSTING):
        return (f"{service} is {verdict.kind.value}, which calls for no action.",), False
    said = describe(verdict)
    if verdict.forecast is None:
        # Without a limit there is nothing to run out; else the verdict is an older one that the
        # judge holds for a while, and the newest judgement sees no growth any more.
        return (said, "No exhaustion is foretold now, and guard acts on nothing else."), False
    within, where = policy.act_within_seconds, ""
    if runs_out_alone(verdict, state):
        within = policy.act_alone_within_seconds
        where = f" where {service} alone runs out"
    elif verdict.kind is VerdictKind.EXHAUSTING:
        return (said, "Guard acts on what is EXHAUSTING, unless it runs out alone."), True
    low, used = soonest(verdict), used_share(verdict)
    horizon, share = format_duration(within), f"{policy.used_share_max:.0%}"
    if low is not None and low <= within:
        return (said, f"Exhaustion may come within the {horizon} in which guard acts{where}."), True
    if used is not None and used >= policy.used_share_max:
        return (said, f"{used:.0%} of the limit is used, and guard acts from {share}."), True
    waits = f"Guard acts when exhaustion may come within {horizon}{where}, or {share} is used."
    return (said, waits), False


def _waiting(verdict: Verdict, state: HostState, policy: Policy, history: History) -> str | None:
    """Why it is too early to plan: not persisted, or cooling down; neither where it is imminent."""
    lasted = state.at - state.troubled_since
    if lasted < policy.persistence_seconds and not imminent(verdict, policy):
        return (
            f"It has lasted {format_duration(max(0.0, lasted))}, and guard waits for "
            f"{format_duration(policy.persistence_seconds)}."
        )
    service = verdict.subject.service
    recent = of_service(history.within(state.at, policy.cooldown_seconds), service)
    planned = disruptions(recent, state.mode)
    if not planned:
        return None
    last = planned[-1]
    ago = max(0.0, state.at - last.plan.at)
    same = last.plan.incident == incident_of(verdict.subject, state)
    if same and all(entry.stopped_short for entry in planned):
        wait = _retry_seconds(last, policy)
        if abs(state.at - last.plan.at) > wait:
            return None
        return (
            f"Attempt {last.plan.attempt} for this trouble took nothing down "
            f"{format_duration(ago)} ago, and the next one waits for {format_duration(wait)}."
        )
    if imminent(verdict, policy):
        # The pause is against flapping, which the ladder ends anyway: never against survival.
        return None
    return (
        f"Guard planned for {service} {format_duration(ago)} ago, and lets "
        f"{format_duration(policy.cooldown_seconds)} pass between two plans."
    )


def _retry_seconds(last: Past, policy: Policy) -> float:
    """Doubled at each further attempt, up to the cooldown."""
    doubled = policy.retry_seconds * 2.0 ** (min(last.plan.attempt, 16) - 1)
    return min(policy.cooldown_seconds, doubled)


def _said_already(
    verdict: Verdict, state: HostState, policy: Policy, history: History, refusals: tuple[str, ...]
) -> str | None:
    """Why the same is not said again: it is on the record, and nothing became worse since."""
    recent = of_process(
        of_service(history.within(state.at, policy.remind_seconds), verdict.subject.service),
        verdict.subject.process,
    )
    same = [past for past in recent if past.plan.verdict.kind is verdict.kind]
    if refusals:
        known = {kind_of(sentence) for past in same for sentence in _refused(past)}
        repeated = bool(same) and {kind_of(sentence) for sentence in refusals} <= known
        if repeated and _eases_again(same[-1], state, policy):
            return None
    else:
        repeated = state.mode is not Mode.ACT and any(past.would for past in same)
    if not repeated:
        return None
    return (
        f"The ledger has the same for this process, and it is said again only when the verdict "
        f"changes or after {format_duration(policy.remind_seconds)}."
    )


def _held_already(
    verdict: Verdict, state: HostState, policy: Policy, history: History
) -> str | None:
    """Why a hold that changes nothing is not said again: its service is contained already.

    A service that ends at the limit it is held by, and that its supervisor starts again, comes
    back as a new process every time; people were told of the first.
    """
    recent = of_service(history.within(state.at, policy.cooldown_seconds), verdict.subject.service)
    held = [past for past in recent if past.plan.hold and past.plan.mode is state.mode]
    if not held:
        return None
    return (
        f"{verdict.subject.service} is held since {format_duration(state.at - held[-1].plan.at)} "
        f"ago, and is said again after {format_duration(policy.cooldown_seconds)}."
    )


def _refused(past: Past) -> tuple[str, ...]:
    return past.plan.refusals or ((past.plan.hold,) if past.plan.hold else ())


def _eases_again(last: Past, state: HostState, policy: Policy) -> bool:
    """Whether a hold whose containing or moving did not work is due to be tried once more."""
    if last.plan.hold is None or state.mode is not Mode.ACT or last.unanswered:
        return False
    bad = (OutcomeState.FAILED, OutcomeState.REFUSED)
    if not any(outcome.state in bad for outcome in last.easing):
        return False
    due = state.at - last.plan.at > _retry_seconds(last, policy)
    return due and last.plan.attempt < policy.attempts_max


def _would_need(verdict: Verdict, state: HostState, policy: Policy) -> tuple[str, ...]:
    if state.mode is Mode.ACT or allowance_of(verdict.subject, policy) is not None:
        return ()
    service = verdict.subject.service
    return (f"Act mode would also need {service} among the allowed services.",)


def _plan(
    verdict: Verdict,
    state: HostState,
    history: History,
    because: tuple[str, ...],
    *,
    actions: tuple[Action, ...] = (),
    refusals: tuple[str, ...] = (),
    stages: Stages | None = None,
    hold: str | None = None,
) -> Plan:
    incident = incident_of(verdict.subject, state)
    attempt = 1 + len(of_incident(history.past, incident, state.mode))
    return Plan(
        id=_plan_id(incident, state.mode, attempt),
        at=state.at,
        mode=state.mode,
        verdict=verdict,
        actions=stages.actions if stages else actions,
        because=because,
        refusals=refusals,
        incident=incident,
        attempt=attempt,
        left_out=stages.left_out if stages else (),
        hold=hold,
    )


def _plan_id(incident: str, mode: Mode, attempt: int) -> str:
    """The same trouble and attempt in the same mode, at whatever time: no plan is done twice."""
    # Imported here: hashlib brings 4 MB of libcrypto, which an agent without trouble never needs.
    import hashlib

    text = f"{incident}\0{mode.value}\0{attempt}"
    return "plan-" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
