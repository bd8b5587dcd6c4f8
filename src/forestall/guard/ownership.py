"""Whether the judged process owns the growth of what runs out.

A host that runs out has a largest process and a growing one, and they need not be the same:
earlyoom killed a sound server of 79 MB for a leaker of 3 GB (its issue 344).
"""

from dataclasses import dataclass

from forestall.guard.policy import Policy
from forestall.model.verdict import LimitKind, Verdict
from forestall.units import format_bytes, format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What grew lately, over `window_seconds`: the process, and all of what runs out.

    `alone`: what runs out holds no other service, as a unit's own cgroup does. `baseline_bytes`:
    the least the process held in what is remembered of it. None = not known.
    """

    alone: bool
    window_seconds: float = 0.0
    growth_bytes: int | None = None
    whole_growth_bytes: int | None = None
    baseline_bytes: int | None = None

    @property
    def share(self) -> float | None:
        """The process's part of the growth, from 0 to 1; None where it is not known."""
        if self.alone:
            return 1.0
        if self.growth_bytes is None or self.whole_growth_bytes is None:
            return None
        if self.growth_bytes <= 0:
            return 0.0
        return min(1.0, self.growth_bytes / max(self.growth_bytes, self.whole_growth_bytes))


def shared_limit(verdict: Verdict, ownership: Ownership | None) -> bool:
    """Whether others go down too when it runs out.

    The host's memory is everybody's. A limit that a person gave may stand for the machine's. A
    cgroup's is the service's own unless others are seen in it.
    """
    if verdict.forecast is None or verdict.forecast.limit.kind is not LimitKind.CGROUP:
        return True
    return ownership is not None and not ownership.alone


def not_the_owner(verdict: Verdict, ownership: Ownership | None, policy: Policy) -> str | None:
    """The sentence that says why this process is not to be taken down for the growth, or None.

    Not known is a reason too where others share what runs out: to act on a guess is how the
    wrong service dies. Nobody waits long for it, since two looks 10 s apart make it known.
    """
    if verdict.forecast is None:
        return None
    limit = verdict.forecast.limit
    if limit.kind is LimitKind.GIVEN or not shared_limit(verdict, ownership):
        return None
    service = verdict.subject.service
    if ownership is None or ownership.share is None:
        return (
            f"Owner not known: nothing tells yet how much of the growth in {limit.source} is "
            f"that of {service}."
        )
    span = format_duration(ownership.window_seconds)
    if ownership.share <= policy.growth_share_min:
        grown = format_bytes(ownership.whole_growth_bytes or 0)
        return (
            f"Not the owner: of the {grown} that were taken within {span}, {ownership.share:.0%} "
            f"went to {service}, and guard acts on who took more than "
            f"{policy.growth_share_min:.0%}."
        )
    base = ownership.baseline_bytes
    least = None if base is None else base * (1 + policy.above_baseline_min)
    if least is not None and verdict.memory_bytes < least:
        return (
            f"Not above its baseline: {service} holds {format_bytes(verdict.memory_bytes)}, and "
            f"held {format_bytes(base or 0)} before."
        )
    return None
