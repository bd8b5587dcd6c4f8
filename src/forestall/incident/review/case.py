"""A review bundle opened: the nouns in it, and where each of them lies.

timeline.json            the Incident document
ledger.json              guard's plans and outcomes about it, as they were journaled
draft.json               when, by which version and on which clock the review was drafted
site.toml                what no sensor knows; empty where there is none
captured/<id>/...        every file of each bundle captured during the incident
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from forestall.errors import InputError, UsageError
from forestall.evidence.layout import SUMS
from forestall.incident import site as sites
from forestall.incident import zones
from forestall.incident.review.facts import TERMS, Book, Fact, Source, audited, local
from forestall.model import codec
from forestall.model.codec import Noun
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.facts import HostFacts
from forestall.model.finding import Finding
from forestall.model.incident import Incident
from forestall.model.sample import ProcessSample, Sample
from forestall.model.verdict import Verdict

TIMELINE = "timeline.json"
LEDGER = "ledger.json"
PARAMETERS = "draft.json"
SITE = "site.toml"
CAPTURED = "captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What the draft itself adds. `clock_scale` is None on a clock that is not scaled."""

    SCHEMA = "forestall/draft/1"

    drafted_at: float
    version: str
    clock_scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An event of the timeline and the pointer to it."""

    event: TimelineEvent
    pointer: str


class Case:
    """What a review bundle says, as nouns; None where it does not say.

    Raises InputError for a bundle that is not a review's.
    """

    def __init__(self, entries: Mapping[str, bytes]) -> None:
        for name in (TIMELINE, PARAMETERS, SITE):
            if name not in entries:
                raise InputError(
                    f"no {name} in the bundle",
                    help="`forestall review draft` writes the bundle of a review",
                )
        self.book = Book(entries)
        self.incident = self._noun(Incident, TIMELINE)
        self.parameters = self._noun(Parameters, PARAMETERS)
        self.site = self._parse_site(entries[SITE])
        self.folder = self._best_capture()
        self.host_facts = self._captured(HostFacts, "host-facts.json")
        self.sample = self._captured(Sample, "sample.json")
        self.verdict_place, self.verdict = self._find_verdict()
        self.zone = self._shown_zone()

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the audit says of the host; () where no facts of it were captured."""
        if self.host_facts is None:
            return ()
        return audited(self.host_facts, self.book.value(Source(entry=SITE, pointer=TERMS)))

    def events(self, *kinds: EventKind) -> list[Placed]:
        """The events of these kinds in order of time."""
        return [
            Placed(event=event, pointer=f"/timeline/{index}")
            for index, event in enumerate(self.incident.timeline)
            if event.kind in kinds
        ]

    def captured(self, name: str, pointer: str = "") -> Source:
        """A place in the bundle that was captured."""
        return Source(entry=f"{self.folder}/{name}", pointer=pointer)

    def verdict_at(self, pointer: str) -> Source:
        """A place in the verdict that this review is about."""
        assert self.verdict_place is not None
        base = self.verdict_place
        return Source(entry=base.entry, pointer=base.pointer + pointer)

    def fact(
        self, name: str, derivation: str, *sources: Source, parameter: str | int | None = None
    ) -> Fact:
        """See Book.fact."""
        return self.book.fact(name, derivation, *sources, parameter=parameter)

    def time(self, name: str, source: Source) -> Fact:
        """A time as prose shows it: with its date only where it is not the day of detection."""
        return self.fact(name, "local time", source, self.detected, parameter=self.zone)

    def second(self, name: str, source: Source) -> Fact:
        """As `time`, to the second: for what follows within seconds of each other."""
        return self.fact(
            name, "local time to the second", source, self.detected, parameter=self.zone
        )

    @property
    def detected(self) -> Source:
        """When it was detected; of a timeline that lost that event, when it begins."""
        if self.incident.detected_at is not None:
            return Source(entry=TIMELINE, pointer="/detected_at")
        if self.incident.timeline:
            return Source(entry=TIMELINE, pointer="/timeline/0/at")
        return Source(entry=PARAMETERS, pointer="/drafted_at")

    def applications(self) -> tuple[Source, tuple[str, ...]]:
        """What depends on the service, and where site.toml says so; else what suffers with any."""
        index = self.site.service(self.incident.service)
        if index is not None and self.site.services[index].applications:
            place = Source(entry=SITE, pointer=f"/services/{index}/applications")
            return place, self.site.services[index].applications
        return Source(entry=SITE, pointer="/applications"), self.site.applications

    def process(self) -> tuple[int, ProcessSample] | None:
        """The judged process in the captured sample, with its index there."""
        if self.sample is None or self.verdict is None:
            return None
        for index, process in enumerate(self.sample.processes):
            if process.key == self.verdict.subject.process:
                return index, process
        return None

    def cgroup_index(self) -> int | None:
        """The judged cgroup in the captured sample, if it has a limit."""
        if self.sample is None or self.verdict is None:
            return None
        for index, cgroup in enumerate(self.sample.cgroups):
            if cgroup.path == self.verdict.subject.cgroup and cgroup.max_bytes is not None:
                return index
        return None

    def _noun(self, cls: type[Noun], entry: str) -> Noun:
        try:
            return codec.from_document(cls, self.book.document(entry))
        except InputError as error:
            raise InputError(f"{entry}: {error.message}", help=error.help) from None

    def _parse_site(self, data: bytes) -> sites.Site:
        try:
            return sites.parse(data, SITE)
        except UsageError as error:
            # In a bundle it is a document like any other, not the configuration of this command.
            raise InputError(error.message, help=error.help) from None

    def _captured(self, cls: type[Noun], name: str) -> Noun | None:
        entry = f"{self.folder}/{name}"
        return self._noun(cls, entry) if entry in self.book.entries else None

    def _best_capture(self) -> str:
        """The first captured bundle that holds a verdict; else the first; else a name of none."""
        folders = [f"{CAPTURED}/{one}" for one in self.incident.evidence]
        present = [folder for folder in folders if f"{folder}/{SUMS}" in self.book.entries]
        with_verdict = [one for one in present if f"{one}/verdict.json" in self.book.entries]
        return next(iter(with_verdict or present), CAPTURED)

    def _find_verdict(self) -> tuple[Source | None, Verdict | None]:
        """The verdict that detected it; else the one captured with the evidence."""
        for placed in self.events(EventKind.DETECTED, EventKind.EXHAUSTED):
            place = Source(entry=TIMELINE, pointer=f"{placed.pointer}/data")
            if placed.event.data:
                return place, self._verdict(placed)
        return self.captured("verdict.json"), self._captured(Verdict, "verdict.json")

    def _verdict(self, placed: Placed) -> Verdict:
        try:
            return codec.from_document(Verdict, dict(placed.event.data))
        except InputError as error:
            where = f"{TIMELINE}{placed.pointer}/data"
            raise InputError(f"{where}: {error.message}", help=error.help) from None

    def _shown_zone(self) -> str:
        """The incident's zone where a reader can tell it from the page alone, else UTC.

        An abbreviation means nothing without a place; a place that contradicts it is worse.
        """
        at, zone = self.book.value(self.detected), self.incident.zone
        place = self.site.location.place if self.site.location else None
        if zone == "UTC":
            return "UTC"
        moment = local(at, zone)
        try:
            found = zones.resolve(moment.tzname() or "", place, moment.replace(tzinfo=None))
        except InputError:
            return "UTC"
        return zone if local(at, found).utcoffset() == moment.utcoffset() else "UTC"
