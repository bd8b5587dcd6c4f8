"""A PostgreSQL of our own: made in a folder, on a free port, and stopped by its pid."""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest installed; None without a server."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += [Path(p).parent for p in glob.glob("/usr/lib/postgresql/*/bin/initdb")]
    places += [Path(p).parent for p in glob.glob("/usr/pgsql-*/bin/initdb")]
    places = [p for p in places if (p / "postgres").exists()]
    return max(places, key=lambda p: _version(p), default=None)


def _version(folder: Path) -> int:
    said = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, timeout=30
    ).stdout
    return int(said.split()[2].split(".")[0])


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def user() -> str | None:
    """Whom to run PostgreSQL as: it refuses root. None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("no unprivileged user to run PostgreSQL as")


class Server:
    """One running cluster; `dsn(database)` reaches it."""

    def __init__(self, folder: Path) -> None:
        found = binaries()
        assert found is not None
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._bin = found
        self._user = user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        subprocess.run(
            [
                self._bin / "initdb",
                "-D",
                self.data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
                "--locale=C",
                "--encoding=UTF8",
            ],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=100,
        )

    def start(self, **settings: str) -> None:
        """Start, and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "max_connections": "100",
            "unix_socket_directories": str(self.folder),
            "shared_buffers": "64MB",
            "deadlock_timeout": "200ms",
            "autovacuum": "off",
            # Killing a server loses nothing that fsync keeps; only a power cut would.
            "fsync": "off",
            **settings,
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *words],
                user=self._user,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > ends or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self, *, kill: bool = False) -> None:
        """Stop at once; `kill` leaves no time for anything, as a power cut would."""
        if self._process is None:
            return
        if kill:
            # Its backends see that it is gone and leave by themselves.
            self._process.kill()
        else:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=30)
        self._process = None

    def dsn(self, database: str) -> str:
        """How to reach a database of it."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def run(self, sql: str) -> None:
        """One statement as the administrator."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(sql)


@contextlib.contextmanager
def running(**settings: str) -> Iterator[Server]:
    """A server for the time of the block, in a temporary folder its own user may reach."""
    folder = Path(tempfile.mkdtemp(prefix="cims-pg-"))
    server = None
    try:
        server = Server(folder)
        server.start(**settings)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder)
