"""SWP-001 to SWP-008: each on both sides of its threshold, unknown, and where it does not apply."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, seed_like, unit
from tests.fakes.postures import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    database,
    found,
    memory,
    rhel,
    state,
)

from forestall.audit.rules import (
    swp001_vendor_table,
    swp002_database_table,
    swp003_runway,
    swp004_nearly_full,
    swp005_nothing_before_kernel,
    swp006_not_after_boot,
    swp007_beside_data,
    swp008_compressed_twice,
)
from forestall.model.facts import BlockDevice, MountFacts, PostgresFacts, SwapDevice
from forestall.model.finding import Severity
from forestall.model.sample import HostSample

MIB = 1024**2
ZRAM = SwapDevice(name="/dev/zram0", kind="zram", size_bytes=8 * GIB, used_bytes=0, priority=100)
DISK = SwapDevice(name="/dev/dm-1", kind="partition", size_bytes=16 * GIB, used_bytes=0)

VENDOR = swp001_vendor_table.RULE
TABLE = swp002_database_table.RULE
RUNWAY = swp003_runway.RULE
FULL = swp004_nearly_full.RULE
NOTHING = swp005_nothing_before_kernel.RULE
BOOT = swp006_not_after_boot.RULE
BESIDE = swp007_beside_data.RULE
TWICE = swp008_compressed_twice.RULE


@pytest.mark.parametrize(
    ("total", "swap", "expected"),
    [
        (GIB, 2 * GIB, PASS),
        (GIB, GIB, FAIL),
        (2 * GIB, 4 * GIB - 4096, PASS),
        (2 * GIB + 4096, 2 * GIB, PASS),
        (4 * GIB, 2 * GIB, FAIL),
        (8 * GIB, 8 * GIB, PASS),
        (8 * GIB, 7 * GIB, FAIL),
        (8 * GIB + 4096, 4 * GIB, PASS),
        (32 * GIB, 4 * GIB - 4096, PASS),
        (32 * GIB, 3 * GIB, FAIL),
        (512 * GIB, 4 * GIB, PASS),
        (512 * GIB, 0, FAIL),
    ],
)
def test_vendor_table(total, swap, expected):
    """Red Hat's three steps; the header of a swap partition is no shortage."""
    facts = memory(rhel(swaps=(DISK,)), mem_total_bytes=total, swap_total_bytes=swap)
    assert state(VENDOR, facts) is expected


@pytest.mark.parametrize(
    "name",
    ["rhel", "centos", "rocky", "almalinux", "ol", "scientific", "eurolinux", "cloudlinux"],
)
def test_vendor_table_is_the_familys(name):
    """Red Hat's and those that are built from it."""
    facts = memory(replace(rhel(), os_id=name, swaps=()), swap_total_bytes=0)
    assert state(VENDOR, facts) is FAIL


def test_vendor_table_passes_the_host_of_the_incident():
    """4 GiB beside 32 GiB satisfy the general table: the role is what asks for more."""
    assert state(VENDOR, seed_like()) is PASS
    assert state(TABLE, seed_like()) is FAIL


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (healthy(os_id="debian"), NOT_APPLICABLE),
        (healthy(os_id="ubuntu"), NOT_APPLICABLE),
        (healthy(os_id=None), UNKNOWN),
        (rhel(container="podman"), NOT_APPLICABLE),
        (rhel(kubernetes=True), NOT_APPLICABLE),
        (rhel(memory=HostSample()), UNKNOWN),
        (memory(rhel(), swap_total_bytes=None), UNKNOWN),
        (memory(rhel(), mem_total_bytes=None), UNKNOWN),
    ],
)
def test_vendor_table_is_for_its_family(facts, expected):
    """Other vendors have no table, nodes have no swap by design, unread is unknown."""
    assert state(VENDOR, memory(facts, swap_free_bytes=0)) is expected


def test_without_processes_in_sight_it_may_be_a_node():
    """From metrics alone a host without swap may be a node of Kubernetes; with some it is not."""
    blind = memory(rhel(guards=None, kubernetes=None), swap_total_bytes=0)
    assert state(VENDOR, blind) is UNKNOWN
    assert state(VENDOR, memory(blind, swap_total_bytes=GIB)) is FAIL
    assert state(VENDOR, replace(blind, guards=())) is FAIL
    assert state(VENDOR, replace(blind, kubernetes=False)) is FAIL


def test_role_makes_a_node():
    """A site that calls a host k8s need not show a kubelet."""
    facts = memory(rhel(), swap_total_bytes=0)
    assert state(VENDOR, facts) is FAIL
    assert state(VENDOR, facts, roles=frozenset({"k8s"})) is NOT_APPLICABLE


def test_zram_is_not_swap_on_disk():
    """8 GiB on zram are memory: the tables are not satisfied, and the text says why."""
    facts = memory(rhel(swaps=(ZRAM,)), mem_total_bytes=16 * GIB, swap_total_bytes=8 * GIB)
    told = found(VENDOR, facts)
    assert told.state is FAIL
    assert "zram is memory" in told.text
    both = memory(rhel(swaps=(ZRAM, DISK)), mem_total_bytes=16 * GIB, swap_total_bytes=24 * GIB)
    assert state(VENDOR, both) is PASS


@pytest.mark.parametrize(
    ("total", "swap_total", "expected"),
    [
        (32 * GIB, 4 * GIB, FAIL),
        (32 * GIB, 15 * GIB, FAIL),
        (32 * GIB, 16 * GIB - 4096, PASS),
        (8 * GIB, 4 * GIB, FAIL),
        (8 * GIB, 8 * GIB, PASS),
        (10 * GIB, 9 * GIB + 512 * MIB, PASS),
        (10 * GIB, 9 * GIB + 512 * MIB - 4096, FAIL),
        (2 * GIB, GIB, FAIL),
        (GIB, 0, NOT_APPLICABLE),
        (None, 0, UNKNOWN),
        (32 * GIB, None, UNKNOWN),
    ],
)
def test_database_table(total, swap_total, expected):
    """As much swap as memory up to 16 GiB, 16 GiB above; rounding is no shortage."""
    facts = memory(seed_like(), mem_total_bytes=total, swap_total_bytes=swap_total)
    assert state(TABLE, facts, roles=frozenset({"db"})) is expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (seed_like(databases=()), NOT_APPLICABLE),
        (seed_like(databases=None), UNKNOWN),
        (seed_like(container="docker"), NOT_APPLICABLE),
        (seed_like(kubernetes=True), NOT_APPLICABLE),
    ],
)
def test_database_table_is_for_database_hosts(facts, expected):
    """No database, a container, a node: not applicable; nothing seen and no role: unknown."""
    assert state(TABLE, facts) is expected


def test_a_small_database_is_not_a_database_host():
    """1 GiB beside 32: the table does not apply."""
    small = holder("postgres", 800, GIB)
    facts = seed_like(databases=(small,), holders=(small,), units=())
    settings = PostgresFacts(complete=True, shared_buffers_bytes=GIB)
    assert state(TABLE, replace(facts, postgres=(settings,))) is NOT_APPLICABLE


def test_a_database_that_was_just_started_is_as_large_as_it_is_configured():
    """Its cache is still empty; with settings unread, nobody knows."""
    young = holder("postgres", 800, GIB // 4)
    facts = seed_like(databases=(young,), holders=(young,), units=())
    settings = PostgresFacts(complete=True, shared_buffers_bytes=8 * GIB)
    assert state(TABLE, replace(facts, postgres=(settings,))) is FAIL
    assert state(TABLE, replace(facts, postgres=(PostgresFacts(),))) is UNKNOWN


def test_remedy_adds_what_is_missing():
    """4 of 16 GiB are there, so 12 are to be added."""
    told = found(TABLE, seed_like())
    assert "add 12 GiB of swap" in told.remedy
    assert "count=12288" in told.remedy


@pytest.mark.parametrize(
    ("growth", "expected"),
    [
        (None, NOT_APPLICABLE),
        (-5.0, PASS),
        (0.0, PASS),
        (10 * GIB / 3600, PASS),
        (10 * GIB / 3600 + 1, FAIL),
    ],
)
def test_runway(growth, expected):
    """10 GiB left last an hour at 10 GiB an hour, and not quite at a byte more."""
    facts = memory(
        healthy(anonymous_growth_bytes_per_second=growth, growth_window_seconds=21600.0),
        mem_available_bytes=6 * GIB,
        swap_free_bytes=4 * GIB,
    )
    assert state(RUNWAY, facts) is expected


def test_runway_is_the_sites_time():
    """The same growth is fine for a site that repairs in ten minutes."""
    facts = memory(
        healthy(anonymous_growth_bytes_per_second=4e6, growth_window_seconds=7200.0),
        mem_available_bytes=6 * GIB,
        swap_free_bytes=0,
    )
    assert "last 26 min 51 s at 13 GiB an hour; from alert to repair" in found(RUNWAY, facts).text
    assert state(RUNWAY, facts, time_to_act_seconds=600.0) is PASS


@pytest.mark.parametrize("window", [None, 0.0, 1799.0])
def test_runway_needs_a_window(window):
    """A start-up of some minutes is no trend."""
    facts = healthy(anonymous_growth_bytes_per_second=1e9, growth_window_seconds=window)
    told = found(RUNWAY, facts)
    assert told.state is UNKNOWN
    assert ("an unknown time" in told.text) == (window is None)


def test_memory_that_does_not_grow_lasts():
    """Even where nothing is left of it."""
    facts = healthy(anonymous_growth_bytes_per_second=0.0, growth_window_seconds=7200.0)
    assert state(RUNWAY, memory(facts, mem_available_bytes=0, swap_free_bytes=0)) is PASS
    shrinks = replace(facts, anonymous_growth_bytes_per_second=-1.0)
    assert state(RUNWAY, memory(shrinks, mem_available_bytes=0, swap_free_bytes=0)) is PASS


def test_half_an_hour_is_window_enough():
    """From 1,800 seconds on growth is believed."""
    facts = healthy(anonymous_growth_bytes_per_second=1e9, growth_window_seconds=1800.0)
    assert state(RUNWAY, facts) is FAIL


def test_runway_without_its_facts():
    """What is left unread is unknown; in a container the growth is the host's."""
    facts = healthy(anonymous_growth_bytes_per_second=1.0, growth_window_seconds=7200.0)
    assert state(RUNWAY, memory(facts, swap_free_bytes=None)) is UNKNOWN
    assert state(RUNWAY, memory(facts, mem_available_bytes=None)) is UNKNOWN
    assert state(RUNWAY, replace(facts, container="lxc")) is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("free", "available", "expected", "severity"),
    [
        (0, GIB, FAIL, Severity.HIGH),
        (16 * GIB // 10, GIB, FAIL, Severity.HIGH),
        (16 * GIB // 10 + 4096, GIB, PASS, Severity.HIGH),
        (0, 2 * GIB, FAIL, Severity.LOW),
        (0, None, FAIL, Severity.HIGH),
        (None, GIB, UNKNOWN, Severity.HIGH),
    ],
)
def test_swap_nearly_full(free, available, expected, severity):
    """From nine tenths on; grave where memory is as full, a note where a tenth is available."""
    facts = memory(healthy(), swap_free_bytes=free, mem_available_bytes=available)
    told = found(FULL, facts)
    assert (told.state, told.severity) == (expected, severity)


@pytest.mark.parametrize(
    ("free", "available", "expected", "severity"),
    [
        (GIB, GIB, FAIL, Severity.HIGH),
        (GIB + 4096, GIB, PASS, Severity.HIGH),
        (GIB, GIB + 4096, FAIL, Severity.LOW),
    ],
)
def test_swap_nearly_full_to_the_page(free, available, expected, severity):
    """1 GiB of 10 free is nine tenths used, of swap as of memory."""
    facts = memory(
        healthy(),
        mem_total_bytes=10 * GIB,
        mem_available_bytes=available,
        swap_total_bytes=10 * GIB,
        swap_free_bytes=free,
    )
    told = found(FULL, facts)
    assert (told.state, told.severity) == (expected, severity)


def test_full_swap_where_memory_or_swap_was_not_read():
    """Without the size of swap nobody knows; without that of memory it is grave."""
    facts = memory(healthy(), swap_free_bytes=0, mem_available_bytes=12 * GIB)
    assert state(FULL, memory(facts, swap_total_bytes=None)) is UNKNOWN
    assert found(FULL, memory(facts, mem_total_bytes=None)).severity is Severity.HIGH


def test_no_swap_is_not_full_swap():
    """A host without swap is not told that its swap is full."""
    assert state(FULL, memory(healthy(), swap_total_bytes=0, swap_free_bytes=0)) is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("swap_total", "guards", "expected"),
    [
        (0, (), FAIL),
        (0, ("forestall",), FAIL),
        (0, None, UNKNOWN),
        (0, ("earlyoom",), PASS),
        (0, ("systemd-oomd",), UNKNOWN),
        (0, ("systemd-oomd", "nohang"), PASS),
        (64 * MIB, (), FAIL),
        (64 * MIB, ("earlyoom",), PASS),
        (GIB, (), PASS),
        (None, (), UNKNOWN),
    ],
)
def test_nothing_before_the_kernel(swap_total, guards, expected):
    """Found only where there is neither; forestall observes by default and is not counted."""
    facts = memory(healthy(guards=guards, kubernetes=False), swap_total_bytes=swap_total)
    assert state(NOTHING, facts) is expected


def test_zram_alone_delays_the_end_only_a_little():
    """It is memory itself: a finding without a guard, and unknown where no kind was read."""
    zram = memory(healthy(swaps=(ZRAM,), guards=(), kubernetes=False), swap_total_bytes=4 * GIB)
    told = found(NOTHING, zram)
    assert (told.state, told.severity) == (FAIL, Severity.MEDIUM)
    assert "kept in memory itself" in told.text
    assert state(NOTHING, replace(zram, guards=("earlyoom",))) is PASS
    assert state(NOTHING, replace(zram, swaps=None)) is UNKNOWN
    beside = replace(zram, swaps=(ZRAM, DISK))
    assert state(NOTHING, memory(beside, swap_total_bytes=20 * GIB)) is PASS


def test_a_guard_may_hide_among_hidden_processes():
    """Below hidepid none is seen, and one may be there, as look says too."""
    bare = healthy(guards=(), kubernetes=False, hidden_processes=True)
    assert state(NOTHING, memory(bare, swap_total_bytes=0)) is UNKNOWN


def test_how_long_zram_lasts_is_unknown():
    """1 GiB at 2 GiB an hour ends before anybody acts, unless zram compresses well."""
    zram = SwapDevice(name="/dev/zram0", kind="zram", size_bytes=16 * GIB, used_bytes=0)
    grows = healthy(
        swaps=(zram,),
        anonymous_growth_bytes_per_second=2 * GIB / 3600,
        growth_window_seconds=7200.0,
    )
    facts = memory(grows, mem_available_bytes=GIB)
    assert state(RUNWAY, facts) is UNKNOWN
    assert state(RUNWAY, replace(facts, swaps=None)) is UNKNOWN
    assert state(RUNWAY, memory(facts, mem_available_bytes=2 * GIB)) is PASS
    faster = replace(facts, anonymous_growth_bytes_per_second=10 * GIB / 3600)
    assert state(RUNWAY, faster) is FAIL


@pytest.mark.parametrize(
    ("swaps", "total", "free", "expected"),
    [
        ((("zram", 16, 1),), 16, 15, NOT_APPLICABLE),
        ((("zram", 16, 15),), 16, 1, FAIL),
        ((("zram", 16, 1), ("partition", 4, 4)), 20, 15, FAIL),
        ((("zram", 16, 15), ("partition", 4, 0)), 20, 5, PASS),
    ],
)
def test_free_zram_is_no_slack(swaps, total, free, expected):
    """Beside it the disks' swap counts alone; a full zram is full."""
    devices = tuple(
        SwapDevice(name=f"/dev/{kind}", kind=kind, size_bytes=size * GIB, used_bytes=used * GIB)
        for kind, size, used in swaps
    )
    facts = memory(
        healthy(swaps=devices),
        swap_total_bytes=total * GIB,
        swap_free_bytes=free * GIB,
        mem_available_bytes=GIB,
    )
    assert state(FULL, facts) is expected


def test_a_kubelet_is_a_guard():
    """It evicts pods, and runs without swap by design; a container has neither of its own."""
    bare = memory(healthy(guards=(), kubernetes=True), swap_total_bytes=0)
    assert state(NOTHING, bare) is NOT_APPLICABLE
    assert state(NOTHING, replace(bare, container="docker", kubernetes=False)) is NOT_APPLICABLE


DM = BlockDevice(name="dm-1", disks=("sda",), aliases=("/dev/mapper/rhel-swap",))


@pytest.mark.parametrize(
    ("active", "fstab", "expected"),
    [
        ((DISK,), ("/dev/dm-1",), PASS),
        ((), (), PASS),
        ((DISK,), ("/dev/mapper/rhel-swap",), PASS),
        ((ZRAM,), (), PASS),
        ((ZRAM,), ("/dev/zram0",), PASS),
        ((DISK,), (), FAIL),
        ((), ("/dev/dm-1",), FAIL),
        ((), ("UUID=5e2c",), FAIL),
        ((DISK,), ("UUID=5e2c",), UNKNOWN),
        ((DISK,), ("LABEL=swap",), UNKNOWN),
        ((DISK,), ("/dev/mapper/other",), UNKNOWN),
        ((DISK,), ("/dev/vg0/swap",), UNKNOWN),
        ((DISK,), ("/dev/dm-1", "/swapfile"), FAIL),
        ((DISK,), ("/swapfile",), FAIL),
        ((DISK,), ("/var/swap/file",), FAIL),
        ((DISK,), ("/dev/sdq1",), FAIL),
        ((DISK,), ("/dev/dm-1", "/dev/mapper/rhel-swap"), PASS),
        ((ZRAM,), ("UUID=5e2c",), FAIL),
        (None, (), UNKNOWN),
        ((DISK,), None, UNKNOWN),
    ],
)
def test_swap_after_a_boot(active, fstab, expected):
    """Two names of one device are one; a name nobody resolved may be the device that is on."""
    facts = healthy(swaps=active, fstab_swaps=fstab, block_devices=(DM,))
    assert state(BOOT, facts) is expected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("dphys-swapfile.service", "/var/swap"),
        ("waagent.service", "/mnt/resource/swapfile"),
        ("rc-local.service", "/swap"),
    ],
)
def test_a_service_may_turn_swap_on(name, path):
    """Raspberry Pi OS, Azure's agent and rc.local do without fstab."""
    swap = SwapDevice(name=path, kind="file", size_bytes=GIB, used_bytes=0)
    bare = healthy(swaps=(swap,), fstab_swaps=())
    assert state(BOOT, bare) is FAIL
    told = found(BOOT, replace(bare, units=(*bare.units, unit(name))))
    assert told.state is UNKNOWN
    assert f"{name} may turn it on" in told.text
    assert state(BOOT, replace(bare, units=(*bare.units, unit(name, active=False)))) is FAIL
    assert state(BOOT, replace(bare, units=None)) is UNKNOWN


def test_systemd_finds_swap_on_the_roots_disk():
    """By its GPT type; on another disk, or a logical volume, it does not."""
    swap = SwapDevice(name="/dev/sda2", kind="partition", size_bytes=GIB, used_bytes=0)
    assert state(BOOT, healthy(swaps=(swap,), fstab_swaps=())) is UNKNOWN
    other = replace(swap, name="/dev/nvme0n1p3")
    disk = BlockDevice(name="nvme0n1p3", disks=("nvme0n1",))
    bare = healthy(swaps=(other,), fstab_swaps=())
    assert state(BOOT, bare) is UNKNOWN
    assert state(BOOT, replace(bare, block_devices=(*bare.block_devices, disk))) is FAIL


def test_why_swap_is_unknown_is_said():
    """The reader's own reason, of the field that is missing."""
    unseen = {"swaps": "no proc/swaps", "fstab_swaps": "needs root"}
    assert "no proc/swaps" in found(BOOT, healthy(swaps=None, unseen=unseen)).text
    assert "needs root" in found(BOOT, healthy(fstab_swaps=None, unseen=unseen)).text


def test_swap_after_a_boot_to_the_word():
    """One sentence for each side that there is, and none for the other."""
    gone = found(BOOT, healthy(swaps=(), fstab_swaps=("/swapfile",)))
    assert gone.text == "/swapfile should be swap since boot, and is not."
    assert gone.remedy == "swapon -a (and journalctl -b -u '*.swap' for why it failed at boot)"
    both = found(BOOT, healthy(swaps=(DISK,), fstab_swaps=("/swapfile",), kubernetes=False))
    assert both.text.startswith("/swapfile should be swap since boot, and is not; /dev/dm-1 is")
    node = found(BOOT, healthy(swaps=(DISK,), fstab_swaps=(), kubernetes=True))
    assert node.text == (
        "/dev/dm-1 is swap now, and neither fstab nor a swap unit turns it on at the next boot."
    )
    assert node.remedy == "a line in /etc/fstab: /dev/dm-1 none swap defaults 0 0"
    two = (DISK, replace(DISK, name="/dev/sdb1"))
    assert "/dev/dm-1 none" in found(BOOT, healthy(swaps=two, fstab_swaps=())).remedy


def test_names_of_devices_that_nobody_resolved():
    """A second name may be the device that is on; a device that is known is what it is."""
    known = BlockDevice(name="dm-7", disks=("sda",), aliases=("/dev/mapper/other",))
    facts = healthy(swaps=(DISK,), fstab_swaps=("/dev/mapper/other",), block_devices=(known,))
    assert state(BOOT, facts) is FAIL
    by_id = replace(facts, fstab_swaps=("/dev/disk/by-id/x",))
    assert state(BOOT, by_id) is UNKNOWN


def test_swap_after_a_boot_says_which_way():
    """What is missing and what would not come back are told apart, and a kubelet minds neither."""
    gone = found(BOOT, healthy(swaps=(), fstab_swaps=("/swapfile",)))
    assert "should be swap since boot" in gone.text
    assert "swapon -a" in gone.remedy
    extra = found(BOOT, healthy(swaps=(DISK,), fstab_swaps=()))
    assert "neither fstab nor a swap unit turns it on at the next boot" in extra.text
    assert "/dev/dm-1 none swap" in extra.remedy
    node = found(BOOT, healthy(swaps=(), fstab_swaps=("/swapfile",), kubernetes=True))
    assert "kubelet refuses" in node.text
    assert "take /swapfile out" in node.remedy
    assert state(BOOT, healthy(container="docker", fstab_swaps=("/swapfile",))) is NOT_APPLICABLE


def beside(**changes):
    """A PostgreSQL host on iron: data on sdb, swap on sda."""
    facts = database(
        swaps=(replace(DISK, name="/dev/sda2"),),
        postgres=(PostgresFacts(data_directory="/var/lib/pgsql/data", complete=True),),
        mounts=(
            MountFacts(device="/dev/sda1", path="/", kind="xfs"),
            MountFacts(device="/dev/mapper/vg-pg", path="/var/lib/pgsql", kind="xfs"),
        ),
        block_devices=(
            BlockDevice(name="sda", disks=("sda",), rotational=True),
            BlockDevice(name="sda1", disks=("sda",), rotational=True),
            BlockDevice(name="sda2", disks=("sda",), rotational=True),
            BlockDevice(name="dm-0", disks=("sdb",), aliases=("/dev/mapper/vg-pg",)),
        ),
    )
    return replace(facts, **changes)


def test_swap_beside_the_data():
    """Apart is fine; one disk for both is found, by partition, by file, and named."""
    assert state(BESIDE, beside()) is PASS
    at_home = (PostgresFacts(data_directory="/srv/pg", complete=True),)
    told = found(BESIDE, beside(postgres=at_home))
    assert told.state is FAIL
    assert "rotating disk of the database's data: sda" in told.text
    file = (replace(DISK, name="/var/lib/pgsql/swap", kind="file"),)
    assert state(BESIDE, beside(swaps=file)) is FAIL
    zram_alone = memory(beside(swaps=(ZRAM,)), swap_total_bytes=ZRAM.size_bytes)
    assert state(BESIDE, zram_alone) is NOT_APPLICABLE
    assert state(BESIDE, beside(swaps=(replace(DISK, name="/dev/sda2"), ZRAM))) is PASS


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"virtualization": "kvm"}, NOT_APPLICABLE),
        ({"container": "docker"}, NOT_APPLICABLE),
        ({"databases": (), "holders": ()}, NOT_APPLICABLE),
        ({"postgres": None}, UNKNOWN),
        ({"postgres": (PostgresFacts(),)}, UNKNOWN),
        ({"swaps": None}, UNKNOWN),
        ({"mounts": None}, UNKNOWN),
        ({"block_devices": None}, UNKNOWN),
    ],
)
def test_swap_beside_the_data_is_for_iron(changes, expected):
    """A guest's disks say nothing; what is not told is unknown."""
    assert state(BESIDE, beside(**changes)) is expected


def test_what_is_told_of_the_shared_disk():
    """Rotating where it is, its name, and the places of both."""
    at_home = beside(postgres=(PostgresFacts(data_directory="/srv/pg", complete=True),))
    still = tuple(replace(one, rotational=one.name == "dm-0") for one in at_home.block_devices)
    told = found(BESIDE, replace(at_home, block_devices=still))
    assert "is on the disk of the database's data: sda" in told.text
    unread = (*at_home.postgres, PostgresFacts(complete=True))
    assert state(BESIDE, replace(at_home, postgres=unread)) is UNKNOWN


@pytest.mark.parametrize(
    "swap",
    [
        replace(DISK, name="/dev/nowhere"),
        replace(DISK, name="/dev/mapper/vg-pg", kind="file"),
        replace(DISK, name="/var/lib/pgsql/swap"),
    ],
    ids=["a device nobody told of", "a file that is none", "a partition that is none"],
)
def test_swap_whose_disk_is_not_told(swap):
    """Unknown, and by its name."""
    told = found(BESIDE, beside(swaps=(swap,), mounts=beside().mounts[1:]))
    assert told.state is UNKNOWN
    assert f"the swap {swap.name}" in told.text


def test_other_databases_data_is_not_looked_for():
    """Where MySQL keeps its data is not among the facts."""
    assert state(BESIDE, database("mysqld", beside())) is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("swaps", "zswap", "expected"),
    [
        ((DISK,), True, PASS),
        ((DISK,), None, PASS),
        ((), True, PASS),
        ((ZRAM,), False, PASS),
        ((ZRAM,), True, FAIL),
        ((ZRAM, DISK), True, FAIL),
        ((ZRAM,), None, UNKNOWN),
        (None, True, UNKNOWN),
    ],
)
def test_compressed_twice(swaps, zswap, expected):
    """Only both together; a host without zram need not tell about zswap."""
    assert state(TWICE, healthy(swaps=swaps, zswap=zswap)) is expected
    assert state(TWICE, healthy(swaps=swaps, zswap=zswap, container="lxc")) is NOT_APPLICABLE
