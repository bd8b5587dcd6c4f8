"""What a cluster needs of the machine: server programs, and a Python that their user can read."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
PATH_VARIABLE = "FORESTALL_DRILL_PATH"
"""Where else than in PATH the servers are looked for; without it in the sbin folders."""
PACKAGES = {
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "pgbouncer": "pgbouncer",
    "postgres": "postgresql",
}


class MissingError(Exception):
    """Something that the machine has not; the message says what, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where the server programs are."""

    etcd: str
    haproxy: str
    pgbouncer: str
    postgres: Path
    """The folder of PostgreSQL's programs."""


def find_programs() -> Programs:
    """The programs of this machine; MissingError names the system packages that are missing."""
    path = f"{os.environ.get('PATH', os.defpath)}:{os.environ.get(PATH_VARIABLE, SBIN)}"
    found = {name: shutil.which(name, path=path) for name in ("etcd", "haproxy", "pgbouncer")}
    found["postgres"] = _newest_postgres()
    missing = sorted(PACKAGES[name] for name, where in found.items() if where is None)
    if missing:
        raise MissingError(
            f"the cluster needs system packages that are not installed: {', '.join(missing)}"
            " (as root: sh tools/packages.sh cluster)"
        )
    return Programs(
        etcd=str(found["etcd"]),
        haproxy=str(found["haproxy"]),
        pgbouncer=str(found["pgbouncer"]),
        postgres=Path(str(found["postgres"])),
    )


def missing_here() -> str | None:
    """What keeps a cluster from starting on this machine, or None: for the reason of a skip."""
    try:
        find_programs()
        missing_modules()
    except MissingError as error:
        return str(error)
    return None


def _newest_postgres() -> str | None:
    """The newest version that has everything a node needs."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    whole = [
        folder
        for folder in folders
        if all((folder / name).exists() for name in ("postgres", "initdb", "pg_rewind"))
    ]
    whole.sort(key=lambda folder: int("".join(re.findall(r"\d+", str(folder))[:1]) or 0))
    return str(whole[-1]) if whole else None


def missing_modules(more: Iterable[str] = (), *, extra: str = "drill") -> None:
    """MissingError when Patroni, psycopg or one of `more` is not in this environment."""
    for name in ("patroni", "psycopg", "psycopg-binary", *more):
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise MissingError(
                f"{name} is not installed: pip install 'forestall[{extra}]'"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user that the servers run as. PostgreSQL and pgbouncer refuse to run as root."""

    user: int | None
    group: int | None
    """None: as whoever runs the drill."""

    def own(self, path: Path) -> None:
        """Give a file or folder to that user."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def find_account() -> Account:
    """Nobody when root asks, else the user who asks."""
    if os.geteuid() != 0:
        return Account(user=None, group=None)
    entry = pwd.getpwnam("nobody")
    return Account(user=entry.pw_uid, group=entry.pw_gid)


def find_python(
    account: Account, folder: Path, more: Iterable[str] = ()
) -> tuple[str, dict[str, str]]:
    """An interpreter that this user can run Patroni with, and its environment.

    `more` are distributions that it needs beside Patroni.

    A checkout may lie below a folder that nobody else may enter (mode 700), and so may the
    interpreter itself. Then Patroni and what it needs are copied into the cluster's folder,
    and an interpreter of the same version is looked for where everybody may read; when there is
    none, the one that runs this is copied too.
    """
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    if account.user is None:
        return sys.executable, environment
    packages = folder / "packages"
    packages.mkdir()
    for name in sorted(_closure({"patroni", "psycopg", "psycopg-binary", "python-etcd", *more})):
        _copy_distribution(name, packages)
    environment["PYTHONPATH"] = str(packages)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (
        os.path.realpath(sys.executable),
        f"/usr/bin/{version}",
        f"/usr/local/bin/{version}",
    ):
        if _runs(candidate, account, environment):
            return candidate, environment
    copied = folder / "python"
    shutil.copytree(
        sys.base_prefix,
        copied,
        symlinks=True,
        ignore=shutil.ignore_patterns("test", "site-packages", "idlelib", "*.a", "share"),
    )
    environment["LD_LIBRARY_PATH"] = str(copied / "lib")
    python = str(copied / "bin" / version)
    if not _runs(python, account, environment):
        raise MissingError(
            f"the servers run as nobody, who cannot use {sys.executable}:"
            " run the drill with a Python that everybody may read"
        )
    return python, environment


def _runs(python: str, account: Account, environment: dict[str, str]) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import patroni.__main__, psycopg, ssl"],
            user=account.user,
            group=account.group,
            extra_groups=[],
            cwd="/",
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _closure(names: set[str]) -> set[str]:
    """These distributions and all that they ask for, of those that are installed."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop().lower().replace("_", "-")
        try:
            wanted = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        if name in seen:
            continue
        seen.add(name)
        for requirement in wanted:
            bare, _, marker = requirement.partition(";")
            name_only = re.match(r"[A-Za-z0-9._-]+", bare.strip())
            if name_only and "extra" not in marker:
                todo.append(name_only[0])
    return seen


def _copy_distribution(name: str, target: Path) -> None:
    site = Path(sysconfig.get_paths()["platlib"])
    for file in metadata.files(name) or []:
        source = Path(str(file.locate()))
        if not source.is_relative_to(site) or not source.is_file():
            continue  # a script in bin/
        copy = target / source.relative_to(site)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
