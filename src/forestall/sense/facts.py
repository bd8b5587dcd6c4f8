"""HostFacts: what changes rarely on a host, read at once.

It needs no root, and says what it could not see.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from forestall.clock import Clock
from forestall.errors import InputError
from forestall.model.facts import HolderFacts, HostFacts, SwapDevice
from forestall.model.sample import CgroupSample, HostSample
from forestall.sense import place, procfs, psi, systemd
from forestall.sense.cgroup import NOWHERE, Cgroups
from forestall.sense.host import NEEDS_ROOT, Host
from forestall.sense.procfs import ProcessStat

Found = TypeVar("Found")

HOLDER_LIMIT = 10
DATABASE_LIMIT = 20

GUARD_NAMES = ("earlyoom", "nohang", "systemd-oomd", "oomd", "forestall")

DATABASE_NAMES = (
    "postgres",
    "postmaster",
    "mysqld",
    "mariadbd",
    "mongod",
    "redis-server",
    "valkey-server",
    "oracle",
    "db2sysc",
    "sqlservr",
    "clickhouse-serv",
    "cockroach",
    "etcd",
    "influxd",
)
"""Names as the kernel keeps them, cut at 15 bytes."""


class Seen(NamedTuple):
    """One process with memory of its own, as far as every process is read."""

    stat: ProcessStat
    sizes: tuple[int, int]
    status: procfs.ProcessStatus | None

    @property
    def memory_bytes(self) -> int:
        swap_bytes = self.status.swap_bytes if self.status else None
        return self.sizes[1] + (swap_bytes or 0)


def read_facts(host: Host, clock: Clock) -> HostFacts:
    """All facts of `host`. Damaged files and missing rights end in `unseen`, never in an error."""
    unseen: dict[str, str] = {}
    boot_id = procfs.read_boot_id(host)
    meminfo, memory = _memory(host, unseen)
    system = _os_release(host)
    cgroups, own_cgroups = _own_cgroups(host, unseen)
    services = systemd.read_units(host)
    if services.problem:
        unseen["units"] = services.problem
    seen, hidden = _processes(host, unseen)
    kexec_loaded = procfs.read_number(host, "sys/kernel/kexec_crash_loaded")
    if kexec_loaded is None:
        unseen["crash_kernel_loaded"] = "this kernel shows no sys/kernel/kexec_crash_loaded"
    holders = _largest_and_first(host, seen)
    return HostFacts(
        at=clock.now(),
        hostname=host.hostname,
        boot_id=boot_id,
        kernel_release=host.read_text("proc/sys/kernel/osrelease", 256) or None,
        machine=host.machine or host.read_text("proc/sys/kernel/arch", 64),
        os_id=system.get("ID"),
        os_version_id=system.get("VERSION_ID"),
        os_name=system.get("PRETTY_NAME") or system.get("NAME"),
        booted_at=_booted_at(host, unseen),
        page_bytes=host.page_bytes,
        container=place.container(host),
        virtualization=place.virtualization(host),
        effective_uid=host.effective_uid,
        memory=memory,
        swaps=_swaps(host, unseen),
        sysctls=_sysctls(host, unseen),
        cgroup_version=cgroups.version if cgroups else None,
        own_cgroups=own_cgroups,
        psi=memory.pressure is not None,
        crash_kernel_loaded=None if kexec_loaded is None else kexec_loaded == 1,
        crash_kernel_bytes=procfs.read_number(host, "sys/kernel/kexec_crash_size"),
        systemd_version=services.version,
        units=services.units,
        holders=tuple(_holder(host, process, boot_id, cgroups) for process in holders),
        process_count=len(seen),
        hidden_processes=hidden,
        unseen=unseen,
        guards=_unless_hidden(hidden, _guards(host, seen)),
        databases=_unless_hidden(
            hidden,
            (
                _holder(host, process, boot_id, cgroups)
                for process in database_servers(seen)[:DATABASE_LIMIT]
            ),
        ),
        commit_limit_bytes=meminfo.get("CommitLimit"),
        committed_bytes=meminfo.get("Committed_AS"),
        hugetlb_bytes=_hugetlb(meminfo),
        zswap=_zswap(host),
    )


def _unless_hidden(hidden: bool, found: Iterable[Found]) -> tuple[Found, ...] | None:
    """What was found; where nothing was and others are hidden, None: nobody can tell."""
    result = tuple(found)
    return None if hidden and not result else result


def _memory(host: Host, unseen: dict[str, str]) -> tuple[dict[str, int], HostSample]:
    meminfo: dict[str, int] = {}
    vmstat: dict[str, int] = {}
    try:
        meminfo = procfs.read_meminfo(host)
        vmstat = procfs.read_vmstat(host)
    except InputError as error:
        unseen["memory"] = error.message
    if not meminfo:
        unseen.setdefault("memory", "proc/meminfo cannot be read")
    try:
        pressure = psi.read_pressure(host)
    except InputError as error:
        pressure = None
        unseen["psi"] = error.message
    if pressure is None:
        unseen.setdefault("psi", _why_no_pressure(host))
    return meminfo, procfs.host_sample(meminfo, vmstat, pressure)


def _why_no_pressure(host: Host) -> str:
    if host.exists(psi.MEMORY_PATH):
        return "this kernel has PSI switched off (boot it with psi=1)"
    return "this kernel has no PSI"


def _os_release(host: Host) -> dict[str, str]:
    for path in ("etc/os-release", "usr/lib/os-release"):
        data = host.read_bytes(path)
        if data:
            return procfs.parse_os_release(data)
    # RHEL 6 and CentOS 6 have only this line.
    name = host.read_text("etc/redhat-release", 256)
    return {"PRETTY_NAME": name} if name else {}


def _own_cgroups(
    host: Host, unseen: dict[str, str]
) -> tuple[Cgroups | None, tuple[CgroupSample, ...]]:
    try:
        cgroups = Cgroups(host)
        chain = cgroups.chain(cgroups.place_of("self").cgroup)
    except InputError as error:
        unseen["own_cgroups"] = error.message
        return None, ()
    if cgroups.problem:
        unseen["own_cgroups"] = cgroups.problem
    return cgroups, chain


def _booted_at(host: Host, unseen: dict[str, str]) -> float | None:
    # Processors and interrupts have a line or a word each before btime.
    data = host.read_bytes("proc/stat", 1024 * 1024)
    try:
        return procfs.parse_boot_time(data) if data else None
    except InputError as error:
        unseen["booted_at"] = error.message
        return None


def _swaps(host: Host, unseen: dict[str, str]) -> tuple[SwapDevice, ...] | None:
    data = host.read_bytes("proc/swaps")
    if data is None:
        unseen["swaps"] = "proc/swaps cannot be read"
        return None
    try:
        return procfs.parse_swaps(data)
    except InputError as error:
        unseen["swaps"] = error.message
        return None


def _sysctls(host: Host, unseen: dict[str, str]) -> dict[str, str]:
    found = procfs.read_sysctls(host)
    denied = [
        name for name in procfs.SYSCTLS if host.was_denied("proc/sys/" + name.replace(".", "/"))
    ]
    if denied:
        unseen["sysctls"] = f"{NEEDS_ROOT} ({', '.join(denied)})"
    return found


def _processes(host: Host, unseen: dict[str, str]) -> tuple[list[Seen], bool]:
    """Every process with memory, and whether others are hidden (mount option hidepid)."""
    seen = []
    damaged = 0
    for pid in host.pids():
        try:
            process = _see(host, pid)
        except InputError as error:
            damaged += 1
            unseen["holders"] = f"{damaged} processes could not be read, the last: {error.message}"
            continue
        if process is not None:
            seen.append(process)
    # The first process is always there; if it cannot be seen, hidepid hides what is not ours.
    hidden = host.read_bytes("proc/1/stat", 4096) is None
    if hidden:
        unseen["holders"] = "other users' processes are hidden (hidepid): needs root"
    return seen, hidden


def _see(host: Host, pid: int) -> Seen | None:
    sizes = procfs.read_statm(host, pid)
    if not sizes or not sizes[0]:
        # A kernel thread or a zombie: nothing of its own to hold.
        return None
    stat = procfs.read_stat(host, pid)
    return None if stat is None else Seen(stat, sizes, procfs.read_status(host, pid))


def _largest_and_first(host: Host, seen: list[Seen]) -> list[Seen]:
    """The largest processes, and the one the OOM killer would take first if it is none of them.

    A small process that volunteers (a high oom_score_adj) is taken before every large one.
    """
    largest = heapq.nlargest(HOLDER_LIMIT, seen, key=lambda process: process.memory_bytes)
    scores = [
        (procfs.read_number(host, f"proc/{process.stat.pid}/oom_score") or 0, index)
        for index, process in enumerate(seen)
    ]
    highest = max((score for score, _ in scores), default=0)
    if highest == 0:
        return largest
    # Many processes share the score of "nothing special", and the largest of them counts.
    equals = [seen[index] for score, index in scores if score == highest]
    first = max(equals, key=lambda process: process.memory_bytes)
    return largest if first in largest else [*largest, first]


def _holder(host: Host, process: Seen, boot_id: str | None, cgroups: Cgroups | None) -> HolderFacts:
    pid = process.stat.pid
    place_of = cgroups.place_of(pid) if cgroups else NOWHERE
    return HolderFacts(
        process=procfs.process_sample(
            procfs.key_of(process.stat, boot_id),
            process.stat,
            process.sizes,
            process.status,
            io=procfs.read_io(host, pid),
            place=place_of,
            ticks_per_second=host.ticks_per_second,
        ),
        oom_score=procfs.read_number(host, f"proc/{pid}/oom_score"),
        oom_score_adjust=procfs.read_number(host, f"proc/{pid}/oom_score_adj"),
    )


def _guards(host: Host, seen: Iterable[Seen]) -> Iterator[str]:
    """The guards that run, each once; a script's own name stands in its command line."""
    found = set()
    for process in seen:
        name = process.stat.name
        if name in GUARD_NAMES or name.startswith("python"):
            words = procfs.read_cmdline(host, process.stat.pid) or ()
            found.add(guard_name(name, words))
    yield from sorted(name for name in found if name)


def guard_name(name: str, words: tuple[str, ...]) -> str | None:
    """Which guard a process of this name and these command line words is; None if it is none."""
    programs = [word.rpartition("/")[2] for word in words]
    if name.startswith("python"):
        named = [program for program in programs[1:4] if program in ("nohang", "forestall")]
        name = named[0] if named else ""
    if name == "forestall":
        # Every command of forestall has this name; only the agent's loop guards anything.
        return name if "watch" in programs and "--once" not in programs else None
    return name if name in GUARD_NAMES else None


def database_servers(seen: Iterable[Seen]) -> list[Seen]:
    """The main process of each database server: one whose parent is not of the same server."""
    servers = {process.stat.pid: process for process in seen if _is_database(process.stat.name)}
    return [process for process in servers.values() if process.stat.parent_pid not in servers]


def _is_database(name: str) -> bool:
    # Oracle's processes carry their instance: ora_pmon_ORCL is the one each instance has.
    return name in DATABASE_NAMES or name.startswith(("ora_pmon_", "db_pmon_"))


def _hugetlb(meminfo: dict[str, int]) -> int | None:
    if "Hugetlb" in meminfo:
        return meminfo["Hugetlb"]
    # The line of all sizes came with 4.19; before it there is the default size alone.
    if "HugePages_Total" in meminfo and "Hugepagesize" in meminfo:
        return meminfo["HugePages_Total"] * meminfo["Hugepagesize"]
    return None


def _zswap(host: Host) -> bool | None:
    text = host.read_text("sys/module/zswap/parameters/enabled", 16)
    return None if text is None else text in ("Y", "1")
