"""What each of guard's own processes hosts, and what it must be told at its start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.guard.handler import ActionHandler
from forestall.guard.last.carried import Carried
from forestall.model.action import ActionKind
from forestall.model.codec import Json, decode
from forestall.sense.host import Host


class Role(StrEnum):
    """last: contains and moves traffic, and never forks. helper: evidence, stop and restart."""

    LAST = "last"
    HELPER = "helper"


KINDS = {
    Role.LAST: (ActionKind.CONTAIN, ActionKind.SWITCHOVER),
    Role.HELPER: (ActionKind.CAPTURE, ActionKind.STOP, ActionKind.RESTART),
}
"""What the agent has carried out by each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process of guard is told once. `evidence` is the folder of the bundles.

    `database` is an encoded `DatabaseAccess`, which only the last stage decodes: the agent does
    not need its modules.
    """

    own_pids: tuple[int, ...]
    protected: tuple[str, ...] = ()
    evidence: str | None = None
    database: Json = None


class Hosted(NamedTuple):
    """The handlers of a process. `connect` makes ready what they will need, and again what was lost
    or is old: connections, the host's facts; a sentence for each fault.
    """

    handlers: Mapping[ActionKind, ActionHandler]
    connect: Callable[[tuple[str, ...]], tuple[str, ...]] | None = None


def hosted_by(role: Role, setup: Setup, carried: Carried) -> Hosted:
    """All of a process, with its modules loaded: nothing is imported when it acts."""
    return _last(setup) if role is Role.LAST else _helper(setup, carried)


def _last(setup: Setup) -> Hosted:
    from forestall.guard.actions.contain import ContainHandler
    from forestall.guard.surroundings import Folders

    contain = ContainHandler(
        Folders(Host()),
        own_pids=frozenset(setup.own_pids),
        protected=setup.protected,
        tell=False,
    )
    handlers: dict[ActionKind, ActionHandler] = {ActionKind.CONTAIN: contain}
    if setup.database is None:
        return Hosted(handlers)
    from forestall.guard.actions.switchover import SwitchoverHandler
    from forestall.guard.database import DatabaseAccess
    from forestall.guard.links import Links

    access = decode(DatabaseAccess, setup.database)
    links = Links(access)
    handlers[ActionKind.SWITCHOVER] = SwitchoverHandler(access, clock=SystemClock(), links=links)
    return Hosted(handlers, links.connect)


def _helper(setup: Setup, carried: Carried) -> Hosted:
    # What the handlers load when they are first needed is loaded now.
    import subprocess  # noqa: F401

    import forestall.evidence.bundle
    import forestall.evidence.redact
    import forestall.evidence.verify  # noqa: F401
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

    def read(urls: tuple[str, ...]) -> tuple[str, ...]:
        try:
            carried.read_facts()
        except (ForestallError, OSError) as error:
            return (f"the host's facts could not be read for the evidence: {error}",)
        return ()

    read(())
    return Hosted(handlers, read)
