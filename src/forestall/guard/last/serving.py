"""The loop of one of guard's own processes: a request, its handler, an answer; one at a time."""

import gc
import os
import signal
import socket
import sys
from collections import OrderedDict
from collections.abc import Sequence
from types import FrameType
from typing import Any

from forestall.errors import ForestallError
from forestall.guard.channel import Channel, ClosedError
from forestall.guard.handler import ActionHandler, Done, Step
from forestall.guard.last.carried import Carried
from forestall.guard.last.memory import footprint, lock, prefer, rename, shield
from forestall.guard.last.roles import Hosted, Role, Setup, hosted_by
from forestall.model.action import Action, ActionKind
from forestall.model.codec import Json, decode
from forestall.sense.host import Host

KEPT_MAX = 16
SETUP_SECONDS = 30.0


class Serving:
    """Carries out requests by what is `hosted`; `carried` takes what comes for the evidence."""

    def __init__(self, hosted: Hosted, carried: Carried, role: Role) -> None:
        self._handlers = hosted.handlers
        self._connect = hosted.connect
        self._faults: tuple[str, ...] = ()
        self._carried = carried
        self._role = role
        self._kept: OrderedDict[tuple[str, str], Done] = OrderedDict()

    def answer(self, request: Json) -> Json:
        """The answer to one request: what it returns, or the error that a person can read."""
        number = request.get("id") if isinstance(request, dict) else None
        try:
            return {"id": number, "answer": self._carry_out(request)}
        except ForestallError as error:
            return {"id": number, "error": error.message, "help": error.help}
        except OSError as error:
            where = error.filename or self._role.value
            return {"id": number, "error": f"{where}: {error.strerror or error}", "help": None}
        except Exception as error:  # noqa: BLE001
            # A fault in one action must not take the process away that the next one needs.
            return {"id": number, "error": f"it broke: {_fault(error)}", "help": None}

    def _carry_out(self, request: Json) -> Json:
        if not isinstance(request, dict):
            raise ForestallError("a request is an object")
        call = request.get("call")
        if call == "status":
            return {"pid": os.getpid(), "modules": len(sys.modules), **footprint()}
        if call == "arm":
            return self._arm(decode(Action, request.get("action")))
        if call == "connect":
            return self._connected(())
        step = decode(Step, request.get("step"))
        handler = self._handlers.get(step.action.kind)
        if handler is None:
            raise ForestallError(f"{self._role.value} has no {step.action.kind.value}")
        key = (step.plan.id, step.action.id)
        if call == "precondition":
            return handler.precondition(step)
        if call == "undo":
            return handler.undo(step)
        if call == "settle":
            return self._settle(handler, step, undone=bool(request.get("undone")))
        if call == "do":
            self._carried.take(request.get("recent"))
            return self._keep(key, handler.do(step))
        if call == "verify":
            done = self._kept.get(key)
            if done is None:
                raise ForestallError("it was started afresh since, and cannot verify it")
            return handler.verify(step, done)
        raise ForestallError(f"no such request: {call!r}")

    def _keep(self, key: tuple[str, str], done: Done) -> Json:
        """What `verify` will need stays here; only what a person reads goes back."""
        self._kept[key] = done
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return {"detail": done.detail, "evidence": done.evidence}

    def _arm(self, action: Action) -> Json:
        """Open what the action will need, while opening is still quick."""
        peer = action.parameters.get("peer_url")
        if action.kind is ActionKind.SWITCHOVER and peer is not None:
            return self._connected((peer,))
        arm = getattr(self._handlers.get(action.kind), "arm", None)
        if arm is not None:
            arm(action)
        return None

    def _connected(self, urls: tuple[str, ...]) -> str | None:
        """Open, or open again, what moves traffic; what is wrong is said once."""
        if self._connect is None:
            return None
        faults, before = self._connect(urls), self._faults
        self._faults = faults
        if faults == before:
            return None
        well = "all that moves the database's traffic is reached again"
        if self._role is Role.HELPER:
            well = "the host's facts are read again"
        return "; ".join(faults) or well

    def _settle(self, handler: ActionHandler, step: Step, *, undone: bool) -> Json:
        settle: Any = getattr(handler, "settle", None)
        return None if settle is None else settle(step, undone=undone)


def serve(channel: Channel, serving: Serving) -> None:
    """Answer until the other side ends. A line that is no request is answered with its error."""
    while True:
        try:
            request = channel.receive()
        except ClosedError:
            return
        except ForestallError as error:
            channel.send({"id": None, "error": error.message, "help": None})
            continue
        try:
            channel.send(serving.answer(request))
        except ClosedError:
            return
        # What was frozen at the start is not walked, so this takes well below a millisecond.
        gc.collect()


def main(words: Sequence[str]) -> int:
    """Be the process of ROLE, on the socket that was handed over as DESCRIPTOR."""
    role, descriptor = Role(words[0]), int(words[1])
    os.set_inheritable(descriptor, False)
    # It ends when the agent does, by the end of the socket: not before, half-way through an
    # action, when a terminal or systemd signals all processes of the agent. Not SIG_IGN, which a
    # service that a restart command starts would inherit.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _go_on)
    rename()
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        setup = decode(Setup, channel.receive(SETUP_SECONDS))
        carried = Carried(Host())
        serving = Serving(hosted_by(role, setup, carried), carried, role)
        said = _harden(role)
        channel.send({"id": 0, "answer": {"pid": os.getpid(), "said": said, **footprint()}})
        serve(channel, serving)
    except ClosedError:
        pass
    return 0


def _go_on(number: int, frame: FrameType | None) -> None:
    """Nothing is done about a signal; a call that it interrupts is resumed by Python."""


def _harden(role: Role) -> list[str]:
    """Make ready for a host without memory; the sentences that say what was not possible."""
    said = [shield()]
    if role is Role.LAST:
        said += [lock(populate=True), prefer()]
    gc.collect()
    gc.freeze()
    gc.disable()
    return [sentence for sentence in said if sentence is not None]


def _fault(error: BaseException) -> str:
    trace, where = error.__traceback__, ""
    while trace is not None:
        file = os.path.basename(trace.tb_frame.f_code.co_filename)
        where = f" at {file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{where}"
