"""A database cluster on loopback: etcd, Patroni nodes, HAProxy, pgbouncer, in its own folder.

    with Cluster() as cluster:
        cluster.dsn()           # through pgbouncer
        cluster.switchover()
        cluster.primary().kill()
        cluster.wait_healthy()

Everything ends with the block, and also when this process is killed: a keeper process waits for
that (`process.py`). Files of a cluster are readable by its servers' user alone.
"""

from __future__ import annotations

import ctypes
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from drills.cluster import process, programs, settings
from drills.cluster.machine import make_machine
from drills.cluster.node import Node
from drills.cluster.pooler import Pooler
from drills.cluster.settings import LOOPBACK, Secrets

PREFIX = "forestall-cluster-"
START_SECONDS = 120.0
HEALTH_SECONDS = 90.0
NUDGE_SECONDS = 0.1


class ClusterError(Exception):
    """The cluster did not do what it was asked for in time; the message says what, and where."""


class Cluster:
    """The cluster of a drill. `nodes` Patroni nodes, named n1, n2, ...; one etcd member.

    :param folder: where its files go, which must not exist yet; a folder of its own in the
        temporary folder when None, removed afterwards unless `keep`.
    :param strict: synchronous_mode_strict: no write is acknowledged without a replica, ever.
    :param disk_bytes: the data of each node on a disk of its own of that size (needs root).
    :param launch: by name of a node, what starts its Patroni in place of `process.spawn`: a machine
        of the caller's, which then has the say over its memory.
    :param ttl_seconds: Patroni's ttl; longer than a drill means that nobody fails over by himself.
    :param parameters: PostgreSQL settings over those of `settings.small_parameters`.
    :param progress: told one line per step.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        nodes: int = 2,
        synchronous: bool = True,
        strict: bool = False,
        disk_bytes: int | None = None,
        launch: Mapping[str, process.Launch] | None = None,
        ttl_seconds: int = settings.TTL_SECONDS,
        parameters: dict[str, Any] | None = None,
        keep: bool = False,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.synchronous = synchronous
        self.secrets = Secrets()
        self.nodes: tuple[Node, ...] = ()
        self.started_seconds = 0.0
        """How long it took from nothing to a healthy cluster."""
        self._count = nodes
        self._strict = strict
        self._disk_bytes = disk_bytes
        self._launch = dict(launch or {})
        self._ttl_seconds = ttl_seconds
        self._parameters = settings.small_parameters() | (parameters or {})
        self._keep = keep
        self._progress = progress
        self._wanted = folder
        self._children: list[subprocess.Popen[bytes]] = []
        self._keeper: subprocess.Popen[bytes] | None = None

    # Coming and going.

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """From nothing to healthy; MissingError or ClusterError when it cannot be."""
        began = time.monotonic()
        self._look()
        self._account = programs.find_account()
        self.folder = self._make_folder()
        self._keeper = process.start_keeper(self.folder, keep=self._keep)
        try:
            self._start_all(began)
        except BaseException:
            self.stop()
            raise

    def _look(self) -> None:
        """What it runs on; MissingError when that is not here."""
        self._programs = programs.find_programs()
        programs.missing_modules()

    def _start_all(self, began: float) -> None:
        self._python, self._environment = programs.find_python(self._account, self.folder)
        self.ports = settings.choose_ports(free_ports(5 + self._count * 9), self._count)
        self._progress("etcd, Patroni nodes, HAProxy and pgbouncer are started")
        etcd = self._home("etcd")
        command = settings.etcd_command(self._programs.etcd, self.ports, etcd / "data")
        self._spawn(command, etcd, "etcd")
        self.nodes = tuple(self._make_node(ports) for ports in self.ports.nodes)
        for node in self.nodes:
            node.start_card()
            node.start()
        self._start_front()
        self._await(lambda: self.find_primary() is not None, "no node became primary")
        self._progress("the primary takes writes; the replica is copied")
        self._make_database()
        self.wait_healthy(START_SECONDS - (time.monotonic() - began))
        self.started_seconds = time.monotonic() - began
        self._progress(f"healthy after {self.started_seconds:.1f} s")

    def stop(self) -> None:
        """End everything; the keeper does it, so that it is the same work when we are killed."""
        if self._keeper is None or self._keeper.stdin is None:
            return
        self._keeper.stdin.close()
        for child in (self._keeper, *self._children):
            child.wait(timeout=30.0)
        self._keeper = None

    def _make_folder(self) -> Path:
        parent = Path(tempfile.gettempdir())
        process.sweep(parent, PREFIX)
        if self._wanted is None:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        else:
            folder = self._wanted.absolute()
            folder.mkdir(parents=True)
        # Others may pass through, and read nothing: the servers' user finds its own folders.
        folder.chmod(0o711 if self._account.user is not None else 0o700)
        if self._account.user is not None:
            for above in folder.parents:
                if not above.stat().st_mode & 0o001:
                    raise programs.MissingError(
                        f"the servers run as nobody, who may not enter {above}: name another folder"
                    )
        return folder

    def _home(self, name: str) -> Path:
        home = self.folder / name
        home.mkdir(mode=0o700)
        self._account.own(home)
        return home

    def _write(self, path: Path, text: str) -> Path:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        self._account.own(path)
        return path

    def _spawn(
        self, command: list[str], home: Path, name: str, launch: process.Launch = process.spawn
    ) -> subprocess.Popen[bytes]:
        child = launch(
            command,
            folder=home,
            log=home / f"{name}.log",
            user=self._account.user,
            group=self._account.group,
            environment=self._environment,
        )
        self._children.append(child)
        return child

    def _make_node(self, ports: settings.NodePorts) -> Node:
        home = self._home(ports.name)
        disk = self._make_disk(home) if self._disk_bytes is not None else None
        text = settings.patroni_yml(
            ports,
            data=(disk or home) / "data",
            folder=home,
            postgres=self._programs.postgres,
            words=self.secrets,
            synchronous=self.synchronous,
            strict=self._strict,
            ttl_seconds=self._ttl_seconds,
            parameters=self._parameters,
        )
        configuration = self._write(home / "patroni.yml", text)
        card = self._write(home / "card.cfg", settings.card_cfg(ports, self.ports))
        patroni = [self._python, "-m", "patroni", str(configuration)]
        launch = self._launch.get(ports.name)
        return Node(
            ports=ports,
            folder=home,
            rest_password=self.secrets.rest,
            start_patroni=lambda node: self._spawn(
                patroni, node.folder, "patroni", launch or process.spawn
            ),
            start_card=lambda node: self._spawn(
                [self._programs.haproxy, "-db", "-f", str(card)], node.folder, "card"
            ),
            machine=None if launch else make_machine(self.folder.name, ports.name, self.folder),
            disk=disk,
        )

    def _make_disk(self, home: Path) -> Path:
        """A small disk in memory for the data of a node."""
        disk = home / "disk"
        disk.mkdir()
        with (self.folder / process.MOUNTS).open("a", encoding="utf-8") as noted:
            noted.write(f"{disk}\n")
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"size={self._disk_bytes},mode=0711".encode()
        if libc.mount(b"tmpfs", str(disk).encode(), b"tmpfs", 6, options) != 0:
            why = os.strerror(ctypes.get_errno())
            raise ClusterError(f"a disk of its own for {home.name} could not be mounted: {why}")
        self._account.own(disk)
        return disk

    def _start_front(self) -> None:
        front = self._home("front")
        self.haproxy_socket = front / "haproxy.sock"
        text = settings.front_cfg(self.ports, self.haproxy_socket)
        configuration = self._write(front / "haproxy.cfg", text)
        self._spawn([self._programs.haproxy, "-db", "-f", str(configuration)], front, "haproxy")
        pooler = self._home("pooler")
        configuration = self._write(
            pooler / "pgbouncer.ini", settings.pooler_ini(self.ports, pooler)
        )
        self._write(pooler / "users.txt", settings.pooler_users(self.secrets))
        self._spawn([self._programs.pgbouncer, str(configuration)], pooler, "words")
        self.pooler = Pooler(
            host=LOOPBACK,
            port=self.ports.pooler,
            user="forestall",
            password=self.secrets.forestall,
            database=settings.DATABASE,
        )

    def _make_database(self) -> None:
        """The database of the orders and its user."""
        name = settings.DATABASE
        with psycopg.connect(self.superuser_dsn(), autocommit=True) as connection:
            word = psycopg.sql.Literal(self.secrets.orders)
            connection.execute(
                psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    psycopg.sql.Identifier(name), word
                )
            )
            connection.execute(
                psycopg.sql.SQL("CREATE DATABASE {0} OWNER {0}").format(
                    psycopg.sql.Identifier(name)
                )
            )

    # Where it is.

    def dsn(self, via: str = "pgbouncer", *, node: Node | None = None) -> str:
        """Where the orders' user connects: through `pgbouncer`, `haproxy`, `replica` (HAProxy's
        port for reading), or straight to a node, past its network card."""
        ports = {
            "pgbouncer": self.ports.pooler,
            "haproxy": self.ports.primary,
            "replica": self.ports.replica,
        }
        port = node.ports.database if node is not None else ports[via]
        return psycopg.conninfo.make_conninfo(
            host=LOOPBACK,
            port=port,
            dbname=settings.DATABASE,
            user="orders",
            password=self.secrets.orders,
            connect_timeout=3,
            sslmode="disable",
            gssencmode="disable",
        )

    def superuser_dsn(self, node: Node | None = None, *, database: str = "postgres") -> str:
        """The superuser, straight to a node: the primary unless named."""
        return psycopg.conninfo.make_conninfo(
            host=LOOPBACK,
            port=(node or self.primary()).ports.database,
            dbname=database,
            user="postgres",
            password=self.secrets.superuser,
            connect_timeout=3,
            sslmode="disable",
            gssencmode="disable",
        )

    # What it is now.

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def find_primary(self) -> Node | None:
        """The node that holds the leader's lease; None while there is none."""
        return next((node for node in self.nodes if node.is_primary), None)

    def primary(self) -> Node:
        """The node that holds the leader's lease; ClusterError when there is none."""
        found = self.find_primary()
        if found is None:
            raise ClusterError("no node is primary")
        return found

    def replica(self) -> Node:
        """A node that is not the primary."""
        first = self.primary()
        return next(node for node in self.nodes if node is not first)

    def members(self) -> list[dict[str, Any]]:
        """Patroni's view: name, role, state, timeline, lag of every member; empty when unknown."""
        for node in self.nodes:
            status, answer = node.ask("/cluster")
            if status == 200 and isinstance(answer, dict):
                return list(answer.get("members", []))
        return []

    def trouble(self) -> str | None:
        """What is not well, in a few words; None when the cluster is healthy.

        Healthy: one leader, every other member streams from it on the same timeline (in synchronous
        mode one of them is the synchronous standby, by PostgreSQL's own view too), and a write
        through pgbouncer reaches the leader.
        """
        members = self.members()
        if len(members) != self._count:
            return f"{len(members)} of {self._count} members are known"
        leaders = [member for member in members if member["role"] == "leader"]
        if len(leaders) != 1:
            return f"{len(leaders)} leaders"
        for member in members:
            if member not in leaders and member["state"] != "streaming":
                return f"{member['name']} is {member['state']}"
            if member.get("timeline") != leaders[0].get("timeline"):
                return f"{member['name']} is on another timeline"
        roles = [member["role"] for member in members]
        if self.synchronous and self._count > 1 and "sync_standby" not in roles:
            return "no synchronous standby"
        return self._trouble_of_path(self.node(leaders[0]["name"]))

    def _trouble_of_path(self, leader: Node) -> str | None:
        """Ask through pgbouncer and HAProxy where one lands, and PostgreSQL who is synchronous."""
        try:
            with psycopg.connect(self.superuser_dsn(leader), autocommit=True) as connection:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
                    " AND (sync_state IN ('sync', 'quorum') OR NOT %s)",
                    [self.synchronous],
                ).fetchone()
                if self._count > 1 and (row is None or row[0] == 0):
                    return "the primary has no standby that streams"
            for via in ("haproxy", "pgbouncer"):
                with psycopg.connect(self.dsn(via), autocommit=True) as connection:
                    row = connection.execute(
                        "SELECT inet_server_port(), pg_is_in_recovery()"
                    ).fetchone()
                    if row != (leader.ports.database, False):
                        return f"{via} does not lead to the primary"
        except psycopg.Error as error:
            return f"a connection failed: {str(error).splitlines()[0]}"
        return None

    def wait_healthy(self, seconds: float = HEALTH_SECONDS) -> float:
        """Wait for health; the seconds it took. ClusterError says what was not well in the end."""
        began = time.monotonic()
        while (trouble := self.trouble()) is not None:
            if time.monotonic() - began > seconds:
                raise ClusterError(f"not healthy after {seconds:.0f} s: {trouble} ({self.folder})")
            time.sleep(0.2)
        return time.monotonic() - began

    def wait_primary(self, *, not_node: Node | None = None, seconds: float = 60.0) -> Node:
        """Wait until a node is primary: another one than `not_node`, when that is given."""
        until = time.monotonic() + seconds
        while (found := self.find_primary()) is None or found is not_node:
            if time.monotonic() > until:
                raise ClusterError(f"no new primary after {seconds:.0f} s ({self.folder})")
            time.sleep(0.1)
        return found

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + START_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise ClusterError(f"{what} within {START_SECONDS:.0f} s: {self.folder}")
            time.sleep(0.1)

    # Planned.

    def switchover(self, *, pause: bool = True, seconds: float = 30.0) -> float:
        """A planned switchover to the replica; how long the writes were held.

        As the runbook does it: pgbouncer holds new transactions, a healthy peer is asked for the
        switchover, pgbouncer lets them go. Without `pause` clients see the gap themselves.
        """
        leader, candidate = self.primary(), self.replica()
        began = time.monotonic()
        if pause:
            self.pooler.pause(seconds)
        wanted = {"leader": leader.name, "candidate": candidate.name}
        # The peer is who counts. The leader, asked too, begins at once and not in its next loop.
        nudge = threading.Timer(NUDGE_SECONDS, leader.ask, ["/switchover", wanted])
        nudge.daemon = True
        nudge.start()
        try:
            status, answer = candidate.ask("/switchover", wanted, seconds=seconds)
            if status != 200:
                raise ClusterError(f"Patroni refused the switchover: {status} {answer}")
            self._await(lambda: candidate.is_primary, f"{candidate.name} did not become primary")
            self._await(self._lands_on(candidate), "HAProxy did not find the new primary")
        finally:
            if pause:
                self.pooler.resume()
        return time.monotonic() - began

    def _lands_on(self, node: Node) -> Callable[[], bool]:
        def lands() -> bool:
            try:
                with psycopg.connect(self.dsn("haproxy"), autocommit=True) as connection:
                    row = connection.execute("SELECT inet_server_port()").fetchone()
            except psycopg.Error:
                return False
            return row == (node.ports.database,)

        return lands


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, outside of those that the kernel gives away."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(15000, 32000), 2000):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ClusterError("no free ports on loopback")
