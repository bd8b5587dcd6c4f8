"""Guard's surroundings without a host: processes, a ledger and actions that note what they did.

A test reads like a playbook: it builds a verdict, runs `decide` and the executor, and compares
`Stage.played`, the list of everything that happened, in order.
"""

from collections.abc import Iterator
from dataclasses import replace

from forestall.errors import JournalError
from forestall.guard.executor import Executor
from forestall.guard.handler import Done, Step
from forestall.guard.history import History, fold
from forestall.guard.host_state import HostState
from forestall.guard.live import Live
from forestall.guard.policy import Allowance, Policy
from forestall.guard.protect import names_of, script_of
from forestall.guard.recheck import Recheck
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import ActionKind, Mode, Outcome, Plan
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Forecast, Limit, LimitKind, Subject, Verdict, VerdictKind
from forestall.units import GIB, HOUR, MIB, MINUTE
from tests.fakes.clock import FakeClock

BOOT_ID = "7c1d2f0e-0000-4000-8000-000000000001"
OWN_PID = 7


class FakeProcesses:
    """A table of processes by pid."""

    def __init__(self):
        self.table: dict[int, Live] = {}
        self.oom_kills: dict[str, int] = {}
        self._ticks = 1000

    def start(
        self, pid, name, *, words=None, unit=None, kernel_thread=False, user_unit=False, cgroup=None
    ):
        """Put a new process at `pid`, whoever was there before; its key."""
        self._ticks += 1
        key = ProcessKey(boot_id=BOOT_ID, pid=pid, start_ticks=self._ticks)
        given = (f"/usr/bin/{name}",) if words is None else words
        self.table[pid] = Live(
            key=key,
            name=name,
            names=names_of(name, given),
            script=script_of(given),
            unit=unit,
            kernel_thread=kernel_thread,
            user_unit=user_unit,
            memory_cgroup=cgroup or (f"/system.slice/{unit}" if unit else None),
        )
        return key

    def end(self, pid):
        self.table.pop(pid, None)

    def look(self, pid):
        return self.table.get(pid)

    def all(self) -> Iterator[Live]:
        return iter(tuple(self.table.values()))

    def inside(self, cgroup) -> Iterator[Live]:
        return (
            live for live in self.all() if f"{live.memory_cgroup or ''}/".startswith(f"{cgroup}/")
        )

    def oom_kill_count(self, cgroup):
        return self.oom_kills.get(cgroup, 0)


class FakeLedger:
    """A ledger in memory, with what was recorded in order; `fails` lets the next records fail."""

    def __init__(self, history=None, played=None):
        self.history: History = history or History()
        self.records: list[Plan | Outcome] = []
        self.played = [] if played is None else played
        self.fails = 0

    def record(self, noun):
        self.history = fold((noun,), self.history)
        if self.fails:
            self.fails -= 1
            raise JournalError("ledger.journal: no space left on device")
        self.records.append(noun)
        if isinstance(noun, Plan):
            self.played.append("record plan")
        else:
            self.played.append(f"record {noun.kind.value} {noun.state.value}")


class FakeHandler:
    """Notes `do KIND PID`; each of its methods answers what the test set."""

    def __init__(self, kind, played, clock):
        self.kind = kind
        self.played = played
        self.clock = clock
        self.reason = None
        self.fault = None
        self.undo_fault = None
        self.problem = None
        self.evidence = "b" * 64 if kind is ActionKind.CAPTURE else None
        self.effect = lambda step: None

    def precondition(self, step: Step):
        return self.reason

    def do(self, step: Step):
        process = step.action.subject.process
        self.played.append(f"do {self.kind.value} {process.pid if process else '-'}")
        self.clock.sleep(1.5)
        if self.fault is not None:
            raise self.fault
        self.effect(step)
        return Done(detail=f"The {self.kind.value} was done.", evidence=self.evidence)

    def verify(self, step: Step, done: Done):
        return self.problem

    def undo(self, step):
        self.played.append(f"undo {self.kind.value}")
        if self.undo_fault is not None:
            raise self.undo_fault
        return "It was taken back."


class Stage:
    """A host with one leaking service, and a guard before it."""

    def __init__(self, *, history=None, own_pids=frozenset({OWN_PID}), lease=None):
        self.clock = FakeClock()
        self.played: list[str] = []
        self.processes = FakeProcesses()
        self.ledger = FakeLedger(history, self.played)
        self.handlers = {kind: FakeHandler(kind, self.played, self.clock) for kind in ActionKind}
        self.own_pids = own_pids
        self.executor = Executor(
            self.handlers,
            ledger=self.ledger,
            recheck=Recheck(processes=self.processes, own_pids=own_pids),
            clock=self.clock,
            lease=lease,
        )

    def service(self, pid=4711, name="feed-sync", **options):
        """Start a process and give the subject it is judged as."""
        key = self.processes.start(pid, name, **options)
        return Subject(host="db1", name=name, process=key, unit=options.get("unit"))


def verdict_of(
    subject,
    kind=VerdictKind.LEAKING,
    *,
    at=1_700_000_000.0,
    low=40 * MINUTE,
    headroom=400 * MIB,
    limit=1 * GIB,
):
    """A verdict whose soonest exhaustion is `low` seconds away; None = not within sight."""
    rate = headroom / (1.5 * low) if low else 0.0
    forecast = Forecast(
        limit=Limit(
            kind=LimitKind.CGROUP,
            limit_bytes=limit,
            headroom_bytes=headroom,
            source=f"/system.slice/{subject.service} memory.max",
        ),
        rate_bytes_per_second=rate,
        rate_low_bytes_per_second=rate / 2,
        rate_high_bytes_per_second=rate * 1.5,
        exhaustion_seconds=low * 1.5 if low is not None else None,
        exhaustion_low_seconds=low,
        exhaustion_high_seconds=low * 3 if low is not None else None,
        window_seconds=HOUR,
    )
    return Verdict(
        subject=subject,
        kind=kind,
        at=at,
        memory_bytes=limit - headroom,
        reasons=("Memory only rises.",),
        forecast=forecast,
    )


def state_of(at=1_700_000_000.0, mode=Mode.ACT, **options):
    """A host where the trouble has lasted an hour and the service's supervisor restarts it."""
    options.setdefault("troubled_since", at - HOUR)
    options.setdefault("own_pids", frozenset({OWN_PID}))
    options.setdefault("recipe", Recipe(method=Method.SIGNAL))
    return HostState(at=at, mode=mode, **options)


HASTY = Policy(act_alone_within_seconds=2 * HOUR)
"""The shipped policy of an owner to whom a service's own limit is as grave as the host's."""

ALLOWED = replace(HASTY, allow=(Allowance(service="feed-sync*"),))
"""... and who let guard act on feed-sync."""
