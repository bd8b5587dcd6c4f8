"""Machines that ran out of memory, one for each generation of the kernel, and who is to blame."""

from dataclasses import replace

from tests.fakes import oom
from tests.fakes.oom import Machine, Proc, filled

GIB_PAGES = 262_144
MIB_PAGES = 256


def small(era: str = "3.10") -> tuple[Proc, ...]:
    """What runs on every host."""
    udev = 8 if era == "2.6.32" else 12
    return (
        Proc(410, "systemd-journal", 900, uid=0),
        Proc(433, "systemd-udevd", 60 + udev, uid=0, adjust=-1000),
        Proc(902, "sshd", 150, uid=0, adjust=-1000),
        Proc(911, "crond", 120, uid=0),
    )


def postgres(count: int, own: int, shared: int, first: int = 2000) -> tuple[Proc, ...]:
    """A database: each process has touched all of the shared buffers."""
    return tuple(
        Proc(first + i, "postgres", own, shmem=shared, file=800, uid=26) for i in range(count)
    )


X86_32_GIB = ((0, "DMA", 3_900), (0, "DMA32", 720_000), (0, "Normal", 7_500_000))
X86_16_GIB = ((0, "DMA", 3_900), (0, "DMA32", 720_000), (0, "Normal", 3_300_000))
TWO_NODES = (
    (0, "DMA", 3_900),
    (0, "DMA32", 700_000),
    (0, "Normal", 3_300_000),
    (1, "Normal", 4_000_000),
)


def incident() -> Machine:
    """The host of the seed: 32 GB, 4 GB swap, panic_on_oom=1; inventory-sync leaked beside it."""
    database = postgres(12, 4_000, 500_000)
    leak = Proc(4711, "inventory-sync", 6_390_000, swap=980_000, uid=1001)
    machine = Machine(
        era="3.10",
        zones=X86_32_GIB,
        procs=(*small(), *database, leak),
        shared=500_000,
        slab=60_000,
        swap_total=GIB_PAGES * 4,
        swap_free=0,
        invoker="postgres",
    )
    return filled(machine, "inventory-sync")


def rhel6() -> Machine:
    """16 GB, a Java heap that grew; the log opens with a monitoring agent."""
    java = Proc(8123, "java", 3_550_000, uid=500)
    machine = Machine(
        era="2.6.32",
        zones=X86_16_GIB,
        procs=(*small("2.6.32"), java, Proc(8300, "snmpd", 2_000, uid=0)),
        swap_total=GIB_PAGES,
        swap_free=0,
        invoker="snmpd",
    )
    return filled(machine, "java")


def rhel8_connections() -> Machine:
    """300 connections: each holds 48 MiB of its own, and nobody alone stands out."""
    backends = postgres(300, 12_000, 400_000, first=30_000)
    machine = Machine(
        era="4.18",
        zones=TWO_NODES,
        procs=(*small(), *backends, Proc(777, "node_exporter", 9_000)),
        shared=400_000,
        slab=90_000,
        slab_reclaimable=20_000,
        invoker="node_exporter",
    )
    return filled(machine, "postgres")


def el9_spared() -> Machine:
    """The leak is protected by oom_score_adj; a batch job dies for it."""
    leak = Proc(5001, "feed-cache", 2_900_000, adjust=-950, uid=1001)
    job = Proc(5050, "report-batch", 300_000, adjust=300, uid=1002)
    machine = Machine(
        era="5.14",
        zones=X86_16_GIB,
        procs=(*small(), leak, job, *postgres(6, 5_000, 200_000)),
        shared=200_000,
        swap_total=GIB_PAGES // 2,
        swap_free=0,
        invoker="report-batch",
    )
    return filled(machine, "feed-cache")


def ubuntu_tmpfs() -> Machine:
    """Somebody exports into /dev/shm."""
    return Machine(
        era="6.8",
        zones=X86_16_GIB,
        procs=(*small(), *postgres(8, 9_000, 150_000), Proc(6000, "exporter", 180_000)),
        shared=150_000,
        tmpfs=3_400_000,
        invoker="exporter",
    )


def el9_slab() -> Machine:
    """A driver leaks: the kernel's own table of caches names it."""
    return Machine(
        era="5.14",
        zones=X86_16_GIB,
        procs=(*small(), Proc(6000, "app", 300_000)),
        slab=3_550_000,
        caches=(("dentry", 81_234), ("kmalloc-2k", 14_100_000), ("task_struct", 9_120)),
        invoker="app",
    )


def el9_huge() -> Machine:
    """Huge pages were reserved for a database that uses a tenth of them."""
    return Machine(
        era="5.14",
        zones=X86_16_GIB,
        procs=(*small(), Proc(6000, "app", 400_000), *postgres(4, 6_000, 50_000)),
        shared=50_000,
        huge_total=6_400,
        huge_free=5_760,
        invoker="app",
    )


def unnamed_driver() -> Machine:
    """Pages that a driver took are in no counter."""
    return Machine(
        era="6.8",
        zones=X86_16_GIB,
        procs=(*small(), Proc(6000, "app", 900_000)),
        invoker="app",
    )


def lowmem() -> Machine:
    """A 32-bit kernel: the low 880 MiB are full of slab, 5 GiB above are free."""
    return Machine(
        era="3.10",
        release="3.10.0-957.el7.i686",
        zones=((0, "DMA", 3_900), (0, "Normal", 210_000), (0, "HighMem", 1_900_000)),
        procs=(*small(), Proc(3000, "squid", 500_000)),
        slab=170_000,
        slab_reclaimable=6_000,
        free={0: 300, 1: 1_500, 2: 1_300_000},
        min_pages=16_000,
        gfp="0xd0",
        invoker="squid",
    )


def fragmented() -> Machine:
    """900 MiB are free, but in single pages, and four in one piece were asked for."""
    machine = ubuntu_tmpfs()
    return replace(
        machine,
        tmpfs=1_000_000,
        cache=1_800_000,
        order=2,
        gfp="0xcc0(GFP_KERNEL)",
        free={0: 3_000, 1: 60_000, 2: 170_000},
        invoker="kworker/3:1",
    )


def arm64_pages() -> Machine:
    """Pages of 64 KiB: counted as 4 KiB the table would shrink to a sixteenth."""
    leak = Proc(4711, "inventory-sync", 180_000, uid=1001)
    machine = Machine(
        era="4.18",
        release="4.18.0-372.9.1.el8.aarch64",
        zones=((0, "DMA32", 30_000), (0, "Normal", 220_000)),
        procs=(*small(), leak, Proc(6000, "app", 20_000)),
        page_kib=64,
        slab=9_000,
        slab_reclaimable=2_000,
        min_pages=400,
        invoker="app",
    )
    return filled(machine, "inventory-sync")


def docker_el7() -> list[str]:
    """A container at its limit of 1 GiB (cgroup v1)."""
    procs = (Proc(20_100, "bash", 400, uid=0), Proc(20_155, "worker", 255_000, uid=0))
    machine = Machine(era="3.10", zones=X86_16_GIB, procs=procs, invoker="worker", gfp="0xd0")
    path = "/docker/3f9ad21c"
    return oom.cgroup_report(machine, path, path, GIB_PAGES)


def pod_el8_dirty() -> list[str]:
    """A pod whose page cache is dirty and cannot be given back in time."""
    procs = (Proc(30_001, "dd", 900, uid=0), Proc(30_000, "sh", 200, uid=0))
    machine = Machine(era="4.18", zones=X86_16_GIB, procs=procs, invoker="dd", gfp="0x6200ca")
    return oom.cgroup_report(
        machine, "/kubepods/pod7", "/kubepods/pod7/c1", 51_200, cache=49_000, dirty=48_000
    )


# The machine, and the name and kind of who holds most.
BLAMED = {
    "rhel6-java": (rhel6(), "java", "process"),
    "rhel7-incident": (incident(), "inventory-sync", "process"),
    "rhel8-connections": (rhel8_connections(), "postgres", "processes"),
    "el9-spared": (el9_spared(), "feed-cache", "process"),
    "ubuntu-tmpfs": (ubuntu_tmpfs(), "files in tmpfs, and shared memory", "tmpfs"),
    "el9-slab": (el9_slab(), "unreclaimable slab", "slab"),
    "el9-huge": (el9_huge(), "huge pages that nobody uses", "huge-pages"),
    "unnamed-driver": (unnamed_driver(), "memory that no counter names", "unnamed"),
    "arm64-pages": (arm64_pages(), "inventory-sync", "process"),
}
