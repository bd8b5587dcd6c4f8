"""Whether the database's primary moves away, and to whom: refused for safety, never for time."""

from collections.abc import Iterator
from typing import NamedTuple

from forestall.guard.history import History
from forestall.guard.policy import Policy
from forestall.model.action import ActionKind, Mode, OutcomeState
from forestall.model.database import Database, Member, Role
from forestall.units import format_bytes, format_duration


class Move(NamedTuple):
    """Either a `candidate` to move to, or `refused`: why the primary stays, as a sentence."""

    candidate: Member | None = None
    refused: str | None = None


def move_of(
    database: Database, at: float, mode: Mode, policy: Policy, history: History
) -> Move | None:
    """What to do about the primary; None = it is not on this host, so nothing is to be moved."""
    if database.fault is None and not database.primary_is_here:
        return None
    reason = _closed(database) or _too_soon(at, mode, policy, history)
    if reason is not None:
        return Move(refused=f"Switchover: {reason}")
    peers = [member for member in database.members if member.name != database.own]
    faults = {peer.name: list(_faults(peer, database, policy)) for peer in peers}
    fit = [peer for peer in peers if not faults[peer.name]]
    if not peers:
        return Move(refused=f"Switchover: {database.own} is the only member of {database.scope}.")
    if not fit:
        said = "; ".join(f"{name} {' and '.join(why)}" for name, why in faults.items())
        return Move(refused=f"Switchover: no member may take over: {said}.")
    return Move(candidate=min(fit, key=_preference))


def _closed(database: Database) -> str | None:
    """Why nothing in this cluster may be moved now."""
    if database.fault is not None:
        return f"the state of {database.scope} is not known: {database.fault.rstrip('.')}."
    if database.paused:
        return f"{database.scope} is paused, so a person is at work on it."
    if database.switchover_pending:
        return f"a switchover of {database.scope} is under way already."
    return None


def _too_soon(at: float, mode: Mode, policy: Policy, history: History) -> str | None:
    """One that was tried within the cooldown is not followed by another."""
    for past in reversed(history.within(at, policy.cooldown_seconds)):
        if mode is Mode.ACT and past.plan.mode is not Mode.ACT:
            continue
        for outcome in past.outcomes:
            if outcome.kind is ActionKind.SWITCHOVER and outcome.state is OutcomeState.DONE:
                ago = format_duration(max(0.0, at - outcome.at))
                span = format_duration(policy.cooldown_seconds)
                return f"the primary was moved {ago} ago, and guard lets {span} pass."
    return None


def _faults(peer: Member, database: Database, policy: Policy) -> Iterator[str]:
    """What speaks against this member as the next primary."""
    if not peer.healthy:
        yield f"is not healthy ({peer.state})"
        return
    if database.synchronous and peer.role is not Role.SYNC_STANDBY:
        yield "is no synchronous standby"
    if peer.lag_bytes is None:
        yield "does not tell its lag"
    elif peer.lag_bytes > policy.lag_bytes_max:
        allowed = format_bytes(policy.lag_bytes_max)
        yield f"lags by {format_bytes(peer.lag_bytes)}, more than {allowed}"
    primary = database.primary
    timelines = (peer.timeline, primary.timeline if primary is not None else None)
    if None not in timelines and timelines[0] != timelines[1]:
        yield f"is on timeline {timelines[0]}, the primary on {timelines[1]}"
    soonest = peer.exhaustion_seconds
    if soonest is not None and soonest <= policy.candidate_exhaustion_seconds_min:
        yield f"may itself run out of memory in {format_duration(soonest)}"


def _preference(peer: Member) -> tuple[bool, bool, int, str]:
    """Synchronous first, then whose own forecast is known to be good, then the least lag."""
    return (
        peer.role is not Role.SYNC_STANDBY,
        not peer.forecast_known,
        peer.lag_bytes or 0,
        peer.name,
    )
