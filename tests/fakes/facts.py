"""Hand-made HostFacts: a quiet, healthy host, and what a test changes about it."""

from dataclasses import replace

from forestall.model.facts import (
    BlockDevice,
    CoredumpFacts,
    HolderFacts,
    HostFacts,
    KdumpFacts,
    MountFacts,
    PostgresFacts,
    SwapDevice,
    UnitFacts,
)
from forestall.model.sample import CgroupSample, HostSample, ProcessKey, ProcessSample

KIB = 1024
MIB = 1024**2
GIB = 1024**3
BOOT = "6f5b2c1e-0000-4000-8000-000000000001"


def process(name="python3", pid=100, rss=GIB, swap=0, unit=None, **fields):
    """A process that holds `rss` bytes."""
    key = ProcessKey(boot_id=BOOT, pid=pid, start_ticks=10 * pid)
    fields = {"cgroup": f"/system.slice/{unit}" if unit else "/user.slice", **fields}
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


def mount(
    device="/dev/sda1", path="/", kind="ext4", size=100 * GIB, free=60 * GIB, options=("rw",)
):
    """A mounted file system."""
    return MountFacts(
        device=device, path=path, kind=kind, options=options, size_bytes=size, free_bytes=free
    )


def healthy(**changes):
    """A 16 GiB server with swap, kernel defaults, a guard, and one small limited service.

    It is watched by a Prometheus, dumps its kernel and its cores, and no rule finds anything.
    """
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
            "vm.overcommit_ratio": "50",
            "vm.min_free_kbytes": "67584",
            "vm.zone_reclaim_mode": "0",
            "vm.nr_hugepages": "0",
            "kernel.panic_on_oops": "0",
            "kernel.hung_task_panic": "0",
            "kernel.softlockup_panic": "0",
            "kernel.hardlockup_panic": "0",
            "kernel.core_pattern": "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h",
            "kernel.core_pipe_limit": "16",
            "kernel.numa_balancing": "0",
            "fs.suid_dumpable": "2",
        },
        cgroup_version=2,
        psi=True,
        crash_kernel_loaded=True,
        crash_kernel_bytes=256 * MIB,
        systemd_version=252,
        units=(
            unit(
                "feed-sync.service",
                main_pid=200,
                memory_max_bytes=2 * GIB,
                memory_high_bytes=2 * GIB * 85 // 100,
                memory_current_bytes=GIB,
                swap_max_bytes=0,
                restart="on-failure",
                restart_seconds=0.1,
                restart_count=0,
                start_limit_burst=5,
                start_limit_interval_seconds=10.0,
                oom_policy="stop",
                slice="system.slice",
                task_count=4,
                cores_allowed=True,
                cgroup="/system.slice/feed-sync.service",
                fragment_path="/etc/systemd/system/feed-sync.service",
            ),
        ),
        slices=(unit("system.slice", cgroup="/system.slice", memory_current_bytes=3 * GIB),),
        holders=(holder("feed-sync", 200, GIB, 700, 0, "feed-sync.service"),),
        process_count=120,
        hidden_processes=False,
        guards=("earlyoom",),
        databases=(),
        commit_limit_bytes=24 * GIB,
        committed_bytes=6 * GIB,
        hugetlb_bytes=0,
        zswap=False,
        cmdline="BOOT_IMAGE=/vmlinuz-6.1.0-28-amd64 root=/dev/sda1 ro crashkernel=256M",
        modules=("ext4", "virtio_net"),
        installed_kernels=("6.1.0-27-amd64", "6.1.0-28-amd64"),
        livepatches=(),
        transparent_hugepage="madvise",
        hugepages_total=0,
        hugepages_free=0,
        hugepage_bytes=2 * MIB,
        numa_node_count=1,
        fstab_swaps=("/dev/sda2",),
        mounts=(mount(), mount("tmpfs", "/run", "tmpfs", GIB, GIB, ("rw", "size=1048576k"))),
        block_devices=(
            BlockDevice(name="sda", disks=("sda",), rotational=False),
            BlockDevice(name="sda1", disks=("sda",), rotational=False),
            BlockDevice(name="sda2", disks=("sda",), rotational=False),
        ),
        kdump=KdumpFacts(path="/var/crash", filtered=True),
        coredump=CoredumpFacts(),
        postgres=(),
        user_limits=(),
        cgroup_hybrid=False,
        kubernetes=False,
        monitors=("node_exporter",),
        scraped_at=1_731_661_470.0,
        memory_alerts=("HostOutOfMemory",),
        gated_services=("feed-sync.service",),
        anonymous_growth_bytes_per_second=0.0,
        growth_window_seconds=86_400.0,
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
        commit_limit_bytes=20 * GIB,
        committed_bytes=26 * GIB,
        cmdline="BOOT_IMAGE=/vmlinuz-3.10.0-957.el7.x86_64 root=/dev/mapper/rhel-root ro",
        modules=("xfs", "dm_mod", "vmxnet3"),
        installed_kernels=("0-rescue-3f8e2b6c0d5d4f0d9a3c7b1e5a6d8c90", "3.10.0-957.el7.x86_64"),
        transparent_hugepage="never",
        fstab_swaps=("/dev/dm-1",),
        mounts=(mount("/dev/mapper/rhel-root", kind="xfs"),),
        block_devices=(
            BlockDevice(
                name="dm-0", disks=("sda",), rotational=False, aliases=("/dev/mapper/rhel-root",)
            ),
            BlockDevice(
                name="dm-1", disks=("sdb",), rotational=False, aliases=("/dev/mapper/rhel-swap",)
            ),
            BlockDevice(name="sda", disks=("sda",), rotational=False),
            BlockDevice(name="sdb", disks=("sdb",), rotational=False),
        ),
        postgres=(
            PostgresFacts(
                data_directory="/var/lib/pgsql/data",
                config_path="/var/lib/pgsql/data/postgresql.conf",
                shared_buffers_bytes=4 * GIB,
                work_mem_bytes=8 * MIB,
                maintenance_work_mem_bytes=256 * MIB,
                max_connections=100,
                huge_pages="try",
                complete=True,
            ),
        ),
        slices=(unit("system.slice", cgroup="/system.slice"),),
        monitors=(),
        scraped_at=None,
        memory_alerts=None,
        gated_services=None,
        anonymous_growth_bytes_per_second=None,
        growth_window_seconds=None,
    )
    facts = with_sysctls(
        facts,
        vm__panic_on_oom="1",
        kernel__panic="0",
        vm__swappiness="10",
        vm__min_free_kbytes="90112",
    )
    return replace(facts, **changes)
