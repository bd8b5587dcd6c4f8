"""The host of the incident as the audit reads it: every fact that a rule asks for, none left out.

The review of the incident states neither its memory nor vm.panic_on_oom; both are our hypothesis.
What the page of the audit lists as tuned well is set well here, so that what is found is the
incident's own.
"""

from dataclasses import replace

from forestall.model.facts import (
    BlockDevice,
    CoredumpFacts,
    HostFacts,
    KdumpFacts,
    MountFacts,
    PostgresFacts,
    SwapDevice,
    UserLimit,
)
from forestall.model.sample import HostSample
from tests.fakes.facts import BOOT, GIB, holder, unit, with_sysctls

MIB = 1024**2
DAY = 86_400.0
READ_AT = 1_731_661_500.0  # 2024-11-15, 09:05 UTC

SYSCTLS = {
    "vm.panic_on_oom": "1",
    "kernel.panic": "0",
    "kernel.panic_on_oops": "1",
    "kernel.hung_task_panic": "0",
    "kernel.softlockup_panic": "0",
    "kernel.core_pattern": "/var/crash/core.%e.%p",
    "kernel.core_uses_pid": "1",
    "vm.overcommit_memory": "0",
    "vm.overcommit_ratio": "50",
    "vm.oom_kill_allocating_task": "0",
    "vm.swappiness": "3",
    "vm.min_free_kbytes": "262144",
    "vm.zone_reclaim_mode": "0",
    "vm.nr_hugepages": "0",
}


def seed_host(**changes):
    """RHEL 7.6 with 32 GiB of memory and 4 GiB of swap that panics, stays down, limits nothing."""
    facts = HostFacts(
        at=READ_AT,
        hostname="db01.example",
        boot_id=BOOT,
        kernel_release="3.10.0-957.el7.x86_64",
        machine="x86_64",
        os_id="rhel",
        os_version_id="7.6",
        os_name="Red Hat Enterprise Linux Server 7.6 (Maipo)",
        booted_at=READ_AT - 40 * DAY,
        effective_uid=0,
        memory=HostSample(
            mem_total_bytes=32 * GIB,
            mem_available_bytes=12 * GIB,
            swap_total_bytes=4 * GIB,
            swap_free_bytes=4 * GIB - 100 * MIB,
        ),
        swaps=(
            SwapDevice(
                name="/dev/dm-1", kind="partition", size_bytes=4 * GIB, used_bytes=100 * MIB
            ),
        ),
        sysctls=SYSCTLS,
        cgroup_version=1,
        cgroup_hybrid=False,
        psi=False,
        crash_kernel_loaded=True,
        crash_kernel_bytes=256 * MIB,
        systemd_version=219,
        units=(
            unit(
                "postgresql-12.service",
                main_pid=800,
                restart="no",
                fragment_path="/usr/lib/systemd/system/postgresql-12.service",
                slice="system.slice",
                oom_score_adjust=0,
                cores_allowed=True,
            ),
            unit(
                "feed-sync.service",
                main_pid=900,
                restart="no",
                fragment_path="/etc/systemd/system/feed-sync.service",
                slice="system.slice",
                oom_score_adjust=0,
                cores_allowed=True,
                service_type="simple",
            ),
        ),
        slices=(unit("system.slice"),),
        holders=(
            holder("postgres", 800, 8 * GIB, 230, 0, "postgresql-12.service"),
            holder("python", 900, 6 * GIB, 170, 0, "feed-sync.service"),
        ),
        databases=(holder("postgres", 800, 8 * GIB, 230, 0, "postgresql-12.service"),),
        process_count=180,
        hidden_processes=False,
        guards=(),
        commit_limit_bytes=20 * GIB,
        committed_bytes=18 * GIB,
        hugetlb_bytes=0,
        hugepages_total=0,
        hugepages_free=0,
        hugepage_bytes=2 * MIB,
        transparent_hugepage="never",
        zswap=False,
        numa_node_count=1,
        cmdline="BOOT_IMAGE=/vmlinuz-3.10.0-957.el7.x86_64 crashkernel=auto",
        modules=("ipmi_si", "xfs", "dm_mod", "ext4", "vmxnet3"),
        installed_kernels=("3.10.0-957.el7.x86_64",),
        livepatches=(),
        fstab_swaps=("/dev/dm-1",),
        mounts=(
            MountFacts(
                device="/dev/mapper/rhel-root",
                path="/",
                kind="xfs",
                size_bytes=100 * GIB,
                free_bytes=60 * GIB,
            ),
            MountFacts(
                device="/dev/sdb1",
                path="/var/lib/pgsql",
                kind="xfs",
                size_bytes=500 * GIB,
                free_bytes=200 * GIB,
            ),
        ),
        block_devices=(
            BlockDevice(name="dm-0", disks=("sda",), rotational=False),
            BlockDevice(name="dm-1", disks=("sda",), rotational=False),
            BlockDevice(name="sdb1", disks=("sdb",), rotational=False),
        ),
        kdump=KdumpFacts(path="/var/crash", filtered=True),
        coredump=CoredumpFacts(),
        postgres=(
            PostgresFacts(
                data_directory="/var/lib/pgsql/12/data",
                config_path="/var/lib/pgsql/12/data/postgresql.conf",
                shared_buffers_bytes=6 * GIB,
                work_mem_bytes=16 * MIB,
                maintenance_work_mem_bytes=512 * MIB,
                max_connections=200,
                huge_pages="try",
                complete=True,
            ),
        ),
        user_limits=(UserLimit(domain="*", kind="soft", item="nofile", value="65536"),),
        kubernetes=False,
        monitors=(),
        memory_alerts=(),
        gated_services=(),
    )
    return replace(facts, **changes)


def remedied(facts):
    """The host after what the incident's review ordered: 7.9's kernel, swap, alerts, and a gate."""
    return replace(
        facts,
        at=facts.at + 30 * DAY,
        booted_at=facts.at + 29 * DAY,
        kernel_release="3.10.0-1160.el7.x86_64",
        os_version_id="7.9",
        os_name="Red Hat Enterprise Linux Server 7.9 (Maipo)",
        cmdline="BOOT_IMAGE=/vmlinuz-3.10.0-1160.el7.x86_64 crashkernel=auto",
        installed_kernels=("3.10.0-957.el7.x86_64", "3.10.0-1160.el7.x86_64"),
        memory=replace(facts.memory, swap_total_bytes=16 * GIB, swap_free_bytes=16 * GIB),
        swaps=(SwapDevice(name="/dev/dm-1", kind="partition", size_bytes=16 * GIB, used_bytes=0),),
        commit_limit_bytes=32 * GIB,
        monitors=("node_exporter",),
        scraped_at=facts.at + 30 * DAY - 15,
        memory_alerts=("HostMemoryLow",),
        gated_services=("feed-sync.service",),
    )


def repaired(facts):
    """The host after what the audit asks for as well, short of a new release."""
    done = with_sysctls(facts, vm__panic_on_oom="0", kernel__panic="10")
    kernel = "3.10.0-1160.119.1.el7.x86_64"
    database, service = facts.units
    postgres, python = facts.holders
    return replace(
        done,
        kernel_release=kernel,
        cmdline=f"BOOT_IMAGE=/vmlinuz-{kernel} crashkernel=auto",
        installed_kernels=("3.10.0-1160.el7.x86_64", kernel),
        units=(
            replace(database, oom_score_adjust=-900, oom_adjust_children=0),
            replace(
                service,
                restart="always",
                restart_seconds=5.0,
                memory_max_bytes=8 * GIB,
                oom_score_adjust=500,
            ),
        ),
        holders=(
            replace(postgres, oom_score_adjust=-900),
            replace(python, oom_score_adjust=500),
        ),
        databases=(replace(postgres, oom_score_adjust=-900),),
    )
