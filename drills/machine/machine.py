"""One small machine: booted, filled with processes, out of memory, rebooted, gone."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from drills.machine.cgroup import (
    NAME,
    Group,
    Memory,
    NoMachineError,
    OomEvents,
    find_mounts_here,
    leftovers,
)
from drills.machine.meminfo import Meminfo

HERE = Path(__file__).parent
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_SECONDS = 10.0
END_SECONDS = 10.0
PLAYED = {
    "panic_on_oom": "1\n",
    "panic": "0\n",
    "no_limit_v1": "9223372036854771712\n",
    "no_limit_v2": "max\n",
}
"""What files of the kernel say inside: what the drill plays, and that the host is the limit."""


class Machine:
    """A host of a drill with `memory_bytes` and no swap; use it as a context.

    When its memory ends everything in it is frozen, and `panicked` is set: a kernel with
    vm.panic_on_oom=1 and kernel.panic=0. What is frozen neither answers nor ends, until `reboot`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        memory_bytes: int,
        on_panic: Callable[[float], None] | None = None,
    ) -> None:
        self.name = name
        self.memory_bytes = memory_bytes
        self.panicked = threading.Event()
        self.panicked_at: float | None = None
        """When its memory ended, on time.monotonic."""
        self._folder = folder
        self._on_panic = on_panic
        self._meminfo: Meminfo | None = None
        self._boot_count = 0
        self._group: Group | None = None
        self._events: OomEvents | None = None
        self._watcher: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._first_pid = 0
        self._spawned: list[subprocess.Popen[bytes]] = []
        # The kernel ends the machine with the thread that started it (--pdeathsig), so that is
        # one which lives as long as this machine, whoever asks for a reboot.
        self._booter = ThreadPoolExecutor(1, f"boots {name}")

    def __enter__(self) -> Machine:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._mounts = find_mounts_here()
        _sweep([*self._mounts.all])
        self._played = self._folder / "played"
        self._played.mkdir(exist_ok=True)
        for name, text in PLAYED.items():
            (self._played / name).write_text(text, encoding="ascii")
        try:
            self._booter.submit(self._boot).result()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def memory(self) -> Memory | None:
        """What its memory holds now."""
        return self._group.memory() if self._group is not None else None

    def pids(self) -> list[int]:
        """Its processes, by the host's pids."""
        return self._group.pids() if self._group is not None else []

    def command(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        user: int | None = None,
        group: int | None = None,
    ) -> list[str]:
        """The words that run `command` inside; their process outside stands for it."""
        assert self._group is not None, "the machine is off"
        who = ["-", "-"] if user is None else [str(user), str(group)]
        words = [sys.executable, "-I", "-S", str(HERE / "enter.py"), str(self._first_pid), *who]
        return [*words, str(folder), *self._group.procs_files, "--", *command]

    def spawn(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        log: Path,
        user: int | None = None,
        group: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program inside, in its folder and session, its words appended to a log."""
        with log.open("ab") as words:
            process = subprocess.Popen(
                self.command(command, folder=folder, user=user, group=group),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=dict(environment) if environment is not None else {"PATH": PATH},
                start_new_session=True,
            )
        self._spawned.append(process)
        return process

    def panic(self) -> None:
        """Everything stands still from now on. Called when memory ends; a test may call it."""
        if self.panicked.is_set():
            return
        assert self._group is not None
        self._group.freeze()
        self.panicked_at = time.monotonic()
        self.panicked.set()
        if self._on_panic is not None:
            self._on_panic(self.panicked_at)

    def reboot(self) -> None:
        """End everything in it, and begin anew with an empty memory; files stay."""
        self._power_off()
        self.panicked.clear()
        self._booter.submit(self._boot).result()

    def close(self) -> None:
        """End everything, and leave no group and no mount behind."""
        try:
            self._power_off()
        finally:
            self._booter.shutdown()
            if self._meminfo is not None:
                self._meminfo.close()
                self._meminfo = None

    def _boot(self) -> None:
        self._boot_count += 1
        name = f"{NAME}{os.getpid()}-{self.name}-{self._boot_count}"
        group = Group(self._mounts, name, self.memory_bytes)
        group.make()
        self._group = group
        self._events = group.oom_events()
        join = [sys.executable, "-I", "-S", str(HERE / "join.py"), *group.procs_files, "--"]
        unshare = ["unshare", "--pid", "--mount", "--uts", "--cgroup", "--fork", "--mount-proc"]
        if self._meminfo is None:
            self._meminfo = Meminfo(self._played, self.memory)
            self._meminfo.start()
        first = [sys.executable, "-I", "-S", str(HERE / "first.py"), str(self._played), self.name]
        with open(self._folder / "machine.log", "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *join, *unshare, "--kill-child", "--", *first],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": PATH},
                start_new_session=True,
            )
        self._await_ready()
        self._watcher = threading.Thread(
            target=self._watch, args=(self._events,), name=f"memory of {self.name}", daemon=True
        )
        self._watcher.start()

    def _await_ready(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        output = self._process.stdout
        ready, _, _ = select.select([output], [], [], BOOT_SECONDS)
        if not ready or output.readline(64).strip() != b"ready":
            log = self._folder / "machine.log"
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise NoMachineError(
                f"the machine {self.name} did not start; its last word: {said[0]}"
                " (it needs root, unshare of util-linux and the right to mount)"
            )
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._first_pid = int(children.read_text(encoding="ascii").split()[0])

    def _watch(self, events: OomEvents) -> None:
        if events.wait():
            self.panic()

    def _power_off(self) -> None:
        group, process = self._group, self._process
        if group is None:
            return
        if self._events is not None:
            self._events.stop()
        if self._watcher is not None:
            self._watcher.join(END_SECONDS)
            self._watcher = None
        # What waits for memory dies only once there is some, and what is frozen once it is not.
        group.lift()
        if process is not None:
            process.kill()
        until = time.monotonic() + END_SECONDS
        with contextlib.suppress(OSError):
            group.thaw()
        while (left := group.pids()) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        # Whoever asks whether they still run must not be told yes.
        for spawned in self._spawned:
            spawned.wait(END_SECONDS)
        self._spawned.clear()
        if process is not None:
            process.wait(END_SECONDS)
            assert process.stdout is not None
            process.stdout.close()
        if self._events is not None:
            self._events.close()
        self._events = self._process = self._group = None
        if not group.remove():
            raise NoMachineError(f"{group.name}: the machine's groups could not be removed: {left}")


def _sweep(mounts: Sequence[Path]) -> None:
    """Remove the groups of drills that were killed; only empty ones can be."""
    for mount in mounts:
        with contextlib.suppress(OSError):
            for name in leftovers(os.listdir(mount), lambda pid: os.path.exists(f"/proc/{pid}")):
                with contextlib.suppress(OSError):
                    (mount / name).rmdir()
