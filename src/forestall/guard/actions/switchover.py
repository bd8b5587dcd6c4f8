"""Switchover: the primary moves to a healthy peer, while the poolers hold the clients' writes.

PAUSE on every pooler, a switchover asked of the peer, RESUME in every case; without poolers the
old primary's server is drained on HAProxy instead; without either, Patroni alone. Switching back
is never done here: whether the old host is well again is for a person to say.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from forestall.clock import Clock
from forestall.errors import ForestallError, InputError
from forestall.guard.actions.ending import wait_until
from forestall.guard.database import DatabaseAccess, database_of
from forestall.guard.handler import Done, Step
from forestall.guard.links import Links, PoolerLink, ProxyLink
from forestall.guard.wire.endpoint import RefusedError, WireError
from forestall.guard.wire.haproxy import ServerState
from forestall.guard.wire.patroni import Patroni
from forestall.model.database import Database, Member, Role
from forestall.units import format_bytes, format_duration

_HOLDING = {"pgbouncer": "holding the writes", "haproxy": "draining", "patroni": ""}
RESUME_SHARE = 0.25
"""The part of the timeout that nothing but letting the clients go again may use."""

TRY_SECONDS = 1.0
NUDGE_SECONDS = 0.3
_RESUME_HELP = "write RESUME in the console of pgbouncer, or set the server ready on HAProxy"


class Move(NamedTuple):
    """The parameters of the action."""

    leader: str
    candidate: str
    peer_url: str
    via: str
    pause_seconds: float


class SwitchoverHandler:
    """Moves the primary by the parameters in the action, and by the links of this host.

    `clock` is the host's own: servers wait in real seconds.
    """

    def __init__(self, access: DatabaseAccess, *, clock: Clock, links: Links | None = None) -> None:
        self._access = access
        self._links = links or Links(access)
        self._clock = clock

    def precondition(self, step: Step) -> str | None:
        move = move_of(step)
        try:
            client = self._links.watched(move.peer_url)
            seen = database_of(client.cluster(), client.config(), at=self._clock.now())
            # Reads the password too, so that one that is missing is said before the time comes.
            self._links.asked(move.peer_url).connect()
        except WireError as error:
            return f"The peer cannot be asked: {error.message}."
        return self._unfit(seen, move) or self._unreachable(move)

    def do(self, step: Step) -> Done:
        move = move_of(step)
        started = self._clock.monotonic()
        end = started + step.action.timeout_seconds * (1 - RESUME_SHARE)
        # Looked at and connected to before anybody is held.
        leader, candidate = self._members(move)
        self._links.asked(move.peer_url).connect()
        nudge = self._nudge(leader.url)
        began = self._clock.monotonic()
        with self._held(move, end, started + step.action.timeout_seconds):
            held = self._clock.monotonic()
            self._switch(move, candidate.url, nudge, end)
            moved = self._clock.monotonic()
            late = self._await_proxies(move, end)
        done = self._clock.monotonic()
        if late is not None:
            took = format_duration(done - began)
            raise ForestallError(f"{move.candidate} is the primary, after {took}, but {late}")
        parts = [
            (_HOLDING[move.via], held - began),
            ("the switchover", moved - held),
            ("leading the traffic there", done - moved),
        ]
        said = ", ".join(f"{what} {format_duration(took)}" for what, took in parts if what)
        total = format_duration(done - began)
        return Done(detail=f"{move.candidate} is the primary after {total}: {said}.")

    def verify(self, step: Step, done: Done) -> str | None:
        """Whether the candidate takes writes, the old primary is none, and nobody is held."""
        move = move_of(step)
        client = self._links.watched(move.peer_url)
        seen = database_of(client.cluster(), client.config(), at=self._clock.now())
        primary = seen.primary
        if primary is None or primary.name != move.candidate:
            return f"The primary is {primary.name if primary else 'not known'}."
        if not self._links.watched(primary.url).takes_writes():
            return f"{move.candidate} does not take writes."
        held = [f"{p.name} ({', '.join(p.paused())})" for p in self._poolers(move) if p.paused()]
        if held:
            return f"Clients are still held by {' and '.join(held)}."
        drained = [p.name for p in self._drained(move) if p.stopped(move.leader)]
        return f"{move.leader} is still drained on {', '.join(drained)}." if drained else None

    def undo(self, step: Step) -> str | None:
        """Let clients go that are held, and servers take traffic that are drained.

        A primary that has moved stays where it is.
        """
        move = move_of(step)
        until = self._clock.monotonic() + step.action.timeout_seconds
        done: list[str] = []
        faults = self._release(move, until, done)
        if faults:
            raise ForestallError("; ".join(faults), help=_RESUME_HELP)
        return f"{' '.join(done)}" if done else None

    def _unfit(self, seen: Database, move: Move) -> str | None:
        """What speaks against the move now, by what the peer says of the cluster."""
        if seen.scope not in ("", self._access.scope):
            return f"The peer belongs to {seen.scope}, not to {self._access.scope}."
        if seen.paused:
            return f"{self._access.scope} is paused, so a person is at work on it."
        if seen.switchover_pending:
            return f"A switchover of {self._access.scope} is under way already."
        if seen.primary is None or seen.primary.name != move.leader:
            return f"{move.leader} is not the primary any more."
        candidate = next((m for m in seen.members if m.name == move.candidate), None)
        if candidate is None or not candidate.healthy:
            state = candidate.state if candidate else "not a member"
            return f"{move.candidate} is not healthy ({state})."
        if seen.synchronous and candidate.role is not Role.SYNC_STANDBY:
            return f"{move.candidate} is no synchronous standby."
        if candidate.lag_bytes is None or candidate.lag_bytes > self._access.lag_bytes_max:
            lag = candidate.lag_bytes
            said = "does not tell its lag" if lag is None else f"lags by {format_bytes(lag)}"
            return f"{move.candidate} {said}."
        return None

    def _unreachable(self, move: Move) -> str | None:
        """What of the way that traffic goes cannot be held or watched, or None."""
        try:
            for pooler in self._poolers(move):
                pooler.holding.connect()
                problem = pooler.problem()
                if problem is not None:
                    return problem
            for proxy in self._links.proxies:
                problem = proxy.problem(move.leader, move.candidate)
                if problem is not None:
                    return problem
        except WireError as error:
            return f"Its traffic cannot be held: {error.message}."
        return None

    def _poolers(self, move: Move) -> tuple[PoolerLink, ...]:
        return self._links.poolers if move.via == "pgbouncer" else ()

    def _drained(self, move: Move) -> tuple[ProxyLink, ...]:
        return self._links.proxies if move.via == "haproxy" else ()

    @contextmanager
    def _held(self, move: Move, end: float, last: float) -> Iterator[None]:
        """Hold the traffic; let it go in every case, and until `last` if need be."""
        faults: list[str] = []
        try:
            until = min(end, self._clock.monotonic() + move.pause_seconds)
            for pooler in self._poolers(move):
                for database in pooler.databases():
                    self._pause(pooler, database, until)
            for proxy in self._drained(move):
                server = proxy.proxy.server(move.leader)
                proxy.client.set_state(proxy.proxy.backend, server, ServerState.DRAIN)
            yield
        except ForestallError as error:
            faults.append(error.message)
            raise
        finally:
            left = self._release(move, last, [])
            if left:
                raise ForestallError("; ".join([*faults, *left]), help=_RESUME_HELP)

    def _pause(self, pooler: PoolerLink, database: str, until: float) -> None:
        left = max(0.05, until - self._clock.monotonic())
        try:
            pooler.holding.pause(database, seconds=left)
        except RefusedError:
            raise
        except WireError as error:
            raise ForestallError(
                f"{error.message}: PAUSE of {database} did not end in time, so the switchover was "
                f"not begun and the clients go on; a transaction may be open for long"
            ) from None

    def _nudge(self, url: str) -> Patroni | None:
        """The old primary's own Patroni, where it answers at once."""
        client = self._links.watched(url)
        try:
            client.connect(seconds=NUDGE_SECONDS)
        except WireError:
            return None
        return client

    def _switch(self, move: Move, url: str, nudge: Patroni | None, end: float) -> None:
        """Ask the peer, and return as soon as the candidate, at `url`, takes writes."""
        peer = self._links.asked(move.peer_url)
        candidate = self._links.watched(url)
        left = end - self._clock.monotonic()
        peer.ask_switchover(move.leader, move.candidate, seconds=left)
        if nudge is not None:
            # The peer has written the request down; the leader would find it in its next loop, up
            # to loop_wait later, with the clients held. Told the same, it looks at once. Whether
            # it answers, and what, does not matter: it is the sick one.
            try:
                nudge.ask_switchover(move.leader, move.candidate, seconds=NUDGE_SECONDS)
            except WireError:
                nudge.close()
        refused: list[RefusedError] = []
        answered = False

        def moved() -> bool:
            nonlocal answered
            if not answered and peer.answered(0):
                answered = True
                try:
                    peer.switchover_answer()
                except RefusedError as error:
                    refused.append(error)
                except WireError:
                    # Cut off in the middle of it; what matters is what the candidate says.
                    pass
            try:
                return bool(refused) or candidate.takes_writes(seconds=TRY_SECONDS)
            except WireError:
                return False

        if not wait_until(moved, left, self._clock):
            raise ForestallError(
                f"{move.candidate} did not become the primary within {format_duration(left)}",
                help="see `patronictl list`, and the log of Patroni on both hosts",
            )
        if refused:
            raise refused[0]

    def _members(self, move: Move) -> tuple[Member, Member]:
        """The present primary and the candidate, as the peer tells them."""
        client = self._links.watched(move.peer_url)
        seen = database_of(client.cluster(), {}, at=0.0)
        if seen.primary is None or seen.primary.name != move.leader:
            # Asked for all the same, the candidate might be taken for one that has just become it.
            raise ForestallError(f"{move.leader} is not the primary any more")
        for member in seen.members:
            if member.name == move.candidate:
                return seen.primary, member
        raise ForestallError(f"{move.candidate} is not a member of {self._access.scope}")

    def _await_proxies(self, move: Move, end: float) -> str | None:
        """Wait until every HAProxy leads to the candidate alone; which one does not, or None.

        Clients let go earlier would reach the old primary, which takes no writes any more.
        """
        for proxy in self._links.proxies:

            def leads(proxy: ProxyLink = proxy) -> bool:
                try:
                    old, new = proxy.status(move.leader), proxy.status(move.candidate)
                except WireError:
                    return False
                # A drained server is not known to be down, and would be UP as soon as it is ready.
                return new == "UP" and old not in ("UP", "DRAIN")

            if not wait_until(leads, end - self._clock.monotonic(), self._clock):
                return f"{proxy.name} does not lead to it."
        return None

    def _release(self, move: Move, until: float, done: list[str]) -> list[str]:
        """RESUME and ready, each tried until then; what could not be done is returned.

        In turn: one that does not answer must not keep the clients of the others waiting.
        """
        drained = f"{move.leader} is still drained"
        left: list[tuple[str, Callable[[], None]]] = [
            *(
                ("its clients are still held", partial(_resume, p, done))
                for p in self._poolers(move)
            ),
            *((drained, partial(_ready, p, move.leader, done)) for p in self._drained(move)),
        ]
        while True:
            began = self._clock.monotonic()
            failed, faults = [], []
            for what, work in left:
                try:
                    work()
                except WireError as error:
                    failed.append((what, work))
                    faults.append(f"{what}: {error.message}")
            # A round that would last beyond it is not begun: who waits for this gives up then.
            now = self._clock.monotonic()
            if not failed or now + max(TRY_SECONDS, now - began) > until:
                return faults
            left = failed
            self._clock.sleep(TRY_SECONDS / 4)


def move_of(step: Step) -> Move:
    """The parameters of a switchover. Raises InputError where they are none."""
    given = step.action.parameters
    try:
        seconds = float(given.get("pause_timeout_seconds", "5"))
        move = Move(given["leader"], given["candidate"], given["peer_url"], given["via"], seconds)
    except (KeyError, ValueError) as error:
        raise InputError(f"no switchover in {dict(given)!r}: {error}") from None
    if move.via not in _HOLDING or not 0 < seconds <= 3600 or move.leader == move.candidate:
        raise InputError(f"no switchover in {dict(given)!r}")
    return move


def _resume(pooler: PoolerLink, done: list[str]) -> None:
    for database in pooler.paused():
        pooler.releasing.resume(database)
        done.append(f"RESUME of {database} on {pooler.name}.")


def _ready(proxy: ProxyLink, member: str, done: list[str]) -> None:
    if proxy.stopped(member):
        proxy.client.set_state(proxy.proxy.backend, proxy.proxy.server(member), ServerState.READY)
        done.append(f"{member} is ready again on {proxy.name}.")
