"""How a service is brought back once its process is gone: three ways, each checked afterwards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from forestall.errors import InputError, UsageError
from forestall.model.action import Action, Plan

COMMAND_WORDS_MAX = 64
COMMAND_BYTES_MAX = 4096


class Method(StrEnum):
    """systemd: `systemctl restart`. command: a given one. signal: a supervisor brings it back."""

    SYSTEMD = "systemd"
    COMMAND = "command"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to restart a service. `unit` is for SYSTEMD; `command`, its words, for COMMAND.

    Raises UsageError for a recipe that could not be carried out.
    """

    method: Method
    unit: str | None = None
    command: tuple[str, ...] = ()

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

    @property
    def sentence(self) -> str:
        """What will be done, for a person."""
        if self.method is Method.SYSTEMD:
            return f"by `systemctl restart {self.unit}`"
        if self.method is Method.COMMAND:
            # Only the program: its further words may hold a secret, and notices travel.
            return f"by the given command {self.command[0]}"
        return "by SIGTERM, then SIGKILL, expecting its supervisor to start it again"


def to_parameters(recipe: Recipe) -> dict[str, str]:
    """A recipe as parameters of an action, which are text."""
    parameters = {"method": recipe.method.value}
    if recipe.method is Method.SYSTEMD:
        assert recipe.unit is not None
        parameters["unit"] = recipe.unit
    if recipe.method is Method.COMMAND:
        parameters["command"] = json.dumps(list(recipe.command))
    return parameters


def from_parameters(parameters: Mapping[str, str]) -> Recipe:
    """Inverse of `to_parameters`. Raises InputError where they hold no recipe."""
    try:
        words = json.loads(parameters.get("command", "[]"))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("a command is a list of words")
        return Recipe(
            method=Method(parameters["method"]),
            unit=parameters.get("unit"),
            command=tuple(words),
        )
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
