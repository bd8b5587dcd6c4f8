"""KDP-001 to KDP-004: armed, large enough, with room, and at peace with the baseline."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, seed_like
from tests.fakes.postures import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    found,
    memory,
    rhel,
    state,
)

from forestall.audit.rules import (
    kdp001_not_armed,
    kdp002_crash_kernel_small,
    kdp003_no_room,
    kdp004_baseline_conflict,
)
from forestall.model.facts import BlockDevice, KdumpFacts, MountFacts
from forestall.model.finding import Severity

MIB = 1024**2
ARMED, SIZE = kdp001_not_armed.RULE, kdp002_crash_kernel_small.RULE
ROOM, CONFLICT = kdp003_no_room.RULE, kdp004_baseline_conflict.RULE


@pytest.mark.parametrize(("armed", "expected"), [(True, PASS), (False, FAIL), (None, UNKNOWN)])
def test_kdump_armed(armed, expected):
    """Not armed is found; a kernel that cannot tell is not accused, nor taken for fine."""
    assert state(ARMED, healthy(crash_kernel_loaded=armed)) is expected


def test_kdump_unarmed_is_grave_where_memory_panics():
    """Otherwise a panic is rare, and the missing dump a note."""
    assert found(ARMED, seed_like()).severity is Severity.HIGH
    assert found(ARMED, healthy(crash_kernel_loaded=False)).severity is Severity.LOW
    assert state(ARMED, seed_like(container="docker")) is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("total", "armed", "expected"),
    [
        (GIB, False, NOT_APPLICABLE),
        (GIB, True, PASS),
        (1.85 * GIB, False, NOT_APPLICABLE),
        (1.9 * GIB - 1, False, NOT_APPLICABLE),
        (1.9 * GIB + 1, False, FAIL),
    ],
)
def test_a_small_host_has_nothing_to_set_aside(total, armed, expected):
    """Below 2 GiB a crash kernel would take a tenth of memory or more; armed anyway it passes."""
    facts = memory(healthy(crash_kernel_loaded=armed), mem_total_bytes=int(total))
    assert state(ARMED, facts) is expected


def test_firmware_assisted_dumps_are_not_kexec():
    """On POWER with fadump no crash kernel is loaded, and none is missing."""
    facts = healthy(crash_kernel_loaded=False, cmdline="root=/dev/sda1 fadump=on")
    assert state(ARMED, facts) is UNKNOWN


@pytest.mark.parametrize("baseline", ["stig", "xccdf_org.ssgproject.content_profile_ospp", "HIPAA"])
def test_kdump_against_a_baseline_names_it(baseline):
    """A shop that must keep kdump off is shown the third way, not how to fail its own audit."""
    told = found(ARMED, seed_like(), baseline=baseline)
    assert "orders it off" in told.text
    assert "exception" in told.remedy
    assert "owner" in told.remedy
    assert "systemctl enable" not in told.remedy
    assert found(ARMED, seed_like(baseline=baseline)).text == told.text


def test_kdump_under_cis_is_as_usual():
    """CIS says nothing about kdump."""
    told = found(ARMED, seed_like(), baseline="cis_server_l1")
    assert "orders" not in told.text
    assert "systemctl enable --now kdump" in told.remedy


@pytest.mark.parametrize(
    ("version", "expected", "never"),
    [
        ("6.10", "chkconfig kdump on", "systemctl"),
        ("7.6", "yum install kexec-tools, grubby", "chkconfig"),
        ("8.10", "dnf install kexec-tools, grubby", "reset-crashkernel"),
        ("9.4", "kdumpctl reset-crashkernel", "grubby"),
    ],
)
def test_kdump_remedy_names_commands_that_the_release_has(version, expected, never):
    """Enterprise Linux 7 has no dnf, and nothing before 9 has `kdumpctl reset-crashkernel`."""
    facts = seed_like(os_version_id=version, crash_kernel_bytes=0)
    remedy = found(ARMED, facts).remedy
    assert expected in remedy
    assert never not in remedy


def test_kdump_remedy_fits_the_system():
    """Debian's package is another, and memory that is set aside already needs the service alone."""
    debian = found(ARMED, healthy(crash_kernel_loaded=False, crash_kernel_bytes=0))
    assert "apt install kdump-tools" in debian.remedy
    ubuntu = replace(healthy(crash_kernel_loaded=False, crash_kernel_bytes=0), os_id="ubuntu")
    assert "apt install kdump-tools" in found(ARMED, ubuntu).remedy
    reserved = found(ARMED, rhel(crash_kernel_loaded=False, crash_kernel_bytes=256 * MIB))
    assert reserved.remedy.endswith("systemctl enable --now kdump")
    for name in ("sles", "sles_sap", "opensuse-leap"):
        suse = rhel(version="15.5", crash_kernel_loaded=False, crash_kernel_bytes=0)
        suse = replace(suse, os_id=name, os_name="SUSE Linux")
        assert "zypper install kdump" in found(ARMED, suse).remedy
    other = rhel(version="8", crash_kernel_loaded=False, crash_kernel_bytes=0)
    other = replace(other, os_id="fedora", os_name="Fedora Linux")
    assert "kdumpctl reset-crashkernel" in found(ARMED, other).remedy


def test_kdump_not_armed_where_little_else_was_read():
    """Neither the command line nor the version is needed; on a small host there is no finding."""
    facts = rhel(crash_kernel_loaded=False, crash_kernel_bytes=0, cmdline=None)
    assert state(ARMED, replace(facts, os_version_id=None)) is FAIL
    assert state(ARMED, memory(facts, mem_total_bytes=None)) is UNKNOWN


@pytest.mark.parametrize(
    ("version", "machine", "total", "reserved", "expected"),
    [
        ("7.9", "x86_64", 32 * GIB, 162 * MIB, PASS),
        ("7.9", "x86_64", 32 * GIB, 128 * MIB, FAIL),
        ("7.9", "x86_64", 2048 * GIB, 256 * MIB, FAIL),
        ("7.9", "x86_64", 2048 * GIB, 288 * MIB, PASS),
        ("8.10", "x86_64", 2 * GIB, 192 * MIB, PASS),
        ("8.10", "x86_64", 4 * GIB - 4096, 192 * MIB, PASS),
        ("8.10", "x86_64", 4 * GIB, 192 * MIB, FAIL),
        ("8.10", "x86_64", 4 * GIB, 256 * MIB, PASS),
        ("8.10", "x86_64", 64 * GIB - 4096, 256 * MIB, PASS),
        ("8.10", "x86_64", 64 * GIB, 256 * MIB, FAIL),
        ("8.10", "x86_64", 64 * GIB, 512 * MIB, PASS),
        ("8.10", "aarch64", 16 * GIB, 256 * MIB, FAIL),
        ("8.10", "aarch64", 16 * GIB, 480 * MIB, PASS),
        ("9.4", "aarch64", 16 * GIB, 320 * MIB, PASS),
        ("9.4", "aarch64", 16 * GIB, 256 * MIB, FAIL),
        ("9.4", "ppc64le", 32 * GIB, 512 * MIB, FAIL),
        ("9.4", "ppc64le", 32 * GIB, GIB, PASS),
        ("9.4", "s390x", 8 * GIB, 256 * MIB, PASS),
        ("10.0", "x86_64", 4 * GIB, 192 * MIB, FAIL),
        ("10.0", "x86_64", 4 * GIB, 256 * MIB, PASS),
        ("10.0", "x86_64", GIB, 128 * MIB, NOT_APPLICABLE),
        ("6.10", "x86_64", 8 * GIB, 128 * MIB, NOT_APPLICABLE),
        ("9.4", "riscv64", 8 * GIB, 128 * MIB, NOT_APPLICABLE),
        ("9.4", "x86_64", 8 * GIB, 0, NOT_APPLICABLE),
        ("rolling", "x86_64", 8 * GIB, 128 * MIB, NOT_APPLICABLE),
    ],
)
def test_crash_kernel_size(version, machine, total, reserved, expected):
    """Red Hat's tables on both sides of each step."""
    facts = memory(rhel(version, machine, crash_kernel_bytes=reserved), mem_total_bytes=total)
    assert state(SIZE, facts) is expected


def test_arm_with_large_pages_needs_more():
    """The 64 KiB kernel has its own column."""
    facts = memory(rhel(machine="aarch64", crash_kernel_bytes=320 * MIB), mem_total_bytes=16 * GIB)
    assert state(SIZE, facts) is PASS
    told = found(SIZE, replace(facts, page_bytes=65536))
    assert told.state is FAIL
    assert "420 MiB" in told.text


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("ro crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M quiet", PASS),
        ("ro crashkernel=1G-4G:192M,4G-64G:128M,64G-:512M", FAIL),
        ("ro crashkernel=1G", PASS),
        ("ro crashkernel=256M@16M", PASS),
        ("ro crashkernel=512M,high crashkernel=72M,low", PASS),
        ("ro crashkernel=128M", FAIL),
        ("ro crashkernel=auto", UNKNOWN),
        ("ro crashkernel=rubbish", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_crash_kernel_size_from_the_command_line(cmdline, expected):
    """Where kdump is armed the line is read as the kernel reads it, ranges and all.

    Else nobody knows whether the kernel found that much.
    """
    facts = rhel(cmdline=cmdline, crash_kernel_bytes=None, crash_kernel_loaded=True)
    assert state(SIZE, facts) is expected
    assert state(SIZE, replace(facts, crash_kernel_loaded=None)) is UNKNOWN


def test_a_line_that_asks_for_nothing_sets_nothing_aside():
    """Where nothing is armed either; else it is not known."""
    facts = rhel(cmdline="ro quiet", crash_kernel_bytes=None, crash_kernel_loaded=False)
    assert state(SIZE, facts) is NOT_APPLICABLE
    assert state(SIZE, replace(facts, crash_kernel_loaded=None)) is UNKNOWN


def test_nothing_set_aside_is_kdp_001s():
    """Whether or not the table knows the host."""
    for machine in ("x86_64", "riscv64"):
        told = found(SIZE, rhel(machine=machine, crash_kernel_bytes=0))
        assert told.text.startswith("No memory is set aside")
    asked = rhel(cmdline="ro", crash_kernel_bytes=None, crash_kernel_loaded=False)
    assert found(SIZE, asked).text.startswith("No memory is set aside")


def test_of_several_reservations_the_last_counts():
    """As the kernel has it, whatever is set aside for low memory beside it."""
    facts = rhel(crash_kernel_bytes=None, crash_kernel_loaded=True)
    last = "ro crashkernel=128M crashkernel=512M crashkernel=72M,low"
    assert state(SIZE, replace(facts, cmdline=last)) is PASS
    first = "ro crashkernel=512M crashkernel=128M"
    told = found(SIZE, replace(facts, cmdline=first))
    assert told.state is FAIL
    assert "crashkernel=256M" in told.remedy
    chosen = replace(facts, cmdline="ro crashkernel=auto crashkernel=128M", crash_kernel_bytes=MIB)
    assert state(SIZE, chosen) is FAIL


def test_crash_kernel_size_where_little_else_was_read():
    """The kernel's release is not needed; the size of memory is, and who chose what is reserved."""
    facts = replace(rhel(crash_kernel_bytes=MIB), kernel_release=None)
    assert state(SIZE, facts) is FAIL
    assert state(SIZE, replace(facts, cmdline=None)) is UNKNOWN
    assert state(SIZE, memory(facts, mem_total_bytes=None)) is UNKNOWN


def test_an_armed_kdump_contradicts_a_line_without_memory_for_it():
    """Something set memory aside, and how much was not read."""
    facts = rhel(cmdline="ro quiet", crash_kernel_bytes=None, crash_kernel_loaded=True)
    assert state(SIZE, facts) is UNKNOWN


def test_auto_is_the_kernels_own_choice():
    """RHEL 8.0 set 160 MiB aside by itself; a later table is no reason to accuse it."""
    facts = rhel("8.0", crash_kernel_bytes=160 * MIB, cmdline="ro crashkernel=auto")
    assert state(SIZE, facts) is PASS
    assert state(SIZE, replace(facts, cmdline="ro crashkernel=160M")) is FAIL


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (healthy(crash_kernel_bytes=128 * MIB), NOT_APPLICABLE),
        (replace(rhel(crash_kernel_bytes=MIB), container="podman"), NOT_APPLICABLE),
        (replace(rhel(crash_kernel_bytes=MIB), os_id=None), UNKNOWN),
        (replace(rhel(crash_kernel_bytes=MIB), os_version_id=None), UNKNOWN),
        (replace(rhel(crash_kernel_bytes=MIB), machine=None), UNKNOWN),
        (
            replace(rhel(crash_kernel_bytes=MIB), kernel_release="5.15.0-200.131.27.el9uek.x86_64"),
            NOT_APPLICABLE,
        ),
    ],
)
def test_crash_kernel_size_is_red_hats(facts, expected):
    """Not Debian's, not UEK's, not a container's; without system or version unknown."""
    assert state(SIZE, facts) is expected


@pytest.mark.parametrize(
    ("os_id", "command"),
    [("debian", "kdump-config test"), ("fedora", "kdumpctl estimate"), ("arch", "a test dump")],
)
def test_what_tells_the_need_elsewhere(os_id, command):
    """A command that the system has."""
    assert command in found(SIZE, healthy(os_id=os_id)).text


def test_the_kernel_of_wsl_is_windows():
    """There is no kdump to arm, and no distribution's kernel to boot."""
    bare = healthy(crash_kernel_loaded=False, kernel_release="5.15.167.4-microsoft-standard-WSL2")
    assert state(ARMED, bare) is NOT_APPLICABLE


def dumping(free=None, **kdump):
    """A host of 16 GiB that dumps into /var/crash on its root file system."""
    settings = {"path": "/var/crash", "filtered": True, **kdump}
    return healthy(
        kdump=KdumpFacts(**settings),
        mounts=(
            MountFacts(device="/dev/sda1", path="/", kind="xfs", free_bytes=free),
            MountFacts(device="/dev/sda3", path="/boot", kind="xfs", free_bytes=GIB),
        ),
    )


@pytest.mark.parametrize(
    ("free", "filtered", "expected"),
    [
        (16 * GIB, False, PASS),
        (16 * GIB - 1, False, FAIL),
        (5 * GIB, False, FAIL),
        (5 * GIB, True, PASS),
        (4 * GIB, True, FAIL),
        (16 * GIB, None, PASS),
        (5 * GIB, None, UNKNOWN),
        (4 * GIB, None, FAIL),
        (None, True, UNKNOWN),
    ],
)
def test_room_for_the_dump(free, filtered, expected):
    """30 % of memory for a filtered dump, all of it for another; unread is unknown."""
    assert state(ROOM, dumping(free, filtered=filtered)) is expected


@pytest.mark.parametrize(
    ("filtered", "free", "expected"),
    [
        (True, 3 * GIB, PASS),
        (True, 3 * GIB - 1, FAIL),
        (None, 3 * GIB, UNKNOWN),
        (None, 3 * GIB - 1, FAIL),
        (False, 10 * GIB, PASS),
    ],
)
def test_room_to_the_byte(filtered, free, expected):
    """3 GiB for a host of 10."""
    facts = memory(dumping(free, filtered=filtered), mem_total_bytes=10 * GIB)
    assert state(ROOM, facts) is expected


@pytest.mark.parametrize(
    ("free", "expected"), [(600 * GIB, PASS), (187 * GIB, PASS), (186 * GIB, FAIL)]
)
def test_room_on_a_host_of_terabytes(free, expected):
    """Of 6 TiB a filtered dump keeps 2 % and 64 GiB, far from a third."""
    facts = memory(dumping(free), mem_total_bytes=6 * 1024 * GIB)
    assert state(ROOM, facts) is expected


def test_room_where_no_path_is_said():
    """kdump's own default is /var/crash."""
    facts = dumping(100 * GIB, path=None)
    own = MountFacts(device="/dev/sdb1", path="/var/crash", kind="xfs", free_bytes=GIB)
    assert state(ROOM, facts) is PASS
    assert "in /var/crash" in found(ROOM, replace(facts, mounts=(*facts.mounts, own))).text
    assert "in /var/crash is unknown" in found(ROOM, replace(facts, mounts=())).text


def test_why_a_target_is_unknown_is_said():
    """The reader's own reason, of the field that is missing."""
    facts = dumping(GIB)
    unseen = {"kdump": "needs root", "crash_kernel_loaded": "no sysfs"}
    denied = replace(facts, kdump=None, unseen=unseen)
    assert "needs root" in found(ROOM, denied).text
    assert "no sysfs" in found(ROOM, replace(denied, crash_kernel_loaded=None)).text


def test_an_unfiltered_dump_is_filtered_first():
    """Before a larger disk comes makedumpfile."""
    told = found(ROOM, dumping(5 * GIB, filtered=False))
    assert "may need 16 GiB" in told.text
    assert "makedumpfile -l --message-level 7 -d 31" in told.remedy


@pytest.mark.parametrize("target", ["ssh", "nfs", "raw", "ftp", "cifs"])
def test_room_elsewhere_cannot_be_seen(target):
    """What another host, or a raw device, has left is unknown from here."""
    told = found(ROOM, dumping(GIB, target=target, address="crash@dumps.example"))
    assert told.state is UNKNOWN
    assert f"to {target} crash@dumps.example; how much room is there cannot be seen" in told.text
    nameless = found(ROOM, dumping(GIB, target=target))
    assert f"to {target}; how much" in nameless.text


def test_a_dump_to_a_device_is_looked_for_there():
    """`xfs /dev/mapper/vg-crash` is that file system, by whichever name it is mounted."""
    facts = dumping(GIB, target="xfs", address="/dev/mapper/vg-crash")
    assert state(ROOM, facts) is UNKNOWN
    crash = MountFacts(device="/dev/dm-3", path="/crash", kind="xfs", free_bytes=20 * GIB)
    known = replace(
        facts,
        mounts=(*facts.mounts, crash),
        block_devices=(BlockDevice(name="dm-3", aliases=("/dev/mapper/vg-crash",)),),
    )
    assert state(ROOM, known) is PASS
    assert state(ROOM, replace(known, mounts=(*facts.mounts, replace(crash, free_bytes=1)))) is FAIL
    by_name = replace(known, mounts=(*facts.mounts, replace(crash, device="/dev/mapper/vg-crash")))
    assert state(ROOM, replace(by_name, block_devices=None)) is PASS
    assert "/var/crash on /dev/mapper/vg-crash is unknown" in found(ROOM, facts).text


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4", "xfs", "btrfs", "minix"])
def test_file_systems_that_kdump_mounts(kind):
    """All of kdump.conf's; what is on one is free space of this host."""
    crash = MountFacts(device="/dev/sdc1", path="/crash", kind=kind, free_bytes=20 * GIB)
    facts = dumping(GIB, target=kind, address="/dev/sdc1")
    assert state(ROOM, replace(facts, mounts=(*facts.mounts, crash))) is PASS


def test_a_path_of_the_sites_own():
    """Where the dump goes is read, not assumed."""
    other = MountFacts(device="/dev/sdb1", path="/srv", kind="xfs", free_bytes=GIB)
    facts = dumping(100 * GIB, path="/srv/dumps")
    told = found(ROOM, replace(facts, mounts=(*facts.mounts, other)))
    assert "1.0 GiB is free in /srv for a dump" in told.text
    assert told.observed[0].pointer == "/mounts/2/path"
    assert told.remedy == ROOM.remedy
    assert "in /srv/dumps is unknown" in found(ROOM, replace(facts, mounts=())).text


def test_what_a_dump_may_need():
    """Unfiltered all of memory; filtered, or not known to be either, the share."""
    assert "may need 16 GiB" in found(ROOM, dumping(4 * GIB, filtered=False)).text
    assert "may need 4.8 GiB" in found(ROOM, dumping(4 * GIB, filtered=None)).text
    assert "may need 4.8 GiB" in found(ROOM, dumping(4 * GIB, filtered=True)).text


def test_the_nearest_mount_holds_the_path():
    """/var/crash of its own, a remote one, and one that is memory itself."""
    own = MountFacts(device="/dev/sdb1", path="/var/crash", kind="xfs", free_bytes=GIB)
    facts = dumping(100 * GIB)
    assert state(ROOM, facts) is PASS
    assert state(ROOM, replace(facts, mounts=(*facts.mounts, own))) is FAIL
    remote = replace(own, kind="nfs4")
    assert state(ROOM, replace(facts, mounts=(*facts.mounts, remote))) is UNKNOWN
    for kind in ("tmpfs", "ramfs", "devtmpfs"):
        told = found(ROOM, replace(facts, mounts=(*facts.mounts, replace(own, kind=kind))))
        assert "gone after the reboot" in told.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"crash_kernel_loaded": False}, NOT_APPLICABLE),
        ({"container": "docker"}, NOT_APPLICABLE),
        ({"crash_kernel_loaded": None}, UNKNOWN),
        ({"kdump": None}, UNKNOWN),
        ({"mounts": None}, UNKNOWN),
    ],
)
def test_room_applies_where_a_dump_is_written(changes, expected):
    """No dump needs no room; settings or mounts unread are unknown."""
    assert state(ROOM, replace(dumping(GIB), **changes)) is expected
    assert state(ROOM, memory(dumping(GIB), mem_total_bytes=None)) is UNKNOWN


@pytest.mark.parametrize(
    ("baseline", "armed", "target", "expected"),
    [
        (None, False, None, NOT_APPLICABLE),
        ("cis", True, None, PASS),
        ("cis", False, None, PASS),
        ("anssi_bp28_intermediary", False, None, PASS),
        ("stig", False, None, FAIL),
        ("stig", True, None, FAIL),
        ("stig", True, "ssh", FAIL),
        ("stig", None, None, UNKNOWN),
        ("our own", False, None, UNKNOWN),
    ],
)
def test_conflict_with_the_baseline(baseline, armed, target, expected):
    """Whichever side won, the conflict is open until a waiver settles it."""
    kdump = KdumpFacts(target=target) if armed else None
    facts = healthy(crash_kernel_loaded=armed, kdump=kdump, baseline=baseline)
    told = found(CONFLICT, facts)
    assert told.state is expected
    if expected is FAIL:
        assert told.severity is Severity.LOW
        assert "waiver" in told.remedy


def test_the_third_way_wants_only_its_record():
    """Dumping over ssh under STIG is what the rule advises: what is left is to write it down."""
    facts = healthy(kdump=KdumpFacts(target="ssh"), baseline="stig")
    told = found(CONFLICT, facts)
    assert "the third way" in told.text
    assert told.remedy.startswith("record the exception")
    assert state(CONFLICT, replace(facts, container="podman")) is NOT_APPLICABLE
    assert "over sftp" in found(CONFLICT, replace(facts, kdump=KdumpFacts(target="sftp"))).text


def test_which_side_won_is_said():
    """Off as ordered; on, and where the secrets go; and a baseline that nobody here knows."""
    off = found(CONFLICT, healthy(crash_kernel_loaded=False, kdump=None, baseline="stig"))
    assert "and so it is: a panic here stays unexplained" in off.text
    for kdump, place in ((None, "a local file system"), (KdumpFacts(target="nfs"), "nfs")):
        told = found(CONFLICT, healthy(crash_kernel_loaded=True, kdump=kdump, baseline="stig"))
        assert f"it dumps to {place}, where" in told.text
    assert "the baseline our own orders" in found(CONFLICT, healthy(), baseline="our own").text
