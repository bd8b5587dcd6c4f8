"""What guard must know of the host beside a verdict, gathered from the agent's own readings.

The agent and `forestall guard explain` go through the same functions, so that what is explained
is what would be decided.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from forestall.agent.around import Around
from forestall.agent.config import ServiceConfig
from forestall.agent.judging import Grown, Judging
from forestall.errors import UsageError
from forestall.evidence.layout import RESERVE_BYTES, free_bytes
from forestall.guard.host_state import HostState
from forestall.guard.live import own_pids
from forestall.guard.ownership import Ownership
from forestall.guard.policy import Allowance, Policy
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import Mode
from forestall.model.sample import ProcessKey, ProcessSample, Sample
from forestall.model.verdict import LimitKind, Subject, Verdict, VerdictKind
from forestall.sense.cgroup import is_user_unit
from forestall.sense.host import Host
from forestall.sense.procfs import read_number
from forestall.sense.ring import Ring
from forestall.units import HOUR, MINUTE

if TYPE_CHECKING:
    from forestall.guard.containment import Containment
    from forestall.guard.surroundings import Folders

WINDOW_SECONDS_MIN = 5 * MINUTE
WINDOW_SECONDS_MAX = 3 * HOUR
"""How far back the growth is shared out: since it began, within what is remembered."""

KNOWN_SECONDS_MIN = 10.0
"""Less than this between two looks tells nothing of who grows."""

HEADROOM_POINTS = 360
HEADROOM_INTERVAL_SECONDS = 30


class Situation:
    """Feeds on every sample; answers what the host's state is for one verdict."""

    def __init__(
        self,
        host: Host,
        judging: Judging,
        *,
        mode: Mode,
        protected: tuple[str, ...] = (),
        state: str | None,
        around: Around,
    ) -> None:
        self._host = host
        self._judging = judging
        self._mode = mode
        self._protected = protected
        self._state = state
        self._around = around
        self._headroom = Ring(HEADROOM_POINTS, HEADROOM_INTERVAL_SECONDS)
        self._sample: Sample | None = None
        self._folders: Folders | None = None
        self.own_pids = own_pids(host)

    def preload(self) -> None:
        """Load now what a decision needs, where the agent may act: later there may be no memory."""
        if self._mode is Mode.ACT:
            import forestall.guard.decision
            import forestall.guard.surroundings  # noqa: F401

    def observe(self, sample: Sample) -> None:
        """Remember what the host had left."""
        self._sample = sample
        if sample.host.headroom_bytes is not None:
            self._headroom.add(sample.at, sample.host.headroom_bytes)

    def of(
        self, verdict: Verdict, at: float, troubled_since: float, service: ServiceConfig | None
    ) -> HostState:
        """What is known at once; enough to say whether anything is to be done at all."""
        return HostState(
            at=at,
            mode=self._mode,
            troubled_since=troubled_since,
            own_pids=self.own_pids,
            protected=self._protected,
            recipe=recipe_of(verdict.subject, service),
            evidence_free_bytes=room_for_evidence(self._state),
            ownership=self.ownership_of(verdict, at),
            via=self._around.via,
            fleet=self._around.has_fleet,
            any_oom_panics=read_number(self._host, "proc/sys/vm/panic_on_oom") == 2,
        )

    def complete(self, state: HostState, verdict: Verdict) -> HostState:
        """With what must be looked for: where it can be contained, and the database's state."""
        process = verdict.subject.process
        containment = (
            "It cannot be contained: no process is named."
            if process is None
            else self.containment_of(process, verdict)
        )
        database = self._around.look()
        if isinstance(containment, str):
            return replace(state, no_containment=containment, database=database)
        return replace(state, containment=containment, database=database)

    def exhaustion_seconds(self) -> float | None:
        """How soon the host's own memory may run out; None = not in sight."""
        soonest = [
            verdict.forecast.exhaustion_low_seconds
            for verdict in self._judging.verdicts.values()
            if verdict.kind in (VerdictKind.LEAKING, VerdictKind.EXHAUSTING)
            and verdict.forecast is not None
            and verdict.forecast.limit.kind is LimitKind.HOST
            and verdict.forecast.exhaustion_low_seconds is not None
        ]
        return min(soonest, default=None)

    def ownership_of(self, verdict: Verdict, at: float) -> Ownership | None:
        """How much of the growth of what runs out is the subject's; None = nothing is known."""
        process, forecast = verdict.subject.process, verdict.forecast
        if process is None or forecast is None or self._sample is None:
            return None
        began = verdict.onset_at if verdict.onset_at is not None else at - forecast.window_seconds
        window = max(WINDOW_SECONDS_MIN, min(at - began, WINDOW_SECONDS_MAX))
        grown = list(self._judging.growths(at - window))
        own = next((one for one in grown if one.process.key == process), None)
        if own is None:
            return None
        path = self._cgroup_of(forecast.limit.source, forecast.limit.kind)
        if path is not None:
            grown = [one for one in grown if _lies_in(one.process, path)]
        alone = path is not None and all(_same_service(one, own) for one in grown)
        known = at - own.since
        if known < KNOWN_SECONDS_MIN:
            return Ownership(alone=alone)
        taken = sum(max(0, one.growth_bytes) for one in grown)
        if forecast.limit.kind is LimitKind.HOST:
            taken = max(taken, self._taken_from_host(at - window))
        return Ownership(
            alone=alone,
            window_seconds=min(known, window),
            growth_bytes=sum(max(0, o.growth_bytes) for o in grown if _same_service(o, own)),
            whole_growth_bytes=taken,
            baseline_bytes=own.least_bytes,
        )

    def _taken_from_host(self, since: float) -> int:
        """By how much the headroom shrank: the kernel's own growth and tmpfs are in it too."""
        then = self._headroom.at_or_before(since)
        now = self._sample.host.headroom_bytes if self._sample is not None else None
        return 0 if then is None or now is None else then[1] - now

    def _cgroup_of(self, source: str, kind: LimitKind) -> str | None:
        """The cgroup whose limit it is; None for one that is no cgroup's."""
        if kind is not LimitKind.CGROUP:
            return None
        return source.rpartition(" ")[0]

    def containment_of(
        self, process: ProcessKey, verdict: Verdict | None = None
    ) -> "Containment | str":
        """How this process would be contained now, or the sentence that says why not.

        By what the host has left, or what is left of that which the verdict says runs out: a
        cgroup that others share may be far smaller.
        """
        from forestall.guard.containment import containment_of
        from forestall.guard.surroundings import Folders, look

        if self._folders is None:
            self._folders = Folders(self._host)
        headroom = self._sample.host.headroom_bytes if self._sample is not None else None
        if headroom is not None and verdict is not None and verdict.forecast is not None:
            headroom = min(headroom, verdict.forecast.limit.headroom_bytes)
        return containment_of(
            look(
                self._folders,
                process,
                headroom_bytes=headroom,
                own_pids=self.own_pids,
                protected=self._protected,
            )
        )


def _lies_in(process: ProcessSample, path: str) -> bool:
    return f"{process.cgroup or ''}/".startswith(path.rstrip("/") + "/")


def _same_service(one: Grown, own: Grown) -> bool:
    """Whether it is recycled together with `own`: the same process, or one of its unit."""
    if one.process.key == own.process.key:
        return True
    unit = own.process.unit
    return unit is not None and unit.endswith(".service") and one.process.unit == unit


def recipe_of(subject: Subject, service: ServiceConfig | None) -> Recipe | None:
    """How this service is restarted: as its owner says, else by systemd if it is a unit of it."""
    said = service.restart if service is not None else None
    if isinstance(said, Recipe):
        return said
    if said == "supervisord" and service is not None:
        return Recipe(method=Method.SUPERVISORD, program=service.name)
    if said == "signal":
        return Recipe(method=Method.SIGNAL)
    if isinstance(said, tuple):
        return Recipe(method=Method.COMMAND, command=said)
    if said == "systemd" or not is_user_unit(subject.cgroup):
        try:
            return Recipe(method=Method.SYSTEMD, unit=subject.unit)
        except UsageError:
            # Not a service of systemd: a scope, or no unit at all.
            return None
    return None


def policy_for(policy: Policy, subject: Subject, service: ServiceConfig | None) -> Policy:
    """The policy with the owner's word about this one service, taken literally."""
    if service is None or not service.allow:
        return policy
    literal = "".join(f"[{c}]" if c in "*?[" else c for c in subject.service)
    return replace(policy, allow=(*policy.allow, Allowance(service=literal)))


def room_for_evidence(folder: str | None, free: Callable[[str], int] = free_bytes) -> int | None:
    """What evidence may take of the free space: a bundle leaves a reserve to the services."""
    try:
        return None if folder is None else max(0, free(folder) - RESERVE_BYTES)
    except OSError:
        return None
