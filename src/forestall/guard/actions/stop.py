"""Stop: the judged process is taken down and stays down."""

from forestall.clock import Clock
from forestall.guard.actions.ending import end_process
from forestall.guard.handler import Done, Step
from forestall.guard.live import Processes

GRACE_SECONDS = 10.0


class StopHandler:
    """SIGTERM, and SIGKILL after the action's `grace_seconds`; both bounded by its timeout.

    `clock` is the one the processes live on, the host's own even where time is scaled.
    """

    def __init__(self, *, processes: Processes, clock: Clock) -> None:
        self._processes = processes
        self._clock = clock

    def precondition(self, step: Step) -> str | None:
        return None if step.action.subject.process else "No process is named."

    def do(self, step: Step) -> Done:
        key = step.action.subject.process
        assert key is not None
        return Done(
            detail=end_process(
                key,
                processes=self._processes,
                clock=self._clock,
                grace_seconds=grace_of(step),
                timeout_seconds=step.action.timeout_seconds,
            )
        )

    def verify(self, step: Step, done: Done) -> str | None:
        key = step.action.subject.process
        assert key is not None
        live = self._processes.look(key.pid)
        if live is not None and live.key == key:
            return f"Process {key.pid} is still there."
        return None

    def undo(self, step: Step) -> str | None:
        return None


def grace_of(step: Step) -> float:
    """Seconds between SIGTERM and SIGKILL, at most half of the action's timeout."""
    text = step.action.parameters.get("grace_seconds", "")
    grace = float(text) if text else GRACE_SECONDS
    return max(0.0, min(grace, step.action.timeout_seconds / 2))
