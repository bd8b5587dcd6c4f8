"""Input `prometheus URL`: what node_exporter says of every host, in a few dozen instant queries.

Never a query per host: each asks for all of them at once, reduced to one number an instance, and
several metrics share a query as long as the answer stays small. 100,000 hosts are columns of
numbers here, of which one host after the other becomes facts.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan

from forestall.audit.inputs.prometheus_api import Access, Server
from forestall.audit.inputs.source import Seen
from forestall.clock import Clock
from forestall.errors import ForestallError, InputError
from forestall.model.facts import HostFacts, MountFacts
from forestall.model.sample import HostSample
from forestall.sense.procfs import SYSCTLS
from forestall.units import HOUR

GROWTH_SECONDS = 6 * HOUR
ROWS_A_QUERY = 200_000
MOUNT_HOSTS = 20_000
"""File systems are about ten series a host; of a larger fleet only those that rules ask for."""

SELECTOR_LIMIT = 50
EXPRESSION_LIMIT = 10_000
MOUNT_LIMIT = 200

_MEMORY = {
    "MemTotal": "mem_total_bytes",
    "MemAvailable": "mem_available_bytes",
    "SwapTotal": "swap_total_bytes",
    "SwapFree": "swap_free_bytes",
    "AnonPages": "anon_bytes",
    "SUnreclaim": "slab_unreclaimable_bytes",
}
_VMSTAT = {
    "pgmajfault": "major_fault_count",
    "pswpin": "swap_in_count",
    "pswpout": "swap_out_count",
    "oom_kill": "oom_kill_count",
}
_WHOLE = {
    "commit_limit_bytes": "node_memory_CommitLimit_bytes",
    "committed_bytes": "node_memory_Committed_AS_bytes",
    "hugepages_total": "node_memory_HugePages_Total",
    "hugepages_free": "node_memory_HugePages_Free",
    "hugepages_reserved": "node_memory_HugePages_Rsvd",
    "hugepage_bytes": "node_memory_Hugepagesize_bytes",
    "hugetlb_bytes": "node_memory_Hugetlb_bytes",
}
_SAMPLE = {field: f"node_memory_{name}_bytes" for name, field in _MEMORY.items()}
_SAMPLE |= {field: f"node_vmstat_{name}" for name, field in _VMSTAT.items()}
_SYSCTL = {name: "node_sysctl_" + re.sub(r"[.-]", "_", name) for name in SYSCTLS}
_PRESSURE = "node_pressure_memory_waiting_seconds_total"
_BOOTED = "node_boot_time_seconds"
NUMBERS = (*_SAMPLE.values(), *_WHOLE.values(), *_SYSCTL.values(), _PRESSURE, _BOOTED)

_GUARDS = ("earlyoom", "nohang", "oomd", "systemd-oomd")
_UNITS = (*_GUARDS, "kubelet", "k3s", "k3s-agent")
_PLACES = "/|/boot|/dev/shm|/run|/tmp|/var|/var/crash|/var/lib/(kdump|mysql|pgsql.*|postgresql.*)"

_METRIC = re.compile(
    r'(?<![\w:])([a-zA-Z_:][\w:]*+)(\s*+\{(?:[^}"]++|"(?:\\.|[^"\\])*+")*+\})?'
)  # fmt: skip
_OF_MEMORY = re.compile(r"[mM]em|[sS]wap|oom|pswp")


@dataclass(slots=True)
class _Fleet:
    """What was asked so far: a column of numbers for each metric, and words by instance."""

    instances: dict[str, int] = field(default_factory=dict)
    about: list[Mapping[str, str]] = field(default_factory=list)
    columns: "dict[str, array[float]]" = field(default_factory=dict)
    systems: dict[str, Mapping[str, str]] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    units: dict[str, dict[str, bool]] = field(default_factory=dict)
    mounts: dict[str, list[MountFacts]] = field(default_factory=dict)
    alerts: dict[str, list[str]] | None = None
    problems: dict[str, str] = field(default_factory=dict)
    down: list[str] = field(default_factory=list)

    def column(self, name: str) -> "array[float]":
        known = self.columns.get(name)
        if known is None:
            known = self.columns[name] = array("d", [nan]) * len(self.instances)
        return known

    def number(self, name: str, instance: str) -> float | None:
        column = self.columns.get(name)
        value = nan if column is None else column[self.instances[instance]]
        return None if isnan(value) else value


def read_prometheus(
    urls: Iterable[str],
    clock: Clock,
    access: Access | None = None,
    growth_seconds: float = GROWTH_SECONDS,
) -> Iterator[Seen]:
    """Every host that a node_exporter tells of. Raises ForestallError where there is none."""
    for url in urls:
        server = Server(url, access or Access())
        try:
            fleet = _asked(server, growth_seconds)
        finally:
            server.close()
        if not fleet.instances and not fleet.down:
            raise InputError(
                f"{server.name} knows no host of node_exporter",
                help="is it scraped there, and does the selector fit (metric node_uname_info)?",
            )
        for instance in fleet.instances:
            facts = _facts(fleet, instance, clock, growth_seconds)
            yield Seen(name=facts.hostname, facts=facts)
        for instance in fleet.down:
            yield Seen(
                name=host_of(instance), problem="its node_exporter does not answer (up is 0)"
            )


def host_of(instance: str) -> str:
    """`db01:9100` -> `db01`, `[2001:db8::1]:9100` -> `2001:db8::1`."""
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([^:]+)(?::\d+)?", instance)
    return (match[1] or match[2]) if match else instance


def _asked(server: Server, growth_seconds: float) -> _Fleet:
    fleet = _Fleet()
    for series in server.query(
        f"max by (instance, job, nodename, release, machine) ({server.selector('node_uname_info')})"
    ):
        instance = series.labels.get("instance", "")
        if instance and instance not in fleet.instances:
            fleet.instances[instance] = len(fleet.instances)
            fleet.about.append(series.labels)
    jobs = sorted({about.get("job", "") for about in fleet.about})
    fleet.down = _down(server, fleet, jobs)
    if not fleet.instances:
        return fleet
    _ask_numbers(server, fleet)
    _ask(fleet, "scraped_at", lambda: _scraped(server, fleet))
    _ask(fleet, "os_id", lambda: _systems(server, fleet))
    _ask(fleet, "sysctls", lambda: _settings(server, fleet))
    _ask(fleet, "psi", lambda: _collectors(server, fleet))
    _ask(fleet, "guards", lambda: _units(server, fleet))
    _ask(fleet, "mounts", lambda: _mounts(server, fleet))
    _ask(fleet, "anonymous_growth_bytes_per_second", lambda: _growth(server, fleet, growth_seconds))
    _ask(fleet, "memory_alerts", lambda: _alerts(server, fleet))
    return fleet


def _ask(fleet: _Fleet, what: str, question: Callable[[], None]) -> None:
    """One question of several: a server that cannot answer it leaves those facts unknown."""
    try:
        question()
    except ForestallError as error:
        fleet.problems[what] = error.message


def _down(server: Server, fleet: _Fleet, jobs: Sequence[str]) -> list[str]:
    """The targets of the same jobs that do not answer."""
    if not jobs and not server.match:
        return []
    names = "|".join(re.escape(job).replace("\\", "\\\\") for job in jobs)
    matchers = [f'job=~"{names}"'] if jobs else []
    found = server.query(f"max by (instance) ({server.selector('up', *matchers)}) == 0")
    down = [series.labels.get("instance", "") for series in found]
    return [instance for instance in down if instance and instance not in fleet.instances]


def _ask_numbers(server: Server, fleet: _Fleet) -> None:
    """All metrics that are one number a host; as many in a query as keep the answer small."""
    at_once = max(1, ROWS_A_QUERY // len(fleet.instances))
    for start in range(0, len(NUMBERS), at_once):
        names = "|".join(NUMBERS[start : start + at_once])
        selector = server.selector("", f'__name__=~"{names}"')
        for series in server.query(f"max by (__name__, instance) ({selector})"):
            _put(fleet, series.labels.get("__name__", ""), series.labels, series.value)


def _put(fleet: _Fleet, name: str, labels: Mapping[str, str], value: float) -> None:
    index = fleet.instances.get(labels.get("instance", ""))
    if index is not None:
        fleet.column(name)[index] = value


def _scraped(server: Server, fleet: _Fleet) -> None:
    selector = server.selector("node_uname_info")
    for series in server.query(f"max by (instance) (timestamp({selector}))"):
        _put(fleet, "scraped_at", series.labels, series.value)


def _systems(server: Server, fleet: _Fleet) -> None:
    labels = "instance, id, version_id, pretty_name"
    for series in server.query(f"max by ({labels}) ({server.selector('node_os_info')})"):
        fleet.systems[series.labels.get("instance", "")] = series.labels


def _settings(server: Server, fleet: _Fleet) -> None:
    """Settings that are words: node_sysctl_info{name, value}."""
    names = {name: name for name in SYSCTLS}
    selector = server.selector("node_sysctl_info")
    for series in server.query(f"max by (instance, name, value) ({selector})"):
        name = names.get(series.labels.get("name", ""))
        if name is not None:
            of_host = fleet.settings.setdefault(series.labels.get("instance", ""), {})
            of_host[name] = series.labels.get("value", "")


def _collectors(server: Server, fleet: _Fleet) -> None:
    """Whether the collectors of pressure and of units worked: their silence then has a meaning."""
    selector = server.selector("node_scrape_collector_success", 'collector=~"pressure|systemd"')
    for series in server.query(f"max by (instance, collector) ({selector})"):
        _put(fleet, f"collector {series.labels.get('collector')}", series.labels, series.value)


def _units(server: Server, fleet: _Fleet) -> None:
    names = "|".join(_UNITS)
    selector = server.selector(
        "node_systemd_unit_state", 'state="active"', f'name=~"({names})\\\\.service"'
    )
    for series in server.query(f"max by (instance, name) ({selector})"):
        name = series.labels.get("name", "").removesuffix(".service")
        fleet.units.setdefault(series.labels.get("instance", ""), {})[name] = series.value == 1


def _mounts(server: Server, fleet: _Fleet) -> None:
    few = [f'mountpoint=~"{_PLACES}"'] if len(fleet.instances) > MOUNT_HOSTS else []
    labels = "instance, device, mountpoint, fstype"
    free: dict[tuple[str, str], float] = {}
    for series in server.query(
        f"max by ({labels}) ({server.selector('node_filesystem_free_bytes', *few)})"
    ):
        key = (series.labels.get("instance", ""), series.labels.get("mountpoint", ""))
        free[key] = series.value
    for series in server.query(
        f"max by ({labels}) ({server.selector('node_filesystem_size_bytes', *few)})"
    ):
        told = series.labels
        instance, place = told.get("instance", ""), told.get("mountpoint", "")
        of_host = fleet.mounts.setdefault(instance, [])
        if len(of_host) < MOUNT_LIMIT:
            left = free.get((instance, place))
            of_host.append(
                MountFacts(
                    device=told.get("device", ""),
                    path=place,
                    kind=told.get("fstype", ""),
                    size_bytes=int(series.value),
                    free_bytes=None if left is None else int(left),
                )
            )


def _growth(server: Server, fleet: _Fleet, seconds: float) -> None:
    """The slope of anonymous memory, of hosts alone whose history reaches back that far."""
    name = server.selector("node_memory_AnonPages_bytes")
    window = f"{int(seconds)}s"
    slope = f"max by (instance) (deriv({name}[{window}]))"
    for series in server.query(f"{slope} and on (instance) ({name} offset {window})"):
        _put(fleet, "growth", series.labels, series.value)


def _alerts(server: Server, fleet: _Fleet) -> None:
    """The alert rules over memory, and the hosts that the series of each really cover."""
    by_selector: dict[str, list[str]] = {}
    for rule in server.alert_rules():
        expression, name = rule.get("query"), rule.get("name")
        if not isinstance(expression, str) or not isinstance(name, str):
            continue
        for selector in metrics_of_memory(expression):
            if selector in by_selector or len(by_selector) < SELECTOR_LIMIT:
                by_selector.setdefault(selector, []).append(name[:200])
    alerts: dict[str, list[str]] = {}
    for selector, names in by_selector.items():
        for series in server.query(f"group by (instance) ({selector})"):
            alerts.setdefault(series.labels.get("instance", ""), []).extend(names)
    fleet.alerts = {instance: sorted(set(names)) for instance, names in alerts.items()}


def metrics_of_memory(expression: str) -> list[str]:
    """The series that an expression reads and that are about memory, with their selectors."""
    return [
        match[1] + (match[2] or "").strip()
        for match in _METRIC.finditer(expression[:EXPRESSION_LIMIT])
        if _OF_MEMORY.search(match[1], 1)
    ]


def _facts(fleet: _Fleet, instance: str, clock: Clock, growth_seconds: float) -> HostFacts:
    about = fleet.about[fleet.instances[instance]]
    system = fleet.systems.get(instance, {})
    numbers = {name: fleet.number(name, instance) for name in (*NUMBERS, "scraped_at", "growth")}
    scraped_at = numbers["scraped_at"]
    memory = {name: _whole(numbers[metric]) for name, metric in _SAMPLE.items()}
    whole = {name: _whole(numbers[metric]) for name, metric in _WHOLE.items()}
    sysctls = {
        name: str(int(value))
        for name, metric in _SYSCTL.items()
        if (value := numbers[metric]) is not None
    }
    sysctls |= fleet.settings.get(instance, {})
    units = fleet.units.get(instance, {})
    has_units = fleet.number("collector systemd", instance) == 1
    growth = numbers["growth"]
    mounts = fleet.mounts.get(instance)
    return HostFacts(
        at=clock.now() if scraped_at is None else scraped_at,
        hostname=about.get("nodename") or host_of(instance),
        kernel_release=about.get("release") or None,
        machine=about.get("machine") or None,
        os_id=system.get("id") or None,
        os_version_id=system.get("version_id") or None,
        os_name=system.get("pretty_name") or None,
        booted_at=numbers[_BOOTED],
        memory=HostSample(**memory),  # type: ignore[arg-type]
        swaps=() if memory["swap_total_bytes"] == 0 else None,
        sysctls=sysctls,
        psi=_pressure(fleet, instance),
        unseen=_unseen(fleet, units=has_units),
        guards=tuple(name for name in _GUARDS if units.get(name)) if has_units else None,
        origin="prometheus",
        sources=_sources(memory, whole, sysctls, fleet.settings.get(instance, {})),
        mounts=None if mounts is None else tuple(mounts),
        kubernetes=any(units.get(name) for name in _UNITS[4:]) if has_units else None,
        monitors=("node_exporter",),
        scraped_at=scraped_at,
        memory_alerts=None if fleet.alerts is None else tuple(fleet.alerts.get(instance, ())),
        anonymous_growth_bytes_per_second=growth,
        growth_window_seconds=None if growth is None else growth_seconds,
        **whole,  # type: ignore[arg-type]
    )


def _whole(value: float | None) -> int | None:
    return None if value is None or not 0 <= value < 1 << 63 else int(value)


def _pressure(fleet: _Fleet, instance: str) -> bool | None:
    """There is pressure, or its collector found none to read; None: it was not asked."""
    if fleet.number(_PRESSURE, instance) is not None:
        return True
    return False if fleet.number("collector pressure", instance) == 0 else None


def _unseen(fleet: _Fleet, *, units: bool) -> dict[str, str]:
    found = {
        "units": "node_exporter tells no limits of units",
        "holders": "node_exporter tells no processes",
        "baseline": "node_exporter tells no hardening baseline",
        "extended_support": "node_exporter tells no paid support",
        "journal_runtime_max_bytes": "node_exporter tells no settings of the journal",
    }
    if not units:
        found["guards"] = "node_exporter runs without --collector.systemd"
    return found | fleet.problems


def _sources(
    memory: Mapping[str, int | None],
    whole: Mapping[str, int | None],
    sysctls: Iterable[str],
    worded: Iterable[str],
) -> dict[str, str]:
    """Which metric each value was; of what every host has, and of what this one has."""
    found = dict(_ALWAYS)
    found |= {
        f"/memory/{name}": _SAMPLE[name] for name, value in memory.items() if value is not None
    }
    found |= {f"/{name}": _WHOLE[name] for name, value in whole.items() if value is not None}
    words = set(worded)
    for name in sysctls:
        found[f"/sysctls/{name}"] = "node_sysctl_info" if name in words else _SYSCTL[name]
    return found


_ALWAYS = {
    "/kernel_release": "node_uname_info",
    "/machine": "node_uname_info",
    "/os_id": "node_os_info",
    "/os_version_id": "node_os_info",
    "/booted_at": _BOOTED,
    "/swaps": "node_memory_SwapTotal_bytes",
    "/psi": _PRESSURE,
    "/guards": "node_systemd_unit_state",
    "/mounts": "node_filesystem_size_bytes",
    "/memory_alerts": "/api/v1/rules",
    "/anonymous_growth_bytes_per_second": "deriv(node_memory_AnonPages_bytes)",
}
