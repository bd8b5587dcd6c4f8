"""The first process of the guest that record.py boots: runs memory out in one way after another.

Names are set with prctl, so that the kernel's table looks like a host's. Everything it starts is
its own; nothing here ever runs outside the guest.
"""

import ctypes
import json
import mmap
import os
import signal
import subprocess
import time

MIB = 1024 * 1024
BUSYBOX = "/bin/busybox"
CGROUPS = "/sys/fs/cgroup"
LIBC = ctypes.CDLL(None, use_errno=True)
SET_MEMPOLICY, MPOL_BIND = 238, 2


def busybox(*words):
    subprocess.run([BUSYBOX, *words], check=True, stdin=subprocess.DEVNULL)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def say(text):
    write("/dev/kmsg", f"record: {text}\n")


class Proc:
    """A forked process under a name of its own that runs `work` and then sleeps."""

    def __init__(self, name, work, *, adjust=0, cgroup=None):
        self.pid = os.fork()
        if self.pid:
            return
        try:
            if cgroup:
                write(f"{CGROUPS}{cgroup}/cgroup.procs", "0")
            LIBC.prctl(15, name.encode(), 0, 0, 0)
            write("/proc/self/oom_score_adj", str(adjust))
            self.kept = work()
            while True:
                time.sleep(3600)
        finally:
            os._exit(1)

    def wait(self, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return True
            time.sleep(0.05)
        return False

    def end(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def touch(area, size):
    for at in range(0, size, 4096):
        area[at] = 1


def hold(mebibytes):
    area = mmap.mmap(-1, mebibytes * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    touch(area, mebibytes * MIB)
    return area


def leak(step=1, pause=0.0):
    kept = []
    while True:
        kept.append(hold(step))
        if pause:
            time.sleep(pause)


def database(count=6, shared=48):
    """A postmaster's children share one area, and each has touched all of it."""
    area = mmap.mmap(-1, shared * MIB, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)

    def backend():
        touch(area, shared * MIB)
        backend.own = hold(3)

    found = [Proc("postgres", backend) for _ in range(count)]
    time.sleep(3)
    return found


def end_all(procs):
    for proc in procs:
        proc.end()
    time.sleep(0.3)


def leak_kill():
    """A service leaks beside a database; the kernel kills it."""
    procs = database()
    procs.append(Proc("inventory-sync", leak))
    procs[-1].wait()
    return procs


def leak_protected():
    """The leaking service is protected, so the kernel kills others for it."""
    procs = database(count=3, shared=32)
    procs.append(Proc("report-cron", lambda: hold(60), adjust=300))
    time.sleep(2)
    leaker = Proc("inventory-sync", leak, adjust=-900)
    procs[-1].wait()
    procs.append(leaker)
    return procs


def tmpfs_deadlock():
    """A tmpfs leaves so little that nobody is left to kill."""
    return tmpfs(300)


def tmpfs(mebibytes=230):
    """Files in a tmpfs hold the memory; no process does."""
    os.makedirs("/shm", exist_ok=True)
    busybox("mount", "-t", "tmpfs", "-o", "size=380m", "tmpfs", "/shm")
    with open("/shm/export.csv", "wb") as file:
        file.writelines(b"x" * MIB for _ in range(mebibytes))
    procs = database(count=3, shared=24)
    procs.append(Proc("backup-agent", lambda: leak(1, 0.02)))
    procs[-1].wait()
    end_all(procs)
    busybox("umount", "/shm")
    return []


def slab():
    """System V messages: unreclaimable slab of the kernel, freed with the queues."""
    write("/proc/sys/kernel/msgmnb", str(64 * MIB))
    write("/proc/sys/kernel/msgmax", str(8192))
    queues = []
    message = ctypes.create_string_buffer(8 + 3900)
    ctypes.cast(message, ctypes.POINTER(ctypes.c_long))[0] = 1
    for _ in range(8):
        queue = LIBC.msgget(0, 0o1600)
        queues.append(queue)
        for _ in range(9500):
            if LIBC.msgsnd(queue, message, ctypes.c_size_t(3900), 0o4000):
                break
    procs = [Proc("app-worker", lambda: leak(1, 0.02))]
    procs[-1].wait()
    for queue in queues:
        LIBC.msgctl(queue, 0, None)
    return procs


def pipes():
    """Pages in pipes: in no list and no counter of the kernel's report."""
    kept = []
    for _ in range(300):
        reader, writer = os.pipe()
        try:
            LIBC.fcntl(writer, 1031, MIB)
        except OSError:
            pass
        os.set_blocking(writer, False)
        kept.append((reader, writer))
        try:
            for _ in range(256):
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            pass
    procs = [Proc("log-shipper", lambda: leak(1, 0.02))]
    procs[-1].wait()
    for ends in kept:
        for end in ends:
            os.close(end)
    return procs


def pagetables():
    """Reads of untouched memory: no resident page, one page table for each two mebibytes."""

    def sparse():
        LIBC.mmap.restype = ctypes.c_void_p
        LIBC.prctl(41, 1, 0, 0, 0)
        size = 200 << 30
        at = LIBC.mmap(None, ctypes.c_size_t(size), 1, 0x4022, -1, ctypes.c_long(0))
        for offset in range(0, size, 2 * MIB):
            bytes(ctypes.c_char.from_address(at + offset))
        time.sleep(3600)

    procs = [Proc("sparse-index", sparse)]
    procs[-1].wait()
    return procs


def hugepages():
    """Huge pages are reserved, and nobody uses them."""
    write("/proc/sys/vm/nr_hugepages", "150")
    procs = [Proc("app-worker", lambda: leak(1, 0.02))]
    procs[-1].wait()
    write("/proc/sys/vm/nr_hugepages", "0")
    return procs


def swapped():
    """A small swap fills before the kernel kills."""
    busybox("mkswap", "/dev/vda")
    busybox("swapon", "/dev/vda")
    procs = database(count=3, shared=32)
    procs.append(Proc("inventory-sync", leak))
    procs[-1].wait(300)
    end_all(procs)
    busybox("swapoff", "/dev/vda")
    return []


def sysrq():
    """A person asks for it."""
    procs = [Proc("inventory-sync", lambda: hold(80)), *database(count=2, shared=16)]
    time.sleep(1)
    write("/proc/sysrq-trigger", "f")
    time.sleep(2)
    return procs


def memcg():
    """A limit of a slice above two services; one of them leaks, the other is asked to pay."""
    for name in ("/apps.slice", "/apps.slice/sync.service", "/apps.slice/web.service"):
        os.makedirs(CGROUPS + name, exist_ok=True)
    write(f"{CGROUPS}/apps.slice/cgroup.subtree_control", "+memory")
    write(f"{CGROUPS}/apps.slice/memory.max", str(96 * MIB))
    web = Proc("web", lambda: hold(20), cgroup="/apps.slice/web.service")
    time.sleep(1)
    leaker = Proc("inventory-sync", leak, cgroup="/apps.slice/sync.service")
    leaker.wait()
    return [web, leaker]


def memcg_group():
    """A cgroup whose memory.oom.group has all of it killed."""
    os.makedirs(f"{CGROUPS}/batch.service", exist_ok=True)
    write(f"{CGROUPS}/batch.service/memory.max", str(48 * MIB))
    write(f"{CGROUPS}/batch.service/memory.oom.group", "1")
    first = Proc("batch-main", lambda: hold(6), cgroup="/batch.service")
    time.sleep(1)
    second = Proc("batch-worker", leak, cgroup="/batch.service")
    second.wait()
    return [first, second]


def memcg_unkillable():
    """The one process of a cgroup that holds memory may not be killed."""
    os.makedirs(f"{CGROUPS}/kept.service", exist_ok=True)
    write(f"{CGROUPS}/kept.service/memory.max", str(24 * MIB))
    proc = Proc("keeper", leak, adjust=-1000, cgroup="/kept.service")
    time.sleep(4)
    return [proc]


def mempolicy():
    """A process bound to one node of two runs that node out."""

    def bound():
        mask = ctypes.c_ulong(2)
        if LIBC.syscall(SET_MEMPOLICY, MPOL_BIND, ctypes.byref(mask), ctypes.c_ulong(64)):
            raise OSError(ctypes.get_errno(), "set_mempolicy")
        leak()

    procs = [Proc("node-bound", bound)]
    procs[-1].wait()
    return procs


def no_tasks():
    """The same as leak_kill without the table of processes."""
    write("/proc/sys/vm/oom_dump_tasks", "0")
    try:
        return leak_kill()
    finally:
        write("/proc/sys/vm/oom_dump_tasks", "1")


def allocating():
    """Whoever asks is killed: vm.oom_kill_allocating_task."""
    write("/proc/sys/vm/oom_kill_allocating_task", "1")
    procs = [Proc("inventory-sync", lambda: hold(330))]
    time.sleep(8)
    procs.append(Proc("cron-mail", lambda: leak(1, 0.02)))
    procs[-1].wait()
    write("/proc/sys/vm/oom_kill_allocating_task", "0")
    return procs


def panic_global():
    """vm.panic_on_oom=1."""
    write("/proc/sys/vm/panic_on_oom", "1")
    return leak_kill()


def panic_compulsory():
    """vm.panic_on_oom=2, in a cgroup."""
    write("/proc/sys/vm/panic_on_oom", "2")
    return memcg()


def panic_unkillable():
    """All that holds memory has oom_score_adj -1000."""
    Proc("inventory-sync", leak, adjust=-1000).wait()
    return []


def main():
    with open("/drill/settings.json", encoding="ascii") as file:
        settings = json.load(file)
    for module in settings["modules"]:
        busybox("insmod", f"/drill/modules/{module}")
    busybox("mount", "-t", "cgroup2", "cgroup2", CGROUPS)
    write(f"{CGROUPS}/cgroup.subtree_control", "+memory +pids")
    write("/proc/sys/kernel/hostname", "inventory-db-01")
    write("/proc/sys/kernel/sysrq", "1")
    for name in settings["scenarios"]:
        say(f"begin {name}")
        procs = globals()[name]()
        time.sleep(1)
        end_all(procs)
        say(f"end {name}")
    busybox("poweroff", "-f")


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        say(f"broken: {error!r}")
        time.sleep(1)
        busybox("poweroff", "-f")
