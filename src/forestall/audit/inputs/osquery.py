"""Input `osquery FILE...`: the results log of the pack in deploy/osquery, of one host or of many.

The formats are those of osquery's documentation: one JSON object a line, either a snapshot (all
rows), an event (a row that was added or removed), or a batch of both. The last state of each query
counts. osquery has no table of a unit's limits, of pressure or of OOM scores; those stay unknown.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from forestall.audit.inputs.ansible import whole
from forestall.audit.inputs.facts import LIMITS, LINE_LIMIT_BYTES, Lines
from forestall.audit.inputs.files import open_file
from forestall.audit.inputs.source import NAME_LIMIT, Seen, check_name
from forestall.audit.inputs.unpack import Meter, unpacked
from forestall.clock import Clock
from forestall.errors import InputError
from forestall.model.codec import parse_json
from forestall.model.facts import HolderFacts, HostFacts, MountFacts
from forestall.model.sample import HostSample, ProcessKey, ProcessSample
from forestall.sense import running as live
from forestall.sense.cgroup import unit_of
from forestall.sense.procfs import SYSCTLS
from forestall.units import format_bytes

HOST_LIMIT = 200_000
ROW_LIMIT = 5000
TEXT_LIMIT = 16_384

_QUERY = re.compile(
    r"forestall[^a-zA-Z]+(kernel|memory|modules|mounts|os|packages|debs|processes|settings|system"
    r"|units|uptime)"
)
"""`pack_forestall_os`, or with the other delimiter that osquery was told to use."""

Row = dict[str, str]


class _Host:
    """One host's rows by query, and when the newest of them were taken."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.at = 0.0
        self.rows: dict[str, list[Row]] = {}

    def first(self, query: str) -> Row:
        rows = self.rows.get(query)
        return rows[0] if rows else {}

    def apply(self, query: str, entry: Mapping[str, Any]) -> None:
        action = entry.get("action")
        if action == "snapshot" or "snapshot" in entry:
            self.rows[query] = list(_rows(entry.get("snapshot")))
        elif isinstance(entry.get("diffResults"), dict):
            self._change(
                query, entry["diffResults"].get("removed"), entry["diffResults"].get("added")
            )
        elif action == "removed":
            self._change(query, [entry.get("columns")], [])
        else:
            self._change(query, [], [entry.get("columns")])

    def _change(self, query: str, removed: Any, added: Any) -> None:
        rows = self.rows.setdefault(query, [])
        for row in _rows(removed):
            if row in rows:
                rows.remove(row)
        rows.extend(list(_rows(added))[: max(0, ROW_LIMIT - len(rows))])


def _rows(value: Any) -> Iterator[Row]:
    for row in (value if isinstance(value, list) else [])[:ROW_LIMIT]:
        if isinstance(row, dict):
            yield {
                str(name): str(text)[:TEXT_LIMIT]
                for name, text in row.items()
                if isinstance(text, str | int | float)
            }


def read_osquery(paths: Iterable[str], clock: Clock) -> Iterator[Seen]:
    """Every host in the logs. Raises ForestallError for a file with no result of our pack."""
    for path in paths:
        hosts: dict[str, _Host] = {}
        damaged = 0
        for entry in _entries(path, clock):
            if entry is None or not _take(hosts, entry):
                damaged += 1
        if not hosts:
            raise InputError(
                f"no result of the forestall pack in {path}",
                help="run the queries of deploy/osquery/forestall.conf, and give their results log",
            )
        for host in hosts.values():
            try:
                check_name(host.name)
                yield Seen(name=host.name, facts=_facts(host))
            except (InputError, ValueError) as error:
                yield Seen(name=host.name[:NAME_LIMIT], problem=f"{path}: {error}")
        if damaged:
            yield Seen(name=path, problem=f"{damaged} lines are no results of osquery")


def _entries(path: str, clock: Clock) -> Iterator[Any]:
    """The objects in a log; None for a line that is none."""
    try:
        file = open_file(path)
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None
    with file:
        lines = Lines(unpacked(file, Meter(clock, LIMITS)))
        try:
            while (line := lines.next()) is not None:
                if line.strip():
                    yield _parsed(line)
        except InputError as error:
            raise InputError(
                f"{path}: {error.message}",
                help=f"a line of a results log is at most {format_bytes(LINE_LIMIT_BYTES)}",
            ) from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _parsed(line: bytes) -> Any:
    try:
        return parse_json(line)
    except InputError:
        return None


def _take(hosts: dict[str, _Host], entry: Any) -> bool:
    """Whether this was a result at all; one of another pack is passed over."""
    if not isinstance(entry, dict):
        return False
    name, identifier = entry.get("name"), entry.get("hostIdentifier")
    if not isinstance(name, str) or not isinstance(identifier, str) or not identifier:
        return False
    match = _QUERY.search(name[-100:])
    if match is None:
        return True
    host = hosts.get(identifier)
    if host is None:
        if len(hosts) >= HOST_LIMIT:
            raise InputError(f"more than {HOST_LIMIT} hosts", help="split the log by host")
        host = hosts[identifier] = _Host(identifier)
    at = whole(entry.get("unixTime"))
    host.at = max(host.at, float(at or 0))
    host.apply(match[1], entry)
    return True


def _facts(host: _Host) -> HostFacts:
    memory, kernel, system = host.first("memory"), host.first("kernel"), host.first("system")
    uptime = whole(host.first("uptime").get("total_seconds"))
    units = _units(host)
    swap_total = whole(memory.get("swap_total"))
    os = host.first("os")
    return HostFacts(
        at=host.at,
        hostname=system.get("hostname") or host.name,
        kernel_release=kernel.get("version") or None,
        machine=os.get("arch") or system.get("cpu_type") or None,
        os_id=os.get("platform") or None,
        os_version_id=_version(os),
        os_name=" ".join(filter(None, (os.get("name"), os.get("version")))) or None,
        booted_at=None if uptime is None or not host.at else host.at - uptime,
        memory=HostSample(
            mem_total_bytes=whole(memory.get("memory_total")),
            mem_available_bytes=whole(memory.get("memory_available")),
            swap_total_bytes=swap_total,
            swap_free_bytes=whole(memory.get("swap_free")),
        ),
        swaps=() if swap_total == 0 else None,
        sysctls={
            row["name"]: row.get("current_value", "")
            for row in host.rows.get("settings", ())
            if row.get("name") in SYSCTLS and row.get("current_value")
        },
        holders=_holders(host),
        unseen={
            "units": "osquery tells no limits of units",
            "psi": "osquery has no table of pressure",
            "baseline": "our pack does not ask for a hardening baseline",
            "extended_support": "our pack does not ask for paid support",
            "journal_runtime_max_bytes": "our pack does not ask for settings of the journal",
        },
        guards=_guards(units),
        origin="osquery",
        sources=dict(_SOURCES),
        cmdline=kernel.get("arguments") or None,
        modules=_names(host, "modules"),
        installed_kernels=_kernels(host),
        mounts=_mounts(host),
        kubernetes=None if units is None else units.get("kubelet", False),
        monitors=("osquery",),
    )


_SOURCES = {
    "/memory/mem_total_bytes": "memory_info.memory_total",
    "/memory/mem_available_bytes": "memory_info.memory_available",
    "/memory/swap_total_bytes": "memory_info.swap_total",
    "/memory/swap_free_bytes": "memory_info.swap_free",
    "/swaps": "memory_info.swap_total",
    "/kernel_release": "kernel_info.version",
    "/cmdline": "kernel_info.arguments",
    "/os_id": "os_version.platform",
    "/os_version_id": "os_version",
    "/booted_at": "uptime.total_seconds",
    "/sysctls": "system_controls.current_value",
    "/modules": "kernel_modules",
    "/installed_kernels": "rpm_packages, deb_packages",
    "/mounts": "mounts",
    "/holders": "processes",
    "/guards": "systemd_units",
}


def _version(os: Row) -> str | None:
    """`9.4`: of a system that counts no minor version (Debian 12), the major one alone."""
    major, minor = os.get("major", ""), os.get("minor", "")
    if not major:
        return None
    return major if minor in ("", "0") and os.get("platform") == "debian" else f"{major}.{minor}"


def _units(host: _Host) -> dict[str, bool] | None:
    """Which of the units that were asked for run; one that is not loaded has no row."""
    rows = host.rows.get("units")
    if rows is None:
        return None
    return {
        row.get("id", "").removesuffix(".service"): row.get("active_state") == "active"
        for row in rows
    }


def _guards(units: Mapping[str, bool] | None) -> tuple[str, ...] | None:
    if units is None:
        return None
    return tuple(name for name in live.GUARD_NAMES if units.get(name))


def _names(host: _Host, query: str) -> tuple[str, ...] | None:
    rows = host.rows.get(query)
    return None if rows is None else tuple(row["name"] for row in rows if row.get("name"))


def _kernels(host: _Host) -> tuple[str, ...] | None:
    """Release strings of the packages that are kernels, as `uname -r` would give them."""
    rpms, debs = host.rows.get("packages"), host.rows.get("debs")
    if rpms is None and debs is None:
        return None
    found = {
        f"{row['version']}-{row['release']}.{row['arch']}" for row in rpms or () if _whole_rpm(row)
    }
    for row in debs or ():
        release = row.get("name", "").removeprefix("linux-image-").removeprefix("unsigned-")
        # linux-image-amd64 is a name for whichever is the newest, and no kernel itself.
        if row.get("name", "").startswith("linux-image-") and release[:1].isdigit():
            found.add(release)
    return tuple(sorted(found)) or None


def _whole_rpm(row: Row) -> bool:
    return all(row.get(name) for name in ("version", "release", "arch"))


def _mounts(host: _Host) -> tuple[MountFacts, ...] | None:
    rows = host.rows.get("mounts")
    if rows is None:
        return None
    found = []
    for row in rows:
        block, count = whole(row.get("blocks_size")), whole(row.get("blocks"))
        free = whole(row.get("blocks_available"))
        found.append(
            MountFacts(
                device=row.get("device", ""),
                path=row.get("path", ""),
                kind=row.get("type", ""),
                options=tuple(row.get("flags", "").split(",")),
                size_bytes=None if block is None or count is None else block * count,
                free_bytes=None if block is None or free is None else block * free,
            )
        )
    return tuple(found)


def _holders(host: _Host) -> tuple[HolderFacts, ...]:
    found = []
    for row in host.rows.get("processes", ()):
        pid, rss = whole(row.get("pid")), whole(row.get("resident_size"))
        if pid is None or not rss:
            continue
        cgroup = row.get("cgroup_path") or None
        key = ProcessKey(boot_id="", pid=pid, start_ticks=0)
        found.append(
            HolderFacts(
                process=ProcessSample(
                    key=key,
                    name=row.get("name", "")[:15],
                    rss_bytes=rss,
                    cgroup=cgroup,
                    unit=unit_of(cgroup),
                    uid=whole(row.get("uid")),
                    thread_count=whole(row.get("threads")),
                )
            )
        )
    found.sort(key=lambda holder: -holder.process.rss_bytes)
    return tuple(found[: live.HOLDER_LIMIT])
