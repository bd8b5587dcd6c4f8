"""The processes of a host at one moment: who holds memory, which are databases, who watches."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from forestall.errors import InputError
from forestall.model.facts import HolderFacts
from forestall.sense import procfs
from forestall.sense.cgroup import NOWHERE, Cgroups
from forestall.sense.host import Host
from forestall.sense.notes import Notes
from forestall.sense.procfs import ProcessStat

HALF_A_LIST = "not all of the processes were recorded"

HOLDER_LIMIT = 10
DATABASE_LIMIT = 20

GUARD_NAMES = ("earlyoom", "nohang", "systemd-oomd", "oomd", "forestall")

DATABASE_NAMES = (
    "postgres",
    "postmaster",
    "edb-postgres",
    "mysqld",
    "mariadbd",
    "mongod",
    "redis-server",
    "valkey-server",
    "oracle",
    "db2sysc",
    "hdbindexserver",
    "hdbnameserver",
    "sqlservr",
    "clickhouse-serv",
    "cockroach",
    "etcd",
    "influxd",
    "scylla",
    "tikv-server",
    "yb-tserver",
    "arangod",
    "vertica",
)
"""Names as the kernel keeps them, cut at 15 bytes."""

POSTGRES_NAMES = ("postgres", "postmaster", "edb-postgres")

MONITOR_NAMES = {
    "alloy": "alloy",
    "amazon-cloudwat": "amazon-cloudwatch-agent",
    "azuremonitorage": "azuremonitoragent",
    "cadvisor": "cadvisor",
    "cmk-agent-ctl": "checkmk",
    "collectd": "collectd",
    "grafana-agent": "grafana-agent",
    "icinga2": "icinga2",
    "metricbeat": "metricbeat",
    "munin-node": "munin-node",
    "netdata": "netdata",
    "newrelic-infra": "newrelic-infra",
    "node_exporter": "node_exporter",
    "nrpe": "nrpe",
    "oneagentwatchdo": "oneagent",
    "otelcol": "otelcol",
    "otelcol-contrib": "otelcol",
    "pmcd": "pmcd",
    "process-exporte": "process-exporter",
    "prometheus-node": "node_exporter",
    "sadc": "sysstat",
    "sensu-agent": "sensu-agent",
    "snmpd": "snmpd",
    "telegraf": "telegraf",
    "vmagent": "vmagent",
    "zabbix_agent2": "zabbix_agent2",
    "zabbix_agentd": "zabbix_agentd",
}
"""What tells somebody else of this host's memory, by the kernel's name and by its usual one."""

COMMAND_LINE_NAMES = ("agent", "forestall", *GUARD_NAMES[:4], *POSTGRES_NAMES)
"""The processes whose command line is read: these, and those whose name begins with `python`."""


class Seen(NamedTuple):
    """One process with memory of its own, as far as every process is read."""

    stat: ProcessStat
    sizes: tuple[int, int]
    status: procfs.ProcessStatus | None

    @property
    def memory_bytes(self) -> int:
        swap_bytes = self.status.swap_bytes if self.status else None
        return self.sizes[1] + (swap_bytes or 0)


class Running(NamedTuple):
    """What runs on a host, as far as it can be seen.

    `words` answers with a process's command line, read once; `untold` are the processes whose
    line was wanted and is not there. `whole` = nothing else runs; `hidden` = others do (hidepid),
    None = nobody can tell.
    """

    seen: list[Seen]
    whole: bool
    hidden: bool | None
    words: Callable[[int], tuple[str, ...]]
    untold: set[int]

    def none_if_unsure(self, found: Iterable[str]) -> tuple[str, ...] | None:
        """What was found; where nothing was and something else may run, None: nobody can tell."""
        result = tuple(found)
        return result if result or (self.whole and not self.untold) else None


def read_running(host: Host, notes: Notes) -> Running:
    """Every process with memory, and whether that is all that runs.

    The list is whole where /proc was listed whole, its first process is in it (hidepid would hide
    it), and nothing that it names is half or damaged.
    """
    seen = []
    damaged = torn = 0
    for pid in host.pids():
        try:
            process = _see(host, pid)
        except InputError as error:
            damaged += 1
            notes.unseen["holders"] = (
                f"{damaged} processes could not be read, the last: {error.message}"
            )
            continue
        if process is not None:
            seen.append(process)
        elif not host.complete and _is_torn(host, pid):
            torn += 1
    hidden: bool | None = host.read_bytes("proc/1/stat", 4096) is None
    listed = host.lists("proc") and not torn
    if hidden and host.complete:
        notes.unseen["holders"] = "other users' processes are hidden (hidepid): needs root"
    elif not listed or hidden:
        hidden = None
        notes.unseen["holders"] = HALF_A_LIST if seen else "no process was recorded"
    known: dict[int, tuple[str, ...]] = {}
    untold: set[int] = set()

    def words(pid: int) -> tuple[str, ...]:
        if pid not in known:
            told = procfs.read_cmdline(host, pid)
            known[pid] = told or ()
            # One that has ended meanwhile is nobody's guard.
            if told is None and host.exists(f"proc/{pid}/stat"):
                untold.add(pid)
        return known[pid]

    return Running(seen, listed and hidden is False and not damaged, hidden, words, untold)


def _is_torn(host: Host, pid: int) -> bool:
    """Whether a copy has something of a process, and not what tells who it is and what it holds."""
    missing = [name for name in ("stat", "statm") if not host.exists(f"proc/{pid}/{name}")]
    others = ("status", "oom_score", "oom_score_adj")
    return len(missing) == 1 or (
        bool(missing) and any(host.exists(f"proc/{pid}/{name}") for name in others)
    )


def _see(host: Host, pid: int) -> Seen | None:
    sizes = procfs.read_statm(host, pid)
    if not sizes or not sizes[0]:
        # A kernel thread or a zombie: nothing of its own to hold.
        return None
    stat = procfs.read_stat(host, pid)
    return None if stat is None else Seen(stat, sizes, procfs.read_status(host, pid))


def largest_and_first(host: Host, seen: list[Seen]) -> list[Seen]:
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


def holder(
    host: Host, notes: Notes, process: Seen, boot_id: str | None, cgroups: Cgroups | None
) -> HolderFacts:
    """The facts of one process; a damaged file of it is said, and leaves out only itself."""
    pid = process.stat.pid
    place = notes.attempt("holders", lambda: cgroups.place_of(pid) if cgroups else NOWHERE)
    io = notes.attempt("holders", lambda: procfs.read_io(host, pid))
    return HolderFacts(
        process=procfs.process_sample(
            procfs.key_of(process.stat, boot_id),
            process.stat,
            process.sizes,
            process.status,
            io=io or (None, None),
            place=place or NOWHERE,
            ticks_per_second=host.ticks_per_second,
        ),
        oom_score=procfs.read_number(host, f"proc/{pid}/oom_score"),
        oom_score_adjust=procfs.read_number(host, f"proc/{pid}/oom_score_adj"),
    )


def guards(running: Running) -> Iterator[str]:
    """The guards that run, each once; a script's own name stands in its command line."""
    found = set()
    for process in running.seen:
        name = process.stat.name
        if name in GUARD_NAMES or name.startswith("python"):
            found.add(guard_name(name, running.words(process.stat.pid)))
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


def postgres_servers(servers: Iterable[Seen]) -> Iterator[Seen]:
    """Those of the database servers that are PostgreSQL's."""
    return (server for server in servers if server.stat.name in POSTGRES_NAMES)


def monitors(running: Running) -> Iterator[str]:
    """The exporters and agents that run, each once, by their usual names."""
    found = set()
    for process in running.seen:
        name = process.stat.name
        if name in MONITOR_NAMES:
            found.add(MONITOR_NAMES[name])
        elif name == "agent":
            # Only its path tells whose agent it is.
            program = (running.words(process.stat.pid) or ("",))[0]
            if "/datadog-agent/" in program:
                found.add("datadog-agent")
    yield from sorted(found | {name for name in guards(running) if name == "forestall"})
