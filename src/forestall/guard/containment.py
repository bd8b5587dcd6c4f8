"""A limit on the leaking service alone: what is to be set where, and what was set before.

`panic_on_oom=1` does not panic on a cgroup's own limit, so this turns "the host goes down" into
"the service goes down".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from forestall.errors import InputError
from forestall.guard import protect
from forestall.guard.history import History
from forestall.model.action import ActionKind, OutcomeState
from forestall.units import KIB, MIB, format_bytes

ROOM_BYTES_MIN = 4 * MIB
"""Below this the service would be killed by the limit before anything else can be done."""

ROUNDED_BYTES = 64 * KIB
"""More than a page of any kernel: a limit reads back rounded to pages."""


class ContainMethod(StrEnum):
    """systemd: `set-property --runtime`. cgroup: its files. own-cgroup: one made for the pid."""

    SYSTEMD = "systemd"
    CGROUP = "cgroup"
    OWN_CGROUP = "own-cgroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """What contain sets, and what undo puts back; None = no limit.

    `cgroup` as in /proc/PID/cgroup; for OWN_CGROUP the one the process lies in now. `high_bytes`
    slows the service down and is None where the kernel knows none (v1); at `max_bytes` the
    kernel kills within the cgroup.
    """

    method: ContainMethod
    cgroup: str
    version: int
    max_bytes: int
    high_bytes: int | None = None
    unit: str | None = None
    before_high_bytes: int | None = None
    before_max_bytes: int | None = None

    @property
    def throttles(self) -> bool:
        """Whether the service is slowed down before it reaches the limit."""
        return self.high_bytes is not None

    @property
    def sentence(self) -> str:
        """What will be done, for a person."""
        where = self.unit if self.method is ContainMethod.SYSTEMD else self.cgroup
        if self.method is ContainMethod.OWN_CGROUP:
            where = "a cgroup of its own"
        slowed = (
            f"slow it down from {format_bytes(self.high_bytes)} on and " if self.high_bytes else ""
        )
        return f"{slowed}keep it below {format_bytes(self.max_bytes)} in {where}"


def never_contained(containment: Containment, protected: tuple[str, ...]) -> str | None:
    """Why this cgroup may never be limited, as a sentence, or None: it holds others."""
    unit = containment.unit
    forbidden = protect.protected_by_unit(unit, protected) or protect.shared_unit(unit)
    if forbidden is not None:
        return forbidden
    if containment.method is ContainMethod.OWN_CGROUP:
        return None
    path = containment.cgroup.rstrip("/")
    if not path or path.endswith(".slice"):
        return f"{containment.cgroup} holds other services too, so it is not limited."
    return None


def to_parameters(containment: Containment) -> dict[str, str]:
    """A containment as parameters of an action, which are text."""
    return {
        "method": containment.method.value,
        "unit": containment.unit or "",
        "cgroup": containment.cgroup,
        "version": str(containment.version),
        "high_bytes": _text(containment.high_bytes),
        "max_bytes": _text(containment.max_bytes),
        "before_high_bytes": _text(containment.before_high_bytes),
        "before_max_bytes": _text(containment.before_max_bytes),
    }


def from_parameters(parameters: Mapping[str, str]) -> Containment:
    """Inverse of `to_parameters`. Raises InputError where they hold no containment."""
    try:
        max_bytes = _number(parameters["max_bytes"])
        if max_bytes is None:
            raise ValueError("a containment without a limit")
        return Containment(
            method=ContainMethod(parameters["method"]),
            unit=parameters["unit"] or None,
            cgroup=parameters["cgroup"],
            version=int(parameters["version"]),
            high_bytes=_number(parameters["high_bytes"]),
            max_bytes=max_bytes,
            before_high_bytes=_number(parameters["before_high_bytes"]),
            before_max_bytes=_number(parameters["before_max_bytes"]),
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"no containment in {dict(parameters)!r}: {error}") from None


def limits_for(
    current_bytes: int, headroom_bytes: int, share: float, *, throttle: bool
) -> tuple[int | None, int]:
    """(high, max) for a service whose cgroup holds `current_bytes` now.

    It may still take `share` of what is left, half of it at full speed.
    """
    room = max(ROOM_BYTES_MIN, int(headroom_bytes * share))
    return (current_bytes + room // 2 if throttle else None), current_bytes + room


def standing(containment: Containment, history: History) -> Containment:
    """The containment of guard's own that stands already, else `containment` as it is.

    One that stayed, because its plan failed later on or held, is what the cgroup shows now. To
    set it again from what is held now would let it creep upwards, and to take it back to what
    the cgroup shows now would leave it there for good.
    """
    for past in reversed(history.past):
        for action in past.plan.actions:
            if action.kind is not ActionKind.CONTAIN:
                continue
            try:
                earlier = from_parameters(action.parameters)
            except InputError:
                continue
            if (earlier.method, earlier.cgroup) != (containment.method, containment.cgroup):
                continue
            outcome = past.outcome_of(action)
            stands = outcome is not None and outcome.state is OutcomeState.DONE
            return earlier if stands and _shows(containment, earlier) else containment
    return containment


def _shows(containment: Containment, earlier: Containment) -> bool:
    """Whether the limit that the cgroup has now is the one that guard set; kernels round it."""
    now = containment.before_max_bytes
    return now is not None and abs(now - earlier.max_bytes) <= ROUNDED_BYTES


def _text(value: int | None) -> str:
    return "max" if value is None else str(value)


def _number(text: str) -> int | None:
    return None if text == "max" else int(text)
