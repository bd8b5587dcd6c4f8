"""A review from a review bundle: pure, so that anybody who has the bundle gets the same one.

Every leaf is made together with its claim. What no fact backs is not said; what `site.toml`
does not state is shown as missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forestall.evidence.layout import SUMS
from forestall.incident.review import sentences
from forestall.incident.review.case import PARAMETERS, SITE, TIMELINE, Case
from forestall.incident.review.claims import Claim, Said, say
from forestall.incident.review.factors import Factor, factors
from forestall.incident.review.facts import Fact, Source, local, stamp
from forestall.incident.review.impact import Outage, impact, outage
from forestall.incident.review.templates import NOT_STATED
from forestall.model.event import EventKind
from forestall.model.review import (
    Affected,
    Causes,
    Details,
    FollowUps,
    Location,
    Member,
    Milestones,
    Priority,
    Reporter,
    Resolution,
    Review,
    Stamp,
    Statement,
    Team,
)

TITLE = "Incident Root Cause Review / Analysis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A composed review, the claim of each of its leaves, and the version that drafted it."""

    review: Review
    claims: tuple[Claim, ...]
    version: str


def compose(entries: Mapping[str, bytes]) -> Draft:
    """The review that a bundle's entries (with its SHA256SUMS) give.

    Raises InputError for entries that are not those of a review bundle.
    """
    return _Composer(Case(entries)).compose()


class _Composer:
    """One composition: a case, and the claims made so far."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.claims: list[Claim] = []

    def compose(self) -> Draft:
        case = self.case
        found = factors(case)
        away = outage(case)
        bundle = case.fact("bundle", "sha256 of the bytes", Source(entry=SUMS, pointer=""))
        review = Review(
            title=TITLE,
            number=self._leaf("/number", "as it is", sentences.timeline("/number")),
            name=self._name(),
            date=self._date(),
            reported_by=self._reporter(),
            priority=self._priority(),
            affected=self._affected(),
            timeline=self._milestones(away),
            causes=Causes(
                primary=self._listed("/causes/primary", sentences.primary_cause(case)),
                contributing=self._listed(
                    "/causes/contributing",
                    [factor.text for factor in found] or [say("no factors")],
                ),
            ),
            details=Details(
                description=self._paragraphs(
                    sentences.which_clock(case),
                    sentences.what_happened(case),
                    sentences.what_would_have_happened(case),
                    [*sentences.what_was_decided(case), *sentences.how_it_ended(case)],
                    sentences.about_this_review(case, bundle),
                ),
                impact=self._listed("/details/impact", impact(case, away)),
            ),
            resolution=Resolution(
                immediate=self._listed("/resolution/immediate", sentences.actions_taken(case)),
                post_incident=self._post_incident(),
            ),
            teams=self._teams(),
            preventative=self._listed("/preventative", self._measures(found)),
            lessons=self._listed("/lessons", self._lessons(found)),
            follow_ups=self._follow_ups(found),
        )
        version = case.parameters.version
        return Draft(review=review, claims=tuple(self.claims), version=version)

    def _claim(self, where: str, fact: Fact, text: str | None = None) -> str:
        self.claims.append(Claim(where=where, text=text or fact.text, facts=(fact,)))
        return fact.text

    def _leaf(self, where: str, derivation: str, *sources: Source) -> str:
        return self._claim(where, self.case.fact(where.rsplit("/", 1)[-1], derivation, *sources))

    def _said(self, where: str, said: Said) -> Statement:
        self.claims.append(said.at(where))
        return said.statement

    def _listed(self, where: str, said: Iterable[Said]) -> tuple[Statement, ...]:
        return tuple(self._said(f"{where}/{index}", one) for index, one in enumerate(said))

    def _paragraphs(self, *paragraphs: list[Said]) -> tuple[tuple[Statement, ...], ...]:
        return tuple(
            self._listed(f"/details/description/{index}", paragraph)
            for index, paragraph in enumerate(filter(None, paragraphs))
        )

    def _site(self, pointer: str) -> Source:
        return Source(entry=SITE, pointer=pointer)

    def _stated(self, where: str, pointer: str) -> str | None:
        """What site.toml states at `pointer`, claimed for the leaf `where`."""
        if self.case.book.value(self._site(pointer)) is None:
            return None
        return self._leaf(where, "as it is", self._site(pointer))

    def _name(self) -> str:
        said = say(
            "name reached" if self.case.incident.exhausted_at is not None else "name avoided",
            service=sentences.service(self.case),
            host=sentences.host(self.case),
        )
        self.claims.append(said.at("/name"))
        return said.text

    def _date(self) -> str:
        fact = self.case.fact("date", "local day", self.case.detected, parameter=self.case.zone)
        self._claim("/date", fact)
        return local(self.case.book.value(self.case.detected), self.case.zone).date().isoformat()

    def _reporter(self) -> Reporter:
        role = self._stated("/reported_by/role", "/reported_by/role")
        if role is not None:
            via = self._stated("/reported_by/via", "/reported_by/via")
            return Reporter(role=role, via=via)
        detected = self.case.events(EventKind.DETECTED, EventKind.EXHAUSTED)
        if not detected:
            return Reporter(role=NOT_STATED)
        source = sentences.timeline(f"{detected[0].pointer}/source")
        return Reporter(role=self._leaf("/reported_by/role", "as it is", source), via="forestall")

    def _priority(self) -> Priority:
        reached = self.case.incident.exhausted_at is not None
        rule = f"/priority/{'limit_reached' if reached else 'limit_avoided'}"
        code = self._stated("/priority/code", f"{rule}/code")
        if code is None:
            return Priority(code=NOT_STATED)
        return Priority(code=code, label=self._stated("/priority/label", f"{rule}/label"))

    def _affected(self) -> Affected:
        server = self._leaf("/affected/servers/0", "host of the key", sentences.timeline("/key"))
        place = self._stated("/affected/location/place", "/location/place")
        if place is None:
            # The profile shows a site alone in the place of the place.
            place = self._stated("/affected/location/place", "/location/site") or NOT_STATED
            site = None
        else:
            site = self._stated("/affected/location/site", "/location/site")
        return Affected(
            servers=(server,),
            location=Location(place=place, site=site),
            applications=self._applications(),
        )

    def _applications(self) -> tuple[str, ...]:
        place, names = self.case.applications()
        found = tuple(
            self._leaf(
                f"/affected/applications/{n}", "as it is", self._site(f"{place.pointer}/{n}")
            )
            for n, _ in enumerate(names)
        )
        return found or (NOT_STATED,)

    def _stamp(self, name: str, at: float | None) -> Stamp | None:
        if at is None:
            return None
        fact = self.case.fact(
            name,
            "local stamp",
            Source(entry=TIMELINE, pointer=f"/{name}_at"),
            parameter=self.case.zone,
        )
        self._claim(f"/timeline/{name}", fact)
        return stamp(at, self.case.zone)

    def _milestones(self, away: Outage | None) -> Milestones:
        incident = self.case.incident
        detected = self._stamp("detected", incident.detected_at)
        responded = self._stamp("responded", incident.responded_at)
        resolved = self._stamp("resolved", incident.resolved_at)
        if away is not None:
            self._claim("/timeline/downtime_minutes", away.minutes_fact)
        return Milestones(
            detected=detected,
            responded=responded,
            resolved=resolved,
            downtime_minutes=away.minutes if away else None,
        )

    def _post_incident(self) -> tuple[Statement, ...]:
        """What people wrote into the timeline, as theirs; no sensor sees what is done later."""
        said = [
            say(
                "note",
                text=self.case.fact("text", "as it is", sentences.timeline(f"{note.pointer}/text")),
                by=self.case.fact(
                    "by", "name of a person", sentences.timeline(f"{note.pointer}/source")
                ),
            )
            for note in self.case.events(EventKind.NOTE)
        ]
        return self._listed("/resolution/post_incident", said or [say("none afterwards")])

    def _teams(self) -> tuple[Team, ...]:
        """The teams that site.toml makes answerable: the service's own, and the follow-ups'."""
        site = self.case.site
        service = site.service(self.case.incident.service)
        named = [
            site.services[service].team if service is not None else None,
            site.follow_up.owner if site.follow_up else None,
        ]
        teams: list[Team] = []
        for index, team in enumerate(site.teams):
            if team.name not in named and any(named):
                continue
            place, where = f"/teams/{index}", f"/teams/{len(teams)}"
            name = self._leaf(f"{where}/name", "as it is", self._site(f"{place}/name"))
            teams.append(Team(name=name, members=self._members(index, where)))
        return tuple(teams) or (Team(name=NOT_STATED),)

    def _members(self, team: int, where: str) -> tuple[Member, ...]:
        members = []
        for index, member in enumerate(self.case.site.teams[team].members):
            place, leaf = f"/teams/{team}/members/{index}", f"{where}/members/{index}"
            name = self._leaf(f"{leaf}/name", "as it is", self._site(f"{place}/name"))
            role = self._stated(f"{leaf}/role", f"{place}/role") if member.role else None
            members.append(Member(name=name, role=role))
        return tuple(members)

    def _measures(self, found: list[Factor]) -> list[Said]:
        measure = say("leak measure", service=sentences.service(self.case))
        return _once([measure, *(factor.measure for factor in found)])

    def _lessons(self, found: list[Factor]) -> list[Said]:
        case = self.case
        forecast = case.verdict.forecast if case.verdict else None
        lesson = say("leak lesson without forecast")
        if forecast is not None and forecast.exhaustion_low_seconds is not None:
            lead = case.fact(
                "lead", "duration", case.verdict_at("/forecast/exhaustion_low_seconds")
            )
            lesson = say("leak lesson", service=sentences.service(case), lead=lead)
        return _once([lesson, *(factor.lesson for factor in found)])

    def _follow_ups(self, found: list[Factor]) -> FollowUps:
        leak = say("leak follow-up", service=sentences.service(self.case))
        rules = self.case.site.follow_up
        deadline = None
        if rules is not None and rules.deadline_days is not None:
            fact = self.case.fact(
                "deadline",
                "local day after",
                Source(entry=PARAMETERS, pointer="/drafted_at"),
                self._site("/follow_up/deadline_days"),
                parameter=self.case.zone,
            )
            deadline = self._claim("/follow_ups/deadline", fact)
        owner = self._stated("/follow_ups/owner", "/follow_up/owner")
        items = _once([leak, *(factor.follow_up for factor in found)])
        return FollowUps(
            deadline=deadline,
            owner=owner or NOT_STATED,
            items=self._listed("/follow_ups/items", items),
        )


def _once(said: list[Said]) -> list[Said]:
    """Sentences in order, each text once."""
    return list({one.text: one for one in said}.values())
