"""What `look` and the audit rules say of a host: sentences over facts, and where each was read."""

from dataclasses import dataclass
from enum import StrEnum

from forestall.model.codec import Json
from forestall.model.facts import HostFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value that was read: `pointer` (RFC 6901) is its place in the HostFacts document.

    `source` is the file or command on the host that gave it.
    """

    name: str
    value: Json
    pointer: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One whole sentence and the facts it stands on."""

    text: str
    facts: tuple[Fact, ...] = ()


class Outcome(StrEnum):
    """What the kernel does when memory runs out.

    CGROUP_KILL stays inside one cgroup; ALLOCATION_FAILS is strict overcommit, where programs
    are refused memory before the OOM killer is needed.
    """

    KILL = "kill"
    CGROUP_KILL = "cgroup-kill"
    ALLOCATION_FAILS = "allocation-fails"
    PANIC = "panic"
    PANIC_NOTHING_KILLABLE = "panic-nothing-killable"
    UNKNOWN = "unknown"

    @property
    def takes_host_down(self) -> bool:
        """Whether every service of the host goes with it."""
        return self in (Outcome.PANIC, Outcome.PANIC_NOTHING_KILLABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds memory, in the words of a report.

    `share` is of the memory it draws on (0..1). `first_pick` says that the OOM killer would take
    it first as things stand now; `killable` is False where oom_score_adj is -1000.
    """

    name: str
    pid: int
    memory_bytes: int
    unit: str | None = None
    share: float | None = None
    oom_score: int | None = None
    oom_score_adjust: int | None = None
    database: bool = False
    first_pick: bool = False
    killable: bool | None = None
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaustion:
    """What happens when memory runs out, and why.

    `outcome` and `headline` are for the limit that is reached first, `host_outcome` and
    `host_headline` for the whole host; without a tighter limit they are the same.
    `stays_down`, `reboot_seconds` and `dump` speak of a panic and are None where none is expected
    or the host cannot tell. `victim` is who the OOM killer would take now; a leak that grows may
    overtake it. `guards` are userspace OOM guards that act before the kernel has to.
    """

    SCHEMA = "forestall/exhaustion/1"

    outcome: Outcome
    host_outcome: Outcome
    headline: str
    host_headline: str
    because: tuple[Reason, ...]
    limit_bytes: int | None = None
    limit_source: str | None = None
    stays_down: bool | None = None
    reboot_seconds: int | None = None
    dump: bool | None = None
    victim: Holder | None = None
    guards: tuple[str, ...] = ()


class Severity(StrEnum):
    """What comes of it, the gravest first.

    CRITICAL takes the host or its database down; HIGH makes an outage likelier or longer; MEDIUM
    deserves a change when there is time; LOW is to know.
    """

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class FindingState(StrEnum):
    """PASS and FAIL were seen; UNKNOWN could not be decided, and is never taken for fine.

    WAIVED is a FAIL or UNKNOWN that somebody owns until a day.
    """

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    NOT_APPLICABLE = "not-applicable"
    UNKNOWN = "unknown"
    WAIVED = "waived"


class Cost(StrEnum):
    """What carrying out a remedy takes away for a while."""

    NONE = "none"
    RESTART = "restart"
    REBOOT = "reboot"
    MIGRATION = "migration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule says of one host.

    `text` is the finding in a sentence (for NOT_APPLICABLE and UNKNOWN: why); `remedy` is what to
    do, `undo` how to take it back, `cost` what it interrupts; `reference` is whose advice it is.
    `at` is when the facts were read (epoch seconds). `waiver` is who took it on, and until when.
    """

    rule: str
    host: str
    state: FindingState
    severity: Severity
    text: str
    observed: tuple[Fact, ...]
    expected: str
    remedy: str
    reference: str
    undo: str = ""
    cost: Cost = Cost.NONE
    at: float | None = None
    waiver: str | None = None


class Answer(StrEnum):
    """UNKNOWN is an answer of its own."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One line of a report's list: something that stands in between, or that can be done here."""

    name: str
    answer: Answer
    text: str
    facts: tuple[Fact, ...] = ()
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What is left, out of what, and who holds it.

    `left_bytes` counts available memory, free swap and, inside a cgroup limit, what that limit
    leaves; `limit_source` names the limit where it is the tighter one.
    """

    left_bytes: int | None
    total_bytes: int | None
    text: str
    limit_source: str | None = None
    holders: tuple[Holder, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Service:
    """One systemd service as far as memory goes. `limited` None = could not be asked.

    `own` tells the site's unit from the distribution's. Nobody changes one; it is not frozen
    because making a frozen one takes three times as long, and judging a fleet makes millions.
    """

    name: str
    limited: bool | None = None
    limit_bytes: int | None = None
    memory_bytes: int | None = None
    restart: str | None = None
    own: bool = False
    database: bool = False
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything `forestall look` says of one host at one time."""

    SCHEMA = "forestall/look/1"

    at: float
    hostname: str
    exhaustion: Exhaustion
    headroom: Headroom
    services: tuple[Service, ...]
    services_text: str
    protected: str
    between: tuple[Point, ...]
    abilities: tuple[Point, ...]
    findings: tuple[Finding, ...]
    next_step: str
    facts: HostFacts
