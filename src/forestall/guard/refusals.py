"""Every reason not to act, as sentences; the words before the colon name the kind of refusal."""

from collections.abc import Sequence

from forestall.guard import protect
from forestall.guard.history import History, Past, disruptions, of_incident, of_service
from forestall.guard.host_state import HostState
from forestall.guard.ownership import not_the_owner
from forestall.guard.policy import Policy, Remedy, allowance_of, imminent
from forestall.guard.recipe import Method
from forestall.model.action import Mode
from forestall.model.verdict import Subject, Verdict
from forestall.units import format_bytes, format_duration

_NO_WAY, _NO_ROOM = "No way to restart", "No room for evidence"
_ONLY_TAKING_DOWN = (_NO_WAY, _NO_ROOM)


def refusals_of(
    verdict: Verdict, state: HostState, policy: Policy, remedy: Remedy
) -> tuple[str, ...]:
    """All that speaks against acting at all; empty = nothing does."""
    subject = verdict.subject
    return tuple(
        sentence
        for sentence in (
            _untouchable(subject, state),
            _not_allowed(subject, state, policy),
            _no_way(subject, state, remedy),
            _no_room(verdict, state, policy),
            not_the_owner(verdict, state.ownership, policy),
        )
        if sentence is not None
    )


def _untouchable(subject: Subject, state: HostState) -> str | None:
    if subject.process is None:
        return f"No process: the verdict on {subject.name} names no process that could be recycled."
    return (
        protect.protected_by_pid(subject.process.pid, state.own_pids)
        or protect.protected_by_name((subject.name,), state.protected)
        or protect.protected_by_unit(subject.unit, state.protected)
    )


def _not_allowed(subject: Subject, state: HostState, policy: Policy) -> str | None:
    if state.mode is not Mode.ACT or allowance_of(subject, policy) is not None:
        return None
    return f"Not allowed: the owner has not named {subject.service} as a service guard may act on."


def _no_way(subject: Subject, state: HostState, remedy: Remedy) -> str | None:
    if remedy is not Remedy.RESTART:
        return None
    if state.recipe is None:
        return (
            f"{_NO_WAY}: {subject.service} is no systemd service, and no command or "
            f"supervisor was given for it."
        )
    if state.recipe.method is Method.SYSTEMD:
        return protect.protected_by_unit(state.recipe.unit, state.protected) or protect.shared_unit(
            state.recipe.unit
        )
    return None


def _no_room(verdict: Verdict, state: HostState, policy: Policy) -> str | None:
    free = state.evidence_free_bytes
    if free is None or free >= policy.evidence_bytes_min or imminent(verdict, policy):
        return None
    return (
        f"{_NO_ROOM}: it may take {format_bytes(free)} of what is free, and "
        f"{format_bytes(policy.evidence_bytes_min)} is needed before anything is taken down."
    )


def hold_of(subject: Subject, state: HostState, policy: Policy, history: History) -> str | None:
    """Why the service is contained and kept, and not taken down: a person is needed.

    What was done twice did not help; or the limit of the host is reached; or attempt after
    attempt came to nothing; or this very process is held already.
    """
    window = [
        entry
        for entry in disruptions(history.within(state.at, policy.window_seconds), state.mode)
        if not entry.stopped_short
    ]
    own = of_service(window, subject.service)
    span = format_duration(policy.window_seconds)
    if len(own) >= policy.service_actions_max:
        return (
            f"Hold and page: guard planned for {subject.service} {len(own)} times within {span}"
            f" ({_tally(own)}), and the trouble is back; once more would not help."
        )
    if len(window) >= policy.host_actions_max:
        return (
            f"Hold and page: guard planned {len(window)} times on this host within {span}"
            f" ({_tally(window)}), and its limit is {policy.host_actions_max}."
        )
    tried = of_incident(history.past, incident_of(subject, state), state.mode)
    if any(entry.plan.hold and entry.contained for entry in tried):
        return (
            f"Hold and page: {subject.service} is contained since an earlier plan for this "
            f"trouble, until a person takes over."
        )
    short = [entry for entry in tried if entry.disruptive and entry.stopped_short]
    if len(short) >= policy.attempts_max:
        return (
            f"Hold and page: {len(short)} attempts for this trouble of {subject.service} took "
            f"nothing down, and one more would not either."
        )
    return None


def incident_of(subject: Subject, state: HostState) -> str:
    """The name of one trouble of one process, however often it is planned for."""
    process = subject.process
    who = "-" if process is None else f"{process.boot_id[:8]}-{process.pid}-{process.start_ticks}"
    return f"{subject.host}/{subject.service}/{who}/{state.troubled_since:.0f}"


def _tally(past: Sequence[Past]) -> str:
    acted = sum(entry.acted for entry in past)
    would = sum(entry.would and not entry.acted for entry in past)
    neither = len(past) - acted - would
    parts = (
        f"{acted} carried out" if acted else "",
        f"{would} only journaled" if would else "",
        f"{neither} stopped before acting" if neither else "",
    )
    return ", ".join(part for part in parts if part)


def may_be_contained(refusals: Sequence[str]) -> bool:
    """Whether all that is refused is taking it down: it can still be contained and kept."""
    return all(kind_of(refusal) in _ONLY_TAKING_DOWN for refusal in refusals)


def kind_of(refusal: str) -> str:
    """The words before the colon: what kind of refusal it is, whatever its numbers."""
    return refusal.partition(":")[0]
