"""podman and docker, by their command line: one container's state, its limit, its restart.

Their sockets differ, and podman has none unless a service runs; their commands are the same.
"""

import json
from enum import StrEnum
from typing import Any, NamedTuple

from forestall.guard.wire.endpoint import RefusedError, WireError
from forestall.sense.host import RunCommand, run_bounded

TIMEOUT_SECONDS = 10.0
NAME_CHARS_MAX = 255


class Engine(StrEnum):
    """The two whose command line is the same."""

    PODMAN = "podman"
    DOCKER = "docker"


class Container(NamedTuple):
    """One container. `pid` is that of its first process on this host, 0 where it does not run;
    `limit_bytes` is None where it has no limit of memory."""

    id: str
    name: str
    running: bool
    pid: int
    limit_bytes: int | None


class Containers:
    """The containers of one engine on this host. Raises WireError, RefusedError for its own no.

    `run` runs a command; it is a parameter for the tests of hosts without an engine.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        run: RunCommand = run_bounded,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.name = engine.value
        self._run = run
        self._timeout_seconds = timeout_seconds

    def connect(self) -> None:
        """Nothing stays open: a command has no connection. Loads what running one needs."""
        import subprocess  # noqa: F401

    def ping(self) -> str:
        """The version of the engine's command."""
        return self._ask("--version").strip()[:200]

    def container(self, name: str) -> Container:
        """`inspect` of one container, by name or id."""
        try:
            found = json.loads(self._ask("container", "inspect", "--", is_name(name)))
            (told,) = found
            state, host = told["State"], told["HostConfig"]
            limit = _number(host.get("Memory"))
            return Container(
                id=str(told["Id"])[:64],
                name=str(told["Name"]).lstrip("/"),
                running=state["Running"] is True,
                pid=_number(state["Pid"]),
                limit_bytes=limit if limit > 0 else None,
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise WireError(f"{self.name}: inspect of {name} has not the form it should") from None

    def limit(self, name: str, limit_bytes: int) -> None:
        """`update --memory` of a running container, swap included: it gets no more by swapping."""
        assert limit_bytes > 0
        words = ("--memory", str(limit_bytes), "--memory-swap", str(limit_bytes))
        self._ask("container", "update", *words, "--", is_name(name))

    def restart(self, name: str, *, grace_seconds: int, seconds: float) -> None:
        """`restart`: SIGTERM, SIGKILL after the grace, and a start."""
        assert 0 <= grace_seconds <= seconds
        words = ("-t", str(grace_seconds), "--", is_name(name))
        self._ask("container", "restart", *words, seconds=seconds)

    def start(self, name: str, *, seconds: float) -> None:
        """`start`; one that runs is no fault."""
        self._ask("container", "start", "--", is_name(name), seconds=seconds)

    def close(self) -> None:
        """Nothing is open."""

    def _ask(self, *words: str, seconds: float | None = None) -> str:
        limit = self._timeout_seconds if seconds is None else seconds
        code, output, problem = self._run((self.name, *words), limit)
        what = f"{self.name} {' '.join(words[:2])}"
        if problem is not None:
            raise WireError(f"{what}: {problem}", help=f"see whether {self.name} runs here")
        if code != 0:
            raise RefusedError(
                f"{what} failed with exit code {code}",
                help=f"run `{self.name} {' '.join(words)}` to see what it says",
            )
        return output.decode("utf-8", "replace")


def is_name(name: str) -> str:
    """The name, where it is one that the engines take. Raises WireError."""
    plain = all(c.isascii() and (c.isalnum() or c in "_.-") for c in name)
    if not plain or not 0 < len(name) <= NAME_CHARS_MAX or not name[0].isalnum():
        raise WireError(f"not the name of a container: {name!r}")
    return name


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
