"""Hosts as their vendors ship them and as the documentation says to run them, by number.

`host(seed)` is one host, `hosts(count)` many: the same ones each time. What is set comes from the
distributions' defaults and from what vendors write about their own products, each named where it
is used; nothing here looks at a rule or at its threshold, so that an audit which accuses these
hosts is wrong about one or the other. Left out on purpose: hosts under a baseline that orders
kdump off (the conflict itself is a finding), and Red Hat's cloud images, which have no swap though
Red Hat's own guide asks for some.

Sources, by short name:
  ANACONDA  Red Hat, Interactively installing RHEL, recommended partitioning scheme (swap by memory)
  CURTIN    Ubuntu Server's installer, curtin/swap.py (swap file by memory)
  DI        Debian's installer, partman-auto's recipes (a swap partition of about a gigabyte)
  CRASH     crashkernel.default of kexec-tools and kdump-utils (RHEL 8 to 10), Ubuntu's kdump-tools
  RHEL      the kernel configuration and sysctl.d of RHEL: panic_on_oops=1, transparent huge pages
  KUBELET   kubelet's own settings (pkg/kubelet/cm, protectKernelDefaults)
  TUNED     tuned's profiles throughput-performance, virtual-guest, postgresql, oracle, mssql
  PG        PostgreSQL documentation, Managing Kernel Resources; PGDG's and Debian's units
  ORACLE    Oracle Database installation guide for Linux: swap table, HugePages, no THP
  MS        Microsoft, Performance best practices for SQL Server on Linux
  REDIS     Redis documentation, Redis administration: overcommit_memory=1, no THP
  MARIADB   MariaDB documentation, Configuring swappiness
  KERNEL    the kernel's own defaults: admin-guide/sysctl, mm/page_alloc.c, mm/khugepaged.c
"""

import math
import random
from collections.abc import Iterator

from forestall.model.facts import (
    BlockDevice,
    HolderFacts,
    HostFacts,
    KdumpFacts,
    MountFacts,
    PostgresFacts,
    SwapDevice,
    UnitFacts,
)
from forestall.model.sample import HostSample, ProcessKey, ProcessSample

KIB, MIB, GIB = 1024, 1024**2, 1024**3
AT = 1_787_616_000.0
"""2026-08-25: a week in which each of these kernels was the newest of its distribution."""

DAY = 86_400.0

SYSTEMS = {
    "rhel8": ("rhel", "8.10", "Red Hat Enterprise Linux 8.10", "4.18.0-553.157.1.el8_10", 239, 1),
    "rhel9": ("rhel", "9.8", "Red Hat Enterprise Linux 9.8", "5.14.0-687.25.1.el9_8", 252, 2),
    "rhel10": ("rhel", "10.2", "Red Hat Enterprise Linux 10.2", "6.12.0-211.46.1.el10_2", 257, 2),
    "debian12": ("debian", "12", "Debian GNU/Linux 12 (bookworm)", "6.1.0-50-amd64", 252, 2),
    "debian13": ("debian", "13", "Debian GNU/Linux 13 (trixie)", "6.12.90+deb13-amd64", 257, 2),
    "ubuntu2204": ("ubuntu", "22.04", "Ubuntu 22.04.5 LTS", "5.15.0-190-generic", 249, 2),
    "ubuntu2404": ("ubuntu", "24.04", "Ubuntu 24.04.4 LTS", "6.8.0-140-generic", 255, 2),
}
KINDS = {"web": 40, "db": 25, "node": 15, "container": 10, "batch": 10}
DATABASES = {"postgres": 60, "mysqld": 15, "redis-server": 10, "ora_pmon_ORCL": 8, "sqlservr": 7}
SUPPORTED = {
    # The vendors' own lists of supported systems.
    "ora_pmon_ORCL": ("rhel8", "rhel9"),
    "sqlservr": ("rhel8", "rhel9", "ubuntu2204", "ubuntu2404"),
}
MEMORY_GIB = (2, 4, 8, 16, 32, 64, 128, 256, 512)

CRASH = {
    # (from this much memory on, reserved MiB), by the package's own crashkernel= line.
    "rhel8": ((1, 192), (4, 256), (64, 512)),
    "rhel9": ((1, 192), (4, 256), (64, 512)),
    "rhel10": ((2, 256), (64, 512)),
    "ubuntu2404": ((2, 320), (4, 512), (32, 1024), (64, 2048), (128, 4096)),
    "ubuntu2204": ((0, 192),),
    "debian12": ((0, 128),),
    "debian13": ((0, 256),),
}
CRASH_ARM = ((1, 256), (4, 320), (64, 576))


def hosts(count: int, first: int = 0) -> Iterator[HostFacts]:
    """`count` hosts, numbered from `first` on."""
    return (host(seed) for seed in range(first, first + count))


def host(seed: int) -> HostFacts:
    """The host of this number."""
    chance = random.Random(seed)
    kind = _choice(chance, KINDS)
    if kind == "container":
        return _container(chance, seed)
    return _Machine(chance, seed, kind).facts()


def _choice(chance: random.Random, weights: dict[str, int]) -> str:
    return chance.choices(tuple(weights), tuple(weights.values()))[0]


class _Machine:
    """One machine in the making: what is decided first, and what follows from it."""

    def __init__(self, chance: random.Random, seed: int, kind: str) -> None:
        self.chance, self.seed, self.kind = chance, seed, kind
        self.database = _choice(chance, DATABASES) if kind == "db" else None
        self.release = chance.choice(SUPPORTED.get(self.database or "", tuple(SYSTEMS)))
        self.os_id, self.version, self.name, self.kernel, self.systemd, self.cgroup = SYSTEMS[
            self.release
        ]
        self.red_hat = self.os_id == "rhel"
        smallest = {"db": 2, "node": 1}.get(kind, 0)
        self.installed = chance.choice(MEMORY_GIB[smallest:]) * GIB
        self.guest = chance.random() < (0.5 if kind == "db" else 0.8)
        self.arm = self.release in ("rhel9", "rhel10") and chance.random() < 0.05
        self.nodes = 2 if not self.guest and self.installed >= 64 * GIB else 1
        self.crash = self._crash_bytes()
        # struct page alone is 1.6 % of memory; firmware and the kernel image take some more.
        usable = chance.uniform(0.96, 0.98)
        self.total = int(self.installed * usable) // 4096 * 4096 - self.crash
        self.buffers = 0
        self.pages = 0
        if self.database == "postgres":
            # PG: a quarter of memory, and huge pages for a large one.
            self.buffers = self.installed // 4
            self.pages = math.ceil(1.03 * self.buffers / (2 * MIB)) if self.buffers >= GIB else 0
        elif self.database == "ora_pmon_ORCL":
            # ORACLE: huge pages for all of the SGA.
            self.buffers = int(0.4 * self.installed)
            self.pages = self.buffers // (2 * MIB) + 2
        self.thp = self._transparent_huge_pages()
        self.swap = self._swap_bytes()

    def _crash_bytes(self) -> int:
        table = CRASH_ARM if self.arm else CRASH[self.release]
        reserved = [size for start, size in table if self.installed >= start * GIB]
        return reserved[-1] * MIB if reserved else 0

    def _transparent_huge_pages(self) -> str:
        if self.database in ("postgres", "ora_pmon_ORCL", "redis-server"):
            return "never"  # TUNED, ORACLE, REDIS
        if self.database == "sqlservr":
            return "always"  # MS, TUNED
        return "madvise" if self.os_id == "ubuntu" else "always"

    def _swap_bytes(self) -> int:
        size = self.installed
        if self.kind == "node":
            return 0  # Kubernetes documentation, before swap support became general
        if self.database is not None:
            return min(size, 16 * GIB)  # ORACLE
        if self.red_hat:  # ANACONDA
            if size <= 2 * GIB:
                return 2 * size
            if size <= 8 * GIB:
                return size
            return size // 2 if size <= 64 * GIB else 4 * GIB
        if self.os_id == "ubuntu":  # CURTIN
            if self.chance.random() < 0.3:
                return 0  # a cloud image
            return 2 * GIB if size < 4 * GIB else 4 * GIB if size < 16 * GIB else 8 * GIB
        return 0 if self.chance.random() < 0.3 else 975 * MIB  # DI, or a cloud image

    def sysctls(self) -> dict[str, str]:
        found = {
            "vm.panic_on_oom": "0",  # KERNEL
            "vm.oom_kill_allocating_task": "0",
            "vm.overcommit_memory": "0",
            "vm.overcommit_ratio": "50",
            "vm.overcommit_kbytes": "0",
            "vm.zone_reclaim_mode": "0",
            "vm.swappiness": "60",
            "vm.min_free_kbytes": str(self._min_free()),
            "kernel.panic": "0",
            "kernel.hung_task_panic": "0",
            "kernel.softlockup_panic": "0",
            # RHEL builds its kernels so, kdump-tools sets it when it arms.
            "kernel.panic_on_oops": "1",
            "kernel.core_pattern": "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h",
        }
        if self.red_hat:  # TUNED: the profile that RHEL chooses by itself
            found["vm.swappiness"] = "30" if self.guest else "10"
        if self.kind == "node":  # KUBELET
            found |= {"vm.overcommit_memory": "1", "kernel.panic": "10"}
        if self.database == "postgres":  # PG, TUNED
            found |= {
                "vm.overcommit_memory": "2",
                "vm.overcommit_ratio": "80",
                "vm.swappiness": self.chance.choice(("1", "3", "10")),
            }
        elif self.database == "ora_pmon_ORCL":
            found["vm.swappiness"] = "10"  # TUNED
        elif self.database in ("sqlservr", "mysqld"):
            found["vm.swappiness"] = "1"  # MS, MARIADB
        elif self.database == "redis-server":
            found["vm.overcommit_memory"] = "1"  # REDIS
        return found

    def _min_free(self) -> int:
        """KERNEL: 4 * sqrt(memory in KiB); khugepaged raises it by the zones that there are."""
        own = int(4 * math.sqrt(0.99 * self.total / KIB))
        if self.thp == "never":
            return min(own, 262144)
        zones = (2 if self.installed < 4 * GIB else 3) + self.nodes - 1
        recommended = 512 * zones * (2 + 9) * 4
        return max(min(own, 262144), min(recommended, self.total // 20 // KIB))

    def facts(self) -> HostFacts:
        settings = self.sysctls()
        ratio = int(settings["vm.overcommit_ratio"]) / 100
        huge = self.pages * 2 * MIB
        limit = int((self.total - huge) * ratio) + self.swap
        mode = settings["vm.overcommit_memory"]
        share = self.chance.uniform(0.3, 0.7 if mode == "2" else 1.5)
        # What a database has been promised and not touched yet counts among the free.
        untouched = int(self.pages * self.chance.choice((0.0, 0.05, 0.5)))
        main, holders, units = self._processes()
        dump = self._dump()
        return HostFacts(
            at=AT,
            hostname=f"{self.kind}{self.seed:04}.example",
            boot_id=f"00000000-0000-4000-8000-{self.seed:012}",
            kernel_release=self.kernel + self._machine_suffix(),
            machine="aarch64" if self.arm else "x86_64",
            os_id=self.os_id,
            os_version_id=self.version,
            os_name=self.name,
            booted_at=AT - self.chance.uniform(1, 45) * DAY,
            virtualization="kvm" if self.guest else None,
            effective_uid=0,
            memory=self._memory(),
            swaps=self._swaps(),
            fstab_swaps=tuple(swap.name for swap in self._swaps()),
            sysctls=settings,
            cgroup_version=self.cgroup,
            cgroup_hybrid=False,
            psi=True,
            crash_kernel_loaded=True,
            crash_kernel_bytes=self.crash,
            cmdline=self._cmdline(),
            kdump=dump,
            systemd_version=self.systemd,
            units=units,
            slices=(),
            holders=holders,
            process_count=150,
            hidden_processes=False,
            # A cloud image has no swap; earlyoom is what its readme says for such a host.
            guards=() if self.swap or self.kind == "node" else ("earlyoom",),
            databases=() if main is None else (main,),
            commit_limit_bytes=limit,
            committed_bytes=int(limit * share),
            hugetlb_bytes=huge,
            hugepages_total=self.pages,
            hugepages_free=untouched,
            hugepages_reserved=untouched,
            hugepage_bytes=2 * MIB,
            zswap=False,
            transparent_hugepage=self.thp,
            numa_node_count=self.nodes,
            modules=("xfs", "ext4", "dm_mod", "virtio_net" if self.guest else "ixgbe"),
            installed_kernels=(self.kernel + self._machine_suffix(),),
            livepatches=(),
            mounts=self._mounts(dump),
            block_devices=self._devices(),
            postgres=self._postgres(),
            user_limits=(),
            kubernetes=self.kind == "node",
            monitors=("node_exporter",),
            scraped_at=AT - 30,
            memory_alerts=("HostOutOfMemory",),
            gated_services=("app.service",),
            anonymous_growth_bytes_per_second=self.chance.choice(
                (None, self.chance.uniform(-20_000, 20_000))
            ),
            growth_window_seconds=6 * 3600.0,
        )

    def _machine_suffix(self) -> str:
        return "." + ("aarch64" if self.arm else "x86_64") if self.red_hat else ""

    def _memory(self) -> HostSample:
        free = int(self.swap * self.chance.uniform(0.7, 1.0))
        return HostSample(
            mem_total_bytes=self.total,
            mem_available_bytes=int(self.total * self.chance.uniform(0.25, 0.6)),
            swap_total_bytes=self.swap,
            swap_free_bytes=free,
        )

    def _swaps(self) -> tuple[SwapDevice, ...]:
        if not self.swap:
            return ()
        name, kind = ("/dev/dm-1", "partition") if self.red_hat else ("/swap.img", "file")
        if self.os_id == "debian":
            name, kind = "/dev/sda5", "partition"
        return (SwapDevice(name=name, kind=kind, size_bytes=self.swap, used_bytes=0, priority=-2),)

    def _cmdline(self) -> str:
        line = "BOOT_IMAGE=/vmlinuz root=/dev/mapper/os-root ro"
        if self.release == "rhel8":
            return f"{line} crashkernel=auto"
        return f"{line} crashkernel={self.crash // MIB}M"

    def _dump(self) -> KdumpFacts:
        """The kdump guides: filtered, and with much memory to another host or to a disk for it."""
        if self.installed > 64 * GIB and self.chance.random() < 0.5:
            return KdumpFacts(
                target="ssh", address="kdump@dumps.example", path="/var/crash", filtered=True
            )
        return KdumpFacts(path="/var/crash", filtered=True)

    def _mounts(self, dump: KdumpFacts) -> tuple[MountFacts, ...]:
        def mount(device: str, path: str, kind: str, size: float) -> MountFacts:
            free = int(size * self.chance.uniform(0.5, 0.9))
            return MountFacts(
                device=device, path=path, kind=kind, size_bytes=int(size), free_bytes=free
            )

        root = "/dev/mapper/os-root" if self.red_hat else "/dev/sda2"
        found = [
            mount(root, "/", "xfs" if self.red_hat else "ext4", 120 * GIB),
            mount("tmpfs", "/dev/shm", "tmpfs", self.total / 2),  # KERNEL, tmpfs's default
            mount("tmpfs", "/run", "tmpfs", self.total / 5),  # systemd's default
        ]
        if self.release == "debian13":
            found.append(mount("tmpfs", "/tmp", "tmpfs", self.total / 2))  # its release notes
        if self.installed > 64 * GIB and dump.target is None:
            found.append(mount("/dev/sdc1", "/var/crash", "xfs", 1.2 * self.installed))
        if self.database is not None:
            found.append(mount("/dev/sdb1", self._data_directory(), "xfs", 500 * GIB))
        return tuple(found)

    def _devices(self) -> tuple[BlockDevice, ...]:
        turning = not self.guest and self.chance.random() < 0.2
        names = {"sda": "sda", "sda2": "sda", "sda5": "sda", "dm-0": "sda", "dm-1": "sda"}
        names |= {"sdb": "sdb", "sdb1": "sdb", "sdc1": "sdc"}
        aliases = {"dm-0": ("/dev/mapper/os-root",), "dm-1": ("/dev/mapper/os-swap",)}
        return tuple(
            BlockDevice(name=name, disks=(disk,), rotational=turning, aliases=aliases.get(name, ()))
            for name, disk in names.items()
        )

    def _data_directory(self) -> str:
        return "/var/lib/pgsql" if self.database == "postgres" else "/var/lib/data"

    def _postgres(self) -> tuple[PostgresFacts, ...]:
        if self.database != "postgres":
            return ()
        return (
            PostgresFacts(
                data_directory="/var/lib/pgsql/data",
                config_path="/var/lib/pgsql/data/postgresql.conf",
                shared_buffers_bytes=self.buffers,
                work_mem_bytes=4 * MIB,
                maintenance_work_mem_bytes=64 * MIB,
                max_connections=100,
                autovacuum_max_workers=3,
                huge_pages="try",
                complete=True,
            ),
        )

    def _processes(
        self,
    ) -> tuple[HolderFacts | None, tuple[HolderFacts, ...], tuple[UnitFacts, ...]]:
        """The database by its package's unit (PG), or the site's service within its limit."""
        if self.database is not None:
            held = int(self.total * self.chance.uniform(0.2, 0.4))
            unit = "database.service"
            postgres = self.database == "postgres"
            # PG, and systemd.exec(5) for the others.
            main = self._holder(self.database, 800, held, unit, -900)
            facts = UnitFacts(
                name=unit,
                active=True,
                main_pid=800,
                memory_current_bytes=held,
                limit_known=True,
                restart="on-failure",
                oom_score_adjust=-900,
                oom_adjust_children=0 if postgres else None,
                cgroup=f"/system.slice/{unit}",
                fragment_path=f"/usr/lib/systemd/system/{unit}",
                restart_seconds=5.0,
                start_limit_burst=5,
                start_limit_interval_seconds=30.0,
            )
            return main, (main,), (facts,)
        held = int(self.total * self.chance.uniform(0.05, 0.2))
        app = self._holder("app", 900, held, "app.service", 0)
        facts = UnitFacts(
            name="app.service",
            active=True,
            main_pid=900,
            memory_current_bytes=held,
            memory_max_bytes=int(1.3 * held),
            # systemd.resource-control(5): both only with control groups of version 2.
            memory_high_bytes=int(1.2 * held) if self.cgroup == 2 else None,
            swap_max_bytes=GIB if self.cgroup == 2 else None,
            limit_known=True,
            restart="on-failure",
            oom_policy="stop",
            cgroup="/system.slice/app.service",
            fragment_path="/etc/systemd/system/app.service",
            restart_seconds=5.0,
            restart_count=0,
            start_limit_burst=5,
            start_limit_interval_seconds=300.0,
            task_count=8,
            cores_allowed=True,
        )
        return None, (app,), (facts,)

    def _holder(self, name: str, pid: int, held: int, unit: str, adjust: int) -> HolderFacts:
        key = ProcessKey(
            boot_id=f"00000000-0000-4000-8000-{self.seed:012}", pid=pid, start_ticks=10 * pid
        )
        process = ProcessSample(key=key, name=name, rss_bytes=held, swap_bytes=0, unit=unit)
        return HolderFacts(process=process, oom_score=max(0, 300 + adjust), oom_score_adjust=adjust)


def _container(chance: random.Random, seed: int) -> HostFacts:
    """What a container sees: the host's /proc with the host's settings, its own processes."""
    beside = _Machine(chance, seed, chance.choice(("node", "batch", "web")))
    outside = beside.facts()
    image, version = chance.choice(
        (("debian", "13"), ("alpine", "3.23.1"), ("ubuntu", "24.04"), ("rhel", "9.8"))
    )
    return HostFacts(
        at=AT,
        hostname=f"pod{seed:04}",
        kernel_release=outside.kernel_release,
        machine=outside.machine,
        os_id=image,
        os_version_id=version,
        container=chance.choice(("docker", "podman", "containerd")),
        effective_uid=chance.choice((0, 1000)),
        memory=outside.memory,
        swaps=outside.swaps,
        sysctls=outside.sysctls,
        cgroup_version=2,
        psi=True,
        holders=outside.holders,
        process_count=3,
        hidden_processes=False,
        unseen={"units": "systemd does not run here", "crash_kernel_loaded": "no sysfs here"},
        guards=(),
        databases=(),
        commit_limit_bytes=outside.commit_limit_bytes,
        committed_bytes=outside.committed_bytes,
        transparent_hugepage=outside.transparent_hugepage,
        hugepages_total=outside.hugepages_total,
        hugepages_free=outside.hugepages_free,
        kubernetes=False,
    )
