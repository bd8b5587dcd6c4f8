"""Who held the memory, by the panicked kernel's own structures: what drgn reads from a vmcore.

Run as a program of its own, because drgn is optional and a damaged core must not end the drill:

    python -m drills.panic.culprit VMCORE VMLINUX    prints one JSON object
"""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from drills.panic.packages import Packages, Say, copy_file
from forestall.errors import ForestallError

READ_SECONDS = 120
TASKS_MAX = 20
COUNTERS = ("MM_FILEPAGES", "MM_ANONPAGES", "MM_SHMEMPAGES")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The process that held most when the kernel gave up, and how it is known."""

    name: str
    pid: int
    rss_bytes: int
    share: float
    cgroup: str | None
    command: str
    panicked_in: str
    stack: tuple[str, ...]


def missing(packages: Packages, release: str) -> str | None:
    """Why drgn cannot be asked, in a sentence that says what to do; None if it can."""
    if importlib.util.find_spec("drgn") is None:
        return "drgn is not installed here: `pip install 'forestall[drill]'`."
    if not os.path.exists(symbols_path(packages, release)):
        return (
            f"The kernel's debug package (linux-image-{release}-dbg) is not here: --debug-symbols."
        )
    return None


def symbols_path(packages: Packages, release: str) -> str:
    """Where the kernel with its debug symbols is kept."""
    return os.path.join(packages.cache, f"vmlinux-{release}")


def fetch_symbols(packages: Packages, release: str, say: Say) -> str:
    """The kernel with its debug symbols, downloaded and unpacked once."""
    path = symbols_path(packages, release)
    if not os.path.exists(path):
        package = packages.fetch(f"linux-image-{release}-dbg")
        say("unpacking the kernel's debug symbols, about half a minute")
        if not copy_file(package, lambda name: name.endswith(f"boot/vmlinux-{release}"), path):
            raise ForestallError(f"{package} holds no vmlinux", help="remove it, and try again")
        os.unlink(package)
    return path


def ask(vmcore: str, vmlinux: str) -> Named:
    """Ask drgn. Raises ForestallError with its last words where it cannot tell."""
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "drills.panic.culprit", vmcore, vmlinux],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=READ_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ForestallError(f"drgn did not read {vmcore} within {READ_SECONDS} s") from None
    if ran.returncode != 0:
        last = ran.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ForestallError(f"drgn could not read {vmcore}: {last[0]}")
    said = json.loads(ran.stdout)
    return Named(**{**said, "stack": tuple(said["stack"])})


def read_core(vmcore: str, vmlinux: str) -> dict[str, Any]:
    """The largest process of a core, with the task that panicked."""
    import drgn
    from drgn.helpers.linux.mm import cmdline, totalram_pages
    from drgn.helpers.linux.panic import panic_task
    from drgn.helpers.linux.pid import for_each_task

    program = drgn.Program()
    program.set_core_dump(vmcore)
    program.load_debug_info([vmlinux])
    page = int(program["PAGE_SIZE"])
    largest, largest_bytes = None, -1
    for task in for_each_task(program):
        if task.mm and task.pid == task.tgid:
            held = _resident_pages(program, task) * page
            if held > largest_bytes:
                largest, largest_bytes = task, held
    if largest is None:
        raise ValueError("the core has no process with memory of its own")
    total = int(totalram_pages(program)) * page
    panicked = panic_task(program)
    return {
        "name": largest.comm.string_().decode(errors="replace"),
        "pid": int(largest.pid),
        "rss_bytes": largest_bytes,
        "share": largest_bytes / total,
        "cgroup": _cgroup(largest),
        "command": b" ".join(cmdline(largest) or []).decode(errors="replace"),
        "panicked_in": panicked.comm.string_().decode(errors="replace"),
        "stack": [frame.name for frame in program.stack_trace(panicked)][:TASKS_MAX],
    }


def _resident_pages(program: Any, task: Any) -> int:
    """Pages by the three counters; they are per processor since Linux 6.2, and plain before."""
    from drgn.helpers.linux.percpu import percpu_counter_sum

    rss = task.mm.rss_stat
    numbers = [int(program[name]) for name in COUNTERS]
    try:
        return sum(int(rss.count[number].counter) for number in numbers)
    except (AttributeError, TypeError):
        return sum(int(percpu_counter_sum(rss[number].address_of_())) for number in numbers)


def _cgroup(task: Any) -> str | None:
    from drgn.helpers.linux.cgroup import cgroup_path

    try:
        return bytes(cgroup_path(task.cgroups.dfl_cgrp)).decode(errors="replace")
    except (AttributeError, LookupError):
        return None


if __name__ == "__main__":
    print(json.dumps(read_core(sys.argv[1], sys.argv[2])))
