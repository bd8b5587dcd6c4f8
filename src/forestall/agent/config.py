"""The agent's configuration: one TOML file, read strictly.

An unknown key is an error that names it, because a misspelt limit would otherwise be no limit.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from forestall.errors import UsageError
from forestall.model.action import Mode
from forestall.model.sample import ProcessSample
from forestall.units import MIB, parse_bytes

CONFIG_BYTES_MAX = 1 * MIB
SERVICES_MAX = 256
PROTECTED_MAX = 256
DEFAULT_LISTEN = "127.0.0.1:9188"
DEFAULT_INTERVAL_SECONDS = 1.0
INTERVAL_SECONDS_MIN, INTERVAL_SECONDS_MAX = 0.2, 60.0

Value = TypeVar("Value")
Default = TypeVar("Default")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What a person said about one service.

    Exactly one of `unit`, `process` (its name) and `cgroup` (its path, or one above) finds it.
    `restart` is "systemd", "signal" or a command; `limit_bytes` a limit that the host does not
    state; without `allow` nothing is done to it, whatever the mode.
    """

    name: str
    unit: str | None = None
    process: str | None = None
    cgroup: str | None = None
    restart: str | tuple[str, ...] | None = None
    limit_bytes: int | None = None
    allow: bool = False

    def matches(self, process: ProcessSample) -> bool:
        if self.unit is not None:
            return process.unit == self.unit
        if self.process is not None:
            return process.name == self.process
        below = (process.cgroup or "") + "/"
        return self.cgroup is not None and below.startswith(self.cgroup.rstrip("/") + "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Everything `forestall watch` can be told. None in `listen` = no listener.

    `policy` holds the raw values of the [policy] table for guard to check against its own fields;
    `protected` are names and units guard never touches, shell-style, beside its own list.
    """

    mode: Mode = Mode.OBSERVE
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    listen: str | None = DEFAULT_LISTEN
    listen_anywhere: bool = False
    state: str | None = None
    rss_bytes_max: int | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    services: tuple[ServiceConfig, ...] = ()
    webhook: str | None = None


def read_config(path: str) -> AgentConfig:
    """The configuration in the file at `path`. Raises UsageError naming the key and the file."""
    # Kept out of an agent that has no file: tomllib costs a megabyte (detect.md, footprint).
    import tomllib

    try:
        with open(path, "rb") as file:
            raw = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", help="see `forestall watch --help`") from None
    if len(raw) > CONFIG_BYTES_MAX:
        raise UsageError(f"{path}: larger than {CONFIG_BYTES_MAX} bytes")
    try:
        data = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: no TOML: {error}") from None
    return parse_config(data, path)


def parse_config(data: Mapping[str, Any], path: str) -> AgentConfig:
    """The configuration in parsed TOML. Raises UsageError naming the key and `path`."""
    top = _Table(data, path, "")
    agent, notify = top.table("agent"), top.table("notify")
    policy: dict[str, Any] = top.take("policy", _dict, {})
    services: list[dict[str, Any]] = top.take("service", _tables, [])
    if len(services) > SERVICES_MAX:
        raise top.error("service", f"at most {SERVICES_MAX} services, found {len(services)}")
    config = AgentConfig(
        mode=agent.take("mode", Mode, Mode.OBSERVE),
        interval_seconds=agent.take("interval_seconds", check_interval, DEFAULT_INTERVAL_SECONDS),
        listen=agent.take("listen", _listen, DEFAULT_LISTEN),
        listen_anywhere=agent.take("listen_anywhere", _bool, False),
        state=agent.take("state", _text, None),
        rss_bytes_max=agent.take("memory_limit", _bytes, None),
        policy=policy,
        protected=agent.take("protected", _patterns, ()),
        services=tuple(
            _service(_Table(each, path, f"service[{index}]")) for index, each in enumerate(services)
        ),
        webhook=notify.take("webhook", _text, None),
    )
    for table in (agent, notify, top):
        table.finish()
    return config


def check_interval(value: Any) -> float:
    """Seconds between two ticks. Raises ValueError outside what the tiers are made for."""
    seconds = float(_number(value))
    if not INTERVAL_SECONDS_MIN <= seconds <= INTERVAL_SECONDS_MAX:
        raise ValueError(
            f"between {INTERVAL_SECONDS_MIN:g} and {INTERVAL_SECONDS_MAX:g} seconds, not {value}"
        )
    return seconds


def find_config(option: str | None) -> str | None:
    """The file to read: the option, else /etc/forestall/forestall.toml where there is one."""
    if option is not None:
        return option
    default = "/etc/forestall/forestall.toml"
    return default if os.path.exists(default) else None


def _service(table: "_Table") -> ServiceConfig:
    match: dict[str, Any] = table.take("match", _dict, {})
    known = ("unit", "process", "cgroup")
    if len(match) != 1 or next(iter(match)) not in known:
        raise table.error(
            "match", 'one of { unit = "..." }, { process = "..." }, { cgroup = "..." }'
        )
    kind, pattern = next(iter(match.items()))
    if not isinstance(pattern, str) or not pattern:
        raise table.error(f"match.{kind}", f"a text, not {pattern!r}")
    service = ServiceConfig(
        name=table.take("name", _text, pattern),
        unit=pattern if kind == "unit" else None,
        process=pattern if kind == "process" else None,
        cgroup=pattern if kind == "cgroup" else None,
        restart=table.take("restart", _restart, None),
        limit_bytes=table.take("limit", _bytes, None),
        allow=table.take("allow", _bool, False),
    )
    table.finish()
    return service


class _Table:
    """One TOML table whose keys are taken one by one; `finish` refuses what was not taken."""

    def __init__(self, data: Mapping[str, Any], path: str, name: str) -> None:
        self._left = dict(data)
        self._path = path
        self._name = name
        self._known: list[str] = []

    def take(self, key: str, convert: Callable[[Any], Value], default: Default) -> Value | Default:
        self._known.append(key)
        if key not in self._left:
            return default
        value = self._left.pop(key)
        try:
            return convert(value)
        except UsageError as error:
            raise self.error(key, error.message, help=error.help) from None
        except ValueError as error:
            raise self.error(key, str(error)) from None

    def table(self, key: str) -> "_Table":
        return _Table(self.take(key, _dict, {}), self._path, self._full(key))

    def finish(self) -> None:
        for key in self._left:
            known = ", ".join(sorted(self._known))
            raise self.error(key, "no such key", help=f"keys known here: {known}")

    def error(self, key: str, what: str, *, help: str | None = None) -> UsageError:
        return UsageError(f"{self._path}: {self._full(key)}: {what}", help=help)

    def _full(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"a text, not {value!r}")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"true or false, not {value!r}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a number, not {value!r}")
    return value


def _bytes(value: Any) -> int:
    size = value if isinstance(value, int) and not isinstance(value, bool) else None
    size = parse_bytes(_text(value)) if size is None else size
    if size <= 0:
        raise ValueError(f"more than 0 bytes, not {value!r}")
    return size


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a table, not {value!r}")
    return value


def _tables(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ValueError("an array of tables, written [[service]]")
    return [_dict(item) for item in value]


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > PROTECTED_MAX:
        raise ValueError(f"a list of at most {PROTECTED_MAX} names or units")
    return tuple(_text(item) for item in value)


def _listen(value: Any) -> str | None:
    return None if value is False else _text(value)


def _restart(value: Any) -> str | tuple[str, ...]:
    if value in ("systemd", "signal"):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ValueError('"systemd", "signal" or a command as a list of texts')
