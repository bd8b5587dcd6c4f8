"""How much time the forecast leaves, and which steps fit into it."""

from dataclasses import dataclass

from forestall.guard.containment import Containment, ContainMethod
from forestall.guard.policy import Policy, soonest
from forestall.model.verdict import Verdict
from forestall.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The one question that time decides: whether evidence can be kept first.

    `fits`: it fits into what is left. `fits_contained`: only once the service is contained, when
    the host no longer runs out and only the service itself can. `said` puts it in one sentence.
    """

    fits: bool
    fits_contained: bool
    said: str


def timing_of(
    verdict: Verdict, policy: Policy, containment: Containment | None, *, moves: bool
) -> Timing:
    """The budget of a plan that contains (or not), moves traffic (or not), captures, recycles.

    Containing and moving are never left out for time: the one buys time, and the other is what
    the rest is for. Neither is recycling, which is what frees the memory.
    """
    left = soonest(verdict)
    steps = [
        ("containing", policy.contain_expected_seconds if containment else 0.0),
        ("the switchover", policy.switchover_expected_seconds if moves else 0.0),
        ("the evidence", policy.capture_expected_seconds),
        ("recycling", policy.recycle_expected_seconds),
    ]
    listed = ", ".join(f"{name} {format_duration(s)}" for name, s in steps if s)
    need = sum(seconds for _, seconds in steps)
    if left is None:
        return Timing(fits=True, fits_contained=True, said=f"Time: no end in sight; {listed}.")
    start = f"Time: {format_duration(left)} at the soonest; {listed}"
    if need <= left:
        return Timing(fits=True, fits_contained=True, said=f"{start}: all of it fits.")
    own = None if containment is None else contained_seconds(verdict, containment)
    before_recycling = need - policy.recycle_expected_seconds
    if containment is not None and (own is None or before_recycling <= own):
        until = (
            "is slowed down" if own is None else f"reaches its own limit in {format_duration(own)}"
        )
        said = (
            f"{start}: not all of it fits. Once it is contained the host no longer runs out, and "
            f"the service {until}, so that the evidence is kept if containing works, and left "
            f"out if not."
        )
        return Timing(fits=False, fits_contained=True, said=said)
    return Timing(fits=False, fits_contained=False, said=f"{start}: there is no time for evidence.")


def contained_seconds(verdict: Verdict, containment: Containment) -> float | None:
    """How soon a contained service may reach its own limit; None where it is slowed down first."""
    slowed = containment.high_bytes is not None
    if slowed or containment.max_bytes is None or verdict.forecast is None:
        return None
    rate = verdict.forecast.rate_high_bytes_per_second
    if rate <= 0:
        return None
    # The limits of a cgroup of its own come on top of what the process holds already.
    own = containment.method is ContainMethod.OWN_CGROUP
    room = containment.max_bytes - (0 if own else verdict.memory_bytes)
    return max(0.0, room) / rate
