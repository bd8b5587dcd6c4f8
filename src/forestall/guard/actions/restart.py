"""Restart: the judged process is taken down, and a new one of the same service is seen alive."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.actions.ending import end_process, wait_until
from forestall.guard.actions.running import Ran, run_words
from forestall.guard.actions.stop import grace_of
from forestall.guard.handler import Done, Step
from forestall.guard.live import Live, Processes
from forestall.guard.recipe import Method, Recipe, from_parameters
from forestall.model.sample import ProcessKey
from forestall.sense import procfs
from forestall.sense.host import Host, RunCommand, run_bounded
from forestall.units import format_duration

if TYPE_CHECKING:
    from forestall.guard.actions.managed import Manager

SETTLE_SECONDS = 1.0
"""How long a new process must live to count: one that crashes at its start does not."""

VERIFY_SHARE = 0.5
"""The part of the timeout that is left for the new process to appear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted(Done):
    """With the old process, and those of its service that lived before: what is new is neither.

    `managed_pid` is the one that its manager ran before, where it has one.
    """

    old: Live
    known: frozenset[ProcessKey]
    managed_pid: int | None = None


class RestartHandler:
    """Restarts by the recipe in the action's parameters.

    `clock` is the one the processes live on, the host's own even where time is scaled. `run` runs
    the commands of container engines.
    """

    def __init__(
        self,
        *,
        host: Host,
        processes: Processes,
        clock: Clock,
        run: RunCommand = run_bounded,
    ) -> None:
        self._host = host
        self._processes = processes
        self._clock = clock
        self._run_command = run

    def precondition(self, step: Step) -> str | None:
        if step.action.subject.process is None:
            return "No process is named."
        recipe = from_parameters(step.action.parameters)
        if recipe.method is Method.SYSTEMD and not self._host.exists("run/systemd/system"):
            return f"systemd does not run here, so {recipe.unit} cannot be restarted by it."
        if recipe.method is Method.COMMAND and not os.access(recipe.command[0], os.X_OK):
            return f"The restart command {recipe.command[0]} is not there, or not executable."
        pid = step.action.subject.process.pid
        with self._manager(step) as manager:
            if manager is None:
                return None
            from forestall.guard.actions.managed import why_not

            return why_not(manager, pid, self._host)

    def do(self, step: Step) -> Restarted:
        key = step.action.subject.process
        assert key is not None
        old = self._processes.look(key.pid)
        if old is None or old.key != key:
            raise ForestallError(f"process {key.pid} is not there any more as it was judged")
        recipe = from_parameters(step.action.parameters)
        known = frozenset(live.key for live in self._processes.all() if old.same_service(live))
        timeout = step.action.timeout_seconds * (1 - VERIFY_SHARE)
        with self._manager(step) as manager:
            if manager is not None:
                before = manager.pid()
                detail = manager.restart(grace_of(step), timeout, self._clock)
                return Restarted(detail=detail, old=old, known=known, managed_pid=before)
        if recipe.method is Method.SIGNAL:
            detail = end_process(
                key,
                processes=self._processes,
                clock=self._clock,
                grace_seconds=min(grace_of(step), timeout / 2),
                timeout_seconds=timeout,
            )
        else:
            detail = self._run(recipe, key, timeout)
        return Restarted(detail=detail, old=old, known=known)

    def verify(self, step: Step, done: Done) -> str | None:
        """Whether the old process is gone, and a new one came and stayed.

        `do` may have used up its own part of the timeout, never this one.
        """
        assert isinstance(done, Restarted)
        old = done.old
        left = step.action.timeout_seconds * VERIFY_SHARE
        started = self._clock.monotonic()
        if not wait_until(lambda: not self._lives(old.key), left / 2, self._clock):
            return f"The old process {old.key.pid} is still there."
        rest = started + left - SETTLE_SECONDS - self._clock.monotonic()
        with self._manager(step) as manager:
            if manager is not None:
                return self._comes_back(manager, done, rest)
        if not wait_until(lambda: bool(self._fresh(old, done.known)), rest, self._clock):
            return f"No new process of {step.action.subject.service} came within {left:.0f} s."
        first = self._fresh(old, done.known)
        self._clock.sleep(SETTLE_SECONDS)
        if not first & self._fresh(old, done.known):
            return (
                f"A new process of {step.action.subject.service} came, and ended within "
                f"{format_duration(SETTLE_SECONDS)}."
            )
        return None

    def undo(self, step: Step) -> str | None:
        """Start what supervisord or an engine was told to stop, and then not to start."""
        with self._manager(step) as manager:
            if manager is None or manager.pid() != 0:
                return None
            manager.start(step.action.timeout_seconds)
            return f"{manager.name} did not run, and was started."

    @contextmanager
    def _manager(self, step: Step) -> Iterator["Manager | None"]:
        recipe = from_parameters(step.action.parameters)
        if recipe.method not in (Method.SUPERVISORD, Method.CONTAINER):
            yield None
            return
        # Imported here: an agent without such a service does not carry their clients.
        from forestall.guard.actions.managed import manager_of

        manager = manager_of(recipe, self._run_command)
        try:
            yield manager
        finally:
            if manager is not None:
                manager.close()

    def _comes_back(self, manager: "Manager", done: Restarted, seconds: float) -> str | None:
        """Whether its manager runs a new process of it, and still does after a while."""
        old = done.managed_pid or 0
        if not wait_until(lambda: manager.pid() not in (0, old), seconds, self._clock):
            return f"{manager.name} runs no new process."
        first = manager.pid()
        self._clock.sleep(SETTLE_SECONDS)
        if manager.pid() != first:
            return f"{manager.name} came, and ended within {format_duration(SETTLE_SECONDS)}."
        return None

    def _run(self, recipe: Recipe, key: ProcessKey, timeout: float) -> str:
        systemd = recipe.method is Method.SYSTEMD
        words = recipe.command
        if systemd:
            assert recipe.unit is not None
            words = ("systemctl", "--no-ask-password", "restart", "--", recipe.unit)
        ran = run_words(
            words, timeout, oom_score_adjust=self._oom_score_adjust(key.pid), listen=systemd
        )
        name = f"systemctl restart {recipe.unit}" if systemd else words[0]
        if ran.exit_code != 0:
            raise ForestallError(_failure(name, ran))
        return f"{name} ended well."

    def _oom_score_adjust(self, pid: int) -> int:
        return procfs.read_number(self._host, f"proc/{pid}/oom_score_adj") or 0

    def _lives(self, key: ProcessKey) -> bool:
        live = self._processes.look(key.pid)
        return live is not None and live.key == key

    def _fresh(self, old: Live, known: frozenset[ProcessKey]) -> frozenset[ProcessKey]:
        return frozenset(
            live.key
            for live in self._processes.all()
            if live.key not in known and old.same_service(live)
        )


def _failure(name: str, ran: Ran) -> str:
    if ran.exit_code is None:
        return f"{name}: {ran.said}"
    how = f"exit code {ran.exit_code}" if ran.exit_code > 0 else f"signal {-ran.exit_code}"
    return f"{name} failed with {how}" + (f": {ran.said}" if ran.said else "")
