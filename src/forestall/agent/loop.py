"""The loop: once per tick it reads, judges, decides, acts if it may, and records."""

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from forestall.agent.acting import Acting
from forestall.agent.around import Around
from forestall.agent.budget import Budget, OverBudgetError
from forestall.agent.config import AgentConfig
from forestall.agent.hands import EVIDENCE_FOLDER, Memory, make_handlers
from forestall.agent.judging import Judging
from forestall.agent.limits import cgroup_file
from forestall.agent.log import Log, LogNotifier
from forestall.agent.recall import RECALL_SECONDS, SERIES_FILE, Recall, recall
from forestall.agent.situation import Situation
from forestall.agent.spool import SPOOL_FILE, Spool
from forestall.agent.troubles import Troubles
from forestall.clock import Clock, SystemClock
from forestall.detect.rules import RULES, Rules
from forestall.errors import ForestallError, InputError, JournalError
from forestall.guard.handler import ActionHandler
from forestall.guard.live import own_pids
from forestall.guard.policy import Policy
from forestall.journal import Damage, read
from forestall.model.action import ActionKind, Mode
from forestall.model.codec import encode, from_document
from forestall.model.event import TimelineEvent
from forestall.model.sample import ProcessKey, Sample
from forestall.model.verdict import Verdict
from forestall.notify.protocol import Notifier
from forestall.sense.cgroup import Cgroups
from forestall.sense.collector import Collector, Select
from forestall.sense.host import Host

if TYPE_CHECKING:
    from forestall.agent.hosting import Hosting

DECIDE_SECONDS = 10.0
FAULTS_IN_A_ROW_MAX = 10

OnTick = Callable[[Sample, Mapping[ProcessKey, Verdict]], None]
"""Called after each tick with the sample and the present verdict on each process."""


class Watch:
    """One agent on one host. `start`, then `run` or `tick` at one's own pace, then `close`.

    `clock` is the time that thresholds and stamps live in, and may run faster than the host's;
    `host_clock` is the host's own, by which processes end and start. `pause` waits that many
    seconds of `clock`. `state` None keeps nothing on disk and plans nothing. `given` are limits
    in bytes by where they were given. `select` restricts what is watched.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        host: Host,
        clock: Clock,
        log: Log,
        state: str | None = None,
        policy: Policy | None = None,
        rules: Rules = RULES,
        given: Mapping[str, int] | None = None,
        select: Select | None = None,
        host_clock: Clock | None = None,
        pause: Callable[[float], None] | None = None,
        budget: Budget | None = None,
        on_tick: OnTick | None = None,
    ) -> None:
        self.config = config
        self.policy = policy or Policy()
        self.rules = rules
        self.log = log
        self.state = state
        self.budget = budget
        self._clock = clock
        self._host = host
        self._host_clock = host_clock or SystemClock()
        self._pause = pause or clock.sleep
        self._on_tick = on_tick
        self.collector = Collector(host, clock, select=select)
        self.recall = Recall(_inside(state, SERIES_FILE))
        self.spool = Spool(_inside(state, SPOOL_FILE), clock)
        self.judging = Judging(
            host,
            clock,
            rules=rules,
            services=config.services,
            given=given,
            cgroup_file=cgroup_file(Cgroups(host).version),
        )
        # One set for both: a suspect is read more closely and judged more often.
        self.collector.suspects = self.judging.suspects
        self.troubles = Troubles(host.hostname)
        self.around = Around(
            config,
            hostname=host.hostname,
            host_clock=self._host_clock,
            lag_bytes_max=self.policy.lag_bytes_max,
        )
        self._hosting = self._host_processes(host, clock)
        self.situation = Situation(
            host,
            self.judging,
            around=self.around,
            mode=config.mode,
            protected=config.protected,
            state=state,
        )
        self.acting = self._acting()
        self.sample: Sample | None = None
        self.tick_count = 0
        self.tick_seconds = 0.0
        self.fault_count = 0
        self._faults_in_a_row = 0
        self._decide_at = float("-inf")
        self._oom_kills: int | None = None
        self._said: dict[str, str | None] = {}
        self.stopped = False

    def _host_processes(self, host: Host, clock: Clock) -> "Hosting | None":
        """Guard's own processes, for a watch that may act on this very host and in real time."""
        if (
            self.config.mode is not Mode.ACT
            or self.state is None
            or not host.live
            or not isinstance(clock, SystemClock)
        ):
            return None
        # Imported here: the other modes need none of it.
        from forestall.agent.hosting import Hosting
        from forestall.guard.last.roles import Setup

        setup = Setup(
            own_pids=tuple(own_pids(host)),
            protected=self.config.protected,
            evidence=os.path.join(self.state, EVIDENCE_FOLDER),
            database=None if self.around.access is None else encode(self.around.access),
        )
        held = Memory(host, clock, self.judging, lambda: self.sample)
        return Hosting(setup, held=held, clock=clock, log=self.log)

    def _acting(self) -> Acting:
        handlers = self.hands(self.state)
        if self._hosting is not None:
            handlers = self._hosting.wrap(handlers)
        return Acting(
            host=self._host,
            clock=self._clock,
            situation=self.situation,
            policy=self.policy,
            protected=self.config.protected,
            state=self.state,
            handlers=handlers,
            lease=self.around.lease,
            troubles=self.troubles,
            log=self.log,
        )

    def hands(self, state: str | None) -> Mapping[ActionKind, ActionHandler]:
        """What this host is acted on with; evidence goes below the folder `state`."""
        return make_handlers(
            state,
            host=self._host,
            clock=self._clock,
            host_clock=self._host_clock,
            memory=Memory(self._host, self._clock, self.judging, lambda: self.sample),
            notifiers=_notifiers(self.config, self.log),
            switchover=self.around.switchover(),
            own_pids=self.situation.own_pids,
            protected=self.config.protected,
        )

    @property
    def failing(self) -> bool:
        """Whether the last tick failed."""
        return self._faults_in_a_row > 0

    def start(self) -> None:
        """Open what is kept, and go on where an earlier agent of this folder stopped."""
        spooled: set[str] = set()
        since = self._clock.now() - RECALL_SECONDS
        if self._hosting is not None:
            self._hosting.tend()
        if self.state is not None:
            self.around.follow()
            try:
                self.recall_from(self.state, spooled, since)
            except JournalError as error:
                self.log.error(f"what an earlier agent kept is not read: {error.message}")
            # A disk that is full now is tried again later; it is no reason not to watch.
            self._tell(self.acting.open())
            self._tell(self.acting.unspooled(spooled, since))
        self._complain()

    def run(self, *, ticks: int | None = None) -> None:
        """Tick until asked to stop, or `ticks` times.

        Raises OverBudgetError when the agent is larger than it may be, and ForestallError when
        FAULTS_IN_A_ROW_MAX ticks failed one after the other.
        """
        next_at = self._clock.monotonic()
        while not self.stopped and (ticks is None or self.tick_count < ticks):
            self.tick_safely()
            next_at += self.config.interval_seconds * self._slowdown()
            now = self._clock.monotonic()
            # After a long action the missed ticks are left out, not caught up with.
            next_at = max(next_at, now)
            if not self.stopped and (ticks is None or self.tick_count < ticks):
                self._pause(next_at - now)

    def _slowdown(self) -> int:
        """The factor on the interval: none while there is trouble, or memory runs out.

        On a starved host each tick costs more than it should, and that is when it is needed.
        """
        if self.budget is None or self.judging.hurries:
            return 1
        if any(trouble.actionable for trouble in self.troubles.open()):
            return 1
        host = self.sample.host if self.sample is not None else None
        if host is not None and host.headroom_bytes is not None:
            total = (host.mem_total_bytes or 0) + (host.swap_total_bytes or 0)
            if host.headroom_bytes < (1 - self.policy.used_share_max) * total:
                return 1
        return self.budget.slowdown

    def stop(self) -> None:
        """Ask for an end after the present tick."""
        self.stopped = True

    def tick_safely(self) -> None:
        """One tick; a fault in it is recorded and counted, a bounded number of times in a row."""
        try:
            self.tick()
            self._faults_in_a_row = 0
        except OverBudgetError:
            raise
        except Exception as error:
            # The one catch-all: a fault in one tick must not end the watch over a dying host.
            self.fault_count += 1
            self._faults_in_a_row += 1
            self.log.error(f"a tick failed: {describe_fault(error)}")
            if self._faults_in_a_row >= FAULTS_IN_A_ROW_MAX:
                raise ForestallError(
                    f"{FAULTS_IN_A_ROW_MAX} ticks failed one after the other, "
                    f"the last with: {describe_fault(error)}",
                    help="please report this; the agent ends, to be started afresh",
                ) from error

    def tick(self) -> Sample:
        """Read, judge, decide, act if allowed, and record, once."""
        started = self._clock.monotonic()
        sample = self.sample = self.collector.tick()
        events: list[TimelineEvent] = []
        verdicts = self.judging.feed(sample)
        self.situation.observe(sample)
        # A look that keeps nothing tells nobody either.
        if self.around.has_fleet and self.state is not None:
            self.around.publish(self.situation.exhaustion_seconds())
        for verdict in verdicts:
            events += self.troubles.judged(verdict)
        events += self._departures(sample)
        for event in events:
            self.log.warning(event.text)
        self.spool.add(events)
        if self._hosting is not None:
            self._hosting.tend()
        self._decide()
        self.spool.flush()
        if self.recall.due(sample.at):
            self._save_series(sample.at)
        self._complain()
        self.tick_count += 1
        self.tick_seconds = self._clock.monotonic() - started
        if self.budget is not None:
            said = self.budget.check()
            if said is not None:
                self.log.warning(said)
        if self._on_tick is not None:
            self._on_tick(sample, self.judging.verdicts)
        return sample

    def close(self) -> None:
        """Write what waits and give everything back."""
        self._save_series(self._clock.now())
        self.recall.close()
        self.spool.close()
        self.acting.close()
        if self._hosting is not None:
            self._hosting.close()
        self.around.close()
        self.collector.close()
        self._complain()

    def recall_from(self, state: str, spooled: set[str], since: float) -> None:
        """Take over what an agent keeps in this folder, without writing to it.

        The ids of its events are added to `spooled`. Raises JournalError.
        """
        damages: list[Damage] = []
        for entry in read(os.path.join(state, SPOOL_FILE), damaged=damages):
            try:
                event = from_document(TimelineEvent, entry.data)
            except InputError:
                continue  # Of another version; the incident side reports it.
            spooled.add(event.id)
            self.troubles.restore(event)
        for damage in damages:
            where = f"{damage.path}: {damage.length} bytes at {damage.offset}"
            self.log.warning(f"{where} are no record: {damage.reason}")
        alive = {process.key for process in self.collector.tick().processes}
        count = self.judging.remember(recall(os.path.join(state, SERIES_FILE), alive, since))
        if count:
            self.log.info(f"{count} pieces of saved series belong to processes that still run")
        for trouble in self.troubles.open():
            process = trouble.subject.process
            if process is not None and process not in alive:
                self._tell(self.troubles.vanished(process, self._clock.now(), oom_kills=None))

    def _departures(self, sample: Sample) -> list[TimelineEvent]:
        """The events of processes in trouble that ended, and of the successors of earlier ones."""
        before, now = self._oom_kills, sample.host.oom_kill_count
        kills = None if before is None or now is None else max(0, now - before)
        self._oom_kills = now
        events: list[TimelineEvent] = []
        for process in self.judging.gone:
            events += self.troubles.vanished(process, sample.at, oom_kills=kills)
        if self.troubles.waiting:
            events += self.troubles.seen(sample.processes, sample.at)
        return events

    def _decide(self) -> None:
        """Ask guard about every open trouble, at once when it is new and then every few seconds."""
        self.acting.settle(self._tell)
        now = self._clock.monotonic()
        due = now >= self._decide_at
        if due:
            self._decide_at = now + DECIDE_SECONDS
        for trouble in self.troubles.open():
            process = trouble.subject.process
            if process is None or not trouble.actionable:
                continue
            if due or trouble.asked is not trouble.verdict:
                trouble.asked = trouble.verdict
                self.acting.consider(trouble, self.judging.service_of(process), self._tell)

    def _tell(self, events: Sequence[TimelineEvent]) -> None:
        self.spool.add(events)

    def _save_series(self, at: float) -> None:
        self.recall.save(at, self.judging.segments(self.recall.saved_at))
        # Cycles are rare here, so the collector seldom runs by itself, and its garbage would
        # scatter over the heap; after `settle` a collection takes less than a millisecond.
        gc.collect()

    def _complain(self) -> None:
        """Say once what cannot be kept, and once when it can be again."""
        for name, problem in (
            ("spool", self.spool.problem),
            ("series", self.recall.problem),
            ("ledger", self.acting.problem),
        ):
            if problem == self._said.get(name):
                continue
            self._said[name] = problem
            if problem is None:
                self.log.info(f"the {name} is written again")
            else:
                self.log.error(f"the {name} cannot be written, and watching goes on: {problem}")


def describe_fault(error: BaseException) -> str:
    """A fault in one line: what, and where in our own code."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        file = os.path.basename(trace.tb_frame.f_code.co_filename)
        where = f" at {file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{where}"


def _notifiers(config: AgentConfig, log: Log) -> tuple[Notifier, ...]:
    # Imported here: an agent without them does not carry them.
    found: list[Notifier] = [LogNotifier(log)]
    if config.webhook is not None:
        from forestall.notify.webhook import WebhookNotifier

        found.append(WebhookNotifier(config.webhook))
    if config.pagerduty is not None:
        from forestall.notify.pagerduty import PagerDutyNotifier

        found.append(PagerDutyNotifier(config.pagerduty))
    return tuple(found)


def _inside(state: str | None, name: str) -> str | None:
    return None if state is None else os.path.join(state, name)
