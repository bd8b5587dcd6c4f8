"""The fleet's lease: at most one host of a fleet is in disruptive action at a time."""

from typing import Protocol

from forestall.model.action import ActionKind

NEEDS_LEASE = (ActionKind.SWITCHOVER, ActionKind.STOP, ActionKind.RESTART)
"""What touches others than the leaking service, or takes a service of the fleet down.

Containing and keeping evidence are local, and never wait for another host.
"""


class Lease(Protocol):
    """One host's hold on the lease of its fleet. It ends by itself where its holder dies.

    Each method ends within a few seconds. `acquire` and `release` may raise ForestallError or
    OSError; the lease then counts as not held.
    """

    def acquire(self, plan_id: str) -> str | None:
        """Why the lease is not ours, as a sentence; None = it is, until `release`."""
        ...

    def held(self) -> bool:
        """Whether it is still ours: asked again before each step that needs it."""
        ...

    def release(self) -> None:
        """Give it back; nothing where it is not ours."""
        ...
