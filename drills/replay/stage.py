"""One run of one guard: the machine, the cluster, the inventory, the load, the leak, the people."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from cims.load.workload import Workload
from cims.schema import SKUS, WAREHOUSES, migrate, seed, seed_policy
from drills.cluster.cluster import Cluster, ClusterError
from drills.machine import Machine, NoMachineError
from drills.replay import agent_files, flow
from drills.replay.guards import CULPRIT, RIVALS, named_in
from drills.replay.review import Drafted
from drills.replay.timeline import FIRST_RESPONSE_SECONDS, Timeline, clock
from drills.replay.trade import Clients, Warehouse, feeds, wall

HOST = "db-prod-node03"
"""The host name of the machine: the seed's."""
NODE = "n1"
TTL_BY_HAND = 7200
TTL_AUTOMATIC = 20
SAMPLE_SECONDS = 0.25
PATCH_SECONDS = 5 * 60.0
"""People put the repaired service in place so long after the resolution, of the seed's clock."""
QUIET_SECONDS = 60.0
MIB = 1 << 20
WARM_BYTES = 48 * MIB
"""What stock-sync and the database's connections take when they have worked for a while: seen."""
SUPERVISE = Path(__file__).parents[1] / "machine" / "supervise.py"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for every guard of one drill."""

    timeline: Timeline
    memory_bytes: int
    leak: str
    """The kind of mistake in stock-sync, one of cims's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The machine's memory at a moment, `at` wall seconds after the start."""

    at: float
    used_bytes: int
    available_bytes: int
    acknowledged: int


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened in one run, in wall seconds after its start, and where its files are."""

    guard: str
    folder: Path
    started: float = 0.0
    leak_bytes_per_second: float = 0.0
    panicked: float | None = None
    rebooted: float | None = None
    resolved: float | None = None
    named: float | None = None
    ended: float = 0.0
    points: list[Point] = field(default_factory=list)
    moments: list[tuple[float, str]] = field(default_factory=list)
    review: Drafted | None = None
    """The review of what forestall's agent kept."""
    problem: str | None = None
    """What the people's script could not do; a run with a problem is no result."""

    @property
    def history(self) -> Path:
        """What the clients were told."""
        return self.folder / "history.jsonl"

    @property
    def sync_log(self) -> Path:
        """What the leaking stock-sync and its supervisor said."""
        return self.folder / "stock-sync.log"

    def say(self, text: str) -> None:
        """Note a moment."""
        self.moments.append((wall(self.started), text))


class Stage:
    """Plays one guard's run; `status` is told one line as often as there is something new."""

    def __init__(
        self, setting: Setting, guard: str, folder: Path, status: Callable[[str], None]
    ) -> None:
        self.setting = setting
        self.story = Story(guard=guard, folder=folder)
        self._status = status
        self._people: threading.Thread | None = None
        self._feed = ""
        self._sync: subprocess.Popen[bytes] | None = None
        self._guard_log = folder / "guard.log"
        self._log_read = 0

    def run(self, look: Callable[[Stage], None]) -> Story:
        """Play to the end; `look` is called while the database still stands, all load at rest."""
        story, setting = self.story, self.setting
        story.folder.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            self._status("the machine, etcd, two Patroni nodes, HAProxy and pgbouncer are started")
            self.machine = stack.enter_context(
                Machine(
                    story.folder / "machine",
                    name=HOST,
                    memory_bytes=setting.memory_bytes,
                    on_panic=self._panicked,
                )
            )
            self.cluster = stack.enter_context(
                Cluster(
                    launch={NODE: self.machine.spawn},
                    ttl_seconds=TTL_AUTOMATIC if story.guard == "patroni" else TTL_BY_HAND,
                )
            )
            # First of all: what is frozen cannot be ended, and the cluster ends after the machine.
            stack.callback(self.machine.close)
            self._prepare()
            self._feed = stack.enter_context(
                feeds(self.cluster.dsn("haproxy"), story.folder / "feeds.log")
            )
            self._play()
            self._status("the load is at rest; the database is looked at")
            look(self)
        return story

    def _prepare(self) -> None:
        cluster, setting = self.cluster, self.setting
        if cluster.primary().name != NODE:
            cluster.switchover()
            cluster.wait_healthy()
        self._status("the inventory is made: 12,000 SKUs in 6 warehouses of 3 regions")
        dsn = cluster.dsn(node=cluster.node(NODE))
        migrate(dsn)
        seed(dsn)
        with psycopg.connect(dsn) as connection:
            seed_policy(connection, flow.scaled_policy(setting.timeline))
        # The first checkpoint of a fresh database must not fall into the drill.
        with psycopg.connect(cluster.superuser_dsn(), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        cluster.wait_healthy()

    def _play(self) -> None:
        story, timeline = self.story, self.setting.timeline
        dsn = self.cluster.dsn()
        workload = Workload(
            warehouses=[number for number, *_ in WAREHOUSES], skus=range(1, SKUS + 1)
        )
        self.clients = Clients(dsn, story.history, timeline, workload)
        warehouses = [Warehouse(number, dsn, timeline) for number, *_ in WAREHOUSES]
        story.started = time.monotonic()
        self._start_guard()
        self._start_leak()
        self.clients.start()
        for warehouse in warehouses:
            warehouse.start()
        story.say(f"{clock(timeline.started_at)}: orders flow, stock-sync runs and leaks")
        try:
            self._until_end()
        except BaseException:
            # Nobody waits for what clients still try: the whole stage goes away.
            self.clients.stop()
            raise
        self._status("the end: orders under way are followed to theirs")
        self.clients.finish(timeline.wall(flow.GIVE_UP_SECONDS) + QUIET_SECONDS)
        for warehouse in warehouses:
            warehouse.finish()
        story.ended = wall(story.started)
        self.end_sync()
        self._end_guard()

    def _until_end(self) -> None:
        story, end = self.story, self.setting.timeline.end_wall
        while (now := wall(story.started)) < end or self._people_at_work():
            memory = self.machine.memory()
            if memory is not None:
                story.points.append(
                    Point(
                        at=now,
                        used_bytes=memory.used_bytes,
                        available_bytes=memory.available_bytes,
                        acknowledged=self.clients.acknowledged,
                    )
                )
            if self.machine.panicked.is_set() and self._people is None:
                self._people = threading.Thread(target=self._people_come, daemon=True)
                self._people.start()
            self._listen()
            self._status(self._line(now))
            if self.clients.error is not None:
                raise self.clients.error
            time.sleep(max(0.0, SAMPLE_SECONDS - (wall(story.started) - now)))

    def _line(self, now: float) -> str:
        point = self.story.points[-1] if self.story.points else None
        free = f"{point.available_bytes >> 20:4d} MiB available" if point else ""
        state = "PANIC, everything stands still" if self.machine.panicked.is_set() else free
        return (
            f"{clock(self.setting.timeline.at(now))}  {state}, {self.clients.acknowledged} orders "
            f"acknowledged, {self.clients.unanswered} given up"
        )

    # The leak and the guard.

    def _start_leak(self) -> None:
        memory = self.machine.memory()
        assert memory is not None
        room = max(MIB, memory.available_bytes - WARM_BYTES)
        pace = self.setting.timeline.leak_bytes_per_second(room)
        self.story.leak_bytes_per_second = pace
        self.start_sync(f"{self.setting.leak}:{round(pace)}B/s", self.story.sync_log)

    def start_sync(self, leak: str, log: Path) -> None:
        """Run stock-sync in the machine, restarted whenever it ends."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "CIMS_DSN": self.cluster.dsn(),
            "CIMS_FEED": self._feed,
            "LEAK": leak,
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-I", "-S", str(SUPERVISE)]
        command += [sys.executable, "-m", "cims.stock_sync"]
        self._sync = self.machine.spawn(
            command, folder=self.story.folder, log=log, environment=environment
        )

    def end_sync(self) -> None:
        """End stock-sync and its supervisor for good."""
        if self._sync is not None:
            self._sync.terminate()
            self._sync.wait(QUIET_SECONDS)

    def _start_guard(self) -> None:
        name = self.story.guard
        self._guard: subprocess.Popen[bytes] | None = None
        if name in RIVALS:
            self._guard = self.machine.spawn(
                RIVALS[name].command, folder=self.story.folder, log=self._guard_log
            )
        elif name == "forestall":
            self._guard = agent_files.start(self, self._guard_log)

    def _end_guard(self) -> None:
        if self._guard is not None and self._guard.poll() is None:
            self._guard.terminate()
            self._guard.wait(QUIET_SECONDS)

    def _listen(self) -> None:
        """When the guard first says the culprit's name, by its own log."""
        name = self.story.guard
        if self.story.named is not None or name not in RIVALS or not self._guard_log.exists():
            return
        said = self._guard_log.read_text(encoding="utf-8", errors="replace")
        if CULPRIT in named_in(RIVALS[name], said):
            self.story.named = wall(self.story.started)
            self.story.say(f"{name} ends {CULPRIT}")

    # The panic and the people.

    def _panicked(self, at: float) -> None:
        self.story.panicked = at - self.story.started
        when = clock(self.setting.timeline.at(self.story.panicked))
        self.story.say(f"{when}: out of memory, the machine panics and does not reboot")

    def _people_at_work(self) -> bool:
        return self._people is not None and self._people.is_alive()

    def _people_come(self) -> None:
        try:
            self._resolve()
        except (ClusterError, NoMachineError, OSError, RuntimeError, psycopg.Error) as error:
            self.story.problem = f"{type(error).__name__}: {error}"
            self.story.say(f"the people could not resolve it: {error}")

    def _resolve(self) -> None:
        """The seed's resolution: reboot, redirect to the secondary, the service repaired."""
        story, timeline = self.story, self.setting.timeline
        assert story.panicked is not None
        self._wait_until(story.panicked + timeline.wall(FIRST_RESPONSE_SECONDS))
        story.say(f"{clock(timeline.at(wall(story.started)))}: first response")
        self._wait_until(timeline.reboot_wall(story.panicked))
        node = self.cluster.node(NODE)
        self.machine.reboot()
        node.start()
        story.rebooted = wall(story.started)
        story.say(f"{clock(timeline.at(story.rebooted))}: the server is rebooted by hand")
        leader = self.cluster.wait_primary()
        story.resolved = wall(story.started)
        story.say(f"{clock(timeline.at(story.resolved))}: the database takes writes again")
        self.cluster.wait_healthy()
        if leader is node:
            self.cluster.switchover()
            story.say("traffic is redirected to the secondary node by hand")
        self._wait_until(story.resolved + timeline.wall(PATCH_SECONDS))
        self.start_sync(f"{self.setting.leak}/fixed", story.folder / "stock-sync-repaired.log")
        story.say("stock-sync runs again, repaired")

    def _wait_until(self, at: float) -> None:
        time.sleep(max(0.0, at - wall(self.story.started)))
