"""The seed's times. Its clock may run faster than the host's; nothing else is scaled.

Seconds `of the seed` are what its review says; `wall` seconds are what this host measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

CST = timezone(timedelta(hours=-6), "CST")
PANIC = datetime(2024, 11, 15, 3, 5, tzinfo=CST)
"""When the seed's host panicked; the leak of a drill is paced to reach it about then."""

FIRST_RESPONSE_SECONDS = 5 * 60.0
OUTAGE_SECONDS = 9600.0
"""The seed's 2 hours 40 minutes, from panic to resolution by people."""

REBOOT_WALL_SECONDS = 20.0
"""How long a real reboot of the machine, Patroni's start, recovery and the standby's return take:
people begin it so much earlier, for the seed's resolution is the moment when it worked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One drill's times, all in seconds after its start, on the host's clock (`wall`)."""

    scale: float
    leak_seconds: float
    """How long before the seed's panic the drill begins, of the seed's clock."""
    tail_seconds: float
    """How long the drill goes on after the seed's resolution, of the seed's clock."""

    def wall(self, seconds: float) -> float:
        """So many seconds of the seed, as wall seconds."""
        return seconds / self.scale

    def seed(self, wall_seconds: float) -> float:
        """So many wall seconds, as seconds of the seed."""
        return wall_seconds * self.scale

    def at(self, wall_seconds: float) -> datetime:
        """What the seed's clock shows so long after the start."""
        return self.started_at + timedelta(seconds=self.seed(wall_seconds))

    @property
    def started_at(self) -> datetime:
        """What the seed's clock shows at the start."""
        return PANIC - timedelta(seconds=self.leak_seconds)

    @property
    def panic_wall(self) -> float:
        """When the leak is meant to fill the machine."""
        return self.wall(self.leak_seconds)

    @property
    def end_wall(self) -> float:
        """When every run ends, panic or not: the same span for each guard."""
        return self.wall(self.leak_seconds + OUTAGE_SECONDS + self.tail_seconds)

    def reboot_wall(self, panicked_wall: float) -> float:
        """When people begin the reboot after a panic at `panicked_wall`."""
        return panicked_wall + self.wall(OUTAGE_SECONDS) - REBOOT_WALL_SECONDS

    def leak_bytes_per_second(self, room_bytes: int) -> float:
        """The pace (wall) at which `room_bytes` are full at the seed's panic."""
        return room_bytes / self.panic_wall


def clock(at: datetime) -> str:
    """`03:05`, as the seed writes times; with seconds they would claim too much."""
    return at.strftime("%H:%M")
