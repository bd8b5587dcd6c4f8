"""Findings that somebody took on: who, why, and until which day.

A waiver never makes anything PASS: the finding is shown as WAIVED with its owner. Once it has
expired the finding counts again, and the report names the waiver; so it does with a waiver that
matches nothing, because that one hides the next mistake.
"""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

LONGEST_DAYS = 400
"""A year and the weeks that a yearly review is late; what lasts longer is no exception."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One exception: hosts by pattern, one rule, an owner, a reason, and its last day (UTC)."""

    host: str
    rule: str
    owner: str
    reason: str
    expires: date

    def text(self) -> str:
        """Who took it on, and until when."""
        return f"{self.owner}, until {self.expires:%Y-%m-%d}: {self.reason}"

    def is_expired(self, at: float) -> bool:
        """Whether its last day is over (UTC)."""
        return datetime.fromtimestamp(at, UTC).date() > self.expires


@dataclass(slots=True)
class Waivers:
    """All waivers of a site, and what became of each over a run.

    `used` are positions of those that waived something, `met` of those whose host was seen.
    """

    listed: tuple[Waiver, ...] = ()
    used: set[int] = field(default_factory=set)
    met: set[int] = field(default_factory=set)
    _patterns: tuple[re.Pattern[str], ...] = ()

    def __post_init__(self) -> None:
        self._patterns = tuple(re.compile(fnmatch.translate(one.host)) for one in self.listed)

    def of_host(self, name: str) -> dict[str, list[int]]:
        """The waivers that are about one host, by rule."""
        found: dict[str, list[int]] = {}
        for position, pattern in enumerate(self._patterns):
            if pattern.match(name):
                self.met.add(position)
                found.setdefault(self.listed[position].rule, []).append(position)
        return found

    def pick(self, positions: Iterable[int], at: float) -> tuple[Waiver | None, bool]:
        """The waiver that holds, and True; else the one that ended last, and False."""
        latest: Waiver | None = None
        for position in positions:
            waiver = self.listed[position]
            self.used.add(position)
            if not waiver.is_expired(at):
                return waiver, True
            if latest is None or waiver.expires > latest.expires:
                latest = waiver
        return latest, False

    def notices(self, at: float) -> list[str]:
        """What somebody has to do about waivers: expired ones, and ones that match nothing."""
        said = []
        for position, waiver in enumerate(self.listed):
            who = f"the waiver of {waiver.rule} on {waiver.host} ({waiver.owner})"
            if position not in self.met:
                said.append(f"{who} matches no host that was seen; take it out")
            elif position not in self.used:
                said.append(f"{who} has nothing to waive any more; take it out")
            elif waiver.is_expired(at):
                said.append(f"{who} expired on {waiver.expires:%Y-%m-%d}; its finding counts again")
        return said


def too_long(expires: date, at: float) -> bool:
    """Whether a waiver would last longer than an exception may."""
    return expires > datetime.fromtimestamp(at, UTC).date() + timedelta(days=LONGEST_DAYS)
