"""What no sensor knows, from one `site.toml`: places, people, priorities, owners.

Every key is optional. What is missing stays None, and the review shows it as missing.
"""

import math
import os
import re
import stat
import tomllib
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime

from forestall.audit.terms import Terms
from forestall.errors import InputError, UsageError
from forestall.model import codec
from forestall.units import DAY

SITE_BYTES_MAX = 256 * 1024
_TEXT_LENGTH_MAX = 120
_LIST_LENGTH_MAX = 100
_DEADLINE_DAYS_MAX = 3660

EXAMPLE = """\
# site.toml: what no sensor knows. Every key is optional; the review shows what is missing.

zone = "America/Chicago"              # IANA time zone of incident numbers and of every time shown
applications = ["Order Desk"]         # what suffers when a service of this host does

# What no host knows of itself. Without it, the audit goes by what runs there.
[host]
roles = ["db"]
# extended_support_until = "2029-05-31"
# baseline = "stig"

[location]
site = "On-premise Data Center"
place = "Dallas, TX"

[reported_by]
role = "Agent on the host"
via = "forestall"

# The priority follows from what was measured: was a limit reached, or was it avoided?
[priority.limit_reached]
code = "P1"
label = "Critical"

[priority.limit_avoided]
code = "P3"
label = "Moderate"

[follow_up]
owner = "Platform Team"
deadline_days = 10                    # counted from the local day of the draft

[penalties]                           # left out: the review says nothing about money
currency = "USD"
per_hour = 1200

# What this incident cost, where it was measured; then nothing is computed from [penalties].
# [measured]
# by = "the order log"
# orders_acknowledged = 5120
# orders_failed = 0
# orders_lost = 0
# longest_write_gap_seconds = 2.9
# penalties = 0.0
# currency = "USD"

# A service by the name forestall shows: its systemd unit, with or without ".service",
# else its process name.
[[services]]
name = "feed-sync.service"
applications = ["Order Desk", "Stock Feed"]
team = "Integrations Team"

[[teams]]
name = "Platform Team"
members = [{ name = "Ada Example", role = "Team Lead" }, { name = "Bo Example" }]

[[teams]]
name = "Integrations Team"
members = [{ name = "Cem Example" }]
"""


def _check_text(value: str | None, what: str) -> None:
    """Text goes into one line of Markdown, so it may not hold what would end or bend it."""
    if value is None:
        return
    if not value or value != value.strip() or len(value) > _TEXT_LENGTH_MAX:
        raise ValueError(f"{what} must be 1 to {_TEXT_LENGTH_MAX} characters, no outer spaces")
    if not any(character.isalnum() for character in value):
        raise ValueError(f"{what} has neither letter nor number")
    bad = sorted({c for c in value if not c.isprintable() or c in "()[]{}<>`*|\\:"})
    if bad:
        raise ValueError(f"{what} may not hold {' '.join(map(repr, bad))}")


def _check_currency(value: str) -> None:
    if not re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError("currency must be three capital letters, for example USD")


def _check_length(value: tuple[object, ...], what: str) -> None:
    if len(value) > _LIST_LENGTH_MAX:
        raise ValueError(f"more than {_LIST_LENGTH_MAX} {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the host stands."""

    site: str
    place: str | None = None

    def __post_init__(self) -> None:
        _check_text(self.site, "site")
        _check_text(self.place, "place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What no host knows of itself, and the audit goes by: see `audit.terms`.

    `extended_support_until` is the last day of a paid extension (2029-05-31). `roles` None = go
    by what runs there.
    """

    roles: tuple[str, ...] | None = None
    extended_support_until: str | None = None
    baseline: str | None = None

    def __post_init__(self) -> None:
        _check_length(self.roles or (), "roles")
        for role in self.roles or ():
            if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", role):
                raise ValueError(f"role {role!r} must be small letters, for example db")
        _check_text(self.baseline, "baseline")
        if self.extended_support_until is not None:
            _day_after(self.extended_support_until)

    def terms(self) -> Terms:
        """The same as the terms that a host is judged on."""
        until = self.extended_support_until
        return Terms(
            roles=None if self.roles is None else frozenset(self.roles),
            extended_support_until=None if until is None else _day_after(until),
            baseline=self.baseline,
        )


def _day_after(day: str) -> float:
    """The end of a day, in UTC: the moment from which it is over everywhere that counts."""
    try:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"extended_support_until {day!r} is no day such as 2029-05-31") from None
    return start.timestamp() + DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reports what forestall finds, and through which channel."""

    role: str
    via: str | None = None

    def __post_init__(self) -> None:
        _check_text(self.role, "role")
        _check_text(self.via, "via")


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """A priority as this site calls it."""

    code: str
    label: str | None = None

    def __post_init__(self) -> None:
        _check_text(self.code, "code")
        _check_text(self.label, "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityRules:
    """One priority for each outcome that can be measured."""

    limit_reached: Priority | None = None
    limit_avoided: Priority | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpRules:
    """Who owns the follow-ups and how many days they have."""

    owner: str | None = None
    deadline_days: int | None = None

    def __post_init__(self) -> None:
        _check_text(self.owner, "owner")
        days = self.deadline_days
        if days is not None and not 0 <= days <= _DEADLINE_DAYS_MAX:
            raise ValueError(f"deadline_days must be 0 to {_DEADLINE_DAYS_MAX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """What an hour without the service costs, by contract."""

    currency: str
    per_hour: float

    def __post_init__(self) -> None:
        _check_currency(self.currency)
        if not math.isfinite(self.per_hour) or not 0 <= self.per_hour <= 1e12:
            raise ValueError("per_hour must be 0 or a positive amount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an incident cost, where somebody measured it; `by` says who.

    Penalties are in `currency`. It takes the place of what the review would else compute from
    `Penalties`.
    """

    by: str
    orders_acknowledged: int
    orders_failed: int
    orders_lost: int
    longest_write_gap_seconds: float
    penalties: float
    currency: str

    def __post_init__(self) -> None:
        _check_text(self.by, "by")
        _check_currency(self.currency)
        for name in ("orders_acknowledged", "orders_failed", "orders_lost"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("longest_write_gap_seconds", "penalties"):
            if not math.isfinite(getattr(self, name)) or getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of this site: what depends on it, and whose it is."""

    name: str
    applications: tuple[str, ...] = ()
    team: str | None = None

    def __post_init__(self) -> None:
        _check_text(self.name, "name")
        _check_text(self.team, "team")
        _check_length(self.applications, "applications")
        for application in self.applications:
            _check_text(application, "an application")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person of a team."""

    name: str
    role: str | None = None

    def __post_init__(self) -> None:
        _check_text(self.name, "name")
        _check_text(self.role, "role")


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team and the people in it."""

    name: str
    members: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        _check_text(self.name, "name")
        _check_length(self.members, "members")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that `site.toml` may say."""

    zone: str | None = None
    applications: tuple[str, ...] = ()
    host: Host | None = None
    location: Location | None = None
    reported_by: Reporter | None = None
    priority: PriorityRules | None = None
    follow_up: FollowUpRules | None = None
    penalties: Penalties | None = None
    measured: Measured | None = None
    services: tuple[Service, ...] = ()
    teams: tuple[Team, ...] = ()

    def __post_init__(self) -> None:
        if self.zone is not None:
            _check_zone(self.zone)
        for application in self.applications:
            _check_text(application, "an application")
        _check_length(self.applications, "applications")
        _check_length(self.services, "services")
        _check_length(self.teams, "teams")

    @property
    def zone_or_utc(self) -> str:
        """The site's zone; UTC where it states none, because every host knows that one."""
        return self.zone or "UTC"

    def service(self, name: str) -> int | None:
        """Index of the service called `name`, with or without `.service`; None if not listed."""
        bare = name.removesuffix(".service")
        for index, service in enumerate(self.services):
            if service.name.removesuffix(".service") == bare:
                return index
        return None


def _check_zone(zone: str) -> None:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone {zone!r}; write an IANA name, or install tzdata") from None


def terms_of(stated: object) -> Terms:
    """The terms that a `[host]` table states, as it stands in TOML; None states nothing.

    Raises InputError for a table that is none.
    """
    return Terms() if stated is None else codec.decode(Host, stated).terms()


def missing_keys(site: object) -> list[str]:
    """The keys that a review would have used, of a Site or of the TOML it was read from."""
    missing = []
    for key in REVIEW_KEYS:
        value = site
        for step in key.split("."):
            value = value.get(step) if isinstance(value, dict) else getattr(value, step, None)
        # A deadline of 0 days is stated; an empty list states nothing.
        if value is None or value in ((), []):
            missing.append(key)
    return missing


REVIEW_KEYS = (
    "zone",
    "location.site",
    "location.place",
    "reported_by.role",
    "priority.limit_reached",
    "priority.limit_avoided",
    "follow_up.owner",
    "follow_up.deadline_days",
    "services",
    "teams",
)


def load(path: str | None, state_folder: str) -> tuple[Site, bytes]:
    """The site and the bytes it was read from; an empty site where there is no file.

    Without `path`, `site.toml` in the state folder is taken if it exists.
    Raises UsageError with file and line for what cannot be taken.
    """
    where = os.path.join(state_folder, "site.toml") if path is None else path
    if path is None and not os.path.exists(where):
        return Site(), b""
    try:
        # Opened without waiting, for a pipe that nobody writes to would hold us for ever.
        with open(where, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as (
            file
        ):
            if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{where}: a pipe, not a file", help="write it to a file first")
            data = file.read(SITE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"{where or '--site'}: {error.strerror}",
            help="`forestall incident site --example` prints one",
        ) from None
    return parse(data, where), data


def parse(data: bytes, where: str = "site.toml") -> Site:
    """The site in the bytes of a TOML file. Raises UsageError with `where` and the line."""
    advice = "`forestall incident site --example` shows every key"
    if len(data) > SITE_BYTES_MAX:
        raise UsageError(f"{where}: larger than {SITE_BYTES_MAX} bytes", help=advice)
    try:
        text = data.decode()
        return codec.decode(Site, tomllib.loads(text))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{where}, line {line}: not UTF-8", help=advice) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{where}: {error}", help=advice) from None
    except InputError as error:
        pointer = re.search(r"(?: |^)(/\S*)", error.message)
        line = _line_of(text, pointer[1].rstrip(":,") if pointer else "")
        raise UsageError(f"{where}, line {line}: {error.message}", help=advice) from None


def _line_of(text: str, pointer: str) -> int:
    """The line of what a JSON pointer names; as near as a search for its steps comes."""
    position = 0
    step_before = ""
    for step in filter(None, pointer.split("/")):
        if step.isdigit():
            # The first element is where the list's own name already led.
            pattern, skip = rf"\[\[\s*{re.escape(step_before)}\s*\]\]", int(step)
        else:
            pattern, skip = rf"(?<![\w-]){re.escape(step)}(?=\s*[\].=])", 1
        for _ in range(skip):
            found = re.compile(pattern).search(text, position)
            position = found.end() if found else position
        step_before = step
    return text.count("\n", 0, position) + 1
