"""What it cost, as far as it was measured: was a limit reached, and how long was it away."""

from dataclasses import dataclass

from forestall.incident.review.case import SITE, Case, Placed
from forestall.incident.review.claims import Said, say
from forestall.incident.review.facts import Fact, Source
from forestall.incident.review.sentences import (
    headroom_at_decision,
    is_done,
    service,
    timeline,
)
from forestall.model.action import ActionKind
from forestall.model.event import EventKind
from forestall.units import MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which the service may have been away: where its ends are said.

    `since` is one source, or two: an end and how long it took to get there.
    """

    template: str
    since: tuple[Source, ...]
    until: Source
    since_at: float
    until_at: float
    minutes_fact: Fact

    @property
    def minutes(self) -> int:
        return round((self.until_at - self.since_at) / MINUTE)


def outage(case: Case) -> Outage | None:
    """How long the service was away at most; None where nothing that was measured says so.

    A restart bounds it by the time it took. After a stop, or a kill by the kernel, it lasts
    until the service was seen again.
    """
    for placed in case.events(EventKind.OUTCOME):
        if not is_done(placed):
            continue
        kind = placed.event.data.get("kind")
        if kind == ActionKind.RESTART:
            return _of_restart(case, placed)
        if kind == ActionKind.STOP:
            took = timeline(f"{placed.pointer}/data/took_seconds")
            since_at = placed.event.at - placed.event.data["took_seconds"]
            return _until_seen(case, (timeline(f"{placed.pointer}/at"), took), since_at)
    if case.incident.exhausted_at is not None:
        return _until_seen(case, (timeline("/exhausted_at"),), case.incident.exhausted_at)
    return None


def _of_restart(case: Case, placed: Placed) -> Outage:
    until = timeline(f"{placed.pointer}/at")
    since = (until, timeline(f"{placed.pointer}/data/took_seconds"))
    took = placed.event.data["took_seconds"]
    return _outage(case, "outage", since, until, placed.event.at - took, placed.event.at)


def _until_seen(case: Case, since: tuple[Source, ...], since_at: float) -> Outage | None:
    until_at = case.incident.resolved_at
    if until_at is None or until_at < since_at:
        return None
    return _outage(case, "outage until", since, timeline("/resolved_at"), since_at, until_at)


def _outage(
    case: Case,
    template: str,
    since: tuple[Source, ...],
    until: Source,
    since_at: float,
    until_at: float,
) -> Outage:
    minutes = case.fact("minutes", "whole minutes between", until, *since)
    return Outage(
        template=template,
        since=since,
        until=until,
        since_at=since_at,
        until_at=until_at,
        minutes_fact=minutes,
    )


def impact(case: Case, away: Outage | None) -> list[Said]:
    """Limit, time without the service, what depends on it, and money only if the site says so."""
    said = [*_limit(case), *_absence(case, away)]
    place, names = case.applications()
    if names:
        listed = case.fact("applications", "list", place)
        template = "applications" if case.site.measured is None else "applications measured"
        said.append(say(template, applications=listed))
    if case.site.measured is not None:
        said += _measured(case)
    elif away is not None and case.site.penalties is not None:
        said.append(_penalties(case, away))
    return said


def _measured(case: Case) -> list[Said]:
    """What somebody measured it cost, as site.toml states it."""

    def fact(name: str, derivation: str, key: str) -> Fact:
        return case.fact(name, derivation, Source(entry=SITE, pointer=f"/measured/{key}"))

    by = fact("by", "as it is", "by")
    return [
        say(
            "measured orders",
            by=by,
            acknowledged=fact("acknowledged", "as it is", "orders_acknowledged"),
            failed=fact("failed", "as it is", "orders_failed"),
            lost=fact("lost", "as it is", "orders_lost"),
            gap=fact("gap", "duration", "longest_write_gap_seconds"),
        ),
        say(
            "measured penalties",
            by=by,
            amount=fact("amount", "amount", "penalties"),
            currency=fact("currency", "as it is", "currency"),
        ),
    ]


def _limit(case: Case) -> list[Said]:
    exhausted = case.events(EventKind.EXHAUSTED)
    if exhausted:
        place = exhausted[0].pointer
        return [
            say(
                "limit reached",
                exhausted=case.time("exhausted", timeline(f"{place}/at")),
                text=case.fact("text", "as a sentence", timeline(f"{place}/text")),
            )
        ]
    headroom = headroom_at_decision(case)
    if headroom is None:
        return [say("limit not reached, unmeasured")]
    return [say("limit not reached", **headroom)]


def _absence(case: Case, away: Outage | None) -> list[Said]:
    name = service(case)
    if away is not None:
        return [
            say(
                away.template,
                service=name,
                gap=case.fact("gap", "time it lasted", away.until, *away.since),
                since=case.fact(
                    "since",
                    "local time of the start",
                    case.detected,
                    *away.since,
                    parameter=case.zone,
                ),
                until=case.second("until", away.until),
            ),
            say("downtime", minutes=away.minutes_fact),
        ]
    stops = [
        placed
        for placed in case.events(EventKind.OUTCOME)
        if is_done(placed) and placed.event.data.get("kind") == ActionKind.STOP
    ]
    if stops:
        since = case.second("since", timeline(f"{stops[0].pointer}/at"))
        return [say("stopped for good", service=name, since=since)]
    if case.incident.exhausted_at is not None:
        return [say("downtime unknown", service=name)]
    return [say("no outage", service=name)]


def _penalties(case: Case, away: Outage) -> Said:
    per_hour = Source(entry=SITE, pointer="/penalties/per_hour")
    currency = Source(entry=SITE, pointer="/penalties/currency")
    return say(
        "penalties",
        per_hour=case.fact("per_hour", "amount", per_hour),
        currency=case.fact("currency", "as it is", currency),
        amount=case.fact("amount", "penalty", per_hour, currency, away.until, *away.since),
    )
