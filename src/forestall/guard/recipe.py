"""How a service is brought back once its process is gone: five ways, each checked afterwards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from forestall.errors import InputError, UsageError
from forestall.model.action import Action, Plan

COMMAND_WORDS_MAX = 64
COMMAND_BYTES_MAX = 4096


SUPERVISOR_URL = "unix:///var/run/supervisor.sock"
ENGINES = ("podman", "docker")
NAME_CHARS_MAX = 255


class Method(StrEnum):
    """How. systemd: `systemctl restart`. command: a given one. signal: a supervisor brings it back.

    supervisord: its program is stopped and started. container: podman or docker restarts it.
    """

    SYSTEMD = "systemd"
    COMMAND = "command"
    SIGNAL = "signal"
    SUPERVISORD = "supervisord"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to restart a service. `unit` is for SYSTEMD; `command`, its words, for COMMAND.

    `program`, of supervisord at `server`, with `user` and `password_file` where it asks for them,
    is for SUPERVISORD; `engine` and `container`, a name or an id, are for CONTAINER.
    Raises UsageError for a recipe that could not be carried out.
    """

    method: Method
    unit: str | None = None
    command: tuple[str, ...] = ()
    program: str | None = None
    server: str = SUPERVISOR_URL
    user: str | None = None
    password_file: str | None = None
    engine: str | None = None
    container: str | None = None

    def __post_init__(self) -> None:
        if self.method is Method.SYSTEMD and not _is_unit(self.unit):
            raise UsageError(
                f"not a systemd service: {self.unit!r}", help="write for example feed-sync.service"
            )
        if self.method is Method.COMMAND and not _is_command(self.command):
            raise UsageError(
                f"not a restart command: {self.command!r}",
                help=f"give a program by its absolute path and its words, at most "
                f"{COMMAND_WORDS_MAX} of them and {COMMAND_BYTES_MAX} bytes",
            )
        if self.method is Method.SUPERVISORD:
            _check_program(self)
        if self.method is Method.CONTAINER and not (
            self.engine in ENGINES and _is_container(self.container)
        ):
            raise UsageError(
                f"not a container: {self.engine} {self.container!r}",
                help='give "podman" or "docker", and the name of the container or its id',
            )

    @property
    def sentence(self) -> str:
        """What will be done, for a person."""
        if self.method is Method.SYSTEMD:
            return f"by `systemctl restart {self.unit}`"
        if self.method is Method.COMMAND:
            # Only the program: its further words may hold a secret, and notices travel.
            return f"by the given command {self.command[0]}"
        if self.method is Method.SUPERVISORD:
            return f"by supervisord, which stops and starts {self.program}"
        if self.method is Method.CONTAINER:
            return f"by `{self.engine} restart {self.container}`"
        return "by SIGTERM, then SIGKILL, expecting its supervisor to start it again"


_NAMED: Mapping[Method, tuple[str, ...]] = {
    Method.SUPERVISORD: ("program", "server", "user", "password_file"),
    Method.CONTAINER: ("engine", "container"),
}
"""The fields that are parameters of an action by their own names; a password is a file's path."""


def to_parameters(recipe: Recipe) -> dict[str, str]:
    """A recipe as parameters of an action, which are text."""
    parameters = {"method": recipe.method.value}
    if recipe.method is Method.SYSTEMD:
        assert recipe.unit is not None
        parameters["unit"] = recipe.unit
    if recipe.method is Method.COMMAND:
        parameters["command"] = json.dumps(list(recipe.command))
    if recipe.method in (Method.SUPERVISORD, Method.CONTAINER):
        for name in _NAMED[recipe.method]:
            value = getattr(recipe, name)
            if value is not None:
                parameters[name] = value
    return parameters


def from_parameters(parameters: Mapping[str, str]) -> Recipe:
    """Inverse of `to_parameters`. Raises InputError where they hold no recipe."""
    try:
        words = json.loads(parameters.get("command", "[]"))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("a command is a list of words")
        method = Method(parameters["method"])
        named = {name: parameters[name] for name in _NAMED.get(method, ()) if name in parameters}
        return Recipe(method=method, unit=parameters.get("unit"), command=tuple(words), **named)
    except (KeyError, ValueError, UsageError) as error:
        raise InputError(f"no restart recipe in {dict(parameters)!r}: {error}") from None


def without_secrets(plan: Plan) -> Plan:
    """The plan as it may be written down: the words of a given command redacted.

    Ledger, evidence and reviews travel; only the executor needs the words as they are.
    """
    return replace(plan, actions=tuple(_redacted(action) for action in plan.actions))


def _redacted(action: Action) -> Action:
    command = action.parameters.get("command")
    if command is None:
        return action
    # Imported here: an agent without such a command does not need its patterns in memory.
    from forestall.evidence import redact

    words = redact.command_line(tuple(json.loads(command))).words
    return replace(action, parameters={**action.parameters, "command": json.dumps(list(words))})


def _is_unit(unit: str | None) -> bool:
    # A leading dash would be read as an option, and only a service can be restarted on its own.
    return (
        unit is not None
        and 0 < len(unit) <= 255
        and unit.endswith(".service")
        and not unit.startswith("-")
        and all(letter.isascii() and (letter.isalnum() or letter in ":-_.\\@") for letter in unit)
    )


def _is_command(command: tuple[str, ...]) -> bool:
    return (
        0 < len(command) <= COMMAND_WORDS_MAX
        and command[0].startswith("/")
        and sum(len(word.encode("utf-8", "surrogateescape")) for word in command)
        <= COMMAND_BYTES_MAX
        and not any("\0" in word for word in command)
    )


def _check_program(recipe: Recipe) -> None:
    # Imported here: only a supervisord has an address to be read.
    from forestall.guard.wire.http import parse_url

    program = recipe.program or ""
    if not 0 < len(program) <= NAME_CHARS_MAX or not program.isprintable() or "*" in program:
        raise UsageError(
            f"not a program of supervisord: {recipe.program!r}", help="write name, or group:name"
        )
    if parse_url(recipe.server).endpoint.tls is not None:
        raise UsageError("supervisord speaks no https", help="write unix:///run/supervisor.sock")


def _is_container(name: str | None) -> bool:
    return (
        name is not None
        and 0 < len(name) <= NAME_CHARS_MAX
        and name[0].isalnum()
        and all(letter.isascii() and (letter.isalnum() or letter in "_.-") for letter in name)
    )
