"""What the executor acts with on this host, and what it finds in the agent's memory."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from forestall.agent.judging import Judging
from forestall.clock import Clock
from forestall.guard.actions.notify import NotifyHandler
from forestall.guard.actions.restart import RestartHandler
from forestall.guard.actions.stop import StopHandler
from forestall.guard.handler import ActionHandler, Done, Step
from forestall.guard.live import HostProcesses
from forestall.model.action import ActionKind
from forestall.model.sample import Sample
from forestall.model.series import Series
from forestall.model.verdict import Subject
from forestall.notify.protocol import Notifier
from forestall.sense.host import Host
from forestall.units import MINUTE

if TYPE_CHECKING:
    from forestall.model.facts import HostFacts

EVIDENCE_FOLDER = "evidence"
FACTS_SECONDS = 5 * MINUTE

LastSample = Callable[[], Sample | None]


class Memory:
    """What the agent holds about the host and its processes, for the evidence."""

    def __init__(self, host: Host, clock: Clock, judging: Judging, last: LastSample) -> None:
        self._host = host
        self._clock = clock
        self._judging = judging
        self._last = last
        self._facts: HostFacts | None = None

    def sample(self) -> Sample | None:
        return self._last()

    def facts(self) -> "HostFacts | None":
        """Read when first asked for, then not again for FACTS_SECONDS."""
        # Imported here: an agent on a host without trouble never reads them.
        from forestall.sense.facts import read_facts

        if self._facts is None or self._clock.now() - self._facts.at > FACTS_SECONDS:
            self._facts = read_facts(self._host, self._clock)
        return self._facts

    def series(self, subject: Subject) -> Series | None:
        return self._judging.series_of(subject.process) if subject.process else None


class Lazy:
    """An action whose modules are loaded when it is first needed."""

    def __init__(self, make: Callable[[], ActionHandler]) -> None:
        self._make = make
        self._handler: ActionHandler | None = None

    def precondition(self, step: Step) -> str | None:
        return self.loaded().precondition(step)

    def do(self, step: Step) -> Done:
        return self.loaded().do(step)

    def verify(self, step: Step, done: Done) -> str | None:
        return self.loaded().verify(step, done)

    def undo(self, step: Step) -> str | None:
        return self.loaded().undo(step)

    def loaded(self) -> ActionHandler:
        """The handler itself."""
        if self._handler is None:
            self._handler = self._make()
        return self._handler


def make_handlers(
    state: str | None,
    *,
    host: Host,
    clock: Clock,
    host_clock: Clock,
    memory: Memory,
    notifiers: Sequence[Notifier],
    switchover: ActionHandler | None = None,
    own_pids: frozenset[int] = frozenset(),
    protected: tuple[str, ...] = (),
) -> Mapping[ActionKind, ActionHandler]:
    """One handler per kind of action, and the only place where they are made.

    Without a state folder no evidence can be kept.

    Processes end and start by `host_clock`, however fast `clock` runs.
    """
    processes = HostProcesses(host)
    handlers: dict[ActionKind, ActionHandler] = {
        ActionKind.CONTAIN: Lazy(partial(_contain, host, own_pids, protected)),
        ActionKind.STOP: StopHandler(processes=processes, clock=host_clock),
        ActionKind.RESTART: RestartHandler(host=host, processes=processes, clock=host_clock),
        ActionKind.NOTIFY: NotifyHandler(notifiers, clock=clock),
    }
    if switchover is not None:
        handlers[ActionKind.SWITCHOVER] = switchover
    if state is not None:
        folder = os.path.join(state, EVIDENCE_FOLDER)
        # Hashes and redaction: an agent without trouble does not carry them.
        handlers[ActionKind.CAPTURE] = Lazy(partial(_capture, folder, host, clock, memory))
    return handlers


def _contain(host: Host, own_pids: frozenset[int], protected: tuple[str, ...]) -> ActionHandler:
    from forestall.guard.actions.contain import ContainHandler
    from forestall.guard.surroundings import Folders

    return ContainHandler(Folders(host), own_pids=own_pids, protected=protected)


def _capture(folder: str, host: Host, clock: Clock, memory: Memory) -> ActionHandler:
    from forestall.guard.actions.capture import CaptureHandler

    return CaptureHandler(
        folder, host=host, processes=HostProcesses(host), recent=memory, clock=clock
    )
