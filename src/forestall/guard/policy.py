"""When guard acts and when it holds: the shipped thresholds."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from forestall.errors import UsageError
from forestall.model.codec import Json
from forestall.model.verdict import Subject, Verdict
from forestall.units import DAY, HOUR, MIB, MINUTE, parse_bytes, parse_duration

ALLOW_MAX = 256


class Remedy(StrEnum):
    """restart: take the service down and bring it back. stop: take it down and leave it down."""

    RESTART = "restart"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The owner's word that guard may act on a service; `service` is a shell-style pattern.

    `remedy` None = the policy's.
    """

    service: str
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The shipped thresholds. Raises UsageError where they contradict each other.

    act_within_seconds       a LEAKING service is acted on when its soonest exhaustion is nearer
    used_share_max           ... or when this share of its limit is used, whatever the forecast
    act_alone_within_seconds the same where it runs out alone, under a limit of its own, and for
                             EXHAUSTING too. Running out costs it no more there than a restart
                             does, so a rise that may end by itself is given all the time there
                             is but for one attempt: the time-outs of evidence and restart
    persistence_seconds      the trouble must have lasted this long, unless it is imminent
    cooldown_seconds         between two plans that take a process of one service down
    window_seconds           for the two limits below; the limit reached means hold and page
    service_actions_max      plans that take a process down: of one service in the window
    host_actions_max         ... of all services of the host in the window
    remind_seconds           before a refusal, or a would-have, of one process is said again
    without_evidence_within_seconds
                             so near to exhaustion, a failed capture does not hold the action back
    evidence_bytes_min       room that evidence needs before a plan is made
    retry_seconds            after an attempt that took nothing down; doubled at each further one
    attempts_max             plans for one trouble; then a person is needed
    growth_share_min         more than this share of the growth must be the process's own
    above_baseline_min       ... and it must hold this much more than the least it is known to
    lag_bytes_max            a replica that lags by more takes nothing over
    candidate_exhaustion_seconds_min
                             nor does one that may itself run out sooner than this
    *_expected_seconds       how long a step takes in 19 of 20 cases: the budget of time
    allow                    services that act mode may touch; the other modes show all
    remedy                   where `allow` states none for the service
    """

    act_within_seconds: float = 2 * HOUR
    used_share_max: float = 0.85
    act_alone_within_seconds: float = 2 * MINUTE
    persistence_seconds: float = 1 * MINUTE
    cooldown_seconds: float = 10 * MINUTE
    window_seconds: float = 1 * HOUR
    service_actions_max: int = 2
    host_actions_max: int = 4
    remind_seconds: float = 6 * HOUR
    without_evidence_within_seconds: float = 15 * MINUTE
    evidence_bytes_min: int = 16 * MIB
    capture_timeout_seconds: float = 20.0
    stop_timeout_seconds: float = 30.0
    stop_grace_seconds: float = 10.0
    restart_timeout_seconds: float = 90.0
    notify_timeout_seconds: float = 15.0
    contain_timeout_seconds: float = 5.0
    switchover_timeout_seconds: float = 30.0
    pause_timeout_seconds: float = 5.0
    retry_seconds: float = 1 * MINUTE
    attempts_max: int = 6
    growth_share_min: float = 0.5
    above_baseline_min: float = 0.01
    lag_bytes_max: int = 1 * MIB
    candidate_exhaustion_seconds_min: float = 1 * DAY
    contain_expected_seconds: float = 1.0
    switchover_expected_seconds: float = 5.0
    capture_expected_seconds: float = 5.0
    recycle_expected_seconds: float = 5.0
    allow: tuple[Allowance, ...] = ()
    remedy: Remedy = Remedy.RESTART

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_seconds") and field.name != "persistence_seconds":
                _require(0 < value <= 365 * DAY, f"{field.name} is above 0 and at most a year")
        _require(0 <= self.persistence_seconds <= DAY, "persistence_seconds is at most a day")
        _require(0 < self.used_share_max <= 1, "used_share_max is above 0 and at most 1")
        _require(self.service_actions_max > 0, "service_actions_max is at least 1")
        _require(self.host_actions_max > 0, "host_actions_max is at least 1")
        _require(self.evidence_bytes_min >= 0, "evidence_bytes_min is not negative")
        _require(self.attempts_max > 0, "attempts_max is at least 1")
        _require(0 <= self.growth_share_min < 1, "growth_share_min is below 1, and not negative")
        _require(0 <= self.above_baseline_min < 1, "above_baseline_min is below 1")
        _require(self.lag_bytes_max >= 0, "lag_bytes_max is not negative")
        _require(len(self.allow) <= ALLOW_MAX, f"allow names at most {ALLOW_MAX} services")
        _require(
            self.cooldown_seconds <= self.window_seconds,
            "cooldown_seconds does not exceed window_seconds",
        )
        _require(
            self.retry_seconds <= self.cooldown_seconds,
            "retry_seconds does not exceed cooldown_seconds",
        )
        _require(
            self.pause_timeout_seconds < self.switchover_timeout_seconds,
            "pause_timeout_seconds is below switchover_timeout_seconds",
        )
        # After a failed capture the next try comes one cooldown later; it must then be allowed
        # to go on without evidence, or the service runs out in between.
        _require(
            self.cooldown_seconds < self.without_evidence_within_seconds,
            "without_evidence_within_seconds exceeds cooldown_seconds",
        )
        _require(
            self.stop_grace_seconds < min(self.stop_timeout_seconds, self.restart_timeout_seconds),
            "stop_grace_seconds is below the timeouts of stop and restart",
        )


def policy_from(values: Mapping[str, Json], allow: tuple[Allowance, ...] = ()) -> Policy:
    """The shipped policy with `values` in place of its own, by field name.

    Seconds and bytes may be written with a unit (`"2h"`, `"64M"`). Raises UsageError for a name
    or value that is none.
    """
    given = {name: _value(name, value) for name, value in values.items()}
    return Policy(**given, allow=allow)


def allowance_of(subject: Subject, policy: Policy) -> Allowance | None:
    """What the owner said about the subject's service; None = nothing."""
    for allowance in policy.allow:
        if any(fnmatchcase(name, allowance.service) for name in (subject.service, subject.name)):
            return allowance
    return None


def remedy_of(subject: Subject, policy: Policy) -> Remedy:
    """Restart or stop, for this service."""
    allowance = allowance_of(subject, policy)
    return (allowance.remedy if allowance else None) or policy.remedy


def soonest(verdict: Verdict) -> float | None:
    """Seconds to the soonest exhaustion; None = not within sight."""
    return verdict.forecast.exhaustion_low_seconds if verdict.forecast else None


def used_share(verdict: Verdict) -> float | None:
    """How much of the limit is used, from 0 to 1; None without a limit."""
    if verdict.forecast is None or verdict.forecast.limit.limit_bytes <= 0:
        return None
    limit = verdict.forecast.limit
    return 1 - limit.headroom_bytes / limit.limit_bytes


def imminent(verdict: Verdict, policy: Policy) -> bool:
    """Exhaustion may come so soon that neither patience nor evidence may cost the service."""
    low = soonest(verdict)
    return low is not None and low <= policy.without_evidence_within_seconds


def _value(name: str, value: Json) -> Json:
    default = {field.name: field.default for field in dataclasses.fields(Policy)}
    if name not in default or name == "allow":
        known = ", ".join(sorted(set(default) - {"allow"}))
        raise UsageError(f"guard's policy: no such setting: {name}", help=f"known are {known}")
    try:
        if name == "remedy":
            return Remedy(value)
        if isinstance(value, str) and name.endswith("_seconds"):
            return parse_duration(value)
        if isinstance(value, str) and "_bytes_" in name:
            return parse_bytes(value)
    except (ValueError, UsageError) as error:
        raise UsageError(f"guard's policy: {name}: {error}") from None
    whole = isinstance(default[name], int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise UsageError(
            f"guard's policy: {name} is a {'whole number' if whole else 'number'}, not {value!r}",
            help="seconds and bytes may be written with a unit, for example 2h or 64M",
        )
    return value if whole else float(value)


def _require(held: bool, what: str) -> None:
    if not held:
        raise UsageError(f"guard's policy: it must hold that {what}")
