"""Handlers that live in processes of their own, started before they are needed.

On a host in thrash nothing new can be started: what must act is there already (`guard/last/`).
The agent keeps the plan, the record and the order; a hosted handler only carries out.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.channel import Channel, ClosedError, LateError
from forestall.guard.handler import ActionHandler, Done, Step
from forestall.guard.last.roles import Role, Setup
from forestall.model.action import Action
from forestall.model.codec import Json, encode
from forestall.units import MINUTE, format_bytes

READY_SECONDS = 30.0
SLACK_SECONDS = 1.0
"""What an answer may take beyond its action's timeout, within which the handler ends by itself."""

SEND_SECONDS = 1.0
RESTART_SECONDS_MIN = 5.0
RESTART_SECONDS_MAX = 5 * MINUTE
CLOSE_SECONDS = 2.0
CLOSE_POLL_SECONDS = 0.02

Say = Callable[[str], None]
Carry = Callable[[Step], Json]
"""What goes along with a `do`: the agent's own memory, for the evidence."""


class Child:
    """One of guard's own processes. It ends by itself when the agent ends, however that is.

    `clock` is the host's own. `say` hears of what a person should know: that it started and what
    it could not do, that it ended. A process that ended is started again by `tend`, at first
    after RESTART_SECONDS_MIN, then ever more seldom.
    """

    def __init__(self, role: Role, setup: Setup, *, clock: Clock, say: Say) -> None:
        self.role = role
        self.pid: int | None = None
        self.start_count = 0
        self._setup = setup
        self._clock = clock
        self._say = say
        self._channel: Channel | None = None
        self._number = 0
        self._posted: set[int] = set()
        self._killed: list[int] = []
        self._retry_seconds = RESTART_SECONDS_MIN
        self._start_at = float("-inf")

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as is known without waiting."""
        if self.pid is not None and _reaped(self.pid):
            self._lost("it ended", reaped=True)
        return self.pid is not None

    def tend(self) -> None:
        """Start it where it does not run and may be tried again; hear what it had to say."""
        self._killed = [pid for pid in self._killed if not _reaped(pid)]
        if self.alive:
            self._hear()
        elif self._clock.monotonic() >= self._start_at:
            self.start()

    def start(self) -> bool:
        """Start it, without waiting until it is ready; whether it could be started."""
        # A process that ends at once must not be started without end.
        self._start_at = self._clock.monotonic() + self._retry_seconds
        self._retry_seconds = min(RESTART_SECONDS_MAX, self._retry_seconds * 2)
        own, its = socket.socketpair()
        try:
            self.pid = _spawn(self.role, its.fileno())
        except OSError as error:
            own.close()
            self._say(f"guard's {self.role.value} process cannot be started: {error.strerror}")
            return False
        finally:
            its.close()
        self._channel = Channel(own)
        self._posted = {0}
        self.start_count += 1
        try:
            self._channel.send(encode(self._setup), SEND_SECONDS)
        except ForestallError as error:
            self._lost(error.message)
            return False
        return True

    def call(self, call: str, body: Mapping[str, Json], seconds: float) -> Json:
        """What it answers. Raises ForestallError for an error, a late answer or its end.

        One that answers too late is killed: what it does then would not be on the record.
        """
        number = self._send(call, body, seconds)
        deadline = self._clock.monotonic() + seconds
        while True:
            answer = self._receive(max(0.0, deadline - self._clock.monotonic()), seconds)
            if answer.get("id") == number:
                self._retry_seconds = RESTART_SECONDS_MIN
                return self._result(answer)
            self._heard(answer)

    def post(self, call: str, body: Mapping[str, Json]) -> None:
        """Ask without waiting; what comes of it is said later, by `tend` or the next `call`."""
        self._posted.add(self._send(call, body, SEND_SECONDS))

    def close(self) -> None:
        """End it: by the end of its socket, and by SIGKILL if it does not take that."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.pid is None:
            return
        deadline = self._clock.monotonic() + CLOSE_SECONDS
        while not _reaped(self.pid):
            if self._clock.monotonic() >= deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            self._clock.sleep(CLOSE_POLL_SECONDS)
        self.pid = None

    def _send(self, call: str, body: Mapping[str, Json], seconds: float) -> int:
        if not self.alive or self._channel is None:
            raise ForestallError(f"guard's {self.role.value} process does not run")
        self._number += 1
        try:
            self._channel.send({"id": self._number, "call": call, **body}, seconds)
        except (ClosedError, LateError) as error:
            raise self._lost(error.message) from None
        return self._number

    def _receive(self, left: float, seconds: float) -> dict[str, Json]:
        assert self._channel is not None
        try:
            answer = self._channel.receive(left)
        except LateError:
            raise self._lost(f"it did not answer within {seconds:.1f} s") from None
        except ForestallError as error:
            raise self._lost(error.message) from None
        if not isinstance(answer, dict):
            raise self._lost("its answer is none")
        return answer

    def _result(self, answer: Mapping[str, Json]) -> Json:
        error = answer.get("error")
        if error is not None:
            said = answer.get("help")
            raise ForestallError(str(error), help=None if said is None else str(said))
        return answer.get("answer")

    def _hear(self) -> None:
        """Take the answers to what was posted, without waiting for them."""
        while self._posted and self._channel is not None:
            try:
                answer = self._channel.receive(0.0)
            except LateError:
                return
            except ForestallError as error:
                self._lost(error.message)
                return
            if isinstance(answer, dict):
                self._heard(answer)

    def _heard(self, answer: Mapping[str, Json]) -> None:
        """An answer that nobody waits for: of a post, or that the process is ready."""
        number = answer.get("id")
        self._posted.discard(number if isinstance(number, int) else -1)
        error, said = answer.get("error"), answer.get("answer")
        if error is not None:
            self._say(f"guard's {self.role.value} process: {error}")
        elif number == 0 and isinstance(said, dict):
            self._say(self._ready(said))
        elif isinstance(said, str):
            self._say(said)

    def _ready(self, said: Mapping[str, Json]) -> str:
        rss, locked = said.get("rss_bytes") or 0, said.get("locked_bytes") or 0
        ready = (
            f"guard's {self.role.value} process {self.pid} is ready: {format_bytes(rss)} "
            f"resident, {format_bytes(locked)} locked"
        )
        return "; ".join([ready, *(str(one) for one in said.get("said") or ())])

    def _lost(self, why: str, *, reaped: bool = False) -> ForestallError:
        """Let go of a process that ended or cannot be trusted any more; the error that says so.

        One that was `reaped` gets no signal: its pid may be another's already.
        """
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.pid is not None:
            pid, self.pid = self.pid, None
            if not reaped:
                # One that hangs in the kernel ends when it comes back from there: `tend` reaps it.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                self._killed.append(pid)
            self._say(f"guard's {self.role.value} process {pid} is lost: {why}")
        return ForestallError(
            f"guard's {self.role.value} process is lost: {why}",
            help="it is started again by itself",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedDone(Done):
    """Done in the other process, which keeps what its `verify` needs."""


class HostedHandler:
    """One kind of action, carried out by `child`; by `local` where that does not run.

    Without the process, the agent does what it can by itself, late as that may be: `local` is
    made when it is first needed. `carry` goes along with each `do`. `after` is called with what
    was done (`do` or `undo`) once it is done.
    """

    def __init__(
        self,
        child: Child,
        local: Callable[[], ActionHandler],
        *,
        carry: Carry | None = None,
        after: Callable[[str, Step], None] | None = None,
    ) -> None:
        self._child = child
        self._make_local = local
        self._local: ActionHandler | None = None
        self._carry = carry
        self._after = after

    def arm(self, action: Action) -> None:
        """Have the process open what this action will need; nothing comes of it if it does not."""
        if self._child.alive:
            try:
                self._child.post("arm", {"action": encode(action)})
            except ForestallError:
                return  # It is lost, and was said to be.

    def precondition(self, step: Step) -> str | None:
        if not self._child.alive:
            return self._here().precondition(step)
        return _sentence(self._ask("precondition", step))

    def do(self, step: Step) -> Done:
        if not self._child.alive:
            done = self._here().do(step)
        else:
            carried = {} if self._carry is None else {"recent": self._carry(step)}
            answer = self._ask("do", step, carried)
            if not isinstance(answer, dict):
                raise ForestallError("guard's process did not say what it did")
            done = HostedDone(
                detail=str(answer.get("detail")), evidence=_sentence(answer.get("evidence"))
            )
        if self._after is not None:
            self._after("do", step)
        return done

    def verify(self, step: Step, done: Done) -> str | None:
        if not isinstance(done, HostedDone):
            return self._here().verify(step, done)
        return _sentence(self._ask("verify", step))

    def undo(self, step: Step) -> str | None:
        if not self._child.alive:
            said = self._here().undo(step)
        else:
            said = _sentence(self._ask("undo", step))
        if self._after is not None:
            self._after("undo", step)
        return said

    def _ask(self, call: str, step: Step, more: Mapping[str, Json] | None = None) -> Json:
        seconds = step.action.timeout_seconds + SLACK_SECONDS
        return self._child.call(call, {"step": encode(step), **(more or {})}, seconds)

    def _here(self) -> ActionHandler:
        if self._local is None:
            self._local = self._make_local()
        return self._local


def settler(helper: Child) -> Callable[[str, Step], None]:
    """After containing: have the helper tell systemd, while the plan goes on."""

    def settle(what: str, step: Step) -> None:
        if not helper.alive:
            return
        try:
            helper.post("settle", {"step": encode(step), "undone": what == "undo"})
        except ForestallError:
            return  # It is lost, and was said to be; the limit itself is in force.

    return settle


def _spawn(role: Role, descriptor: int) -> int:
    """Start `python -m forestall.guard.last` with that socket; its pid.

    -P: the folder the agent was started in is not searched for modules.
    """
    words = [sys.executable, "-P", "-m", "forestall.guard.last", role.value, "3"]
    # From 3 itself a duplicate would be no duplicate, and would be closed by exec.
    spare = os.dup(descriptor) if descriptor == 3 else descriptor
    try:
        return os.posix_spawn(
            sys.executable,
            words,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, spare, 3)],
        )
    finally:
        if spare != descriptor:
            os.close(spare)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _sentence(answer: Json) -> str | None:
    return None if answer is None else str(answer)
