"""Who is never touched: by name, unit and pid. Checked when deciding, and again when acting."""

import os.path
from collections.abc import Iterable
from fnmatch import fnmatchcase

PROTECTED_NAMES = (
    "postgres",
    "postgres:*",
    "postmaster",
    "mysqld*",
    "mariadbd*",
    "mongod",
    "mongos",
    "oracle*",
    "ora_*",
    "tnslsnr",
    "redis-server*",
    "redis-sentinel*",
    "valkey-server*",
    "db2sysc",
    "sqlservr",
    "clickhouse*",
    "cockroach",
    "influxd",
    "etcd",
    "patroni",
    "pgbouncer",
    "sshd*",
    "systemd",
    "systemd-*",
    "(sd-pam)",
    "init",
    "dbus-daemon",
    "dbus-broker*",
    "earlyoom",
    "nohang",
    "oomd",
    "forestall",
)
"""Shell-style patterns on a process's names: the kernel's, its program's and its script's."""

PROTECTED_UNITS = (
    *(
        f"{name}{suffix}.service"
        for name in (
            "postgres",
            "postgresql",
            "mysql",
            "mysqld",
            "mariadb",
            "mongod",
            "oracle",
            "redis",
            "redis-server",
            "redis-sentinel",
            "etcd",
            "patroni",
            "pgbouncer",
            "ssh",
            "sshd",
            "dbus",
            "dbus-broker",
            "forestall",
        )
        for suffix in ("", "@*")
    ),
    "postgresql-[0-9]*.service",
    "mysqld_safe*.service",
    "oracle-*.service",
    "systemd-*.service",
    "init.scope",
)
"""Shell-style patterns on the unit a process belongs to; nothing in these is touched."""

SHARED_UNITS = ("user@*.service", "cron.service", "crond.service", "atd.service", "getty@*.service")
"""Units that hold many unrelated processes: never restarted as a whole because of one of them."""

_INTERPRETERS = ("python*", "perl*", "ruby*", "node", "bash", "sh", "dash", "env")


def protected_by_name(names: Iterable[str], extra: Iterable[str] = ()) -> str | None:
    """The sentence that says why a process of these names is never touched, or None."""
    patterns = (*PROTECTED_NAMES, *extra)
    for name in names:
        for pattern in patterns:
            if name and fnmatchcase(name.lower(), pattern.lower()):
                return _protected(name, pattern)
    return None


def protected_by_unit(unit: str | None, extra: Iterable[str] = ()) -> str | None:
    """The sentence that says why nothing in this unit is touched, or None."""
    if unit is None:
        return None
    for pattern in (*PROTECTED_UNITS, *extra):
        if fnmatchcase(unit.lower(), pattern.lower()):
            return _protected(f"the unit {unit}", pattern)
    return None


def _protected(what: str, pattern: str) -> str:
    why = "" if what == pattern else f" (it matches {pattern})"
    return f"Protected: guard never touches {what}{why}."


def shared_unit(unit: str | None) -> str | None:
    """The sentence that says why this unit is not restarted as a whole, or None."""
    if unit is not None and any(fnmatchcase(unit, pattern) for pattern in SHARED_UNITS):
        return f"Protected: {unit} holds unrelated processes, so it is not restarted as a whole."
    return None


def protected_cgroup(path: str) -> str | None:
    """The sentence that says why this cgroup is not limited as a whole, or None."""
    if path in ("", "/") or path.rstrip("/").endswith(".slice"):
        return f"Protected: {path or '/'} holds unrelated processes, so it is not limited."
    return None


def protected_by_pid(pid: int, own_pids: Iterable[int]) -> str | None:
    """The sentence that says why this pid is never touched, or None."""
    if pid <= 1:
        return f"Protected: pid {pid} is not a service of this host."
    if pid in own_pids:
        return f"Protected: pid {pid} is forestall itself or what runs it."
    return None


def script_of(words: tuple[str, ...]) -> str | None:
    """The script or module an interpreter runs, without its folder; None for other programs.

    A Patroni started as `python3 /usr/bin/patroni` is `python3` to the kernel.
    """
    if not words:
        return None
    program = os.path.basename(words[0])
    if not any(fnmatchcase(program, pattern) for pattern in _INTERPRETERS):
        return None
    script = next((word for word in words[1:8] if word and not word.startswith("-")), None)
    return None if script is None else os.path.basename(script).removesuffix(".py")


def names_of(comm: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """Every name a process goes by: the kernel's, its program's and, interpreted, its script's."""
    # A title that a program sets itself (`postgres: checkpointer`) comes as one word.
    program = (os.path.basename(words[0]), words[0]) if words else ()
    names = (comm, *program, script_of(words) or "")
    return tuple(dict.fromkeys(name for name in names if name))
