"""A primary and a streaming standby of our own, to break: freeze, kill, promote."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cims import schema
from throwaway_postgres import Server, binaries, free_port, user

DATABASE = "cims"
SETTINGS = {"fsync": "off", "wal_sender_timeout": "0", "wal_receiver_timeout": "0"}


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, read from /proc."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


class Node(Server):
    """A server whose every process dies at once, as on a host that panics."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def panic(self) -> None:
        """SIGKILL to all of its processes; they are gone when this returns."""
        if self._process is None:
            return
        below = descendants(self.pid)
        for pid in (self.pid, *below):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        self._process = None
        ends = time.monotonic() + 30
        while any(_alive(pid) for pid in below) and time.monotonic() < ends:
            time.sleep(0.02)

    def freeze_receiver(self) -> None:
        """Stop the process that receives the primary's log, as a cut network would."""
        for pid in descendants(self.pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as file:
                if "walreceiver" in file.read():
                    os.kill(pid, signal.SIGSTOP)
                    return
        raise AssertionError("no walreceiver")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


class Standby(Node):
    """A copy of `primary` that follows it."""

    def __init__(self, folder: Path, primary: Server) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._bin = binaries()
        self._user = user()
        self._process = None
        folder.mkdir()
        if self._user is not None:
            shutil.chown(folder, self._user)
        words = ["-D", self.data, "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
        subprocess.run(
            [self._bin / "pg_basebackup", *words, "-R", "-X", "stream", "-c", "fast", "-N"],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=100,
        )


class Pair:
    """The two; `dsn` leads to whichever takes writes, `alone` to the first primary only."""

    def __init__(self, primary: Node, standby: Standby) -> None:
        self.primary = primary
        self.standby = standby
        self.alone = primary.dsn(DATABASE)
        self.dsn = (
            f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} "
            f"user=postgres dbname={DATABASE} target_session_attrs=read-write"
        )

    def follow(self, *, synchronous: bool) -> None:
        """Wait until the standby streams, as a synchronous one if so wanted."""
        if synchronous:
            self.primary.run("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (*)'")
            self.primary.run("SELECT pg_reload_conf()")
        self._wait_for("sync" if synchronous else "async")

    def _wait_for(self, state: str) -> None:
        ends = time.monotonic() + 30
        query = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        while time.monotonic() < ends:
            with psycopg.connect(self.primary.dsn("postgres")) as connection:
                if connection.execute(query).fetchall() == [(state,)]:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the standby is not {state}")

    def fail_over(self) -> None:
        """The primary is gone for good; what the standby has on disk takes over."""
        self.primary.panic()
        # All of it, so that what only its sockets hold is lost as with a cut network.
        self.standby.panic()
        self.standby.start(**SETTINGS)
        with psycopg.connect(self.standby.dsn("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            assert connection.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)


@contextlib.contextmanager
def pair(folder: Path, *, synchronous: bool) -> Iterator[Pair]:
    """A seeded primary with a standby that follows it, for the time of the block."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    with contextlib.ExitStack() as stack:
        (folder / "primary").mkdir()
        primary = Node(folder / "primary")
        stack.callback(primary.panic)
        primary.start(**SETTINGS)
        primary.run(f"CREATE DATABASE {DATABASE}")
        schema.migrate(primary.dsn(DATABASE))
        schema.seed(primary.dsn(DATABASE), skus=50, units=100_000)
        standby = Standby(folder / "standby", primary)
        stack.callback(standby.panic)
        standby.start(**SETTINGS)
        made = Pair(primary, standby)
        made.follow(synchronous=synchronous)
        yield made
