"""One judge per process: fed from the samples, at the pace its suspicion deserves."""

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from forestall.agent.config import ServiceConfig
from forestall.agent.limits import Limits
from forestall.agent.recall import Segment
from forestall.clock import Clock
from forestall.detect.rules import Rules
from forestall.detect.stream import Judge
from forestall.model.sample import ProcessKey, ProcessSample, Sample
from forestall.model.series import Series
from forestall.model.verdict import Limit, Subject, Verdict, VerdictKind
from forestall.sense.host import Host
from forestall.sense.ring import MEMORY, SUBJECT_LIMIT, Ring

FEED_SECONDS = 10.0
IDLE_FEED_SECONDS = 60.0
# Less is a clock that is being kept right; the judge just waits for it.
CLOCK_STEP_SECONDS = 60.0
SEGMENTS_MAX = 128

# Three hours of a process in 3 KB: enough for the evidence to show a rise and what came before.
RING_POINTS = 360
RING_INTERVAL_SECONDS = 30

SUSPICIOUS = (VerdictKind.GROWING, VerdictKind.LEAKING, VerdictKind.EXHAUSTING)


class Grown(NamedTuple):
    """What one process took since a time, and the least it held in what is remembered."""

    process: ProcessSample
    since: float
    growth_bytes: int
    least_bytes: int


class _Judged:
    """One process between two feeds. `low_bytes` is the least it held since the last one."""

    __slots__ = (
        "fed_at",
        "fed_bytes",
        "feed_at",
        "judge",
        "key",
        "limit",
        "low_bytes",
        "met_at",
        "met_bytes",
        "raw",
        "read_at",
        "ring",
        "seen",
        "service",
        "subject",
        "suspect",
        "verdict",
    )

    def __init__(self, subject: Subject, judge: Judge, ring: Ring | None, feed_at: float) -> None:
        assert subject.process is not None
        self.key: ProcessKey = subject.process
        self.subject = subject
        self.judge = judge
        self.service: ServiceConfig | None = None
        self.feed_at = self.fed_at = feed_at
        # Real, where `fed_at` of the first feed is moved to spread the processes.
        self.read_at = feed_at
        self.fed_bytes = 0
        self.low_bytes: int | None = None
        self.met_at = float("inf")
        self.met_bytes = 0
        self.seen: ProcessSample | None = None
        self.suspect = False
        self.limit: Limit | None = None
        self.raw: Verdict | None = None
        self.verdict: Verdict | None = None
        self.ring = ring

    @property
    def size_bytes(self) -> int:
        """What it held when it was judged last."""
        return self.raw.memory_bytes if self.raw is not None else 0


class Judging:
    """The judges of a host. A process that is gone is forgotten with its judge.

    `given` is a limit for every process, in bytes; a service's own comes from its configuration.
    """

    def __init__(
        self,
        host: Host,
        clock: Clock,
        *,
        rules: Rules,
        services: tuple[ServiceConfig, ...] = (),
        given: Mapping[str, int] | None = None,
        cgroup_file: str,
        feed_seconds: float = FEED_SECONDS,
    ) -> None:
        self._host = host
        self._clock = clock
        self._rules = rules
        self._services = services
        self._given = dict(given or {})
        self._cgroup_file = cgroup_file
        self._feed_seconds = feed_seconds
        self._idle_seconds = max(feed_seconds, IDLE_FEED_SECONDS)
        self._judged: dict[int, _Judged] = {}
        self._saved: dict[ProcessKey, list[Segment]] = {}
        self.suspects: set[ProcessKey] = set()
        self.verdicts: dict[ProcessKey, Verdict] = {}
        self.gone: list[ProcessKey] = []
        self.hurries = False
        self._last_at = float("-inf")

    def remember(self, segments: Iterable[Segment]) -> int:
        """Take what an earlier agent saved; it is fed to the judge when its process is met."""
        count = 0
        for segment in segments:
            self._saved.setdefault(segment.process, []).append(segment)
            count += 1
        return count

    def feed(self, sample: Sample) -> list[Verdict]:
        """Judge one sample: the verdicts that are new since the last one.

        `gone` then names the processes that ended since, `suspects` those worth a closer look, and
        `hurries` says whether one grows so fast that its limit is minutes away. A process is fed
        every `feed_seconds`, an idle one every IDLE_FEED_SECONDS, one that grows fast as often as
        it grew, and a suspect at every sample.
        """
        if sample.at < self._last_at - CLOCK_STEP_SECONDS:
            self._start_anew()
        self._last_at = sample.at
        limits = Limits(sample, self._cgroup_file)
        new: list[Verdict] = []
        self.gone = []
        self.hurries = False
        judged, monotonic = self._judged, sample.monotonic
        for process in sample.processes:
            one = judged.get(process.key.pid)
            if one is not None and one.seen is process:
                # Most processes are idle: the collector then gives the same object again.
                if monotonic < one.feed_at and not one.suspect:
                    continue
            elif one is None or one.key != process.key:
                if one is not None:
                    self._forget(one)
                one = self._meet(process, sample, limits)
            if one.seen is not process:
                one.seen = process
                one.feed_at = min(one.feed_at, one.fed_at + self._feed_seconds)
            memory_bytes = process.memory_bytes
            if one.low_bytes is None or memory_bytes < one.low_bytes:
                one.low_bytes = memory_bytes
            hurries = self._hurries(one, memory_bytes, monotonic)
            self.hurries = self.hurries or hurries
            if monotonic >= one.feed_at or one.suspect or hurries:
                verdict = self._feed(one, process, sample, limits)
                if verdict is not None:
                    new.append(verdict)
        if len(judged) > len(sample.processes):
            self._forget_absent(sample)
        return new

    def _start_anew(self) -> None:
        """Forget what was judged, because the wall clock was set back.

        A judge takes no sample from before its last one, so it would be blind until the clock has
        caught up; a new one sees again after its shortest window.
        """
        self._judged.clear()
        self.suspects.clear()

    def limit_of(self, process: ProcessKey) -> Limit | None:
        """The nearest limit at the last feed."""
        one = self._judged.get(process.pid)
        return one.limit if one is not None and one.key == process else None

    def service_of(self, process: ProcessKey) -> ServiceConfig | None:
        """What the configuration says about the service this process belongs to."""
        one = self._judged.get(process.pid)
        return one.service if one is not None and one.key == process else None

    def growths(self, since: float) -> Iterator["Grown"]:
        """What each process took since then, as far back as it is remembered."""
        for one in self._judged.values():
            if one.seen is None or one.ring is None:
                continue
            point = one.ring.at_or_before(since)
            # A ring keeps the last value of each of its intervals: the first ones that were seen
            # are then known better, and of a leak within seconds they are all there is.
            if point is not None and since <= one.met_at <= point[0] + RING_INTERVAL_SECONDS:
                point = one.met_at, one.met_bytes
            if point is not None:
                started = one.judge.started_at
                # What began within the window took all it holds.
                born = started is not None and started > since
                before = 0 if born else point[1]
                yield Grown(
                    process=one.seen,
                    since=started if born and started is not None else point[0],
                    growth_bytes=one.seen.memory_bytes - before,
                    least_bytes=min(one.ring.least() or 0, one.met_bytes),
                )

    def series_of(self, process: ProcessKey) -> Series | None:
        """The recent memory of a process in bytes, as the judge was given it."""
        one = self._judged.get(process.pid)
        if one is None or one.key != process or one.ring is None:
            return None
        times, values = one.ring.columns()
        return Series(subject=one.subject, signal=MEMORY, times=times, values=values)

    def segments(self, since: float) -> list[Segment]:
        """The points after `since` of the suspects and the largest, at most SEGMENTS_MAX."""
        ringed = [one for one in self._judged.values() if one.ring is not None]
        ringed.sort(key=lambda one: (one.key not in self.suspects, -one.size_bytes))
        found: list[Segment] = []
        for one in ringed[:SEGMENTS_MAX]:
            assert one.ring is not None
            times, values = one.ring.columns()
            first = bisect.bisect_right(times, since)
            if first < len(times):
                found.append(Segment(one.key, times[first:], values[first:]))
        return found

    def _hurries(self, one: _Judged, memory_bytes: int, monotonic: float) -> bool:
        """Whether it grew so fast since its last feed that its limit is minutes away.

        A leak that fills a host within a minute would be over before its seventh feed.
        """
        growth = memory_bytes - one.fed_bytes
        if growth < self._rules.growth_bytes_min or one.limit is None:
            return False
        left = max(0, one.limit.headroom_bytes - growth)
        elapsed = max(monotonic - one.read_at, 1e-3)
        return left * elapsed <= growth * self._rules.exhausting_low_seconds

    def _feed(
        self, one: _Judged, process: ProcessSample, sample: Sample, limits: Limits
    ) -> Verdict | None:
        assert one.low_bytes is not None
        if self._services:
            # Asked each time: a process gets its unit and its name after it was forked.
            one.service = next((s for s in self._services if s.matches(process)), None)
        one.limit = limits.nearest(process, self._limits_given(one.service))
        first = one.raw is None
        raw = one.judge.observe(sample.at, one.low_bytes, one.limit)
        if sample.monotonic >= one.feed_at:
            # An idle process is fed more rarely, until its sample changes. The pid's last digit
            # spreads what was met at once over the ticks.
            spread = (1 + one.key.pid % 10) / 10 if first else 1.0
            one.fed_at = sample.monotonic - self._feed_seconds * (1 - spread)
            one.feed_at = sample.monotonic + self._idle_seconds * spread
            if one.ring is not None:
                one.ring.add(sample.at, one.low_bytes)
        one.low_bytes = None
        one.read_at, one.fed_bytes = sample.monotonic, process.memory_bytes
        if raw is one.raw:
            return None
        one.raw = raw
        # A process may rename itself or move to another cgroup; it is still the same process.
        subject = _subject(self._host.hostname, process)
        one.verdict = raw if subject == raw.subject else replace(raw, subject=subject)
        self.verdicts[one.key] = one.verdict
        one.suspect = raw.kind in SUSPICIOUS
        (self.suspects.add if one.suspect else self.suspects.discard)(one.key)
        return one.verdict

    def _meet(self, process: ProcessSample, sample: Sample, limits: Limits) -> _Judged:
        subject = _subject(self._host.hostname, process)
        judge = Judge(subject, self._rules, started_at=self._started_at(process, sample))
        ring = (
            Ring(RING_POINTS, RING_INTERVAL_SECONDS) if len(self._judged) < SUBJECT_LIMIT else None
        )
        one = _Judged(subject, judge, ring, sample.monotonic)
        one.met_at, one.met_bytes = sample.at, process.memory_bytes
        self._judged[process.key.pid] = one
        limit = limits.nearest(process, self._given)
        for segment in self._saved.pop(process.key, ()):
            for at, value in zip(segment.times, segment.values, strict=True):
                if at < sample.at:
                    one.raw = judge.observe(at, int(value), limit)
                    if ring is not None:
                        ring.add(at, int(value))
        return one

    def _forget_absent(self, sample: Sample) -> None:
        present = {process.key for process in sample.processes}
        for one in [one for one in self._judged.values() if one.key not in present]:
            self._forget(one)

    def _forget(self, one: _Judged) -> None:
        del self._judged[one.key.pid]
        self.suspects.discard(one.key)
        self.verdicts.pop(one.key, None)
        self.gone.append(one.key)

    def _limits_given(self, service: ServiceConfig | None) -> Mapping[str, int]:
        if service is None or service.limit_bytes is None:
            return self._given
        return {**self._given, f"the configuration of {service.name}": service.limit_bytes}

    def _started_at(self, process: ProcessSample, sample: Sample) -> float | None:
        """When the process started by this agent's clock; None where the host cannot tell.

        From its age and not from the boot time: only a difference is right on any clock.
        """
        text = self._host.read_text("proc/uptime", 128)
        try:
            up_seconds = float((text or "").split()[0])
        except (IndexError, ValueError):
            return None
        age = up_seconds - process.key.start_ticks / self._host.ticks_per_second
        return sample.at - age if 0 <= age <= up_seconds else None


def _subject(hostname: str, process: ProcessSample) -> Subject:
    return Subject(
        host=hostname,
        name=process.name,
        process=process.key,
        unit=process.unit,
        cgroup=process.cgroup,
    )
