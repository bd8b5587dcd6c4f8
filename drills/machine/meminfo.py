"""A /proc/meminfo that speaks of the machine's group, so that guards see a small host.

lxcfs does this too, and was used first: it counts shared memory as available. PostgreSQL's buffers
are shared memory, so a guard that waits for the last 5 % never saw them.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from drills.machine.cgroup import Memory

REFRESH_SECONDS = 0.05
SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
_LINE = re.compile(r"^(\w+(?:\(\w+\))?):\s+\d+ kB$", re.MULTILINE)


def values(memory: Memory) -> Mapping[str, int]:
    """What differs from the host's file, in KiB by name. What is not there is nothing: 0."""
    used = max(0, memory.used_bytes - memory.cache_bytes - memory.shared_bytes)
    found = {
        "MemTotal": memory.limit_bytes,
        "MemFree": max(0, memory.limit_bytes - memory.used_bytes),
        "MemAvailable": memory.available_bytes,
        "Cached": memory.cache_bytes + memory.shared_bytes,
        "Shmem": memory.shared_bytes,
        "AnonPages": used,
        "Active": used,
        "Inactive": memory.cache_bytes,
    }
    nothing = ("Buffers", "SwapCached", "SwapTotal", "SwapFree", "KReclaimable", "SReclaimable")
    return {name: size // 1024 for name, size in found.items()} | dict.fromkeys(nothing, 0)


def meminfo(host: str, memory: Memory) -> str:
    """The host's own file with the machine's figures in place; always as long as before."""
    told = values(memory)

    def line(found: re.Match[str]) -> str:
        name = found[1]
        return f"{name + ':':<15} {told[name]:>8} kB" if name in told else found[0]

    return _LINE.sub(line, host)


class Meminfo:
    """Keeps the files `meminfo` and `swaps` of a folder true. `look` gives the memory, or None."""

    def __init__(self, folder: Path, look: Callable[[], Memory | None]) -> None:
        self._look = look
        self._host = Path("/proc/meminfo").read_text(encoding="ascii")
        (folder / "swaps").write_text(SWAPS, encoding="ascii")
        self._file = os.open(folder / "meminfo", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meminfo", daemon=True)

    def start(self) -> None:
        """Write it now, and from now on again and again."""
        self._write()
        self._thread.start()

    def close(self) -> None:
        """End, and give the file back."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._file)

    def _run(self) -> None:
        while not self._stopping.wait(REFRESH_SECONDS):
            self._write()

    def _write(self) -> None:
        memory = self._look()
        if memory is not None:
            # One write of one length: a reader meets the old or the new.
            os.pwrite(self._file, meminfo(self._host, memory).encode("ascii"), 0)
