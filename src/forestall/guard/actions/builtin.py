"""The built-in handlers, one for each kind of action, as the agent and the demo use them."""

from collections.abc import Sequence

from forestall.clock import Clock, SystemClock
from forestall.guard.actions.capture import CaptureHandler, Recent
from forestall.guard.actions.notify import NotifyHandler
from forestall.guard.actions.restart import RestartHandler
from forestall.guard.actions.stop import StopHandler
from forestall.guard.handler import ActionHandler
from forestall.guard.live import HostProcesses
from forestall.model.action import ActionKind
from forestall.notify.protocol import Notifier
from forestall.sense.host import Host


def builtin_handlers(
    *,
    host: Host,
    evidence_folder: str,
    recent: Recent,
    notifiers: Sequence[Notifier],
    clock: Clock,
) -> dict[ActionKind, ActionHandler]:
    """Handlers that keep evidence below `evidence_folder` and act on `host`'s processes.

    `clock` stamps bundles and notices; it may be scaled. Processes end and start on the host's
    own time, so waiting for them uses that.
    """
    processes = HostProcesses(host)
    waiting = SystemClock()
    return {
        ActionKind.CAPTURE: CaptureHandler(
            evidence_folder, host=host, processes=processes, recent=recent, clock=clock
        ),
        ActionKind.STOP: StopHandler(processes=processes, clock=waiting),
        ActionKind.RESTART: RestartHandler(host=host, processes=processes, clock=waiting),
        ActionKind.NOTIFY: NotifyHandler(notifiers, clock=clock),
    }
