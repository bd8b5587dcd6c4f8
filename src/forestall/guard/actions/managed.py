"""Services that somebody else runs: a program of supervisord, a container of podman or docker.

They are restarted by asking who runs them; ending the process alone would be an accident to them.
"""

from functools import partial
from typing import Protocol

from forestall.clock import Clock
from forestall.guard.recipe import Method, Recipe
from forestall.guard.wire.containers import Containers, Engine
from forestall.guard.wire.endpoint import WireError
from forestall.guard.wire.supervisord import ProgramState, Supervisord
from forestall.sense import procfs
from forestall.sense.host import Host, RunCommand, run_bounded
from forestall.units import format_duration

ANCESTORS_MAX = 64
LONGER_SECONDS = 5.0
"""How much longer than the grace an engine is waited for: it stops, and then starts."""


class Manager(Protocol):
    """Who runs one service. Each method may raise WireError."""

    @property
    def name(self) -> str: ...

    def pid(self) -> int:
        """The first process of the service on this host; 0 = it does not run."""
        ...

    def restart(self, grace_seconds: float, seconds: float, clock: Clock) -> str:
        """End it and start it again; a sentence."""
        ...

    def start(self, seconds: float) -> None:
        """Start it, where it does not run."""
        ...

    def close(self) -> None: ...


class Program:
    """A program of supervisord. Its own `stopwaitsecs` is the grace."""

    def __init__(self, recipe: Recipe) -> None:
        assert recipe.program is not None
        self._program = recipe.program
        self._client = Supervisord(
            recipe.server, user=recipe.user, password_file=recipe.password_file
        )
        self.name = f"{recipe.program} of {self._client.name}"

    def pid(self) -> int:
        return self._client.program(self._program).pid

    def restart(self, grace_seconds: float, seconds: float, clock: Clock) -> str:
        end = clock.monotonic() + seconds
        started = clock.monotonic()
        self._client.stop(self._program, seconds=seconds * 0.75)
        stopped = format_duration(clock.monotonic() - started)
        # Begun and not waited for any longer than this, it may still come: verify sees.
        self._client.start(self._program, seconds=max(1.0, end - clock.monotonic()))
        return f"supervisord stopped {self._program} in {stopped} and started it."

    def start(self, seconds: float) -> None:
        if self._client.program(self._program).state is not ProgramState.STARTING:
            self._client.start(self._program, seconds=seconds)

    def close(self) -> None:
        self._client.close()


class Contained:
    """A container of podman or docker."""

    def __init__(self, recipe: Recipe, run: RunCommand) -> None:
        assert recipe.container is not None
        assert recipe.engine is not None
        self._container = recipe.container
        self._client = Containers(Engine(recipe.engine), run=run)
        self.name = f"container {recipe.container} of {recipe.engine}"

    def pid(self) -> int:
        found = self._client.container(self._container)
        return found.pid if found.running else 0

    def restart(self, grace_seconds: float, seconds: float, clock: Clock) -> str:
        grace = int(max(0.0, min(grace_seconds, seconds - LONGER_SECONDS)))
        self._client.restart(self._container, grace_seconds=grace, seconds=seconds)
        return f"{self._client.name} restarted {self._container}."

    def start(self, seconds: float) -> None:
        self._client.start(self._container, seconds=seconds)

    def close(self) -> None:
        self._client.close()


def manager_of(recipe: Recipe, run: RunCommand = run_bounded) -> Manager | None:
    """Who runs the service, where it is restarted by asking them; else None."""
    if recipe.method is Method.SUPERVISORD:
        return Program(recipe)
    return Contained(recipe, run) if recipe.method is Method.CONTAINER else None


def why_not(manager: Manager, judged_pid: int, host: Host) -> str | None:
    """Why this manager is not to be asked about the judged process, as a sentence, or None."""
    try:
        pid = manager.pid()
    except WireError as error:
        return f"It cannot be asked for: {error.message}."
    if pid == 0:
        return f"{manager.name} does not run."
    if pid not in ancestry(judged_pid, host):
        # A recipe that names another service must not take that one down.
        return (
            f"{manager.name} runs as process {pid}, which is neither the judged process "
            f"{judged_pid} nor above it."
        )
    return None


def ancestry(pid: int, host: Host) -> tuple[int, ...]:
    """The process and those above it, up to init."""
    found = [pid]
    read = partial(procfs.read_stat, host)
    while (stat := read(found[-1])) is not None and stat.parent_pid > 1:
        if len(found) >= ANCESTORS_MAX:
            break
        found.append(stat.parent_pid)
    return tuple(found)
