"""What the guest is made of: a kernel with four drivers, a Python, and the drill's own files."""

import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from drills.panic.archive import Entry, console, file, folder, link, write_archive
from drills.panic.packages import Packages, Say, read_files
from forestall.errors import ForestallError

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON_MIN = (3, 11)
PROBE_SECONDS = 60
# Disk, the panic's own signal to the host, and where the host finds the kernel's dump note.
DRIVERS = ("virtio_pci", "virtio_blk", "pvpanic-pci", "qemu_fw_cfg")
LIBRARIES = "lib/guest"
GUARDS = ("none", "earlyoom", "forestall")

ReadDriver = Callable[[str], bytes | None]

SYSCTL = {
    # The setting that turns "one process is killed" into "the host is gone".
    "vm/panic_on_oom": "1",
    # No reboot: the host keeps still until its memory is written to a file.
    "kernel/panic": "0",
}

AGENT_CONFIG = """\
# What an owner would write for this service. Thresholds, interval and policy are the shipped ones.

[agent]
mode = "act"

[[service]]
name = "inventory-sync"
match = { cgroup = "/inventory-sync" }
restart = "signal"
allow = true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is the same for every guard, except `guard` itself. Bytes and seconds."""

    guard: str
    memory_bytes: int
    leak_bytes_per_second: float
    healthy_seconds: float
    watch_seconds: float
    probe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel's image, and its drivers in the order they are loaded in."""

    release: str
    image: str
    drivers: dict[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """The guest's Python: its program, its version ("3.11") and its library, compiled."""

    executable: str
    version: str
    library: str


def unpack_kernel(packages: Packages, say: Say) -> Kernel:
    """The cloud kernel, out of its package; unpacked once."""
    package = packages.kernel()
    name = os.path.basename(package).split("_")[0]
    release = name.removeprefix("linux-image-")
    kept = os.path.join(packages.cache, os.path.basename(package).removesuffix(".deb"))
    image, drivers_folder = os.path.join(kept, "vmlinuz"), os.path.join(kept, "modules")
    if not os.path.exists(os.path.join(kept, "whole")):
        say(f"unpacking {os.path.basename(package)}")
        found = read_files(package, _is_kernel_part)
        os.makedirs(drivers_folder, exist_ok=True)
        images = [name for name in found if name.startswith("boot/vmlinuz-")]
        if not images:
            raise ForestallError(f"{package} holds no kernel", help="remove it, to download again")
        _write(image, found.pop(images[0]))
        for path, data in found.items():
            _write(os.path.join(drivers_folder, os.path.basename(path)), data)
        _write(os.path.join(kept, "whole"), b"")
    with_needed: dict[str, bytes] = {}
    for driver in load_order(DRIVERS, lambda name: _read_driver(drivers_folder, name)):
        driver_bytes = _read_driver(drivers_folder, driver)
        if driver_bytes is not None:
            with_needed[f"{driver}.ko"] = driver_bytes
    return Kernel(release=release, image=image, drivers=with_needed)


def load_order(wanted: Iterable[str], read: ReadDriver) -> list[str]:
    """`wanted` drivers after all that they need; what `read` does not know is in the kernel."""
    order: list[str] = []

    def visit(name: str) -> None:
        data = read(name)
        if data is None or name in order:
            return
        for needed in needs(data):
            visit(needed)
        order.append(name)

    for name in wanted:
        visit(name)
    return order


def needs(driver: bytes) -> list[str]:
    """The drivers that one names in its `depends` note."""
    found = re.search(rb"\0depends=([^\0]*)\0", driver)
    names = found.group(1).decode("ascii", "replace").split(",") if found else []
    return [name for name in names if name]


def find_python(cache: str) -> Python:
    """The guest's Python, taken from this host: Debian's own where it is new enough, else ours."""
    ours = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    for candidate in ("/usr/bin/python3", ours):
        if os.access(candidate, os.X_OK) and _version_of(candidate) >= PYTHON_MIN:
            return _collect(candidate, cache)
    raise ForestallError("no Python 3.11 or newer for the guest", help="install python3")


def base_archive(kernel: Kernel, python: Python, programs: dict[str, str]) -> bytes:
    """What every run starts with. `programs` are further programs by their name in /usr/bin."""
    return write_archive(_base(kernel, python, programs))


def run_archive(setup: Setup, kernel: Kernel, python: Python) -> bytes:
    """What differs from run to run, and what changes with this checkout: unpacked over the base."""
    return write_archive(_overlay(setup, kernel, python))


def _base(kernel: Kernel, python: Python, programs: dict[str, str]) -> Iterator[Entry]:
    yield folder("dev")
    yield console()
    for name in ("proc", "sys", "keep", "tmp", "run", "root"):
        yield folder(name)
    yield link("bin/sh", "busybox")
    for name, data in kernel.drivers.items():
        yield file(f"drill/modules/{name}", data)
    found = {"usr/bin/python3": python.executable}
    found |= {f"usr/bin/{name}": path for name, path in programs.items() if name != "busybox"}
    yield file("bin/busybox", _read(programs["busybox"]), executable=True)
    for name, path in found.items():
        yield file(name, _read(path), executable=True)
    root = f"usr/lib/python{python.version}"
    extensions = []
    for path in _files_below(python.library):
        name = os.path.relpath(path, python.library)
        yield file(f"{root}/{name}", _read(path))
        if name.endswith(".so"):
            extensions.append(path)
    yield from _libraries([*found.values(), *extensions])


def _overlay(setup: Setup, kernel: Kernel, python: Python) -> Iterator[Entry]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": f"/{LIBRARIES}",
        "PYTHONHOME": "/usr",
        "PYTHONPATH": "/opt",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/root",
    }
    exports = "".join(f"export {name}={value}\n" for name, value in environment.items())
    # Python does not start without /dev/urandom.
    mounts = "".join(
        f"/bin/busybox mount -t {kind} {kind} {place}\n"
        for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"))
    )
    start = f"#!/bin/busybox sh\n{exports}{mounts}exec /usr/bin/python3 /drill/init.py\n"
    yield file("init", start.encode(), executable=True)
    inside = os.path.join(HERE, "inside")
    for name in sorted(os.listdir(inside)):
        if name.endswith(".py"):
            yield file(f"drill/{name}", _read(os.path.join(inside, name)))
    yield file("drill/settings.json", json.dumps(_settings(setup, kernel)).encode())
    yield file("etc/forestall/forestall.toml", AGENT_CONFIG.encode())
    yield file("etc/hostname", b"inventory-db-01\n")
    with tempfile.TemporaryDirectory(prefix="forestall-drill-") as compiled:
        source = os.path.dirname(os.path.abspath(sys.modules["forestall"].__file__ or ""))
        _run_collect(python.executable, compiled, source)
        for path in _files_below(compiled):
            yield file(f"opt/{os.path.relpath(path, compiled)}", _read(path))


def _settings(setup: Setup, kernel: Kernel) -> dict[str, object]:
    python = "/usr/bin/python3"
    agent = [python, "-m", "forestall", "watch", "--state", "/keep/forestall"]
    guards = {
        "none": ([], ""),
        "earlyoom": (["/usr/bin/earlyoom"], "mem total"),
        "forestall": ([*agent, "--config", "/etc/forestall/forestall.toml"], "watching in act"),
    }
    guard, ready = guards[setup.guard]
    return {
        "hostname": "inventory-db-01",
        "modules": list(kernel.drivers),
        "sysctl": SYSCTL,
        "guard": guard,
        "ready": ready,
        "database": [python, "/drill/database.py"],
        "service": [python, "/drill/inventory_sync.py", f"{setup.leak_bytes_per_second:g}"],
        "healthy_seconds": setup.healthy_seconds,
        "watch_seconds": setup.watch_seconds,
        "probe": setup.probe,
    }


def _libraries(programs: Iterable[str]) -> Iterator[Entry]:
    """The shared libraries of all `programs`, and the loader under the name they call it by."""
    for name, path in dict(shared_libraries(_ldd(programs))).items():
        where = name.lstrip("/") if name.startswith("/") else f"{LIBRARIES}/{name}"
        yield file(where, _read(path), executable=True)


def shared_libraries(said: str) -> list[tuple[str, str]]:
    """What `ldd` said: (name, path) of each library; the loader's name is its path."""
    found = []
    for line in said.splitlines():
        words = line.split()
        if len(words) >= 3 and words[1] == "=>" and words[2].startswith("/"):
            found.append((words[0], words[2]))
        elif words and words[0].startswith("/") and not words[0].endswith(":"):
            found.append((words[0], words[0]))
    return found


def _ldd(programs: Iterable[str]) -> str:
    ran = subprocess.run(
        ["ldd", *programs],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROBE_SECONDS,
        check=False,
    )
    return ran.stdout


def _is_kernel_part(name: str) -> bool:
    if name.startswith("boot/vmlinuz-"):
        return True
    parts = ("/virtio/", "/virtio_blk.ko", "/pvpanic/", "/qemu_fw_cfg.ko")
    return "/modules/" in name and any(part in name for part in parts)


def _read_driver(folder: str, name: str) -> bytes | None:
    for spelled in (name, name.replace("_", "-"), name.replace("-", "_")):
        plain = os.path.join(folder, f"{spelled}.ko")
        if os.path.exists(plain):
            return _read(plain)
        if os.path.exists(f"{plain}.xz"):
            return lzma.decompress(_read(f"{plain}.xz"))
    return None


def _version_of(python: str) -> tuple[int, ...]:
    code = "import sys; print(*sys.version_info[:2])"
    ran = subprocess.run(
        [python, "-I", "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROBE_SECONDS,
        check=False,
    )
    return tuple(int(word) for word in ran.stdout.split() if word.isdigit())


def _collect(python: str, cache: str) -> Python:
    """The compiled library of `python`, made once for each build of it."""
    real = os.path.realpath(python)
    status = os.stat(real)
    script = _read(os.path.join(HERE, "collect.py"))
    build = f"{real} {status.st_mtime_ns} {status.st_size} ".encode() + script
    kept = os.path.join(cache, f"python-{hashlib.sha256(build).hexdigest()[:16]}")
    note = os.path.join(kept, "python.json")
    library = os.path.join(kept, "library")
    if not os.path.exists(note):
        shutil.rmtree(kept, ignore_errors=True)
        os.makedirs(library)
        _write(note, _run_collect(real, library))
    said = json.loads(_read(note))
    return Python(executable=said["executable"], version=said["version"], library=library)


def _run_collect(python: str, target: str, *sources: str) -> bytes:
    ran = subprocess.run(
        [python, "-I", os.path.join(HERE, "collect.py"), target, *sources],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10 * PROBE_SECONDS,
        check=False,
    )
    if ran.returncode != 0:
        last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ForestallError(f"{python}: its library could not be compiled: {' '.join(last)}")
    return ran.stdout


def _files_below(top: str) -> Iterator[str]:
    for folder_path, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder_path, name)


def _read(path: str) -> bytes:
    with open(path, "rb") as source:
        return source.read()


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.partial", "wb") as target:
        target.write(data)
    os.replace(f"{path}.partial", path)
