"""What to do about a verdict: one pure function.

`decide` reads nothing and changes nothing. The same verdict, state, policy and history give
the same plan, so a plan of observe mode is the plan that act mode would have carried out.
"""

from forestall.guard.history import History, disruptions, of_process, of_service
from forestall.guard.policy import (
    HostState,
    Policy,
    Remedy,
    allowance_of,
    imminent,
    remedy_of,
    soonest,
    used_share,
)
from forestall.guard.recipe import to_parameters
from forestall.guard.refusals import kind_of, refusals_of
from forestall.guard.words import describe
from forestall.model.action import Action, ActionKind, Mode, Plan
from forestall.model.verdict import Subject, Verdict, VerdictKind
from forestall.units import format_duration


def decide(verdict: Verdict, state: HostState, policy: Policy, history: History) -> Plan:
    """What to do about `verdict`: capture -> stop or restart -> notify, or nothing, or a refusal.

    A plan without actions is not worth recording (`Plan.idle`): `because` says what it waits
    for. A plan with `refusals` holds at most a notify. Meant to be called at each change of a
    verdict, and again and again while it lasts: one trouble is planned for once.
    """
    trigger, calls = _trigger(verdict, policy)
    if not calls:
        return _plan(verdict, state, trigger)
    waiting = _waiting(verdict, state, policy, history)
    if waiting is not None:
        return _plan(verdict, state, (*trigger, waiting))
    remedy = remedy_of(verdict.subject, policy)
    refusals = refusals_of(verdict, state, policy, history, remedy)
    said = _said_already(verdict, state, policy, history, refusals)
    if said is not None:
        return _plan(verdict, state, (*trigger, said))
    if refusals:
        because = (*trigger, "The plan: leave it alone, tell people.")
        notify = _notify("1-notify", verdict.subject, policy)
        return _plan(verdict, state, because, (notify,), refusals)
    return _act(verdict, state, policy, remedy, trigger)


def _trigger(verdict: Verdict, policy: Policy) -> tuple[tuple[str, ...], bool]:
    """The sentences that say what the verdict amounts to, and whether it calls for action."""
    if verdict.kind not in (VerdictKind.LEAKING, VerdictKind.EXHAUSTING):
        service = verdict.subject.service
        return (f"{service} is {verdict.kind.value}, which calls for no action.",), False
    said = describe(verdict)
    if verdict.kind is VerdictKind.EXHAUSTING:
        return (said, "Guard acts on every service that is EXHAUSTING."), True
    low, used = soonest(verdict), used_share(verdict)
    horizon = format_duration(policy.act_within_seconds)
    if low is not None and low <= policy.act_within_seconds:
        return (said, f"Exhaustion may come within the {horizon} in which guard acts."), True
    share = f"{policy.used_share_max:.0%}"
    if used is not None and used >= policy.used_share_max:
        return (said, f"{used:.0%} of the limit is used, and guard acts from {share}."), True
    waits = f"Guard acts when exhaustion may come within {horizon}, or {share} is used."
    return (said, waits), False


def _waiting(verdict: Verdict, state: HostState, policy: Policy, history: History) -> str | None:
    """Why it is too early to plan: not persisted, or cooling down."""
    lasted = state.at - state.troubled_since
    if lasted < policy.persistence_seconds and not imminent(verdict, policy):
        return (
            f"It has lasted {format_duration(max(0.0, lasted))}, and guard waits for "
            f"{format_duration(policy.persistence_seconds)}."
        )
    recent = of_service(history.within(state.at, policy.cooldown_seconds), verdict.subject.service)
    planned = disruptions(recent, state.mode)
    if planned:
        ago = max(0.0, state.at - planned[-1].plan.at)
        return (
            f"Guard planned for {verdict.subject.service} {format_duration(ago)} ago, and lets "
            f"{format_duration(policy.cooldown_seconds)} pass between two plans."
        )
    return None


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
        known = {kind_of(sentence) for past in same for sentence in past.plan.refusals}
        repeated = bool(same) and {kind_of(sentence) for sentence in refusals} <= known
    else:
        repeated = state.mode is not Mode.ACT and any(past.would for past in same)
    if not repeated:
        return None
    return (
        f"The ledger has the same for this process, and it is said again only when the verdict "
        f"changes or after {format_duration(policy.remind_seconds)}."
    )


def _act(
    verdict: Verdict, state: HostState, policy: Policy, remedy: Remedy, trigger: tuple[str, ...]
) -> Plan:
    subject = verdict.subject
    low = soonest(verdict)
    timeout = policy.capture_timeout_seconds
    if low is not None:
        # Evidence may use a quarter of the time that is left, and is worth two seconds always.
        timeout = max(2.0, min(timeout, low / 4))
    because = list(trigger)
    parameters = {"grace_seconds": f"{policy.stop_grace_seconds:g}"}
    if remedy is Remedy.RESTART:
        assert state.recipe is not None
        parameters |= to_parameters(state.recipe)
        how = f"restart it {state.recipe.sentence}"
        kind, limit = ActionKind.RESTART, policy.restart_timeout_seconds
    else:
        grace = format_duration(policy.stop_grace_seconds)
        how = f"stop it by SIGTERM, and by SIGKILL after {grace}"
        kind, limit = ActionKind.STOP, policy.stop_timeout_seconds
    because.append(f"The plan: keep its evidence, {how}, tell people.")
    if imminent(verdict, policy):
        reason = (
            f"exhaustion may come within {format_duration(policy.without_evidence_within_seconds)}"
        )
        parameters["without_evidence"] = reason
        because.append(f"Should the evidence fail, it is not waited for, because {reason}.")
    if state.mode is not Mode.ACT and allowance_of(subject, policy) is None:
        because.append(f"Act mode would also need {subject.service} among the allowed services.")
    actions = (
        Action(id="1-capture", kind=ActionKind.CAPTURE, subject=subject, timeout_seconds=timeout),
        Action(
            id=f"2-{kind.value}",
            kind=kind,
            subject=subject,
            timeout_seconds=limit,
            parameters=parameters,
        ),
        _notify("3-notify", subject, policy),
    )
    return _plan(verdict, state, tuple(because), actions)


def _notify(action_id: str, subject: Subject, policy: Policy) -> Action:
    return Action(
        id=action_id,
        kind=ActionKind.NOTIFY,
        subject=subject,
        timeout_seconds=policy.notify_timeout_seconds,
    )


def _plan(
    verdict: Verdict,
    state: HostState,
    because: tuple[str, ...],
    actions: tuple[Action, ...] = (),
    refusals: tuple[str, ...] = (),
) -> Plan:
    return Plan(
        id=_plan_id(verdict, state),
        at=state.at,
        mode=state.mode,
        verdict=verdict,
        actions=actions,
        because=because,
        refusals=refusals,
    )


def _plan_id(verdict: Verdict, state: HostState) -> str:
    """The same trouble at the same time in the same mode: so that no plan is done twice."""
    # Imported here: hashlib brings 4 MB of libcrypto, which an agent without trouble never needs.
    import hashlib

    subject = verdict.subject
    what = (subject.host, subject.service, subject.process, verdict.kind.value)
    text = repr((*what, state.mode.value, state.at))
    return "plan-" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
