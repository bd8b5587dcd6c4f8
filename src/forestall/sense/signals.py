"""The catalogue of what is read: name, unit, source, help. Metrics take their names from here."""

from typing import NamedTuple


class Signal(NamedTuple):
    """One thing that is read. `name` is the attribute of its noun, in `unit`.

    `metric` is the name under which the agent exports it; None for what node_exporter already
    has or nobody alerts on. `counter` = it only ever rises while its subject lives.
    """

    noun: str
    name: str
    unit: str
    source: str
    help: str
    counter: bool = False
    metric: str | None = None


def _signal(
    noun: str,
    name: str,
    unit: str,
    source: str,
    help: str,
    *,
    counter: bool = False,
    exported: bool = False,
) -> Signal:
    metric = _metric(noun, name, counter) if exported else None
    return Signal(noun, name, unit, source, help, counter, metric)


def _metric(noun: str, name: str, counter: bool) -> str:
    """A counter ends in `_total`; what is counted is named in the plural, without `count`."""
    stem = name.removesuffix("_count") + "s" if name.endswith("_count") else name
    return f"forestall_{noun}_{stem}" + ("_total" if counter else "")


SIGNALS = (
    _signal(
        "process",
        "memory_bytes",
        "bytes",
        "/proc/PID/statm, VmSwap of /proc/PID/status",
        "Anonymous memory plus swap of a process: what it alone keeps from others.",
        exported=True,
    ),
    _signal(
        "process",
        "rss_bytes",
        "bytes",
        "/proc/PID/statm",
        "Resident memory of a process, shared and cached pages included.",
        exported=True,
    ),
    _signal(
        "process",
        "anon_bytes",
        "bytes",
        "/proc/PID/statm (resident less shared)",
        "Anonymous resident memory of a process.",
    ),
    _signal(
        "process",
        "swap_bytes",
        "bytes",
        "VmSwap of /proc/PID/status",
        "Memory of a process that was moved to swap.",
        exported=True,
    ),
    _signal(
        "process",
        "cpu_seconds",
        "seconds",
        "/proc/PID/stat",
        "Processor time of a process, in user and kernel mode.",
        counter=True,
        exported=True,
    ),
    _signal(
        "process",
        "thread_count",
        "threads",
        "/proc/PID/stat",
        "Threads of a process.",
        exported=True,
    ),
    _signal(
        "process",
        "read_bytes",
        "bytes",
        "/proc/PID/io",
        "Bytes that a process had fetched from storage.",
        counter=True,
    ),
    _signal(
        "process",
        "written_bytes",
        "bytes",
        "/proc/PID/io",
        "Bytes that a process sent to storage.",
        counter=True,
    ),
    _signal(
        "cgroup",
        "current_bytes",
        "bytes",
        "memory.current (v2), memory.usage_in_bytes (v1)",
        "Memory charged to a cgroup, page cache included.",
        exported=True,
    ),
    _signal(
        "cgroup",
        "max_bytes",
        "bytes",
        "memory.max (v2), memory.limit_in_bytes (v1)",
        "Hard memory limit of a cgroup; absent without one.",
        exported=True,
    ),
    _signal(
        "cgroup",
        "headroom_bytes",
        "bytes",
        "the two above and the file lists of memory.stat",
        "What a cgroup has left below its limit once its page cache is dropped.",
        exported=True,
    ),
    _signal(
        "cgroup",
        "high_bytes",
        "bytes",
        "memory.high (v2)",
        "Where a cgroup is slowed down; absent on v1.",
    ),
    _signal(
        "cgroup",
        "anon_bytes",
        "bytes",
        "anon (v2), total_rss (v1) of memory.stat",
        "Anonymous memory of a cgroup.",
        exported=True,
    ),
    _signal(
        "cgroup",
        "file_bytes",
        "bytes",
        "active_file and inactive_file of memory.stat",
        "Page cache of a cgroup that the kernel can take back; tmpfs is not in it.",
    ),
    _signal(
        "cgroup",
        "swap_bytes",
        "bytes",
        "memory.swap.current (v2), total_swap of memory.stat (v1)",
        "Memory of a cgroup that was moved to swap.",
        exported=True,
    ),
    _signal(
        "cgroup",
        "swap_max_bytes",
        "bytes",
        "memory.swap.max (v2), memory.memsw.limit_in_bytes (v1)",
        "How much swap a cgroup may use; absent without a limit.",
    ),
    _signal(
        "cgroup",
        "oom_kill_count",
        "kills",
        "memory.events (v2), memory.oom_control (v1, kernel 4.13 and later)",
        "Processes of a cgroup that the OOM killer ended.",
        counter=True,
        exported=True,
    ),
    _signal(
        "host",
        "headroom_bytes",
        "bytes",
        "MemAvailable plus SwapFree of /proc/meminfo",
        "What the host has left before the kernel must act: available memory plus free swap.",
        exported=True,
    ),
    _signal("host", "mem_total_bytes", "bytes", "/proc/meminfo", "Memory of the host."),
    _signal(
        "host",
        "mem_available_bytes",
        "bytes",
        "/proc/meminfo (kernel 3.14 and later, and RHEL 7)",
        "Memory that can be had without swapping.",
    ),
    _signal("host", "swap_total_bytes", "bytes", "/proc/meminfo", "Swap of the host."),
    _signal("host", "swap_free_bytes", "bytes", "/proc/meminfo", "Swap that is not in use."),
    _signal("host", "anon_bytes", "bytes", "/proc/meminfo", "Anonymous memory of all processes."),
    _signal(
        "host",
        "slab_unreclaimable_bytes",
        "bytes",
        "/proc/meminfo",
        "Kernel memory that cannot be taken back: where a leak of the kernel shows.",
    ),
    _signal(
        "host",
        "major_fault_count",
        "faults",
        "/proc/vmstat",
        "Faults that read storage.",
        counter=True,
    ),
    _signal(
        "host", "swap_in_count", "pages", "/proc/vmstat", "Pages read from swap.", counter=True
    ),
    _signal(
        "host", "swap_out_count", "pages", "/proc/vmstat", "Pages written to swap.", counter=True
    ),
    _signal(
        "host",
        "oom_kill_count",
        "kills",
        "/proc/vmstat (kernel 4.13 and later)",
        "Processes that the OOM killer ended.",
        counter=True,
    ),
)

METRICS = {signal.metric: signal for signal in SIGNALS if signal.metric is not None}


def of(noun: str) -> tuple[Signal, ...]:
    """The signals of one noun: process, cgroup or host."""
    return tuple(signal for signal in SIGNALS if signal.noun == noun)
