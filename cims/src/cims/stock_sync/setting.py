"""What LEAK says: `kind[/fixed][:rate]`, the rate as `2MB/h`, `100MB/min`, `600KB/s` or bytes/s."""

import re
from dataclasses import dataclass

from cims.errors import UsageError
from cims.stock_sync.leaks.kinds import BY_NAME, Kind

_SIZES = {
    "": 1.0,
    "B": 1.0,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
_SECONDS = {"": 1.0, "S": 1.0, "MIN": 60.0, "H": 3600.0, "D": 86400.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)([KMG]?I?B)?(?:/(s|min|h|d))?", re.IGNORECASE)

UPDATES_PER_SECOND = 30.0
"""Without a rate: what three regions send on a common day."""

MOST_UPDATES_PER_SECOND = 6000.0
"""More than this one process cannot work on, so no rate may ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """The mistake in force; without `kind` there is none. `fixed` runs the repaired twin."""

    kind: Kind | None = None
    fixed: bool = False
    bytes_per_second: float | None = None

    @property
    def broken(self) -> bool:
        """True if the kind's mistake is in the process."""
        return self.kind is not None and not self.fixed and not self.kind.negative

    @property
    def updates_per_second(self) -> float:
        """How many updates over all regions make the process grow at the rate asked for."""
        if self.kind is None or self.bytes_per_second is None:
            return UPDATES_PER_SECOND
        per_update = self.kind.bytes_per_update or 1000.0
        return self.bytes_per_second / per_update

    def __str__(self) -> str:
        if self.kind is None:
            return "none"
        state = "/fixed" if self.fixed else ""
        return f"{self.kind.name}{state}: {self.kind.says}"


def leak_from(text: str) -> Leak:
    """Read the variable LEAK; an empty text means no mistake. UsageError tells what is known."""
    if not text:
        return Leak()
    name, _, rate = text.partition(":")
    name, _, state = name.partition("/")
    kind = BY_NAME.get(name)
    if kind is None or state not in ("", "fixed"):
        raise UsageError(
            f"LEAK={text!r}: there is no such kind", help=f"one of {', '.join(BY_NAME)}"
        )
    leak = Leak(kind=kind, fixed=state == "fixed", bytes_per_second=_rate(text, rate))
    if leak.updates_per_second > MOST_UPDATES_PER_SECOND:
        most = MOST_UPDATES_PER_SECOND * (kind.bytes_per_update or 1000.0)
        raise UsageError(
            f"LEAK={text!r}: {name} cannot grow that fast", help=f"at most {most / 1e6:.1f}MB/s"
        )
    return leak


def _rate(text: str, rate: str) -> float | None:
    if not rate:
        return None
    matched = _RATE.fullmatch(rate)
    if matched is None or float(matched[1]) == 0:
        raise UsageError(
            f"LEAK={text!r}: {rate!r} is no rate", help="like 2MB/h, 100MB/min, 600KB/s or 5000"
        )
    size = _SIZES[(matched[2] or "").upper()]
    return float(matched[1]) * size / _SECONDS[(matched[3] or "").upper()]
