"""Who held the memory, by the panicked kernel's own structures: what drgn reads from a vmcore."""

import importlib.util
import os
from dataclasses import dataclass

from drills.panic.packages import Packages, Say, copy_file
from forestall.audit.oom import vmcore
from forestall.errors import ForestallError


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


def ask(core: str, vmlinux: str) -> Named:
    """Ask drgn, as `forestall audit oom` does. Raises ForestallError where it cannot tell."""
    found = vmcore.ask(core, vmlinux)
    page = int(found["page_bytes"])
    held = {
        row["pid"]: (row["anonymous_pages"] + row["file_pages"] + row["shmem_pages"]) * page
        for row in found["tasks"]
    }
    if not held:
        raise ForestallError(f"{core}: the core has no process with memory of its own")
    largest = max(found["tasks"], key=lambda row: held[row["pid"]])
    return Named(
        name=largest["name"],
        pid=largest["pid"],
        rss_bytes=held[largest["pid"]],
        share=held[largest["pid"]] / (int(found["ram_pages"]) * page),
        cgroup=largest["cgroup"],
        command=largest.get("command", ""),
        panicked_in=found["panicked_in"] or "?",
        stack=tuple(found["panic_stack"]),
    )
