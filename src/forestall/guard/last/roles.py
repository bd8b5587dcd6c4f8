"""What each of guard's own processes hosts, and what it must be told at its start."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from forestall.clock import SystemClock
from forestall.guard.handler import ActionHandler
from forestall.guard.last.carried import Carried
from forestall.model.action import ActionKind


class Role(StrEnum):
    """last: contains and moves traffic, and never forks. helper: evidence, stop and restart."""

    LAST = "last"
    HELPER = "helper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process of guard is told once. `evidence` is the folder of the bundles."""

    own_pids: tuple[int, ...]
    protected: tuple[str, ...] = ()
    evidence: str | None = None


def handlers_of(role: Role, setup: Setup, carried: Carried) -> Mapping[ActionKind, ActionHandler]:
    """The handlers of a process, with all their modules loaded: nothing is imported later."""
    if role is Role.LAST:
        return _last(setup)
    return _helper(setup, carried)


def _last(setup: Setup) -> Mapping[ActionKind, ActionHandler]:
    from forestall.guard.actions.contain import ContainHandler
    from forestall.guard.surroundings import Folders
    from forestall.sense.host import Host

    contain = ContainHandler(
        Folders(Host()),
        own_pids=frozenset(setup.own_pids),
        protected=setup.protected,
        tell=False,
    )
    return {ActionKind.CONTAIN: contain}


def _helper(setup: Setup, carried: Carried) -> Mapping[ActionKind, ActionHandler]:
    # What the handlers load when they are first needed is loaded now.
    import subprocess  # noqa: F401

    import forestall.evidence.redact
    import forestall.evidence.verify
    import forestall.sense.facts  # noqa: F401
    from forestall.guard.actions.capture import CaptureHandler
    from forestall.guard.actions.contain import ContainHandler
    from forestall.guard.actions.restart import RestartHandler
    from forestall.guard.actions.stop import StopHandler
    from forestall.guard.live import HostProcesses
    from forestall.guard.surroundings import Folders

    clock, host = SystemClock(), carried.host
    processes = HostProcesses(host)
    handlers: dict[ActionKind, ActionHandler] = {
        # Only for `settle`: the last stage has written the limits, and systemd is to know them.
        ActionKind.CONTAIN: ContainHandler(
            Folders(host), own_pids=frozenset(setup.own_pids), protected=setup.protected
        ),
        ActionKind.STOP: StopHandler(processes=processes, clock=clock),
        ActionKind.RESTART: RestartHandler(host=host, processes=processes, clock=clock),
    }
    if setup.evidence is not None:
        handlers[ActionKind.CAPTURE] = CaptureHandler(
            setup.evidence, host=host, processes=processes, recent=carried, clock=clock
        )
    return handlers
