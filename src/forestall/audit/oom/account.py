"""The nouns of what is told of an event: who, what, why, and what the log does not say."""

from dataclasses import dataclass
from enum import StrEnum

from forestall.audit.oom.nouns import Cache, Kill, Kind, Panic, Task, Zone
from forestall.audit.oom.shortage import RanOut
from forestall.audit.oom.tally import Holder, Part


class Ending(StrEnum):
    """What the kernel did."""

    KILLED = "killed"
    PANICKED = "panicked"
    REFUSED = "refused"
    NOBODY_KILLED = "nobody-killed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One event, explained. Every sentence stands on lines `line` to `last_line` of the input.

    `culprits` is empty where nobody stands out or it cannot be told; `culprit` says which.
    `tasks` are the largest rows of the kernel's table, `tasks_seen` counts them all.
    """

    number: int
    kind: Kind
    ending: Ending
    headline: str
    line: int
    last_line: int
    ran_out: RanOut
    culprit: str
    host: str | None = None
    at: str | None = None
    seconds: float | None = None
    kernel: str | None = None
    invoker: str | None = None
    invoker_pid: int | None = None
    order: int | None = None
    gfp: str | None = None
    page_bytes: int = 4096
    cgroup: str | None = None
    whole_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    parts: tuple[Part, ...] = ()
    zones: tuple[Zone, ...] = ()
    culprits: tuple[Holder, ...] = ()
    holders: tuple[Holder, ...] = ()
    tasks: tuple[Task, ...] = ()
    tasks_seen: int = 0
    caches: tuple[Cache, ...] = ()
    victims: tuple[Kill, ...] = ()
    why_victim: tuple[str, ...] = ()
    panic: Panic | None = None
    why_panic: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Events of one kind after each other: the same host, cgroup, victim and culprit."""

    count: int
    first: int
    last: int
    ending: Ending
    victim: str | None
    culprit: str | None
    cgroup: str | None = None
    host: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OomReport:
    """Everything that one input told. `chosen` is the number of the event that matters most.

    `kernel_from` and `kernel_until`: when the kernel's first and last line in it were, as the log
    has it; None where the lines have no time.
    """

    SCHEMA = "forestall/oom/1"

    source: str
    form: str
    bytes_read: int
    lines_read: int
    events: int
    chosen: int | None
    why_chosen: str | None
    accounts: tuple[Account, ...]
    series: tuple[Series, ...]
    notes: tuple[str, ...] = ()
    kernel_from: str | None = None
    kernel_until: str | None = None
