"""Connections to what moves the database's traffic, opened while there is memory for them."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from forestall.errors import ForestallError
from forestall.guard.database import DatabaseAccess, Pooler, Proxy
from forestall.guard.wire.endpoint import parse_endpoint
from forestall.guard.wire.haproxy import Haproxy
from forestall.guard.wire.patroni import Patroni
from forestall.guard.wire.pgbouncer import Pgbouncer
from forestall.guard.wire.stream import TIMEOUT_SECONDS

PEERS_MAX = 16
CONNECT_SECONDS = 1.0
"""No further connection is opened ahead after this: who asks for more than that cannot contain
meanwhile, and is given up when containing takes too long. One opening may take its time-out."""


class PoolerLink:
    """Two sessions of one pooler: PAUSE may hold the first, so RESUME goes by the second."""

    def __init__(self, pooler: Pooler, timeout_seconds: float) -> None:
        make = partial(
            Pgbouncer,
            parse_endpoint(pooler.address, port=6432),
            user=pooler.user,
            password_file=pooler.password_file,
            timeout_seconds=timeout_seconds,
        )
        self.pooler = pooler
        self.holding = make()
        self.releasing = make()

    @property
    def name(self) -> str:
        return self.releasing.name

    def paused(self) -> tuple[str, ...]:
        """Which of the cluster's databases are paused now."""
        found = self._states()
        return tuple(name for name, (paused, _) in found.items() if paused)

    def databases(self) -> tuple[str, ...]:
        """The cluster's databases here: those named, else all that the pooler has."""
        return self.pooler.databases or tuple(self._states())

    def problem(self) -> str | None:
        """Why PAUSE would not hold what it must, as a sentence, or None."""
        states = self._states()
        wanted = self.pooler.databases or tuple(states)
        missing = [name for name in wanted if name not in states]
        if missing or not wanted:
            return f"{self.name} has no database {', '.join(missing) or 'at all'}."
        default = self.releasing.pool_mode()
        for name in wanted:
            paused, mode = states[name]
            if paused:
                return f"{self.name}: {name} is paused already, and not by this plan."
            if (mode or default) == "session":
                return f"{self.name}: {name} pools sessions, so PAUSE would wait for their ends."
        return None

    def _states(self) -> dict[str, tuple[bool, str | None]]:
        found: dict[str, tuple[bool, str | None]] = {}
        for row in self.releasing.databases():
            name = row.get("name")
            wanted = not self.pooler.databases or name in self.pooler.databases
            if name is not None and name != "pgbouncer" and wanted:
                found[name] = (row.get("paused") == "1", row.get("pool_mode"))
        return found


class ProxyLink:
    """One HAProxy of the cluster."""

    def __init__(self, proxy: Proxy, timeout_seconds: float) -> None:
        self.proxy = proxy
        self.client = Haproxy(parse_endpoint(proxy.address), timeout_seconds=timeout_seconds)

    @property
    def name(self) -> str:
        return self.client.name

    def status(self, member: str) -> str | None:
        """HAProxy's word for the server of a member: UP, DOWN, DRAIN, MAINT; None = no such."""
        wanted = self.proxy.server(member)
        for server in self.client.servers(self.proxy.backend):
            if server.name == wanted:
                return "UP" if server.up else server.status.split(" ")[0]
        return None

    def stopped(self, member: str) -> bool:
        """Whether somebody drained the server of a member or put it into maintenance."""
        return self.proxy.server(member) in self.client.stopped(self.proxy.backend)

    def unusable(self, *, drains: bool) -> str | None:
        """Why it could not be watched, or, if it `drains`, be told to; whoever is primary."""
        if not self.client.servers(self.proxy.backend):
            return f"It has no servers in {self.proxy.backend}."
        level = self.client.level() if drains else "admin"
        return None if level == "admin" else f"Its socket is of level {level}, and not admin."

    def problem(self, leader: str, candidate: str) -> str | None:
        """Why traffic could not be led from one to the other here, as a sentence, or None."""
        for member in (leader, candidate):
            if self.status(member) is None:
                return f"{self.name} has no server for {member} in {self.proxy.backend}."
            if self.stopped(member):
                return f"{self.name}: {member} is drained or in maintenance, not by this plan."
        if self.status(candidate) == "UP":
            # It would also send writes to the old primary after the move.
            return f"{self.name} takes {candidate} for a primary: its checks do not ask for one."
        return None


class Links:
    """The connections of one `DatabaseAccess`. Used by one thread."""

    def __init__(self, access: DatabaseAccess, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.access = access
        self.poolers = tuple(PoolerLink(each, timeout_seconds) for each in access.poolers)
        self.proxies = tuple(ProxyLink(each, timeout_seconds) for each in access.proxies)
        self._asked: dict[str, Patroni] = {}
        self._watched: dict[str, Patroni] = {}
        self._tried_at: dict[Callable[[], None], float] = {}
        self._faults: dict[Callable[[], None], str] = {}

    def asked(self, url: str) -> Patroni:
        """The client that a switchover is asked through, whose answer is waited for."""
        return self._member(self._asked, url)

    def watched(self, url: str) -> Patroni:
        """The client through which a member is looked at meanwhile."""
        return self._member(self._watched, url)

    def connect(
        self, urls: tuple[str, ...] = (), *, seconds: float = CONNECT_SECONDS
    ) -> tuple[str, ...]:
        """Open everything ahead of time, the members at `urls` too; a sentence for each fault.

        What is open stays open, so it is to be called again and again: what was not come to
        within `seconds`, because others hang, has its turn at the next call.
        """
        until = time.monotonic() + seconds
        for url in (*self.access.peers, *urls):
            self.asked(url)
            self.watched(url)
        every = tuple(self._all())
        self._tried_at = {one: self._tried_at.get(one, 0.0) for one in every}
        for open_one in sorted(every, key=self._tried_at.__getitem__):
            now = time.monotonic()
            if now >= until:
                break
            self._tried_at[open_one] = now
            self._faults.pop(open_one, None)
            try:
                open_one()
            except ForestallError as error:
                self._faults[open_one] = error.message
        self._faults = {one: self._faults[one] for one in every if one in self._faults}
        return tuple(self._faults.values())

    def close(self) -> None:
        """Let go of all connections."""
        for pooler in self.poolers:
            pooler.holding.close()
            pooler.releasing.close()
        for proxy in self.proxies:
            proxy.client.close()
        for client in (*self._asked.values(), *self._watched.values()):
            client.close()

    def _all(self) -> Iterator[Callable[[], None]]:
        for pooler in self.poolers:
            yield pooler.holding.connect
            yield pooler.releasing.connect
        for proxy in self.proxies:
            yield proxy.client.connect
        for client in (*self._asked.values(), *self._watched.values()):
            yield client.connect

    def _member(self, clients: dict[str, Patroni], url: str) -> Patroni:
        if url not in clients:
            while len(clients) >= PEERS_MAX:
                clients.pop(next(iter(clients))).close()
            clients[url] = Patroni(url, self.access.rest)
        return clients[url]
