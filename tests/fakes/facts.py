"""Hand-made HostFacts: a quiet, healthy host, and what a test changes about it."""

from dataclasses import replace

from forestall.model.facts import HolderFacts, HostFacts, SwapDevice, UnitFacts
from forestall.model.sample import CgroupSample, HostSample, ProcessKey, ProcessSample

GIB = 1024**3
BOOT = "6f5b2c1e-0000-4000-8000-000000000001"


def process(name="python3", pid=100, rss=GIB, swap=0, unit=None, **fields):
    """A process that holds `rss` bytes."""
    key = ProcessKey(boot_id=BOOT, pid=pid, start_ticks=10 * pid)
    return ProcessSample(key=key, name=name, rss_bytes=rss, swap_bytes=swap, unit=unit, **fields)


def holder(name="python3", pid=100, rss=GIB, score=700, adjust=0, unit=None, swap=0):
    """A holder as the OOM killer sees it."""
    return HolderFacts(
        process=process(name, pid, rss, swap, unit), oom_score=score, oom_score_adjust=adjust
    )


def unit(name, **fields):
    """A service that was asked for its limits, and has none unless said."""
    return UnitFacts(**{"name": name, "active": True, "limit_known": True, **fields})


def cgroup(path="/", **fields):
    """A cgroup."""
    return CgroupSample(path=path, **fields)


def healthy(**changes):
    """A 16 GiB server with swap, kernel defaults, a guard, and one small limited service."""
    facts = HostFacts(
        at=1_731_661_500.0,
        hostname="app01.example",
        boot_id=BOOT,
        kernel_release="6.1.0-28-amd64",
        machine="x86_64",
        os_id="debian",
        os_version_id="12",
        os_name="Debian GNU/Linux 12 (bookworm)",
        booted_at=1_731_000_000.0,
        effective_uid=0,
        memory=HostSample(
            mem_total_bytes=16 * GIB,
            mem_available_bytes=12 * GIB,
            swap_total_bytes=16 * GIB,
            swap_free_bytes=16 * GIB,
        ),
        swaps=(SwapDevice(name="/dev/sda2", kind="partition", size_bytes=16 * GIB, used_bytes=0),),
        sysctls={
            "vm.panic_on_oom": "0",
            "kernel.panic": "10",
            "vm.overcommit_memory": "0",
            "vm.oom_kill_allocating_task": "0",
            "vm.swappiness": "60",
        },
        cgroup_version=2,
        psi=True,
        crash_kernel_loaded=True,
        systemd_version=252,
        units=(
            unit(
                "feed-sync.service",
                main_pid=200,
                memory_max_bytes=2 * GIB,
                restart="on-failure",
                fragment_path="/etc/systemd/system/feed-sync.service",
            ),
        ),
        holders=(holder("feed-sync", 200, GIB, 700, 0, "feed-sync.service"),),
        process_count=120,
        hidden_processes=False,
        guards=("earlyoom",),
        databases=(),
    )
    return replace(facts, **changes)


def with_sysctls(facts, **values):
    """`facts` with sysctls changed; `vm__panic_on_oom="1"`; None takes one away."""
    sysctls = dict(facts.sysctls)
    for name, value in values.items():
        dotted = name.replace("__", ".")
        if value is None:
            sysctls.pop(dotted, None)
        else:
            sysctls[dotted] = value
    return replace(facts, sysctls=sysctls)


def seed_like(**changes):
    """A 32 GiB RHEL 7.6 database host that panics, stays down, and limits nothing."""
    facts = healthy(
        hostname="db01.example",
        kernel_release="3.10.0-957.el7.x86_64",
        os_id="rhel",
        os_version_id="7.6",
        os_name="Red Hat Enterprise Linux Server 7.6 (Maipo)",
        memory=HostSample(
            mem_total_bytes=32 * GIB,
            mem_available_bytes=3 * GIB,
            swap_total_bytes=4 * GIB,
            swap_free_bytes=2 * GIB,
        ),
        swaps=(
            SwapDevice(name="/dev/dm-1", kind="partition", size_bytes=4 * GIB, used_bytes=2 * GIB),
        ),
        cgroup_version=1,
        psi=False,
        crash_kernel_loaded=False,
        systemd_version=219,
        guards=(),
        units=(
            unit("postgresql.service", main_pid=800, restart="no"),
            unit(
                "feed-sync.service",
                main_pid=900,
                restart="no",
                fragment_path="/etc/systemd/system/feed-sync.service",
            ),
        ),
        holders=(
            holder("postgres", 800, 9 * GIB, 250, 0, "postgresql.service"),
            holder("python", 900, 14 * GIB, 410, 0, "feed-sync.service", GIB),
        ),
        databases=(holder("postgres", 800, 9 * GIB, 250, 0, "postgresql.service"),),
    )
    facts = with_sysctls(facts, vm__panic_on_oom="1", kernel__panic="0")
    return replace(facts, **changes)
