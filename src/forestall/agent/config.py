"""The agent's configuration: one TOML file, read strictly.

An unknown key is an error that names it, because a misspelt limit would otherwise be no limit.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from forestall.errors import UsageError
from forestall.model.action import Mode
from forestall.model.sample import ProcessSample
from forestall.units import MIB, parse_bytes

if TYPE_CHECKING:
    from forestall.guard.database import DatabaseAccess
    from forestall.guard.recipe import Recipe
    from forestall.guard.wire.endpoint import Tls

CONFIG_BYTES_MAX = 1 * MIB
SERVICES_MAX = 256
PROTECTED_MAX = 256
PLACES_MAX = 16
DEFAULT_LISTEN = "127.0.0.1:9188"
DEFAULT_INTERVAL_SECONDS = 1.0
INTERVAL_SECONDS_MIN, INTERVAL_SECONDS_MAX = 0.2, 60.0

Value = TypeVar("Value")
Default = TypeVar("Default")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What a person said about one service.

    Exactly one of `unit`, `process` (its name) and `cgroup` (its path, or one above) finds it.
    `restart` is "systemd", "signal", "supervisord" (its program has the service's name), a command,
    or a whole recipe; `limit_bytes` a limit that the host does not
    state; without `allow` nothing is done to it, whatever the mode.
    """

    name: str
    unit: str | None = None
    process: str | None = None
    cgroup: str | None = None
    restart: "str | tuple[str, ...] | Recipe | None" = None
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
class FleetConfig:
    """The etcd that hosts share a lease in; `member` is how this host is called there."""

    etcd: tuple[str, ...]
    scope: str
    member: str | None = None
    user: str | None = None
    password_file: str | None = None
    tls: "Tls | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Everything `forestall watch` can be told. None in `listen` = no listener.

    `policy` holds the raw values of the [policy] table for guard to check against its own fields;
    `protected` are names and units guard never touches, shell-style, beside its own list.
    `pagerduty` is the path of the file that holds the routing key.
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
    pagerduty: str | None = None
    database: "DatabaseAccess | None" = None
    fleet: FleetConfig | None = None


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
    database = _database(top.table("database")) if "database" in data else None
    fleet = _fleet(top.table("fleet"), database) if "fleet" in data else None
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
        pagerduty=notify.take("pagerduty", _file, None),
        database=database,
        fleet=fleet,
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


def _database(table: "_Table") -> "DatabaseAccess":
    """[database]: how the cluster on this host is reached."""
    # Kept out of an agent that has no database beside it.
    from forestall.guard.database import DatabaseAccess, Pooler, Proxy
    from forestall.guard.wire.endpoint import parse_endpoint
    from forestall.guard.wire.http import parse_url
    from forestall.guard.wire.patroni import Access

    def url(value: Any) -> str:
        parse_url(_text(value))
        return str(value)

    def urls(value: Any) -> tuple[str, ...]:
        return tuple(url(each) for each in _texts(value))

    def address(value: Any) -> str:
        parse_endpoint(_text(value), port=1)
        return str(value)

    def pooler(each: _Table) -> Pooler:
        return Pooler(
            address=each.need("address", address),
            user=each.take("user", _text, "pgbouncer"),
            password_file=each.take("password_file", _file, None),
            databases=each.take("databases", _texts, ()),
        )

    def proxy(each: _Table) -> Proxy:
        return Proxy(
            address=each.need("address", address),
            backend=each.need("backend", _text),
            servers=each.take("servers", _names, {}),
        )

    access = DatabaseAccess(
        scope=table.need("scope", _text),
        own=table.take("member", _text, None),
        url=table.take("patroni", url, None),
        peers=table.take("peers", urls, ()),
        rest=Access(
            user=table.take("user", _text, None),
            password_file=table.take("password_file", _file, None),
            tls=_tls(table),
        ),
        poolers=tuple(pooler(each) for each in table.each("pgbouncer")),
        proxies=tuple(proxy(each) for each in table.each("haproxy")),
    )
    if access.url is None and not access.peers:
        raise table.error("peers", 'the Patroni REST addresses of the other members, or "patroni"')
    table.finish()
    return access


def _fleet(table: "_Table", database: "DatabaseAccess | None") -> FleetConfig:
    """[fleet]: the etcd in which the hosts of a cluster share their lease."""
    from forestall.guard.wire.http import parse_url

    def urls(value: Any) -> tuple[str, ...]:
        found = _texts(value)
        for each in found:
            parse_url(each)
        return found

    scope = database.scope if database is not None else None
    fleet = FleetConfig(
        etcd=table.need("etcd", urls),
        scope=table.take("scope", _text, scope) or table.need("scope", _text),
        member=table.take("member", _text, database.own if database is not None else None),
        user=table.take("user", _text, None),
        password_file=table.take("password_file", _file, None),
        tls=_tls(table),
    )
    table.finish()
    return fleet


def _tls(table: "_Table") -> "Tls | None":
    from forestall.guard.wire.endpoint import Tls

    given = {
        name: table.take(key, _file, None)
        for name, key in (("authority", "ca"), ("certificate", "certificate"), ("key", "key"))
    }
    return Tls(**given) if any(given.values()) else None


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

    def need(self, key: str, convert: Callable[[Any], Value]) -> Value:
        """What must be there."""
        if key not in self._left:
            raise self.error(key, "is needed and missing")
        value: Value | None = self.take(key, convert, None)
        assert value is not None
        return value

    def each(self, key: str) -> "Iterator[_Table]":
        """The tables of an array, each finished once it was taken from."""
        found: list[dict[str, Any]] = self.take(key, _tables, [])
        if len(found) > PLACES_MAX:
            raise self.error(key, f"at most {PLACES_MAX}, found {len(found)}")
        for index, data in enumerate(found):
            table = _Table(data, self._path, f"{self._full(key)}[{index}]")
            yield table
            table.finish()

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
    if not value.isprintable():
        # No path, name or address has any, and what is configured is shown on terminals.
        raise ValueError(f"a text without control characters, not {value!r}")
    return value


def _file(value: Any) -> str:
    """An absolute path: a secret is never in the configuration itself."""
    if not os.path.isabs(_text(value)):
        raise ValueError(f"the absolute path of a file, not {value!r}")
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= PLACES_MAX:
        raise ValueError(f"a list of 1 to {PLACES_MAX} texts")
    return tuple(_text(item) for item in value)


def _names(value: Any) -> dict[str, str]:
    return {name: _text(item) for name, item in _dict(value).items()}


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


def _restart(value: Any) -> "str | tuple[str, ...] | Recipe":
    if value in ("systemd", "signal", "supervisord"):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    if isinstance(value, dict):
        return _recipe(value)
    raise ValueError(
        '"systemd", "signal", "supervisord", a command as a list of texts, '
        '{ supervisord = "PROGRAM" }, { podman = "NAME" } or { docker = "NAME" }'
    )


def _recipe(data: dict[str, Any]) -> "Recipe":
    """A way to restart that needs more than a word."""
    from forestall.guard.recipe import SUPERVISOR_URL, Method, Recipe

    given = {key: _text(value) for key, value in data.items()}
    engines = [name for name in ("podman", "docker") if name in given]
    if len(engines) == 1 and len(given) == 1:
        engine = engines[0]
        return Recipe(method=Method.CONTAINER, engine=engine, container=given[engine])
    known = {"supervisord", "server", "user", "password_file"}
    if "supervisord" in given and not set(given) - known:
        return Recipe(
            method=Method.SUPERVISORD,
            program=given["supervisord"],
            server=given.get("server", SUPERVISOR_URL),
            user=given.get("user"),
            password_file=_file(given["password_file"]) if "password_file" in given else None,
        )
    raise ValueError('{ supervisord = "PROGRAM" }, { podman = "NAME" } or { docker = "NAME" }')
