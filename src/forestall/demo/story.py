"""The replay: a leaking service and its repaired twin, watched by the shipped agent as it is.

The only thing scaled is the clock. Detector's rules and guard's policy are the shipped ones, save
that the two minutes in which guard acts on what runs out alone are two minutes of your clock: the
services, their memory, the limit, the evidence and the restart are real, and take real time.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources

from forestall.agent.config import AgentConfig, ServiceConfig
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.agent.spool import SPOOL_FILE
from forestall.clock import ScaledClock
from forestall.demo.limit import Cage, cage
from forestall.demo.pair import Database, Orders, beside
from forestall.demo.supervisor import Service, running
from forestall.demo.view import Scene, View
from forestall.errors import ForestallError
from forestall.evidence.bundle import MAX_BUNDLE_BYTES
from forestall.evidence.layout import RESERVE_BYTES, free_bytes
from forestall.guard.policy import Policy
from forestall.incident.intake import collect
from forestall.incident.review.draft import draft
from forestall.incident.site import load
from forestall.journal import read
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.codec import Json, from_document
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.sample import ProcessKey, Sample
from forestall.model.verdict import Verdict
from forestall.sense.host import Host
from forestall.units import HOUR, MIB, MINUTE, format_bytes

LEAKY, CONTROL = "feed-sync", "feed-sync-fixed"
SCALE = 60.0
LIMIT_BYTES = 512 * MIB
# At SCALE; another clock has another pace, so that it is the same story.
REQUESTS_PER_SECOND = 100.0
INTERVAL_SECONDS = 5.0
# The service would fill its limit in about two hours of the demo's clock.
GIVE_UP_SECONDS = 3 * HOUR
# Long enough after the restart to see that the service serves again and the control is well.
EPILOGUE_SECONDS = 5 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the demo prints with --json. `seconds` is wall time from start to end.

    `database` is what the clients of the database beside it saw; None where there was none, and
    `no_database` says why.
    """

    caught: bool
    headroom_bytes: int | None
    limit_bytes: int
    seconds: float
    verdict: str | None
    review: str | None
    bundle: str | None
    incident: str | None
    control_touched: bool
    database: Orders | None = None
    no_database: str | None = None

    @property
    def passed(self) -> bool:
        """Whether guard did what it is for, and nothing else."""
        kept = self.database is None or (self.database.moved and not self.database.lost)
        return self.caught and kept and not self.control_touched

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def was_caught(outcomes: Iterable[Outcome]) -> bool:
    """Whether guard both kept the evidence and recycled the service."""
    done = {outcome.kind for outcome in outcomes if outcome.state is OutcomeState.DONE}
    return {ActionKind.CAPTURE, ActionKind.RESTART} <= done


class _Sink:
    """Takes the agent's log lines, and gives them to the scene with the demo's time."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def write(self, line: str) -> int:
        _, _, text = line.rstrip("\n").split(" ", 2)
        self._scene.events.append((self._scene.at, text))
        return len(line)

    def flush(self) -> None:
        pass


class Play:
    """One run of the demo in the folder `state`, which must be empty or new."""

    def __init__(
        self,
        state: str,
        view: View,
        *,
        scale: float = SCALE,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.state = state
        self._progress = progress
        self._view = view
        self._clock = ScaledClock(scale)
        self._started_at = self._clock.now()
        self._acted_at: float | None = None
        self._scene = Scene(scale=scale, limit_bytes=LIMIT_BYTES, limit_is_real=False)

    def run(self) -> Result:
        """Play to the end; returns what came of it, and leaves evidence and review behind."""
        began = time.monotonic()
        self._check_room()
        name = f"forestall-demo-{os.getpid()}"
        with (
            cage(name, LIMIT_BYTES) as leaky_cage,
            cage(f"{name}-control", LIMIT_BYTES) as other,
            beside(leaky_cage, self._progress) as database,
        ):
            rate = REQUESTS_PER_SECOND * self._clock.scale / SCALE
            there = None if isinstance(database, str) else database
            part = None if there is None else LEAKY
            leaky = Service(LEAKY, rate, fixed=False, cage=leaky_cage, part=part)
            control = Service(CONTROL, rate, fixed=True, cage=other)
            self._scene.limit_is_real = leaky_cage.real
            with self._view, running(leaky, control):
                self._started_at = self._clock.now()
                self._watch(self.agent(leaky, control, leaky_cage, there))
                control_starts = control.starts
            orders = None if there is None else there.orders()
        plan, outcomes = self._acted()
        number, review, bundle = self._write_review()
        forecast = plan.verdict.forecast if plan else None
        return Result(
            caught=was_caught(outcomes),
            headroom_bytes=forecast.limit.headroom_bytes if forecast else None,
            limit_bytes=LIMIT_BYTES,
            seconds=round(time.monotonic() - began, 1),
            verdict=plan.verdict.kind.value if plan else None,
            review=review,
            bundle=bundle,
            incident=number,
            control_touched=control_starts != 1 or self._planned_for(CONTROL),
            database=orders,
            no_database=database if isinstance(database, str) else None,
        )

    def _check_room(self) -> None:
        """Guard rightly leaves a service alone whose evidence has no room: not the story told."""
        free, needed = free_bytes(self.state), RESERVE_BYTES + 2 * MAX_BUNDLE_BYTES
        if free < needed:
            raise ForestallError(
                f"{self.state}: {format_bytes(free)} free, {format_bytes(needed)} needed: "
                "nothing is restarted whose evidence cannot be kept",
                help="free space there, or name a folder elsewhere with --state",
            )

    def agent(
        self, leaky: Service, control: Service, limits: Cage, database: Database | None = None
    ) -> Watch:
        """The shipped agent with its shipped rules, watching these two and no other.

        And the database, where it is under the same limit.
        """
        services = (leaky, control)
        log = Log(_Sink(self._scene), self._clock, journald=False)  # type: ignore[arg-type]
        return Watch(
            self._config(limits, database),
            host=Host(),
            clock=self._clock,
            policy=self._policy(),
            log=log,
            state=self.state,
            select=lambda name, pid, cgroup: (
                pid in [service.pid for service in services] or limits.holds(cgroup)
            ),
            on_tick=lambda sample, verdicts: self._show(sample, verdicts, leaky, control),
        )

    def _policy(self) -> Policy:
        """The shipped one; evidence and restart take `scale` times as long on the demo's clock."""
        shipped = Policy()
        within = shipped.act_alone_within_seconds * self._clock.scale
        return replace(shipped, act_alone_within_seconds=within)

    def _watch(self, watch: Watch) -> None:
        watch.start()
        try:
            while not self._over(watch):
                watch.run(ticks=watch.tick_count + 1)
                self._clock.sleep(INTERVAL_SECONDS)
        finally:
            watch.close()

    def _config(self, limits: Cage, database: Database | None) -> AgentConfig:
        """What an owner would write for these services; the control may be acted on as well."""
        return AgentConfig(
            database=database.access if database is not None else None,
            mode=Mode.ACT,
            interval_seconds=INTERVAL_SECONDS,
            listen=None,
            services=tuple(
                ServiceConfig(
                    name=name,
                    process=name,
                    restart="signal",
                    allow=True,
                    limit_bytes=None if limits.real else limits.limit_bytes,
                )
                for name in (LEAKY, CONTROL)
            ),
        )

    def _over(self, watch: Watch) -> bool:
        now = self._clock.now()
        if watch.fault_count:
            raise ForestallError(
                "the agent failed while the demo ran", help=f"its last words are in {self.state}"
            )
        if self._acted_at is None and watch.acting.counts:
            self._acted_at = now
        if self._acted_at is not None and not watch.troubles.open():
            return now - self._acted_at > EPILOGUE_SECONDS
        return now - self._started_at > GIVE_UP_SECONDS

    def _show(
        self,
        sample: Sample,
        verdicts: Mapping[ProcessKey, Verdict],
        leaky: Service,
        control: Service,
    ) -> None:
        scene = self._scene
        scene.at = sample.at - self._started_at
        for process in sample.processes:
            verdict = verdicts.get(process.key)
            if process.key.pid == leaky.pid:
                scene.memory.append((scene.at, process.memory_bytes))
                scene.verdict = verdict
            elif process.key.pid == control.pid:
                scene.control_bytes, scene.control_verdict = process.memory_bytes, verdict
        self._view.show(scene)

    def _events(self) -> list[TimelineEvent]:
        path = os.path.join(self.state, SPOOL_FILE)
        return [from_document(TimelineEvent, record.data) for record in read(path)]

    def _acted(self) -> tuple[Plan | None, list[Outcome]]:
        """The first plan that acted on the leaking service, and its outcomes."""
        events = self._events()
        plans = [from_document(Plan, e.data) for e in events if e.kind is EventKind.PLAN]
        plan = next((p for p in plans if p.actions and p.subject.name == LEAKY), None)
        outcomes = [from_document(Outcome, e.data) for e in events if e.kind is EventKind.OUTCOME]
        return plan, [one for one in outcomes if plan is not None and one.plan_id == plan.id]

    def _planned_for(self, name: str) -> bool:
        plans = [e for e in self._events() if e.kind is EventKind.PLAN]
        return any(from_document(Plan, event.data).subject.name == name for event in plans)

    def _write_review(self) -> tuple[str | None, str | None, str | None]:
        """Number, review and bundle of the incident; Nones where there was none."""
        site_file = os.path.join(self.state, "site.toml")
        with open(site_file, "wb") as file:
            file.write(resources.files("forestall.demo").joinpath("site.toml").read_bytes())
        site, site_bytes = load(site_file, self.state)
        incidents = collect(self.state, site, self._clock)
        mine = next((one for one in incidents if one.service == LEAKY), None)
        if mine is None:
            return None, None, None
        drafted = draft(
            self.state,
            mine.number,
            site=site_bytes,
            clock=self._clock,
            clock_scale=self._clock.scale,
        )
        return mine.number, drafted.path, drafted.bundle.path
