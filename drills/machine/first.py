"""Process 1 of a small machine: makes its /proc its own, says `ready`, and buries its orphans.

usage: first.py PLAYED-FOLDER HOSTNAME (in fresh PID, mount, UTS and cgroup namespaces)

The files of PLAYED-FOLDER say how large this host is, and what is played: a kernel that panics when
memory ends, on a host whose own group has no limit, for that limit is its memory.
"""

import os
import socket
import subprocess
import sys
import time

# Not uptime and stat, which could be shown as well: the start of a process is counted from the
# real boot, and would lie in the future (an age that no reader believes, and to Patroni a
# postmaster that is somebody else's).
PLAYED = (
    ("meminfo", "/proc/meminfo"),
    ("swaps", "/proc/swaps"),
    ("panic_on_oom", "/proc/sys/vm/panic_on_oom"),
    ("panic", "/proc/sys/kernel/panic"),
    ("no_limit_v1", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ("no_limit_v1", "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"),
    ("no_limit_v2", "/sys/fs/cgroup/memory.max"),
)


def main(played: str, hostname: str) -> None:
    """Mount, say so on standard output, then reap for ever."""
    socket.sethostname(hostname)
    _own_cgroups()
    for name, place in PLAYED:
        if os.path.exists(place):
            _show(f"{played}/{name}", place)
    print("ready", flush=True)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            # Orphans come without a word to whom they are given, so it is looked again.
            time.sleep(0.1)


def _show(file: str, place: str) -> None:
    subprocess.run(["mount", "--bind", file, place], check=True)


def _own_cgroups() -> None:
    """Show the machine's group as the root of its hierarchy, as on a host of its own."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        words = [line.split(" ") for line in mounts]
    memory = [w for w in words if w[2] == "cgroup" and "memory" in w[3].split(",")]
    unified = [w for w in words if w[2] == "cgroup2"]
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"], check=True)
    if memory:
        os.mkdir("/sys/fs/cgroup/memory")
        command = ["mount", "-t", "cgroup", "-o", "memory", "cgroup", "/sys/fs/cgroup/memory"]
    elif unified:
        command = ["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]
    else:
        return
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
