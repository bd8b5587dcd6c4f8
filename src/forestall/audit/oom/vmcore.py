"""A dump of a kernel's memory -> OomReport: the log inside it, and who holds the memory now.

ELF cores (QEMU's dump-guest-memory, kdump without compression) and whatever else drgn reads. drgn
is optional; it runs in a process of its own (vmcore_reader).
"""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable

from forestall.audit.oom.account import OomReport
from forestall.audit.oom.nouns import Cache, Constraint, Event, HugePages, Kind, Task
from forestall.audit.oom.parse import Parser
from forestall.audit.oom.prefix import split
from forestall.audit.oom.report import Gatherer
from forestall.audit.oom.source import Source
from forestall.errors import ForestallError, InputError
from forestall.model.codec import Json
from forestall.units import KIB, MIB

READ_SECONDS = 300
ANSWER_BYTES_MAX = 256 * MIB
FORM = "kernel memory, through drgn"


def explain_core(core: str, vmlinux: str | None) -> OomReport:
    """Everything a dump tells. Raises ForestallError where drgn or the symbols are missing."""
    return report_of(ask(core, vmlinux), core)


def ask(core: str, vmlinux: str | None) -> dict[str, Json]:
    """What drgn says of a dump (vmcore_reader.read_core)."""
    if importlib.util.find_spec("drgn") is None:
        raise ForestallError(
            f"{core}: a dump of memory is read through drgn, which is not installed",
            help="pip install 'forestall[audit]', or give its vmcore-dmesg.txt",
        )
    if vmlinux is not None and not os.path.isfile(vmlinux):
        raise InputError(f"{vmlinux}: no such file", help="name the kernel with debug symbols")
    words = [sys.executable, "-m", "forestall.audit.oom.vmcore_reader", core]
    try:
        ran = subprocess.run(
            words + ([vmlinux] if vmlinux else []),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=READ_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ForestallError(f"{core}: drgn did not read it within {READ_SECONDS} s") from None
    if ran.returncode != 0 or len(ran.stdout) > ANSWER_BYTES_MAX:
        last = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it was killed"]
        raise InputError(
            f"{core}: drgn cannot read it: {last[0][:300]}",
            help="give the kernel that made it, with debug symbols, by --vmlinux",
        )
    found: dict[str, Json] = json.loads(ran.stdout)
    return found


def report_of(found: dict[str, Json], name: str) -> OomReport:
    """A report from what drgn said: each event of the log, and the dump's own memory at the end."""
    lines = str(found["log"]).splitlines()
    size = os.path.getsize(name) if os.path.exists(name) else 0
    source = Source(form=FORM, bytes_read=size, lines=len(lines))
    events = list(_events(lines))
    ended = events[-1] if events else None
    notes = ["Line numbers are those of the kernel's log inside the dump."]
    if ended is not None and ended.panic is not None:
        events[-1] = with_memory(ended, found)
    else:
        alone = Event(kind=Kind.SNAPSHOT, line=len(lines), last_line=len(lines))
        events.append(with_memory(alone, found))
        notes.append("The kernel did not panic over memory: the dump is of another moment.")
    if found.get("panicked_in"):
        notes.append(f"{found['panicked_in']} ran when the kernel panicked.")
    gatherer = Gatherer()
    for event in events:
        gatherer.take(event)
    return gatherer.report(name, source, notes)


def _events(lines: Iterable[str]) -> Iterable[Event]:
    parser = Parser()
    for number, line in enumerate(lines, start=1):
        for said in split(number, line):
            yield from parser.feed(said)
    yield from parser.end()


def with_memory(event: Event, found: dict[str, Json]) -> Event:
    """The event with what the dump holds in place of what was printed: it is more, and exact."""
    page = int(found["page_bytes"])
    counts = {str(name): int(value) for name, value in found["counts"].items()}
    stacks = counts.pop("kernel_stack_kib", 0) * KIB
    tasks = tuple(_task(row, page) for row in found["tasks"] if row["pid"] != 1)
    if event.in_cgroup:
        tasks = tuple(task for task in tasks if _is_below(task.cgroup, event.cgroup or "/"))
    huge = tuple(
        HugePages(node=None, size_bytes=row["size_bytes"], total=row["total"], free=row["free"])
        for row in found["huge_pages"]
    )
    caches = tuple(
        Cache(name=row["name"], used_bytes=row["used_bytes"], total_bytes=row["total_bytes"])
        for row in found["caches"]
    )
    whole = dataclasses.replace(
        event,
        kernel=str(found["release"]),
        page_bytes=page,
        page_known=True,
        caches=caches,
        tasks=tasks or event.tasks,
        tasks_header=True,
        tasks_short=0,
        tasks_whole=True,
    )
    if event.constraint in (Constraint.CPUSET, Constraint.MEMORY_POLICY):
        return whole
    return dataclasses.replace(
        whole,
        counts=counts,
        kernel_stack_bytes=stacks,
        huge_pages=huge,
        swap_total_bytes=found["swap_total_bytes"],
        swap_free_bytes=found["swap_free_bytes"],
        ram_pages=int(found["ram_pages"]),
        reserved_pages=0,
    )


def _is_below(path: str | None, limit: str) -> bool:
    return path is not None and (path == limit or path.startswith(limit.rstrip("/") + "/"))


def _task(row: dict[str, Json], page: int) -> Task:
    anonymous, file, shmem = (
        int(row[f"{name}_pages"]) * page for name in ("anonymous", "file", "shmem")
    )
    return Task(
        pid=row["pid"],
        name=row["name"],
        tgid=row["pid"],
        uid=row["uid"],
        total_vm_bytes=row["total_vm_bytes"],
        rss_bytes=anonymous + file + shmem,
        anonymous_bytes=anonymous,
        file_bytes=file,
        shmem_bytes=shmem,
        swap_bytes=row["swap_pages"] * page,
        page_table_bytes=row["page_table_bytes"],
        oom_score_adjust=row["oom_score_adj"],
        cgroup=row["cgroup"],
    )
