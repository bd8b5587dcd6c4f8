"""A small machine for real: its limit, what is seen inside, its panic, and that nothing stays."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from drills.machine import Machine, NoMachineError
from drills.machine.cgroup import find_mounts_here

MIB = 1 << 20
SIZE_BYTES = 96 * MIB
LEAK = "kept = []\nwhile True: kept.append(b'x' * (4 << 20))"
ROOT = Path(__file__).parents[2]


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "a machine of its own needs root"
    try:
        find_mounts_here()
    except NoMachineError as error:
        return str(error)
    return None


pytestmark = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))


@pytest.fixture
def folder():
    """A folder that another user may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="forestall-test-machine-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def machine(folder):
    with Machine(folder / "machine", name="db-test", memory_bytes=SIZE_BYTES) as made:
        yield made


def said(machine, folder, *command, **more):
    """What a command inside says, and its exit code."""
    log = folder / f"said-{time.monotonic_ns()}"
    process = machine.spawn(command, folder=folder, log=log, **more)
    return process.wait(20), log.read_text()


def left_behind(name: str) -> list[str]:
    """Groups, mounts and processes of machines of this test process."""
    groups = [
        str(path)
        for mount in find_mounts_here().all
        for path in mount.glob(f"forestall-drill-{os.getpid()}-{name}*")
    ]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line]
    return groups + mounts


def test_inside_it_is_a_host_of_its_size(machine, folder):
    """MemTotal is the limit, there is no swap, the host has its name, and only its own are seen."""
    code, text = said(
        machine, folder, "sh", "-c", "cat /proc/meminfo; hostname; ls -d /proc/[0-9]*"
    )
    assert code == 0
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    assert values["MemTotal"].split() == [str(SIZE_BYTES // 1024), "kB"]
    assert 0 < int(values["MemAvailable"].split()[0]) < SIZE_BYTES // 1024
    assert values["SwapTotal"].split()[0] == values["SwapFree"].split()[0] == "0"
    assert "db-test" in text.splitlines()
    assert len([line for line in text.splitlines() if line.startswith("/proc/")]) <= 4


def test_shared_memory_is_not_said_to_be_available(machine, folder):
    """What processes share, as a database does, is no longer available: a guard must see it so."""
    script = (
        "import mmap, time\n"
        "def left():\n"
        "    time.sleep(0.5)\n"
        "    text = open('/proc/meminfo').read()\n"
        "    return int(text.partition('MemAvailable:')[2].split()[0]) >> 10\n"
        "before = left()\n"
        "shared = mmap.mmap(-1, 32 << 20)\n"
        "shared.write(b'x' * (32 << 20))\n"
        "print(before, left())"
    )
    code, text = said(machine, folder, sys.executable, "-I", "-c", script)
    before, after = map(int, text.split())
    assert code == 0
    assert 30 <= before - after <= 72


def test_inside_the_kernel_says_what_is_played(machine, folder):
    """It panics when memory ends and does not reboot; outside nothing of that is said."""
    settings = ["/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic"]
    before = [Path(name).read_text() for name in settings]
    assert said(machine, folder, "cat", *settings) == (0, "1\n0\n")
    assert [Path(name).read_text() for name in settings] == before


def test_a_command_runs_as_the_user_and_in_the_folder_asked_for(machine, folder):
    """User and folder are as asked, the exit code comes back, and a signal reaches the command."""
    code, text = said(machine, folder, "sh", "-c", "id -u; pwd; exit 7", user=65534, group=65534)
    assert (code, text.split()) == (7, ["65534", str(folder)])
    log = folder / "sleep"
    process = machine.spawn(["sh", "-c", "echo up; exec sleep 60"], folder=folder, log=log)
    until = time.monotonic() + 20
    while "up" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(10) == 128 + 15


def test_out_of_memory_everything_stands_still_until_the_reboot(machine, folder):
    """At the limit, and not before, all of it is frozen; the reboot ends all and begins empty."""
    bystander = machine.spawn(
        ["sh", "-c", "while :; do date +%s%N; sleep 0.05; done"],
        folder=folder,
        log=folder / "bystander",
    )
    machine.spawn([sys.executable, "-I", "-c", LEAK], folder=folder, log=folder / "leak")
    assert machine.panicked.wait(30)
    assert machine.memory().used_bytes <= SIZE_BYTES
    time.sleep(0.5)
    heard = (folder / "bystander").stat().st_size
    time.sleep(0.5)
    assert (folder / "bystander").stat().st_size == heard > 0
    assert bystander.poll() is None
    machine.reboot()
    assert bystander.poll() is not None
    assert not machine.panicked.is_set()
    assert machine.memory().used_bytes < SIZE_BYTES // 2
    assert said(machine, folder, "echo", "alive") == (0, "alive\n")


def test_nothing_is_left_behind_even_of_a_machine_that_panicked(folder):
    """After the block there is no process, no group and no mount, though all was frozen."""
    with Machine(folder / "machine", name="db-left", memory_bytes=SIZE_BYTES) as machine:
        process = machine.spawn(["sleep", "600"], folder=folder, log=folder / "sleep")
        machine.panic()
        pids = machine.pids()
        assert left_behind("db-left")
    assert process.poll() is not None
    assert not left_behind("db-left")
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")]


def test_a_machine_ends_with_whoever_made_it(folder):
    """When the drill is killed outright, the machine's processes do not outlive it."""
    script = (
        "import sys, time; from pathlib import Path; from drills.machine import Machine\n"
        f"machine = Machine(Path({str(folder / 'machine')!r}), name='db-orphan', "
        f"memory_bytes={SIZE_BYTES})\n"
        "with machine:\n"
        "    machine.spawn(['sleep', '600'], folder=Path('/'), log=Path('/dev/null'))\n"
        "    print(*machine.pids(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    drill = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    pids = [int(word) for word in drill.stdout.readline().split()]
    assert pids
    drill.kill()
    drill.wait()
    drill.stdout.close()
    until = time.monotonic() + 20
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left
    # The next machine sweeps the groups.
    with Machine(folder / "second", name="db-next", memory_bytes=SIZE_BYTES):
        mount = find_mounts_here().memory
        assert not list(mount.glob(f"forestall-drill-{drill.pid}-*"))


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
