"""HostFacts: what changes rarely on a host, read at once.

It needs no root, and says what it could not see. Every place it reads is in `sense.sources`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from forestall.clock import Clock
from forestall.model.facts import HolderFacts, HostFacts, PostgresFacts, SwapDevice
from forestall.model.sample import CgroupSample, HostSample
from forestall.sense import (
    configured,
    kernel,
    place,
    postgres,
    procfs,
    psi,
    running,
    standing,
    storage,
    systemd,
)
from forestall.sense.cgroup import Cgroups, Mount, read_mounts
from forestall.sense.host import NEEDS_ROOT, Host
from forestall.sense.notes import Notes
from forestall.sense.running import Running, Seen

HOSTS_OWN = "a container has no such thing of its own, and its host's cannot be seen from inside"

KEXEC_LOADED = "sys/kernel/kexec_crash_loaded"

_NOT_IN_A_CONTAINER = ("installed_kernels", "fstab_swaps", "kdump", "block_devices")


def read_facts(host: Host, clock: Clock) -> HostFacts:
    """All facts of `host`. Damaged files and missing rights end in `unseen`, never in an error.

    A recording's facts are of the time at which it was made. A field that has both a value and a
    reason in `unseen` is not whole.
    """
    notes = Notes({}, {})
    mounts = notes.attempt("mounts", lambda: read_mounts(host))
    if mounts is None:
        notes.why("mounts", "proc/self/mountinfo cannot be read")
    cgroups, own_cgroups = _own_cgroups(host, notes, mounts)
    services = systemd.read_units(host)
    if services.problem:
        notes.why("units", services.problem)
        notes.why("slices", services.problem)
    runs = running.read_running(host, notes)
    facts = HostFacts(
        at=clock.now() if host.collected_at is None else host.collected_at,
        hostname=host.hostname,
        boot_id=procfs.read_boot_id(host),
        booted_at=notes.attempt("booted_at", lambda: _booted_at(host)),
        page_bytes=host.page_bytes,
        container=notes.attempt("container", lambda: place.container(host, notes)),
        virtualization=place.virtualization(host, notes),
        effective_uid=host.effective_uid,
        cgroup_version=cgroups.version if cgroups else None,
        cgroup_hybrid=_hybrid(cgroups, mounts or ()),
        own_cgroups=own_cgroups,
        systemd_version=services.version,
        units=services.units,
        slices=services.slices,
        unseen=notes.unseen,
        sources=notes.sources,
        origin=host.origin,
    )
    facts = _with_system(host, notes, facts)
    facts = _with_memory(host, notes, facts)
    facts = _with_processes(host, notes, facts, runs, cgroups, services)
    facts = _with_storage(host, notes, facts, mounts)
    facts = _with_settings(host, notes, facts)
    return facts if facts.container is None else _of_a_container(facts, notes)


def _kexec_loaded(host: Host) -> int | None:
    """Whether a crash kernel is loaded (1, 0). A kernel without kexec has no such file: 0."""
    loaded = procfs.read_number(host, KEXEC_LOADED)
    if loaded is None and host.complete and host.is_folder("sys/kernel"):
        return None if host.was_denied(KEXEC_LOADED) else 0
    return loaded


def _with_system(host: Host, notes: Notes, facts: HostFacts) -> HostFacts:
    """The system, its kernel and the kernels beside it."""
    system = _system(host, notes)
    release = host.read_text("proc/sys/kernel/osrelease", 256) or None
    livepatches, effective = kernel.read_live_patches(host, notes, release)
    kexec_loaded = _kexec_loaded(host)
    if kexec_loaded is None:
        notes.why("crash_kernel_loaded", f"{KEXEC_LOADED} was not recorded")
    return replace(
        facts,
        os_id=system.get("ID"),
        os_version_id=system.get("VERSION_ID"),
        os_name=system.get("PRETTY_NAME") or system.get("NAME"),
        kernel_release=release,
        machine=host.machine or host.read_text("proc/sys/kernel/arch", 64),
        sysctls=_sysctls(host, notes),
        cmdline=kernel.read_cmdline(host, notes),
        modules=kernel.read_modules(host, notes),
        installed_kernels=kernel.read_installed(host, notes),
        livepatches=livepatches,
        effective_release=effective,
        crash_kernel_loaded=None if kexec_loaded is None else kexec_loaded == 1,
        crash_kernel_bytes=procfs.read_number(host, "sys/kernel/kexec_crash_size"),
    )


def _with_memory(host: Host, notes: Notes, facts: HostFacts) -> HostFacts:
    """Memory, what is promised and reserved of it, and swap."""
    meminfo, memory = _memory(host, notes)
    return replace(
        facts,
        memory=memory,
        psi=_has_pressure(host, memory),
        swaps=_swaps(host, notes),
        commit_limit_bytes=meminfo.get("CommitLimit"),
        committed_bytes=meminfo.get("Committed_AS"),
        hugetlb_bytes=_hugetlb(meminfo),
        hugepages_total=meminfo.get("HugePages_Total"),
        hugepages_free=meminfo.get("HugePages_Free"),
        hugepages_reserved=meminfo.get("HugePages_Rsvd"),
        hugepage_bytes=meminfo.get("Hugepagesize"),
        zswap=kernel.read_zswap(host),
        transparent_hugepage=kernel.read_transparent_hugepage(host, notes),
        numa_node_count=kernel.read_node_count(host, notes),
    )


def _with_processes(
    host: Host,
    notes: Notes,
    facts: HostFacts,
    runs: Running,
    cgroups: Cgroups | None,
    services: systemd.Units,
) -> HostFacts:
    """Who holds memory, which of them are databases, and who watches."""
    servers = running.database_servers(runs.seen)[: running.DATABASE_LIMIT]

    def holder(process: Seen) -> HolderFacts:
        return running.holder(host, notes, process, facts.boot_id, cgroups)

    databases = tuple(holder(server) for server in servers)
    holders = tuple(holder(process) for process in running.largest_and_first(host, runs.seen))
    if services.units is not None and not host.complete:
        named = {unit.name for unit in services.units}
        for held in (*holders, *databases):
            unit = held.process.unit
            # systemd names what runs, so an answer without it was cut.
            if unit is not None and unit.endswith(".service") and unit not in named:
                notes.why(
                    "units", f"{unit} runs and is not in the answer, so others may be missing"
                )
    units = {held.process.key.pid: held.process.unit for held in databases}
    return replace(
        facts,
        holders=holders,
        process_count=len(runs.seen),
        hidden_processes=runs.hidden,
        guards=runs.none_if_unsure(running.guards(runs)),
        # Of half a list nobody knows which database is the largest.
        databases=databases if runs.whole else None,
        postgres=_postgres(host, notes, runs, servers, services, units),
        monitors=runs.none_if_unsure(running.monitors(runs)),
        kubernetes=standing.read_kubernetes(
            host,
            notes,
            (process.stat.name for process in runs.seen),
            whole=runs.whole,
            container=facts.container,
        ),
    )


def _with_storage(
    host: Host, notes: Notes, facts: HostFacts, found: Sequence[Mount] | None
) -> HostFacts:
    """File systems, swap at boot, and the disks below both."""
    devices = storage.Devices(host)
    mounts = None if found is None else storage.mount_facts(host, notes, found)
    total = facts.memory.mem_total_bytes
    fstab_swaps = storage.read_fstab_swaps(host, notes, devices, total)
    return replace(
        facts,
        mounts=mounts,
        fstab_swaps=fstab_swaps,
        block_devices=storage.read_devices(host, notes, mounts, facts.swaps, devices),
    )


def _with_settings(host: Host, notes: Notes, facts: HostFacts) -> HostFacts:
    """What the host's settings files say, and who stands behind it."""
    return replace(
        facts,
        kdump=configured.read_kdump(host, notes),
        coredump=configured.read_coredump(host, notes),
        user_limits=configured.read_user_limits(host, notes),
        journal_runtime_max_bytes=configured.read_journal_runtime_max(host, notes),
        baseline=standing.read_baseline(host, notes),
        extended_support=standing.read_extended_support(host, notes),
    )


def _of_a_container(facts: HostFacts, notes: Notes) -> HostFacts:
    """Without what only a host has: a container's image may hold an fstab, and it says nothing.

    The kernel, its settings, memory and swap are the host's here too; files, mounts, processes
    and services are the container's.
    """
    for field in _NOT_IN_A_CONTAINER:
        notes.unseen[field] = HOSTS_OWN
        notes.sources.pop(f"/{field}", None)
    return replace(facts, installed_kernels=None, fstab_swaps=None, kdump=None, block_devices=None)


def _memory(host: Host, notes: Notes) -> tuple[dict[str, int], HostSample]:
    meminfo = notes.attempt("memory", lambda: procfs.read_meminfo(host)) or {}
    vmstat = notes.attempt("memory", lambda: procfs.read_vmstat(host)) or {}
    if not meminfo:
        notes.why("memory", "proc/meminfo cannot be read")
    pressure = notes.attempt("psi", lambda: psi.read_pressure(host))
    if pressure is None:
        notes.why("psi", _why_no_pressure(host))
    return meminfo, procfs.host_sample(meminfo, vmstat, pressure)


def _has_pressure(host: Host, memory: HostSample) -> bool | None:
    if memory.pressure is not None:
        return True
    return False if _knows_pressure(host) else None


def _knows_pressure(host: Host) -> bool:
    """Whether a missing file says something: also to half a recording of a kernel before PSI."""
    release = host.read_text("proc/sys/kernel/osrelease", 256) or ""
    old = release.startswith(("2.", "3."))
    return host.complete or old or host.exists(psi.MEMORY_PATH)


def _why_no_pressure(host: Host) -> str:
    if host.exists(psi.MEMORY_PATH):
        return "this kernel has PSI switched off (boot it with psi=1)"
    if _knows_pressure(host):
        return "this kernel has no PSI"
    return f"{psi.MEMORY_PATH} was not recorded"


def _system(host: Host, notes: Notes) -> dict[str, str]:
    """os-release, or what stood in its place before there was one."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        data = host.read_bytes(path)
        if data:
            return procfs.parse_os_release(data)
    for path in ("etc/redhat-release", "etc/SuSE-release"):
        lines = (host.read_text(path, 1024) or "").splitlines()
        if lines:
            for field in ("os_id", "os_version_id", "os_name"):
                notes.sources[f"/{field}"] = f"/{path}"
            return place.old_release(lines[0][:256])
    return {}


def _own_cgroups(
    host: Host, notes: Notes, mounts: Sequence[Mount] | None
) -> tuple[Cgroups | None, tuple[CgroupSample, ...]]:
    if mounts is None:
        for field in ("own_cgroups", "cgroup_version", "cgroup_hybrid"):
            notes.why(field, notes.unseen["mounts"])
        return None, ()
    cgroups = Cgroups(host, mounts)
    found = notes.attempt("own_cgroups", lambda: cgroups.chain(cgroups.place_of("self").cgroup))
    if cgroups.hierarchy is None and cgroups.problem:
        for field in ("own_cgroups", "cgroup_version", "cgroup_hybrid"):
            notes.why(field, cgroups.problem)
    return cgroups, found or ()


def _hybrid(cgroups: Cgroups | None, mounts: Sequence[Mount]) -> bool | None:
    """Whether the memory controller is cgroup v1's while a v2 hierarchy is mounted beside it."""
    if cgroups is None or cgroups.version is None:
        return None
    return cgroups.version == 1 and any(mount.kind == "cgroup2" for mount in mounts)


def _booted_at(host: Host) -> float | None:
    # Processors and interrupts have a line or a word each before btime.
    data = host.read_bytes("proc/stat", 1024 * 1024)
    return procfs.parse_boot_time(data) if data else None


def _swaps(host: Host, notes: Notes) -> tuple[SwapDevice, ...] | None:
    data = host.read_bytes("proc/swaps")
    if data is None:
        notes.why("swaps", "proc/swaps cannot be read")
        return None
    return notes.attempt("swaps", lambda: procfs.parse_swaps(data))


def _sysctls(host: Host, notes: Notes) -> dict[str, str]:
    found = procfs.read_sysctls(host)
    denied = [
        name for name in procfs.SYSCTLS if host.was_denied("proc/sys/" + name.replace(".", "/"))
    ]
    if denied:
        # Some settings refuse even root.
        why = "permission denied" if host.effective_uid == 0 else NEEDS_ROOT
        notes.why("sysctls", f"{why} ({', '.join(denied)})")
    # A kernel may lack a setting; only where its neighbours were listed is that known.
    unread = [
        name
        for name in procfs.SYSCTLS
        if name not in found and not host.lists(f"proc/sys/{name.partition('.')[0]}")
    ]
    if unread:
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        notes.why("sysctls", f"not recorded: {', '.join(unread[:3])}{more}")
    return found


def _postgres(
    host: Host,
    notes: Notes,
    runs: Running,
    servers: list[Seen],
    services: systemd.Units,
    units: Mapping[int, str | None],
) -> tuple[PostgresFacts, ...] | None:
    found = []
    contained = place.is_contained(host, 1)
    for server in running.postgres_servers(servers):
        pid = server.stat.pid
        if not contained and place.is_contained(host, pid):
            notes.why("postgres", f"process {pid} runs in a container: its files are its own")
            found.append(PostgresFacts())
            continue
        folder = services.data_directories.get(units.get(pid) or "")
        found.append(postgres.read_server(host, notes, pid, runs.words(pid), folder))
    if not runs.whole:
        notes.why("databases", notes.unseen.get("holders", running.HALF_A_LIST))
        notes.why("postgres", notes.unseen["databases"])
        return None
    return tuple(found)


def _hugetlb(meminfo: Mapping[str, int]) -> int | None:
    if "Hugetlb" in meminfo:
        return meminfo["Hugetlb"]
    # The line of all sizes came with 4.19; before it there is the default size alone.
    if "HugePages_Total" in meminfo and "Hugepagesize" in meminfo:
        return meminfo["HugePages_Total"] * meminfo["Hugepagesize"]
    return None
