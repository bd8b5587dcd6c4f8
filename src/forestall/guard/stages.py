"""The stages of a plan, in their order, and why one of them is left out.

contain -> move the database's traffic -> keep evidence -> stop or restart -> tell people
"""

from dataclasses import dataclass

from forestall.guard import protect
from forestall.guard.containment import Containment, ContainMethod
from forestall.guard.containment import to_parameters as contain_parameters
from forestall.guard.history import History
from forestall.guard.host_state import HostState
from forestall.guard.ownership import shared_limit
from forestall.guard.policy import Policy, Remedy, imminent, soonest
from forestall.guard.recipe import to_parameters
from forestall.guard.timing import timing_of
from forestall.guard.traffic import Move, move_of
from forestall.model.action import Action, ActionKind
from forestall.model.database import Member
from forestall.model.verdict import Subject, Verdict
from forestall.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The actions of a plan, the sentences that explain them, and what was left out and why."""

    actions: tuple[Action, ...]
    because: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def eases(self) -> bool:
        """Whether it does more than keep evidence and tell people: it contains or moves."""
        return any(a.kind in (ActionKind.CONTAIN, ActionKind.SWITCHOVER) for a in self.actions)


class _Draft:
    """Actions in order, numbered as they come, with their words."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.actions: list[Action] = []
        self.words: list[str] = []
        self.said: list[str] = []
        self.left_out: list[str] = []

    def add(self, kind: ActionKind, timeout: float, words: str, parameters: dict[str, str]) -> None:
        action = Action(
            id=f"{len(self.actions) + 1}-{kind.value}",
            kind=kind,
            subject=self.subject,
            timeout_seconds=timeout,
            parameters=parameters,
        )
        self.actions.append(action)
        self.words.append(words)


def stages_of(
    verdict: Verdict, state: HostState, policy: Policy, history: History, remedy: Remedy | None
) -> Stages:
    """The stages for this verdict; `remedy` None = contain, move and keep evidence only."""
    draft = _Draft(verdict.subject)
    containment = _contain(draft, verdict, state, policy)
    candidate = _move(draft, verdict, state, policy, history)
    kept = _capture(draft, verdict, state, policy, containment, candidate, remedy)
    if remedy is not None:
        _recycle(draft, verdict, state, policy, remedy, containment, kept)
    else:
        draft.words.append("leave it contained" if containment else "leave it running")
    draft.words.append("tell people")
    notify = notify_action(f"{len(draft.actions) + 1}-notify", verdict.subject, policy)
    because = [f"The plan: {', '.join(draft.words)}.", *draft.said]
    if state.fleet and (candidate is not None or remedy is not None):
        because.append(
            "All but containing and evidence waits for the fleet's lease, which one host has at "
            "a time."
        )
    return Stages(
        actions=(*draft.actions, notify),
        because=tuple(because),
        left_out=tuple(draft.left_out),
    )


def notify_action(action_id: str, subject: Subject, policy: Policy) -> Action:
    """People are told, whatever else is in the plan."""
    return Action(
        id=action_id,
        kind=ActionKind.NOTIFY,
        subject=subject,
        timeout_seconds=policy.notify_timeout_seconds,
    )


def _contain(
    draft: _Draft, verdict: Verdict, state: HostState, policy: Policy
) -> Containment | None:
    """First, because it is the cheapest, it is local, and what comes after gains time by it."""
    if not shared_limit(verdict, state.ownership):
        return None
    if state.containment is None:
        if state.no_containment is not None:
            draft.left_out.append(f"Contain: {state.no_containment}")
        return None
    containment = state.containment
    refused = _never_contained(containment, state.protected)
    if refused is not None:
        draft.left_out.append(f"Contain: {refused}")
        return None
    draft.add(
        ActionKind.CONTAIN,
        policy.contain_timeout_seconds,
        containment.sentence,
        contain_parameters(containment),
    )
    return containment


def _never_contained(containment: Containment, protected: tuple[str, ...]) -> str | None:
    if containment.method is ContainMethod.OWN_CGROUP:
        return None
    return (
        protect.protected_cgroup(containment.cgroup)
        or protect.protected_by_unit(containment.unit, protected)
        or protect.shared_unit(containment.unit)
    )


def _move(
    draft: _Draft, verdict: Verdict, state: HostState, policy: Policy, history: History
) -> Member | None:
    """Never left out for time; refused for safety, and then the rest goes on without it."""
    database = state.database
    if database is None:
        return None
    move: Move | None = move_of(database, state.at, state.mode, policy, history)
    if move is None:
        return None
    if not shared_limit(verdict, state.ownership):
        draft.left_out.append(
            "Switchover: what runs out is the service's own, so the database is not in danger."
        )
        return None
    candidate = move.candidate
    if candidate is None:
        draft.left_out.append(move.refused or "")
        return None
    assert database.own is not None, "the primary is here, so it has a name"
    draft.add(
        ActionKind.SWITCHOVER,
        policy.switchover_timeout_seconds,
        f"move the primary of {database.scope} to {candidate.name}",
        {
            "scope": database.scope,
            "leader": database.own,
            "candidate": candidate.name,
            "peer_url": candidate.url,
            "via": state.via,
            "pause_timeout_seconds": f"{policy.pause_timeout_seconds:g}",
        },
    )
    if not candidate.forecast_known:
        draft.said.append(f"Whether {candidate.name} may itself run out is not known.")
    return candidate


def _capture(
    draft: _Draft,
    verdict: Verdict,
    state: HostState,
    policy: Policy,
    containment: Containment | None,
    candidate: Member | None,
    remedy: Remedy | None,
) -> bool:
    """Evidence, where it fits; whether it is in the plan."""
    free = state.evidence_free_bytes
    if remedy is None and free is not None and free < policy.evidence_bytes_min:
        draft.left_out.append("Capture: there is no room for evidence.")
        return False
    timing = timing_of(verdict, policy, containment, moves=candidate is not None)
    draft.said.append(timing.said)
    if not timing.fits and not timing.fits_contained:
        draft.left_out.append("Capture: the forecast leaves no time for evidence.")
        return False
    timeout = policy.capture_timeout_seconds
    low = soonest(verdict)
    if low is not None:
        # Evidence may use a quarter of the time that is left, and is worth two seconds always.
        timeout = max(2.0, min(timeout, low / 4))
    parameters = {} if timing.fits else {"only_contained": "yes"}
    draft.add(ActionKind.CAPTURE, timeout, "keep its evidence", parameters)
    return True


def _recycle(
    draft: _Draft,
    verdict: Verdict,
    state: HostState,
    policy: Policy,
    remedy: Remedy,
    containment: Containment | None,
    kept: bool,
) -> None:
    """Stop or restart; never left out for time, for it is what frees the memory."""
    grace = policy.stop_grace_seconds
    low = soonest(verdict)
    if containment is None and low is not None:
        # A service that may exhaust the host meanwhile is not waited for.
        grace = min(grace, max(1.0, low / 4))
    parameters = {"grace_seconds": f"{grace:g}"}
    if remedy is Remedy.RESTART:
        assert state.recipe is not None
        parameters |= to_parameters(state.recipe)
        words = f"restart it {state.recipe.sentence}"
        kind, timeout = ActionKind.RESTART, policy.restart_timeout_seconds
    else:
        words = f"stop it by SIGTERM, and by SIGKILL after {format_duration(grace)}"
        kind, timeout = ActionKind.STOP, policy.stop_timeout_seconds
    if imminent(verdict, policy):
        within = format_duration(policy.without_evidence_within_seconds)
        reason = f"exhaustion may come within {within}"
        parameters["without_evidence"] = reason
        if not kept:
            parameters["no_capture"] = "the forecast leaves no time for evidence"
        else:
            draft.said.append(f"Should the evidence fail, it is not waited for, because {reason}.")
    draft.add(kind, timeout, words, parameters)
    if containment is not None:
        draft.words[-1] += ", take the limit off again"
