"""What a containment sets and what it puts back: a limit on the suspect's cgroup alone.

`containment_of` is a pure function of what `surroundings.look` reads. What it sets, and why:

- `memory.high` lies at what the cgroup holds now, with as much of its page cache as it may grow.
  From there on the kernel slows the cgroup's own allocations down and reclaims from it alone
  (cgroup-v2.rst, "memory.high": it never invokes the OOM killer).
- `memory.max` lies an eighth of the headroom above that. A leak that goes on in spite of
  the throttle then ends in an OOM of its own cgroup: the service dies, and the host does not. With
  vm.panic_on_oom=1 the kernel panics on an OOM of the whole host only; with 2 also on that of a
  cgroup (sysctl/vm.rst, "panic_on_oom"). So under 2 only `memory.high` is set.
- cgroup v1 has no throttle: its only limit is a hard one, so under panic_on_oom=2 it is refused.
- An own cgroup starts without what the process holds already (v2 leaves charges where they were
  made, v1 may take them along), so its limits are counted from what it holds after the move.
- Nothing is ever raised: a limit that is tighter already stays.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from forestall.errors import InputError
from forestall.guard.protect import SHARED_UNITS
from forestall.model.sample import CgroupSample
from forestall.sense.cgroup import ancestors
from forestall.units import MIB, format_bytes

GROWTH_SHARE = 1 / 8
GROWTH_BYTES_MIN = 4 * MIB
GROWTH_BYTES_MAX = 512 * MIB
"""What a contained cgroup may still grow by: this share of the host's headroom, within bounds.

Twice of it at most (once in place of its page cache) is a quarter of what is left, so three
quarters stay for the switchover, the evidence and everybody else.
"""

PAGE_BYTES = 4096
UNIT_CHARS_MAX = 255
PATH_CHARS_MAX = 4096
OWN_PREFIX = "forestall-contain-"

_SHARED_UNITS = (
    *SHARED_UNITS,
    "session-*.scope",
    "init.scope",
    "supervisor*.service",
    "docker.service",
    "containerd.service",
    "podman.service",
)
"""Units in which unrelated services live: a limit on the whole would hit the others too."""

_NO_LIMIT = "max"


class ContainMethod(StrEnum):
    """systemd: the unit's cgroup, and systemd is told. cgroup: the files of its cgroup alone.

    own-cgroup: the process shares its cgroup with others, so its tree is moved to a new one.
    """

    SYSTEMD = "systemd"
    CGROUP = "cgroup"
    OWN_CGROUP = "own-cgroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """One containment. Limits of None are no limit; `cgroup` is as /proc/PID/cgroup names it.

    For OWN_CGROUP, `cgroup` is the one the process is taken from and put back to, and the limits
    come on top of what the new one holds after the move.
    """

    method: ContainMethod
    cgroup: str
    version: int
    high_bytes: int | None
    max_bytes: int | None
    unit: str | None = None
    before_high_bytes: int | None = None
    before_max_bytes: int | None = None

    @property
    def sentence(self) -> str:
        """What will be done, for a person."""
        where = self.unit if self.method is ContainMethod.SYSTEMD else f"cgroup {self.cgroup}"
        limits = []
        if self.high_bytes is not None:
            limits.append(f"slow it down from {format_bytes(self.high_bytes)}")
        if self.max_bytes is not None:
            limits.append(f"limit it to {format_bytes(self.max_bytes)}")
        if self.method is ContainMethod.OWN_CGROUP:
            return f"move it from {where} to a cgroup of its own and {' and '.join(limits)} more"
        return f"contain {where}: {' and '.join(limits)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What must be known to contain a process: where it lies, what that holds, what is left.

    `headroom_bytes` is that of the host, or of what runs out where that is less.
    `cgroup` is its memory cgroup, `sample` what that (or its unit's) holds; `unit_cgroup` the
    folder of its unit, which may lie above. `shared`: unrelated processes are in `cgroup` too.
    `systemd`: systemd runs. `problem` says why nothing can be seen or written.
    """

    cgroup: str | None
    version: int | None
    headroom_bytes: int | None
    sample: CgroupSample | None = None
    unit: str | None = None
    unit_cgroup: str | None = None
    user_unit: bool = False
    shared: bool = False
    systemd: bool = False
    panic_on_oom: int = 0
    problem: str | None = None


def containment_of(around: Surroundings) -> Containment | str:
    """How to contain the process that has these surroundings, or the sentence that says why not."""
    if around.problem is not None:
        return f"It cannot be contained: {around.problem}."
    if around.version is None or around.cgroup is None:
        return "It cannot be contained: no memory controller of cgroups is seen here."
    if around.headroom_bytes is None:
        return "It cannot be contained: how much memory is left on the host is not known."
    if around.version == 1 and around.panic_on_oom == 2:
        return (
            "It is not contained: vm.panic_on_oom=2 panics on the OOM of a cgroup too, and "
            "cgroup v1 has no limit that only slows down."
        )
    method, cgroup = _method(around, around.cgroup)
    growth = _growth(around.headroom_bytes)
    if method is ContainMethod.OWN_CGROUP:
        return _limited(around, method, cgroup, high=growth, hard=2 * growth)
    sample = around.sample
    if sample is None or sample.current_bytes is None:
        return f"It cannot be contained: the memory of the cgroup {cgroup} is not accounted for."
    file_bytes = min(sample.file_bytes or 0, sample.current_bytes)
    high = sample.current_bytes - file_bytes + min(file_bytes, growth)
    return _limited(around, method, cgroup, high=high, hard=high + growth)


def is_shared(unit: str | None) -> bool:
    """Whether unrelated services live in this unit by its nature."""
    return unit is not None and (
        unit.endswith((".slice", ".target"))
        or any(fnmatchcase(unit, pattern) for pattern in _SHARED_UNITS)
    )


def unit_folder(cgroup: str | None, unit: str | None) -> str | None:
    """The cgroup of `unit`, of which `cgroup` is a part: `/a.slice/b.service` of its `/worker`."""
    if cgroup is None or unit is None:
        return None
    for path in ancestors(cgroup):
        if posixpath.basename(path).removeprefix("_") == unit:
            return path
    return None


def enclosing(around: Surroundings) -> str | None:
    """The cgroup in which a new one would be made; None where none is needed."""
    if around.cgroup is None or around.version is None:
        return None
    method, cgroup = _method(around, around.cgroup)
    if method is not ContainMethod.OWN_CGROUP:
        return None
    return _above_own(cgroup, around.version)


def own_folder(containment: Containment, pid: int) -> str:
    """The cgroup to which OWN_CGROUP moves the process."""
    above = _above_own(containment.cgroup, containment.version)
    return f"{above.rstrip('/')}/{OWN_PREFIX}{pid}"


def to_parameters(containment: Containment) -> dict[str, str]:
    """A containment as parameters of an action, which are text."""
    parameters = {
        "method": containment.method.value,
        "cgroup": containment.cgroup,
        "version": str(containment.version),
        "high_bytes": _text(containment.high_bytes),
        "max_bytes": _text(containment.max_bytes),
        "before_high_bytes": _text(containment.before_high_bytes),
        "before_max_bytes": _text(containment.before_max_bytes),
    }
    if containment.unit is not None:
        parameters["unit"] = containment.unit
    return parameters


def from_parameters(parameters: Mapping[str, str]) -> Containment:
    """Inverse of `to_parameters`. Raises InputError where they hold no containment."""
    try:
        containment = Containment(
            method=ContainMethod(parameters["method"]),
            cgroup=_path(parameters["cgroup"]),
            version={"1": 1, "2": 2}[parameters["version"]],
            high_bytes=_number(parameters["high_bytes"]),
            max_bytes=_number(parameters["max_bytes"]),
            unit=_unit(parameters.get("unit")),
            before_high_bytes=_number(parameters["before_high_bytes"]),
            before_max_bytes=_number(parameters["before_max_bytes"]),
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"no containment in {dict(parameters)!r}: {error}") from None
    if containment.method is ContainMethod.SYSTEMD and containment.unit is None:
        raise InputError(f"no containment in {dict(parameters)!r}: no unit for systemd")
    if containment.method is not ContainMethod.OWN_CGROUP and containment.cgroup == "/":
        raise InputError(f"no containment in {dict(parameters)!r}: the root has no limit")
    return containment


def _above_own(cgroup: str, version: int) -> str:
    """Where the new cgroup of a process lies that is taken from `cgroup`.

    Below it on v1, where all limits above go on to hold. Beside it on v2, where they do too but
    for its own: a v2 cgroup that holds processes can have no limited one below (cgroup-v2.rst,
    "No Internal Process Constraint"); the root is the exception.
    """
    return posixpath.dirname(cgroup) if version == 2 else cgroup


def _method(around: Surroundings, cgroup: str) -> tuple[ContainMethod, str]:
    unit, folder = around.unit, around.unit_cgroup
    shared = is_shared(unit)
    # On RHEL 7 most units lie in the root of the memory hierarchy, and so have no folder in it.
    if unit is not None and folder is not None and not shared:
        # A unit is one service, also where it has many processes: it is restarted as a whole too.
        if around.systemd and not around.user_unit and unit.endswith(".service"):
            return ContainMethod.SYSTEMD, folder
        return ContainMethod.CGROUP, folder
    if cgroup == "/" or cgroup.endswith(".slice") or shared or around.shared:
        return ContainMethod.OWN_CGROUP, cgroup
    return ContainMethod.CGROUP, cgroup


def _limited(
    around: Surroundings, method: ContainMethod, cgroup: str, *, high: int, hard: int
) -> Containment | str:
    """The containment with these limits, none of which is looser than what holds already."""
    assert around.version is not None
    before_high = before_max = None
    if method is not ContainMethod.OWN_CGROUP and around.sample is not None:
        before_high, before_max = around.sample.high_bytes, around.sample.max_bytes
    if before_max is not None and before_max <= hard:
        return (
            f"It is contained already: its own limit of {format_bytes(before_max)} is no more "
            f"than a containment would set."
        )
    throttles = around.version == 2
    return Containment(
        method=method,
        unit=around.unit,
        cgroup=cgroup,
        version=around.version,
        high_bytes=_pages(_tighter(before_high, high)) if throttles else None,
        max_bytes=None if around.panic_on_oom == 2 else _pages(hard),
        before_high_bytes=before_high,
        before_max_bytes=before_max,
    )


def _growth(headroom_bytes: int) -> int:
    share = int(headroom_bytes * GROWTH_SHARE)
    return _pages(max(GROWTH_BYTES_MIN, min(share, GROWTH_BYTES_MAX)))


def _pages(count: int) -> int:
    """Whole pages, rounded down as the kernel does, so that what is read back is what was set."""
    return count // PAGE_BYTES * PAGE_BYTES


def _tighter(limit: int | None, other: int) -> int:
    return other if limit is None else min(limit, other)


def _text(limit: int | None) -> str:
    return _NO_LIMIT if limit is None else str(limit)


def _number(text: str) -> int | None:
    if text == _NO_LIMIT:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise ValueError(f"no number of bytes: {text!r}")
    return int(text)


def _path(text: str) -> str:
    """A path that names one cgroup and cannot lead out of the hierarchy."""
    if (
        not text.startswith("/")
        or text.startswith("//")
        or len(text) > PATH_CHARS_MAX
        or posixpath.normpath(text) != text
        or not text.isprintable()
    ):
        raise ValueError(f"no path of a cgroup: {text!r}")
    return text


def _unit(text: str | None) -> str | None:
    """None, or a name that systemctl cannot take for an option."""
    if text is not None and (
        not 0 < len(text) <= UNIT_CHARS_MAX
        or text.startswith("-")
        or not all(c.isascii() and (c.isalnum() or c in ":-_.\\@") for c in text)
    ):
        raise ValueError(f"no unit: {text!r}")
    return text
