"""One node of the cluster: Patroni, its PostgreSQL, its network card; and what can befall them."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drills.cluster.machine import Machine
from drills.cluster.process import Process, inside, wait_gone
from drills.cluster.settings import LOOPBACK, NodePorts

LOOK_SECONDS = 3.0


class Node:
    """A node. Each fault goes to exact processes, and has a method that ends it."""

    def __init__(
        self,
        *,
        ports: NodePorts,
        folder: Path,
        rest_password: str,
        start_patroni: Callable[[Node], subprocess.Popen[bytes]],
        start_card: Callable[[Node], subprocess.Popen[bytes]],
        machine: Machine | None,
        disk: Path | None = None,
    ) -> None:
        self.ports = ports
        self.name = ports.name
        self.folder = folder
        self.data = (disk or folder) / "data"
        self.machine = machine
        self.disk = disk
        """The small disk that the data is on; None when it is on the machine's."""
        self._password = rest_password
        self._start_patroni = start_patroni
        self._start_card = start_card
        self._patroni: subprocess.Popen[bytes] | None = None
        self._card: subprocess.Popen[bytes] | None = None

    # What it is now.

    @property
    def processes(self) -> list[Process]:
        """Patroni, the postmaster and all its children; not the card, which is no part of it."""
        return [process for process in inside(self.folder) if "haproxy" not in process.title]

    @property
    def patroni(self) -> Process | None:
        """The Patroni process, when it runs."""
        if self._patroni is None or self._patroni.poll() is not None:
            return None
        return Process.of(self._patroni.pid)

    @property
    def postmaster(self) -> Process | None:
        """PostgreSQL's first process, by the number it noted itself."""
        try:
            noted = (self.data / "postmaster.pid").read_text(encoding="ascii").split()
            process = Process.of(int(noted[0]))
        except (OSError, ValueError, IndexError):
            return None
        return process if process and process in inside(self.data) else None

    def child(self, kind: str) -> Process | None:
        """A process of this PostgreSQL by what its title says, such as `walreceiver`."""
        return next((p for p in inside(self.data) if f": {kind}" in p.title), None)

    def ask(
        self, path: str, body: dict[str, Any] | None = None, *, seconds: float = LOOK_SECONDS
    ) -> tuple[int, Any]:
        """What Patroni answers, past the card: (status, answer); (0, why) when it does not."""
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.ports.rest}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method="GET" if body is None else "POST",
        )
        word = base64.b64encode(f"forestall:{self._password}".encode()).decode()
        request.add_header("Authorization", f"Basic {word}")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                status, text = answer.status, answer.read(1 << 20).decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read(1 << 20).decode()
        except (OSError, ValueError) as error:
            return 0, str(error)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    @property
    def url(self) -> str:
        """Where its Patroni answers."""
        return f"http://{LOOPBACK}:{self.ports.rest}"

    @property
    def is_primary(self) -> bool:
        """Whether its Patroni says that it holds the leader's lease."""
        return bool(self.ask("/primary", seconds=1.0)[0] == 200)

    def log(self, name: str = "patroni") -> str:
        """The last 64 KiB that it said: `patroni`, which has PostgreSQL's words too, or `card`."""
        path = self.folder / f"{name}.log"
        with path.open("rb") as words:
            words.seek(max(0, path.stat().st_size - 65536))
            return words.read().decode(errors="replace")

    # Life.

    def start_card(self) -> None:
        """Put the network card in."""
        self._card = self._start_card(self)

    def start(self) -> None:
        """Start Patroni, which starts PostgreSQL; nothing when it runs."""
        if self.patroni is None:
            self._patroni = self._start_patroni(self)
            if self.machine is not None:
                self.machine.add(self._patroni.pid, "database")

    def run(self, command: list[str], name: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start a service of one's own on this node's machine: it shares the node's memory limit.

        Ending it is the caller's business (its process group is its own); at the latest it ends
        when the machine's memory group is taken away.
        """
        process = subprocess.Popen(command, start_new_session=True, **more)
        if self.machine is not None:
            self.machine.add(process.pid, name)
        return process

    # Faults, and their ends.

    def kill(self) -> None:
        """The node dies: every process of it at once, as with a power cut. `start` revives it."""
        self._all(signal.SIGKILL)
        if self._patroni is not None:
            self._patroni.wait()

    def freeze(self) -> None:
        """Everything stands still, as on a host that panicked and does not reboot."""
        self._all(signal.SIGSTOP)

    def thaw(self) -> None:
        """The end of `freeze`."""
        self._all(signal.SIGCONT)

    def _all(self, number: signal.Signals) -> None:
        done: set[Process] = set()
        # PostgreSQL may fork between the look and the signal, so it is looked until nothing is new.
        while fresh := [process for process in self.processes if process not in done]:
            for process in fresh:
                process.signal(number)
                done.add(process)
            if number is signal.SIGKILL:
                wait_gone(fresh, 5.0)

    def kill_postmaster(self) -> bool:
        """Kill -9 of the database server alone; Patroni lives and does what it does."""
        process = self.postmaster
        return process is not None and process.signal(signal.SIGKILL)

    def cut(self) -> None:
        """Unplug the network: packets vanish both ways, nobody is told.

        It covers what comes in (clients, health checks, replication, REST) and what leaves for etcd
        and for replication. It does not cover a REST request that this node's Patroni makes of
        another's: without etcd it makes none that matters.
        """
        self._card_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """Plug it in again; what was on its way arrives late, as TCP would send it again."""
        self._card_signal(signal.SIGCONT)

    def unplug_hard(self) -> None:
        """The card dies: connections are reset, new ones refused. `start_card` ends it."""
        if self._card is not None:
            self._card.kill()
            self._card.wait()

    def _card_signal(self, number: signal.Signals) -> None:
        process = Process.of(self._card.pid) if self._card is not None else None
        if process is not None:
            process.signal(number)

    def freeze_replication(self) -> bool:
        """Stop the receiver of a replica, alone: the primary waits for it. False: it has none."""
        process = self.child("walreceiver")
        return process is not None and process.signal(signal.SIGSTOP)

    def thaw_replication(self) -> None:
        """The end of `freeze_replication`; nothing when the receiver is gone by now."""
        process = self.child("walreceiver")
        if process is not None:
            process.signal(signal.SIGCONT)

    def fill_disk(self) -> int:
        """Fill the node's small disk to the last byte; how many bytes that took."""
        if self.disk is None:
            raise ValueError(
                f"{self.name} has no disk of its own: Cluster(disk_bytes=...), as root"
            )
        filler = os.open(self.disk / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        written = 0
        try:
            for block in (bytes(1 << 20), bytes(4096)):
                while True:
                    written += os.write(filler, block)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(filler)
        return written

    def empty_disk(self) -> None:
        """The end of `fill_disk`."""
        if self.disk is not None:
            (self.disk / "filler").unlink(missing_ok=True)
