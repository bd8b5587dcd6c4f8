"""Guard's own processes, as the agent has them: started in act mode, tended at each tick, ended.

Only a watch over this very host, on its own clock, and that may act, has them: nothing else needs
to act when no memory is left.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from forestall.agent.log import Log
from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.handler import ActionHandler, Step
from forestall.guard.hosted import Child, HostedHandler, settler
from forestall.guard.last.carried import to_carry
from forestall.guard.last.roles import KINDS, Role, Setup
from forestall.model.action import ActionKind
from forestall.model.codec import Json
from forestall.model.sample import Sample
from forestall.model.series import Series
from forestall.model.verdict import Subject
from forestall.units import HOUR

CONNECT_SECONDS = 30.0
FACTS_SECONDS = 1 * HOUR
_READY_SECONDS = {Role.LAST: CONNECT_SECONDS, Role.HELPER: FACTS_SECONDS}


class Held(Protocol):
    """What the agent holds in memory for the evidence; `Memory` of `hands`."""

    def sample(self) -> Sample | None: ...

    def series(self, subject: Subject) -> Series | None: ...


class Hosting:
    """The processes, and the handlers that reach them."""

    def __init__(self, setup: Setup, *, held: Held, clock: Clock, log: Log) -> None:
        self._held = held
        self._clock = clock
        now = clock.monotonic()
        # At its start the helper reads the facts by itself.
        self._ready_at = {Role.HELPER: now + FACTS_SECONDS}
        if setup.database is not None:
            self._ready_at[Role.LAST] = now
        self._children = {
            role: Child(role, setup, clock=clock, say=log.info) for role in (Role.LAST, Role.HELPER)
        }

    @property
    def pids(self) -> tuple[int, ...]:
        """Those that run now."""
        return tuple(child.pid for child in self._children.values() if child.pid is not None)

    def tend(self) -> None:
        """Start what does not run, where it is time to, and hear what the others had to say.

        Now and then the last stage opens again what it has lost of its connections, and the
        helper reads the host's facts again.
        """
        for child in self._children.values():
            child.tend()
        now = self._clock.monotonic()
        for role, at in self._ready_at.items():
            if now >= at:
                self._ready_at[role] = now + _READY_SECONDS[role]
                with suppress(ForestallError):
                    self._children[role].post("connect", {})

    def close(self) -> None:
        """End them."""
        for child in self._children.values():
            child.close()

    def wrap(self, local: Mapping[ActionKind, ActionHandler]) -> dict[ActionKind, ActionHandler]:
        """`local`, with what can be hosted in front: each stays as the way without the process."""
        handlers = dict(local)
        helper = self._children[Role.HELPER]
        for role, kinds in KINDS.items():
            for kind in kinds:
                if kind in local:
                    handlers[kind] = HostedHandler(
                        self._children[role],
                        partial(local.__getitem__, kind),
                        carry=self._carry if kind is ActionKind.CAPTURE else None,
                        after=settler(helper) if kind is ActionKind.CONTAIN else None,
                    )
        return handlers

    def _carry(self, step: Step) -> Json:
        return to_carry(self._held.sample(), self._held.series(step.plan.subject))
