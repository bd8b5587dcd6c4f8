"""What the executor acts with on this host, and what it finds in the agent's memory."""

import os
from collections.abc import Callable, Mapping, Sequence

from forestall.agent.judging import Judging
from forestall.clock import Clock
from forestall.guard.actions.notify import NotifyHandler
from forestall.guard.actions.restart import RestartHandler
from forestall.guard.actions.stop import StopHandler
from forestall.guard.handler import ActionHandler, Done, Step
from forestall.guard.live import HostProcesses
from forestall.model.action import ActionKind
from forestall.model.facts import HostFacts
from forestall.model.sample import Sample
from forestall.model.series import Series
from forestall.model.verdict import Subject
from forestall.notify.protocol import Notifier
from forestall.sense.host import Host
from forestall.units import MINUTE

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

    def facts(self) -> HostFacts | None:
        """Read when first asked for, then not again for FACTS_SECONDS."""
        # Imported here: an agent on a host without trouble never reads them.
        from forestall.sense.facts import read_facts

        if self._facts is None or self._clock.now() - self._facts.at > FACTS_SECONDS:
            self._facts = read_facts(self._host, self._clock)
        return self._facts

    def series(self, subject: Subject) -> Series | None:
        return self._judging.series_of(subject.process) if subject.process else None


class Capture:
    """The capture action, whose modules (hashes, redaction) are loaded when it is first needed."""

    def __init__(self, folder: str, *, host: Host, clock: Clock, memory: Memory) -> None:
        self._folder = folder
        self._host = host
        self._clock = clock
        self._memory = memory
        self._handler: ActionHandler | None = None

    def precondition(self, step: Step) -> str | None:
        return self._loaded().precondition(step)

    def do(self, step: Step) -> Done:
        return self._loaded().do(step)

    def verify(self, step: Step, done: Done) -> str | None:
        return self._loaded().verify(step, done)

    def undo(self, step: Step) -> str | None:
        return self._loaded().undo(step)

    def _loaded(self) -> ActionHandler:
        if self._handler is None:
            from forestall.guard.actions.capture import CaptureHandler

            self._handler = CaptureHandler(
                self._folder,
                host=self._host,
                processes=HostProcesses(self._host),
                recent=self._memory,
                clock=self._clock,
            )
        return self._handler


def make_handlers(
    state: str | None,
    *,
    host: Host,
    clock: Clock,
    host_clock: Clock,
    memory: Memory,
    notifiers: Sequence[Notifier],
) -> Mapping[ActionKind, ActionHandler]:
    """One handler per kind of action. Without a state folder no evidence can be kept.

    Processes end and start by `host_clock`, however fast `clock` runs.
    """
    processes = HostProcesses(host)
    handlers: dict[ActionKind, ActionHandler] = {
        ActionKind.STOP: StopHandler(processes=processes, clock=host_clock),
        ActionKind.RESTART: RestartHandler(host=host, processes=processes, clock=host_clock),
        ActionKind.NOTIFY: NotifyHandler(notifiers, clock=clock),
    }
    if state is not None:
        folder = os.path.join(state, EVIDENCE_FOLDER)
        handlers[ActionKind.CAPTURE] = Capture(folder, host=host, clock=clock, memory=memory)
    return handlers
