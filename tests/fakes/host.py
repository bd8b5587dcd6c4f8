"""A host made of plain files: /proc, /sys, /etc and /run below a folder of the test's."""

import os
import shutil
from pathlib import Path

from forestall.sense.host import CommandResult, Host
from forestall.sense.recording import copied_host

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
PAGE = 4096

BOOT_ID = "b0071d00-0000-4000-8000-000000000001"

MEMINFO = """\
MemTotal:       {total:>8} kB
MemFree:        {free:>8} kB
MemAvailable:   {available:>8} kB
AnonPages:      {anon:>8} kB
SUnreclaim:     {slab:>8} kB
SwapTotal:      {swap_total:>8} kB
SwapFree:       {swap_free:>8} kB
CommitLimit:    {commit:>8} kB
Committed_AS:   {committed:>8} kB
HugePages_Total:       0
Hugepagesize:       2048 kB
"""

V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


class FakeHost:
    """Builds, and changes between two reads, what a Host reads.

    Methods that build return the fake itself, so they chain. A killed process behaves as in
    /proc: its folder goes, and a descriptor that was kept on its statm reads nothing more.
    """

    def __init__(self, folder: Path, *, cgroup_version: int = 2, boot_id: str = BOOT_ID) -> None:
        self.folder = folder
        self.cgroup_version = cgroup_version
        self.commands: dict[str, CommandResult] = {}
        self.asked: list[list[str]] = []
        for name in ("proc/self", "sys/fs/cgroup", "etc", "run"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.write("proc/sys/kernel/random/boot_id", boot_id + "\n")
        self.write("proc/sys/kernel/hostname", "fake.example\n")
        self.write("proc/sys/kernel/osrelease", "6.1.0-28-amd64\n")
        self.write("proc/stat", "cpu  1 2 3 4\nbtime 1699990000\nprocesses 42\n")
        self.write("proc/self/cgroup", "0::/\n" if cgroup_version == 2 else "4:memory:/\n")
        self.write("proc/self/mountinfo", V2_MOUNT if cgroup_version == 2 else V1_MOUNT)
        self.write(
            "proc/swaps",
            "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 4194300 1024 -2\n",
        )
        self.write("etc/os-release", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n')
        if cgroup_version == 2:
            self.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n")
            self.write("sys/fs/cgroup/memory.stat", "anon 0\n")
        else:
            self.write("sys/fs/cgroup/memory/memory.stat", "total_rss 0\n")
        self.meminfo().vmstat().pressure()

    def host(self, **parameters) -> Host:
        """The Host that reads these files; its commands are those of `commands`, by first word."""
        return Host(
            *(str(self.folder / part) for part in ("proc", "sys", "etc", "run")),
            root=str(self.folder),
            run_command=self._run,
            **parameters,
        )

    def _run(self, words, timeout_seconds):
        self.asked.append(list(words))
        key = " ".join(words[:2])
        return self.commands.get(key) or CommandResult(None, b"", f"{words[0]}: not there")

    def command(self, start: str, output: str | bytes, exit_code: int = 0) -> "FakeHost":
        """What the command that begins with these two words answers."""
        data = output.encode() if isinstance(output, str) else output
        self.commands[start] = CommandResult(exit_code, data)
        return self

    def write(self, path: str, content: str | bytes) -> "FakeHost":
        """Put a file there, in place: a kept descriptor reads the new content."""
        full = self.folder / path
        data = content.encode() if isinstance(content, str) else content
        try:
            descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except FileNotFoundError:
            full.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        return self

    def remove(self, path: str) -> "FakeHost":
        """Take a file or a folder away."""
        full = self.folder / path
        if full.is_dir():
            shutil.rmtree(full)
        else:
            full.unlink(missing_ok=True)
        return self

    def sysctl(self, name: str, value: object) -> "FakeHost":
        """One setting by its dotted name."""
        return self.write("proc/sys/" + name.replace(".", "/"), f"{value}\n")

    def meminfo(
        self,
        total: int = 16 * GIB,
        available: int = 12 * GIB,
        swap_total: int = 4 * GIB,
        swap_free: int = 4 * GIB,
        anon: int = 2 * GIB,
        slab: int = 64 * MIB,
    ) -> "FakeHost":
        """The host's memory, in bytes."""
        sizes = {
            "total": total,
            "free": available // 2,
            "available": available,
            "anon": anon,
            "slab": slab,
            "swap_total": swap_total,
            "swap_free": swap_free,
            "commit": total // 2 + swap_total,
            "committed": anon * 2,
        }
        return self.write(
            "proc/meminfo", MEMINFO.format(**{name: size // KIB for name, size in sizes.items()})
        )

    def vmstat(self, **counters: int) -> "FakeHost":
        """The counters of /proc/vmstat."""
        counters = {"pgmajfault": 100, "pswpin": 0, "pswpout": 0, "oom_kill": 0} | counters
        return self.write("proc/vmstat", "".join(f"{k} {v}\n" for k, v in counters.items()))

    def pressure(self, some_avg10: float = 0.0, some_total_microseconds: int = 0) -> "FakeHost":
        """PSI of the host; `remove("proc/pressure")` makes a kernel without it."""
        return self.write(
            "proc/pressure/memory",
            f"some avg10={some_avg10:.2f} avg60=0.00 avg300=0.00 total={some_total_microseconds}\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        )

    def process(
        self,
        pid: int,
        name: str | bytes = "worker",
        *,
        rss: int = 8 * MIB,
        anon: int | None = None,
        swap: int = 0,
        cgroup: str = "/",
        start_ticks: int | None = None,
        parent: int = 1,
        uid: int = 1000,
        cpu_ticks: int = 10,
        kernel_thread: bool = False,
        cmdline: tuple[str, ...] = (),
        oom_score_adj: int = 0,
        rss_anon_line: bool = True,
    ) -> "FakeHost":
        """One process. `rss` and `anon` (three quarters of it if not given) in bytes."""
        raw = name.encode() if isinstance(name, str) else name
        start_ticks = 100 * pid if start_ticks is None else start_ticks
        anon = rss * 3 // 4 if anon is None else anon
        flags = 0x00200040 if kernel_thread else 0x00400100
        self.write(
            f"proc/{pid}/stat",
            f"{pid} (".encode()
            + raw
            + f") S {parent} {pid} {pid} 0 -1 {flags} 100 0 0 0 {cpu_ticks} 0 0 0 20 0 1 0 "
            f"{start_ticks} {rss * 3} {rss // PAGE} 18446744073709551615\n".encode(),
        )
        self.statm(pid, rss, anon)
        lines = [f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nVmRSS:\t{rss // KIB:>8} kB\n"]
        if rss_anon_line:
            lines.append(f"RssAnon:\t{anon // KIB:>8} kB\n")
        lines.append(f"VmSwap:\t{swap // KIB:>8} kB\nThreads:\t1\n")
        if kernel_thread:
            lines = [f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nThreads:\t1\n"]
        self.write(f"proc/{pid}/status", "".join(lines))
        self.write(f"proc/{pid}/io", "rchar: 9\nwchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\n")
        line = f"0::{cgroup}\n" if self.cgroup_version == 2 else f"4:memory:{cgroup}\n"
        self.write(f"proc/{pid}/cgroup", line)
        self.write(f"proc/{pid}/cmdline", "".join(f"{word}\0" for word in cmdline))
        self.write(f"proc/{pid}/comm", raw + b"\n")
        self.write(f"proc/{pid}/oom_score", "666\n")
        self.write(f"proc/{pid}/oom_score_adj", f"{oom_score_adj}\n")
        return self

    def statm(self, pid: int, rss: int, anon: int | None = None) -> "FakeHost":
        """Grow or shrink a process: only the file that is read each tick changes."""
        anon = rss * 3 // 4 if anon is None else anon
        resident, shared = rss // PAGE, (rss - anon) // PAGE
        return self.write(
            f"proc/{pid}/statm", f"{resident * 3} {resident} {shared} 10 0 {resident} 0\n"
        )

    def kill(self, pid: int) -> "FakeHost":
        """End a process."""
        self.write(f"proc/{pid}/statm", b"")
        return self.remove(f"proc/{pid}")

    def cgroup(
        self,
        path: str,
        *,
        current: int = 64 * MIB,
        maximum: int | None = None,
        high: int | None = None,
        anon: int | None = None,
        file: int = 0,
        swap: int = 0,
        oom_kill: int = 0,
    ) -> "FakeHost":
        """One cgroup of this host's version; sizes in bytes, no limit is None."""
        anon = current - file if anon is None else anon
        if self.cgroup_version == 2:
            folder = "sys/fs/cgroup" + path
            stat = f"anon {anon}\nfile {file}\nactive_file {file - file // 3}\n"
            self.write(f"{folder}/memory.current", f"{current}\n")
            self.write(f"{folder}/memory.max", f"{'max' if maximum is None else maximum}\n")
            self.write(f"{folder}/memory.high", f"{'max' if high is None else high}\n")
            self.write(f"{folder}/memory.swap.current", f"{swap}\n")
            self.write(f"{folder}/memory.swap.max", "max\n")
            self.write(f"{folder}/memory.events", f"low 0\noom 0\noom_kill {oom_kill}\n")
            stat += f"inactive_file {file // 3}\n"
            return self.write(f"{folder}/memory.stat", stat)
        folder = "sys/fs/cgroup/memory" + path
        no_limit = 9223372036854771712
        self.write(f"{folder}/memory.usage_in_bytes", f"{current}\n")
        limit = no_limit if maximum is None else maximum
        self.write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{folder}/memory.memsw.limit_in_bytes", f"{no_limit}\n")
        self.write(
            f"{folder}/memory.oom_control",
            f"oom_kill_disable 0\nunder_oom 0\noom_kill {oom_kill}\n",
        )
        return self.write(
            f"{folder}/memory.stat",
            f"cache {file}\nrss {anon}\ntotal_rss {anon}\ntotal_swap {swap}\n"
            f"total_inactive_file {file // 3}\ntotal_active_file {file - file // 3}\n",
        )


def recorded_host(tree: Path) -> Host:
    """A host of tests/data/hosts, with the answers of its commands in `commands/`."""
    return copied_host(str(tree))
