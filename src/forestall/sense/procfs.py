"""/proc: pure parsers over bytes, and readers that put a host's files into them.

A parser raises InputError with the path and line of what it does not understand; a reader
answers None where the file is not there. Bytes and seconds only leave this module.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from forestall.errors import InputError
from forestall.model.sample import HostSample, Pressure, ProcessKey, ProcessSample
from forestall.sense.host import Host, decode
from forestall.units import KIB

if TYPE_CHECKING:
    from forestall.model.facts import SwapDevice

PF_KTHREAD = 0x00200000
DIGITS_LIMIT = 20
"""Of the largest number that a kernel prints; nothing grows from a damaged file."""
CMDLINE_LIMIT_BYTES = 16 * 1024
ENVIRON_LIMIT_BYTES = 64 * 1024

SYSCTLS = (
    "fs.suid_dumpable",
    "kernel.core_pattern",
    "kernel.core_pipe_limit",
    "kernel.core_uses_pid",
    "kernel.hardlockup_panic",
    "kernel.hung_task_panic",
    "kernel.hung_task_timeout_secs",
    "kernel.kexec_load_disabled",
    "kernel.nmi_watchdog",
    "kernel.numa_balancing",
    "kernel.panic",
    "kernel.panic_on_io_nmi",
    "kernel.panic_on_oops",
    "kernel.panic_on_rcu_stall",
    "kernel.panic_on_unrecovered_nmi",
    "kernel.panic_on_warn",
    "kernel.softlockup_panic",
    "kernel.sysrq",
    "kernel.unknown_nmi_panic",
    "kernel.yama.ptrace_scope",
    "user.max_user_namespaces",
    "vm.admin_reserve_kbytes",
    "vm.compact_unevictable_allowed",
    "vm.compaction_proactiveness",
    "vm.dirty_background_bytes",
    "vm.dirty_background_ratio",
    "vm.dirty_bytes",
    "vm.dirty_ratio",
    "vm.extra_free_kbytes",
    "vm.max_map_count",
    "vm.min_free_kbytes",
    "vm.nr_hugepages",
    "vm.nr_overcommit_hugepages",
    "vm.oom_dump_tasks",
    "vm.oom_kill_allocating_task",
    "vm.overcommit_kbytes",
    "vm.overcommit_memory",
    "vm.overcommit_ratio",
    "vm.page-cluster",
    "vm.panic_on_oom",
    "vm.swappiness",
    "vm.unprivileged_userfaultfd",
    "vm.user_reserve_kbytes",
    "vm.vfs_cache_pressure",
    "vm.watermark_boost_factor",
    "vm.watermark_scale_factor",
    "vm.zone_reclaim_mode",
)
"""The settings that decide what exhaustion means, and what is left to look at afterwards."""


class ProcessStat(NamedTuple):
    """The part of /proc/PID/stat that is used. Ticks are the kernel's USER_HZ."""

    pid: int
    name: str
    state: str
    parent_pid: int
    flags: int
    fault_count: int
    cpu_ticks: int
    thread_count: int
    start_ticks: int

    @property
    def kernel_thread(self) -> bool:
        return bool(self.flags & PF_KTHREAD)


class ProcessStatus(NamedTuple):
    """The part of /proc/PID/status that is used; None where this kernel has no such line."""

    uid: int | None
    rss_bytes: int | None
    anon_bytes: int | None
    swap_bytes: int | None
    thread_count: int | None


class Rollup(NamedTuple):
    """/proc/PID/smaps_rollup in bytes: what is shared by halves (PSS) and what is not (USS)."""

    rss_bytes: int
    pss_bytes: int | None
    private_dirty_bytes: int | None
    private_clean_bytes: int | None
    anonymous_bytes: int | None
    swap_bytes: int | None


def whole_number(text: str | bytes) -> int:
    """`int`, but not of a page of digits. Raises ValueError."""
    if len(text) > DIGITS_LIMIT:
        raise ValueError(text)
    return int(text)


def parse_meminfo(data: bytes, path: str = "proc/meminfo") -> dict[str, int]:
    """`Name: N kB` lines to bytes by name; lines without kB (huge page counts) stay counts."""
    values: dict[str, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        name, _, rest = line.partition(b":")
        words = rest.split()
        try:
            amount = whole_number(words[0])
        except (IndexError, ValueError):
            raise InputError(f"{path} line {number}: no amount in {decode(line)!r}") from None
        values[decode(name.strip())] = amount * (KIB if words[1:] == [b"kB"] else 1)
    return values


def parse_vmstat(data: bytes, path: str = "proc/vmstat") -> dict[str, int]:
    """`name N` lines to numbers by name."""
    values: dict[str, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            values[decode(words[0])] = whole_number(words[1])
        except (IndexError, ValueError):
            raise InputError(f"{path} line {number}: no number in {decode(line)!r}") from None
    return values


def parse_stat(data: bytes, path: str = "proc/PID/stat") -> ProcessStat:
    """One /proc/PID/stat.

    The name stands in parentheses and may itself hold parentheses, spaces and newlines, so it
    ends at the last `)`, not at the first.
    """
    opening = data.find(b"(")
    closing = data.rfind(b")")
    rest = data[closing + 1 :].split()
    try:
        return ProcessStat(
            pid=int(data[:opening]),
            name=decode(data[opening + 1 : closing]),
            state=rest[0].decode("ascii"),
            parent_pid=int(rest[1]),
            flags=int(rest[6]),
            fault_count=int(rest[7]) + int(rest[9]),
            cpu_ticks=whole_number(rest[11]) + whole_number(rest[12]),
            thread_count=int(rest[17]),
            start_ticks=int(rest[19]),
        )
    except (ValueError, IndexError):
        raise InputError(f"{path} line 1: no process in {decode(data[:120])!r}") from None


def parse_statm(data: bytes, page_bytes: int, path: str = "proc/PID/statm") -> tuple[int, int]:
    """(RSS, anonymous) in bytes.

    Anonymous is resident minus shared: the kernel prints as `shared` the resident file and
    shmem pages, so the difference is its own count of anonymous pages. That holds for 3.10 too,
    whose status file has no RssAnon.
    """
    fields = data.split()
    try:
        resident = whole_number(fields[1])
        shared = whole_number(fields[2])
    except (ValueError, IndexError):
        raise InputError(f"{path} line 1: no sizes in {decode(data[:120])!r}") from None
    # Both counters are gathered per thread and can pass each other for a moment.
    return resident * page_bytes, max(0, resident - shared) * page_bytes


def parse_status(data: bytes, path: str = "proc/PID/status") -> ProcessStatus:
    """One /proc/PID/status. The Name line is left to `stat`, which does not escape it."""
    uid = _field(data, b"Uid:", path)
    threads = _field(data, b"Threads:", path)
    return ProcessStatus(
        uid=uid,
        rss_bytes=_field(data, b"VmRSS:", path, KIB),
        anon_bytes=_field(data, b"RssAnon:", path, KIB),
        swap_bytes=_field(data, b"VmSwap:", path, KIB),
        thread_count=threads,
    )


def _field(data: bytes, name: bytes, path: str, factor: int = 1) -> int | None:
    """The first number after `name` at the start of a line.

    Searching is several times cheaper than splitting every line, and this runs per process.
    """
    at = 0 if data.startswith(name) else data.find(b"\n" + name) + 1
    if not data.startswith(name, at):
        return None
    start = at + len(name)
    end = data.find(b"\n", start)
    words = data[start : end if end >= 0 else len(data)].split(None, 1)
    try:
        return whole_number(words[0]) * factor
    except (IndexError, ValueError):
        line = data.count(b"\n", 0, start) + 1
        raise InputError(f"{path} line {line}: no number after {decode(name)}") from None


def parse_io(data: bytes, path: str = "proc/PID/io") -> tuple[int | None, int | None]:
    """(read, written) bytes that reached storage; None for a line this kernel does not have."""
    return _field(data, b"read_bytes:", path), _field(data, b"write_bytes:", path)


def parse_rollup(data: bytes, path: str = "proc/PID/smaps_rollup") -> Rollup:
    """One smaps_rollup; its first line is the address range, not a field."""
    rss = _field(data, b"Rss:", path, KIB)
    if rss is None:
        raise InputError(f"{path}: no Rss line")
    return Rollup(
        rss_bytes=rss,
        pss_bytes=_field(data, b"Pss:", path, KIB),
        private_dirty_bytes=_field(data, b"Private_Dirty:", path, KIB),
        private_clean_bytes=_field(data, b"Private_Clean:", path, KIB),
        anonymous_bytes=_field(data, b"Anonymous:", path, KIB),
        swap_bytes=_field(data, b"Swap:", path, KIB),
    )


def parse_words(data: bytes) -> tuple[str, ...]:
    """cmdline and environ: words that end in NUL."""
    if not data:
        return ()
    return tuple(decode(word) for word in data.removesuffix(b"\0").split(b"\0"))


def parse_cgroup(data: bytes, path: str = "proc/PID/cgroup") -> dict[str, str]:
    """/proc/PID/cgroup: controller name to cgroup path; the unified hierarchy is the name ``."""
    paths: dict[str, str] = {}
    for number, line in enumerate(decode(data).splitlines(), 1):
        parts = line.split(":", 2)
        if len(parts) != 3:
            raise InputError(f"{path} line {number}: no cgroup in {line!r}")
        for controller in parts[1].split(","):
            # A process outlives its removed cgroup as a zombie; the kernel marks the path.
            paths[controller] = parts[2].removesuffix(" (deleted)")
    return paths


def parse_swaps(data: bytes, path: str = "proc/swaps") -> "tuple[SwapDevice, ...]":
    """/proc/swaps; a file name's spaces are written \\040 there."""
    # Imported here: the agent's loop reads this module and never the facts.
    from forestall.model.facts import SwapDevice

    devices = []
    for number, line in enumerate(decode(data).splitlines(), 1):
        words = line.split()
        if number == 1 or not words:
            continue
        try:
            name, kind = words[0], words[1]
            size, used, priority = (whole_number(word) for word in words[2:5])
        except (IndexError, ValueError):
            raise InputError(f"{path} line {number}: no swap device in {line!r}") from None
        name = name.replace("\\040", " ")
        devices.append(
            SwapDevice(
                name=name,
                kind="zram" if name.rpartition("/")[2].startswith("zram") else kind,
                size_bytes=size * KIB,
                used_bytes=used * KIB,
                priority=priority,
            )
        )
    return tuple(devices)


def parse_boot_time(data: bytes, path: str = "proc/stat") -> float:
    """Seconds since the epoch at which the kernel started, from the btime line."""
    booted = _field(data, b"btime ", path)
    if booted is None:
        raise InputError(f"{path}: no btime line")
    return float(booted)


def parse_os_release(data: bytes) -> dict[str, str]:
    """os-release(5): NAME=value lines with the shell's quoting; other lines are passed over."""
    values: dict[str, str] = {}
    for line in decode(data).splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        for mark in '"$`\\':
            value = value.replace(f"\\{mark}", mark)
        values[name] = value
    return values


def host_sample(
    meminfo: Mapping[str, int], vmstat: Mapping[str, int], pressure: Pressure | None
) -> HostSample:
    """The host's memory out of both files, either of which may be empty."""
    return HostSample(
        mem_total_bytes=meminfo.get("MemTotal"),
        mem_available_bytes=meminfo.get("MemAvailable"),
        swap_total_bytes=meminfo.get("SwapTotal"),
        swap_free_bytes=meminfo.get("SwapFree"),
        anon_bytes=meminfo.get("AnonPages"),
        slab_unreclaimable_bytes=meminfo.get("SUnreclaim"),
        major_fault_count=vmstat.get("pgmajfault"),
        swap_in_count=vmstat.get("pswpin"),
        swap_out_count=vmstat.get("pswpout"),
        oom_kill_count=vmstat.get("oom_kill"),
        pressure=pressure,
    )


def read_meminfo(host: Host) -> dict[str, int]:
    """/proc/meminfo in bytes by name; empty where it cannot be read."""
    return parse_meminfo(host.read_bytes("proc/meminfo") or b"")


def read_vmstat(host: Host) -> dict[str, int]:
    """/proc/vmstat by name; empty where it cannot be read."""
    return parse_vmstat(host.read_bytes("proc/vmstat") or b"")


def read_boot_id(host: Host) -> str | None:
    """The random id of this boot."""
    return host.read_text("proc/sys/kernel/random/boot_id", 128) or None


def read_sysctls(host: Host, names: tuple[str, ...] = SYSCTLS) -> dict[str, str]:
    """The raw text of each readable setting by dotted name."""
    found = {}
    for name in names:
        text = host.read_text("proc/sys/" + name.replace(".", "/"), 4096)
        if text is not None:
            found[name] = text
    return found


def read_stat(host: Host, pid: int) -> ProcessStat | None:
    """/proc/PID/stat; None once the process is gone."""
    path = f"proc/{pid}/stat"
    data = host.read_record(path)
    return parse_stat(data, path) if data else None


def read_status(host: Host, pid: int) -> ProcessStatus | None:
    """/proc/PID/status; None once the process is gone."""
    path = f"proc/{pid}/status"
    data = host.read_record(path)
    return parse_status(data, path) if data else None


def read_statm(host: Host, pid: int) -> tuple[int, int] | None:
    """(RSS, anonymous) in bytes; None once the process is gone."""
    path = f"proc/{pid}/statm"
    data = host.read_record(path)
    return parse_statm(data, host.page_bytes, path) if data else None


def read_io(host: Host, pid: int) -> tuple[int | None, int | None]:
    """(read, written) bytes; None twice without the right to ask, which needs the same user."""
    path = f"proc/{pid}/io"
    data = host.read_record(path)
    return parse_io(data, path) if data else (None, None)


def read_cgroup(host: Host, pid: int | str) -> dict[str, str]:
    """Controller to cgroup path; empty where there are no cgroups or no such process."""
    path = f"proc/{pid}/cgroup"
    return parse_cgroup(host.read_bytes(path, 16 * KIB) or b"", path)


def read_rollup(host: Host, pid: int) -> Rollup | None:
    """smaps_rollup (kernel 4.14 and later); walks the page tables: 53 ms for a 4 GB process."""
    path = f"proc/{pid}/smaps_rollup"
    data = host.read_bytes(path, 4096)
    return parse_rollup(data, path) if data else None


def read_cmdline(host: Host, pid: int) -> tuple[str, ...] | None:
    """The words of the command line, cut at CMDLINE_LIMIT_BYTES; empty for a kernel thread."""
    data = host.read_bytes(f"proc/{pid}/cmdline", CMDLINE_LIMIT_BYTES)
    return None if data is None else parse_words(data)


def read_environ(host: Host, pid: int) -> tuple[str, ...] | None:
    """`NAME=value` words, cut at ENVIRON_LIMIT_BYTES, not redacted; needs the same user or root."""
    data = host.read_bytes(f"proc/{pid}/environ", ENVIRON_LIMIT_BYTES)
    return None if data is None else parse_words(data)


def read_number(host: Host, path: str) -> int | None:
    """A file that holds one whole number; None where it is absent or says something else."""
    text = host.read_text(path, 128)
    try:
        return None if text is None else whole_number(text)
    except ValueError:
        return None


def read_key(host: Host, pid: int, boot_id: str | None = None) -> ProcessKey | None:
    """What makes the process of this pid itself now; None once it is gone."""
    stat = read_stat(host, pid)
    return None if stat is None else key_of(stat, boot_id or read_boot_id(host))


def key_of(stat: ProcessStat, boot_id: str | None) -> ProcessKey:
    """The key of the process that `stat` is of; an unknown boot is the empty text."""
    return ProcessKey(boot_id=boot_id or "", pid=stat.pid, start_ticks=stat.start_ticks)


def process_sample(
    key: ProcessKey,
    stat: ProcessStat,
    sizes: tuple[int, int],
    status: ProcessStatus | None,
    io: tuple[int | None, int | None],
    place: tuple[str | None, str | None],
    ticks_per_second: int,
) -> ProcessSample:
    """One process out of what its files said; `sizes` from statm, `place` its cgroup and unit."""
    return ProcessSample(
        key=key,
        name=stat.name,
        rss_bytes=sizes[0],
        anon_bytes=sizes[1],
        swap_bytes=status.swap_bytes if status else None,
        cgroup=place[0],
        unit=place[1],
        uid=status.uid if status else None,
        cpu_seconds=stat.cpu_ticks / ticks_per_second,
        thread_count=stat.thread_count,
        read_bytes=io[0],
        written_bytes=io[1],
    )
