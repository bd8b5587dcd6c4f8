"""Records what a real kernel says when memory runs out: boots guest.py under QEMU, keeps consoles.

    python tests/data/oom/record.py OUT [KERNEL_PACKAGE] [SCENARIO...]

Needs what `forestall drill panic` needs, and its packages. Each file of OUT is one scenario's part
of the serial console, as it was sent. What is committed beside this file was cut from those.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

from drills.panic import disk, guest
from drills.panic.archive import file, write_archive
from drills.panic.guest import Setup
from drills.panic.packages import Packages, cache_folder
from drills.panic.qemu import Board, command_line

from forestall.units import MIB

HERE = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = (
    "memcg", "memcg_group", "memcg_unkillable", "leak_kill", "leak_protected", "tmpfs",
    "tmpfs_deadlock", "slab", "pipes", "pagetables", "hugepages", "sysrq", "no_tasks",
    "allocating", "swapped", "mempolicy", "panic_global", "panic_compulsory", "panic_unkillable",
)  # fmt: skip
LIMIT_SECONDS = 900


class OneKernel(Packages):
    """Packages with one kernel that was asked for."""

    name = ""

    def kernel(self) -> str:
        return self.fetch(self.name)


def main() -> None:
    out, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(out, exist_ok=True)
    packages = Packages(cache_folder(), print)
    if wanted and wanted[0].startswith("linux-image-"):
        # A folder of its own, or the drills would take this kernel for theirs.
        packages = OneKernel(os.path.join(cache_folder(), wanted[0]), print)
        packages.name = wanted.pop(0)
    wanted = wanted or list(SCENARIOS)
    kernel = guest.unpack_kernel(packages, print)
    python = guest.find_python(packages.cache)
    busybox = packages.program("busybox", "busybox-static")
    base = guest.base_archive(kernel, python, {"busybox": busybox})
    for name in wanted:
        setup = Setup(
            guard="none", memory_bytes=512 * MIB, leak_bytes_per_second=1, healthy_seconds=1,
            watch_seconds=1,
        )  # fmt: skip
        overlay = guest.run_archive(setup, kernel, python)
        with open(os.path.join(HERE, "guest.py"), "rb") as script:
            settings = {"modules": list(kernel.drivers), "scenarios": [name]}
            ours = write_archive(
                [
                    file("drill/init.py", script.read()),
                    file("drill/settings.json", json.dumps(settings).encode()),
                ]
            )
        boot(out, name, kernel.image, base + overlay + ours)


def boot(out: str, name: str, image: str, initrd: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="forestall-record-") as folder:
        board = Board(
            kernel=image,
            initrd=os.path.join(folder, "initrd"),
            disk=os.path.join(folder, "disk"),
            console=os.path.join(folder, "console"),
            events=os.path.join(folder, "events"),
            memory_bytes=512 * MIB,
        )
        with open(board.initrd, "wb") as target:
            target.write(initrd)
        disk.make_disk(board.disk)
        os.truncate(board.disk, 96 * MIB if name == "swapped" else disk.DISK_BYTES)
        words = command_line(board, os.path.join(folder, "qmp"))
        words[words.index("panic=pause")] = "panic=shutdown"
        if name == "mempolicy":
            for node in (0, 1):
                words += ["-object", f"memory-backend-ram,id=m{node},size=256M"]
                words += ["-numa", f"node,nodeid={node},memdev=m{node}" + ",cpus=0" * (node == 0)]
        started = time.monotonic()
        ran = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS, check=False
        )
        print(name, f"{time.monotonic() - started:.0f} s", ran.stderr.decode()[-300:])
        with open(board.console, "rb") as console:
            keep(out, name, console.read())


def keep(out: str, first: str, console: bytes) -> None:
    """Each scenario's part of the console, in a file of its own, and all of it in another."""
    parts = re.split(rb"[^\n]*record: begin (\w+)[^\n]*\n", console)
    for name, part in zip(parts[1::2], parts[2::2], strict=True):
        part = re.split(rb"[^\n]*record: end ", part)[0]
        with open(os.path.join(out, f"{name.decode()}.console"), "wb") as target:
            target.write(part)
    with open(os.path.join(out, f"whole-{first}.console"), "wb") as target:
        target.write(console)


if __name__ == "__main__":
    main()
