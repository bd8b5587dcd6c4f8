"""Several hosts with one database and one lease, each with a guard of its own; no network.

What is true in this world is kept here and not in any guard, so that the laws can be asked of it.
"""

from collections import Counter

from forestall.errors import ForestallError, JournalError
from forestall.guard.containment import Containment, ContainMethod
from forestall.guard.decision import decide
from forestall.guard.executor import Executor
from forestall.guard.handler import Done
from forestall.guard.history import fold
from forestall.guard.ownership import Ownership
from forestall.guard.recheck import Recheck
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import ActionKind, Mode
from forestall.model.database import Database, Member, Role
from forestall.model.verdict import Forecast, Limit, LimitKind, Subject, Verdict
from forestall.units import GIB, HOUR, MIB
from tests.fakes.clock import FakeClock
from tests.fakes.guard import OWN_PID, FakeProcesses, state_of

SERVICE_PID, DATABASE_PID = 40, 41


class Killed(BaseException):
    """A guard was killed in the middle: from now on nothing of it runs or writes."""


class Fleet:
    """The world: nodes, who is primary, who holds the lease, whether the pooler is paused.

    `lease_seconds` after its holder died, the lease is free. `log` is what was done, in order.
    """

    lease_seconds = 30.0

    def __init__(self, names, policy):
        self.clock = FakeClock()
        self.policy = policy
        self.primary = names[0]
        self.healthy = dict.fromkeys(names, True)
        self.lag = dict.fromkeys(names, 0)
        self.runs_out_in = dict.fromkeys(names)
        self.cluster_paused = False
        self.synchronous = False
        self.pooler_paused = False
        self.holder = None
        self.expires_at = 0.0
        self.etcd_down = False
        self.log = []
        self.seen = Counter()
        self.nodes = {name: Node(name, self) for name in names}

    def role_of(self, name):
        if name == self.primary:
            return Role.PRIMARY
        return Role.SYNC_STANDBY if self.synchronous and self.healthy[name] else Role.REPLICA

    def look(self, own):
        """The cluster as Patroni would tell it on host `own`."""
        members = tuple(
            Member(
                name=name,
                role=self.role_of(name),
                state="running" if self.healthy[name] else "stopped",
                healthy=self.healthy[name],
                url=f"http://{name}:8008",
                timeline=1,
                lag_bytes=self.lag[name],
                exhaustion_seconds=self.runs_out_in[name],
                forecast_known=True,
            )
            for name in self.nodes
        )
        return Database(
            scope="inventory",
            own=own,
            at=self.clock.now(),
            members=members,
            paused=self.cluster_paused,
            synchronous=self.synchronous,
        )


class FleetLease:
    """One node's hold on the lease in the world."""

    def __init__(self, name, world):
        self.name = name
        self.world = world

    def acquire(self, plan_id):
        world = self.world
        if world.etcd_down:
            raise ForestallError("etcd: no answer")
        if world.holder is not None and world.clock.now() < world.expires_at:
            return f"{world.holder} is in action."
        world.holder = self.name
        world.expires_at = world.clock.now() + world.lease_seconds
        return None

    def held(self):
        world = self.world
        return world.holder == self.name and world.clock.now() < world.expires_at

    def release(self):
        if self.world.holder == self.name:
            self.world.holder = None


class NodeLedger:
    """Durable records on one node, and the history of one life of its guard."""

    def __init__(self, node):
        self.node = node
        self.history = fold(node.disk)

    def record(self, noun):
        self.node.tick("before a record")
        self.history = fold((noun,), self.history)
        if self.node.disk_full:
            raise JournalError("ledger.journal: no space left on device")
        self.node.disk.append(noun)
        self.node.tick("after a record")


class NodeHandler:
    """Does it in the world, unless this node lets it fail; notes each of its methods."""

    def __init__(self, node, kind):
        self.node = node
        self.kind = kind

    def precondition(self, step):
        return "Not here." if self.failing == "precondition" else None

    @property
    def failing(self):
        return self.node.failing.get(self.kind)

    def do(self, step):
        node, world = self.node, self.node.world
        node.tick(f"before {self.kind.value}")
        held = node.lease.held()
        world.log.append((node.name, self.kind, step, held, world.clock.now()))
        if self.kind is ActionKind.SWITCHOVER:
            self._switch(step)
        elif self.kind is ActionKind.CONTAIN:
            node.limited = True
        elif self.kind in (ActionKind.STOP, ActionKind.RESTART) and self.failing != "do":
            node.processes.start(SERVICE_PID, "feed-sync", unit="feed-sync.service")
        if self.failing == "do":
            raise ForestallError("it failed")
        if self.failing == "break":
            raise ZeroDivisionError
        world.clock.sleep(2.0)
        node.tick(f"after {self.kind.value}")
        node.unverified = self.kind
        return Done(detail="Done.", evidence="e" * 64 if self.kind is ActionKind.CAPTURE else None)

    def verify(self, step, done):
        assert self.node.unverified is self.kind
        self.node.unverified = None
        return "It did not work." if self.failing == "verify" else None

    def undo(self, step):
        node, world = self.node, self.node.world
        node.tick(f"in undoing {self.kind.value}")
        world.seen[f"{self.kind.value} undone"] += 1
        if self.kind is ActionKind.SWITCHOVER:
            said = "Its clients go on." if world.pooler_paused else None
            world.pooler_paused = False
            return said
        said = "The limit is off." if node.limited else None
        node.limited = False
        return said

    def _switch(self, step):
        """PAUSE, switch, RESUME; it may be cut short between any two."""
        node, world = self.node, self.node.world
        world.pooler_paused = True
        node.tick("in the middle of switchover")
        if self.failing in ("do", "break"):
            return
        world.primary = step.action.parameters["candidate"]
        node.tick("before the end of switchover")
        world.pooler_paused = False


class Node:
    """One host: a leaking service beside a database, and a guard that may be killed."""

    def __init__(self, name, world):
        self.name = name
        self.world = world
        self.disk = []
        self.disk_full = False
        self.kill_at = None
        self.dead = False
        self.failing = {}
        self.limited = False
        self.unverified = None
        self.mode = Mode.ACT
        self.since = {}
        self.lease = FleetLease(name, world)
        self.processes = FakeProcesses()
        self.processes.start(SERVICE_PID, "feed-sync", unit="feed-sync.service")
        self.processes.start(DATABASE_PID, "postgres", unit="postgresql@15-main.service")
        self.start_guard()

    def tick(self, where):
        """A moment at which this guard may be killed."""
        if self.dead or where == self.kill_at:
            self.dead = True
            raise Killed

    def start_guard(self):
        """A new life on the old disk: it recovers before anything else."""
        self.dead, self.kill_at, self.unverified = False, None, None
        self.ledger = NodeLedger(self)
        self.executor = Executor(
            {kind: NodeHandler(self, kind) for kind in ActionKind},
            ledger=self.ledger,
            recheck=Recheck(processes=self.processes, own_pids=frozenset({OWN_PID})),
            clock=self.world.clock,
            lease=self.lease,
        )
        return self.executor.recover()

    def plan(self, kind, low, *, pid=SERVICE_PID, share=0.9):
        """What its guard decides now about the process at `pid`."""
        world, live = self.world, self.processes.look(pid)
        at = world.clock.now()
        subject = Subject(host=self.name, name=live.name, process=live.key, unit=live.unit)
        state = state_of(
            at,
            self.mode,
            troubled_since=self.since.setdefault(live.key, at - HOUR),
            recipe=Recipe(method=Method.SIGNAL),
            ownership=Ownership(
                alone=False,
                window_seconds=600.0,
                growth_bytes=int(share * 100 * MIB),
                whole_growth_bytes=100 * MIB,
                baseline_bytes=100 * MIB,
            ),
            containment=containment_of(live),
            database=world.look(self.name),
            via="pgbouncer",
            fleet=True,
        )
        return decide(
            host_verdict(subject, kind, at=at, low=low), state, world.policy, self.history
        )

    @property
    def history(self):
        return self.ledger.history


def containment_of(live, cgroup="/system.slice/feed-sync.service"):
    """A containment of the service's unit."""
    return Containment(
        method=ContainMethod.CGROUP,
        cgroup=live.memory_cgroup or cgroup,
        version=2,
        high_bytes=700 * MIB,
        max_bytes=800 * MIB,
    )


def host_verdict(subject, kind, *, at, low, headroom=400 * MIB, memory=600 * MIB):
    """A verdict on growth that takes the host's own memory."""
    rate = headroom / (1.5 * low)
    return Verdict(
        subject=subject,
        kind=kind,
        at=at,
        memory_bytes=memory,
        reasons=("Memory only rises.",),
        forecast=Forecast(
            limit=Limit(
                kind=LimitKind.HOST,
                limit_bytes=2 * GIB,
                headroom_bytes=headroom,
                source="MemAvailable; there is no swap",
            ),
            rate_bytes_per_second=rate,
            rate_low_bytes_per_second=rate / 2,
            rate_high_bytes_per_second=rate * 1.5,
            exhaustion_seconds=low * 1.5,
            exhaustion_low_seconds=low,
            exhaustion_high_seconds=low * 3,
            window_seconds=HOUR,
        ),
    )
