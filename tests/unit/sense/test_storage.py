"""File systems, disks below them, and what a boot would swap to."""

import os

import pytest
from tests.fakes.host import GIB, KIB, FakeHost

from forestall.model.facts import BlockDevice, MountFacts, SwapDevice
from forestall.sense import storage
from forestall.sense.cgroup import read_mounts
from forestall.sense.host import CommandResult, Host
from forestall.sense.notes import Notes
from forestall.sense.recording import RecordedHost, Recording
from forestall.sense.storage import Devices

MOUNTS = (
    "40 0 253:0 / / rw,relatime shared:1 - xfs /dev/mapper/vg-root rw,attr2\n"
    "41 40 0:20 / /proc rw - proc proc rw\n"
    "42 40 0:30 / /run rw,nosuid - tmpfs tmpfs rw,size=1024k\n"
    "43 40 8:1 / /data rw,dax - ext4 /dev/sdb1 rw\n"
    "44 40 0:50 / /net rw - nfs4 store:/export rw,addr=10.0.0.1\n"
    "45 40 0:51 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=a\n"
)


def _notes():
    return Notes({}, {})


def _mounts(host, notes):
    return storage.mount_facts(host, notes, read_mounts(host))


def test_file_systems_without_pseudo_ones_and_containers_roots(tmp_path):
    """What holds bytes is told, with the options of the mount and of the file system."""
    fake = FakeHost(tmp_path).write("proc/self/mountinfo", MOUNTS)
    fake.command(
        "df -P",
        "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
        "/dev/mapper/vg-root 1000 400 600 40% /\n/dev/sdb1 10 20 -10 200% /data\n"
        "my share 10 5 5 50% /mnt/with space\ndf: /gone: Stale file handle\n",
    )
    found = _mounts(fake.host(), _notes())
    assert [mount.path for mount in found] == ["/", "/run", "/data", "/net"]
    assert found[0] == MountFacts(
        device="/dev/mapper/vg-root",
        path="/",
        kind="xfs",
        options=("rw", "relatime", "attr2"),
        size_bytes=1000 * KIB,
        free_bytes=600 * KIB,
    )
    assert "size=1024k" in found[1].options
    assert "dax" in found[2].options
    assert found[2].free_bytes == 0
    assert (found[3].size_bytes, found[3].free_bytes) == (None, None)


def test_df_with_spaces_in_names():
    """The numbers are found from the percentage, whatever stands around them."""
    found = storage.parse_space(b"my share 10 5 4 56% /mnt/with space\n")
    assert found == {"/mnt/with space": (10 * KIB, 4 * KIB)}


class _Live(Host):
    """A live host with these mounts, which counts what it is asked the room of."""

    def __init__(self, folder):
        super().__init__(str(folder / "proc"), root=str(folder))
        self.live = True
        self.asked = []

    def space(self, path):
        self.asked.append(path)
        return (10, 5)


def test_no_remote_file_system_is_waited_for(tmp_path):
    """A dead server hangs whoever asks, also on the way to a local mount below it."""
    FakeHost(tmp_path).write(
        "proc/self/mountinfo",
        MOUNTS
        + "46 44 8:2 / /net/local rw - xfs /dev/sdc1 rw\n"
        + "47 40 0:60 / /auto rw - autofs auto.master rw\n"
        + "48 47 8:3 / /auto/x rw - ext4 /dev/sdd1 rw\n"
        + "49 40 0:61 / /fuse rw - fuse.sshfs u@h:/ rw\n",
    )
    host = _Live(tmp_path)
    found = {mount.path: mount for mount in _mounts(host, _notes())}
    assert host.asked == ["/", "/run", "/data"]
    assert found["/net/local"].size_bytes is None
    assert found["/"].size_bytes == 10


def test_the_room_of_this_machines_root():
    """On a live host the kernel answers; it agrees with what the system call says."""
    size_bytes, free_bytes = Host().space("/")
    told = os.statvfs("/")
    assert size_bytes == told.f_blocks * told.f_frsize
    assert 0 <= free_bytes <= size_bytes
    assert Host().space("/no/such/place") is None


def test_a_mount_hides_the_one_below_it(tmp_path):
    """Of two mounts in one place the later is what is seen."""
    fake = FakeHost(tmp_path).write(
        "proc/self/mountinfo",
        "1 0 8:1 / /a rw - ext4 /dev/sda1 rw\n2 1 8:2 / /a rw - xfs /dev/sda2 rw\n",
    )
    (mount,) = _mounts(fake.host(), _notes())
    assert mount.device == "/dev/sda2"


def test_very_many_mounts_are_cut_and_said(tmp_path):
    """A host with a mount per container does not make the facts large without bound."""
    lines = [f"{n} 0 8:1 / /m{n} rw - ext4 /dev/sda1 rw\n" for n in range(700)]
    fake = FakeHost(tmp_path).write("proc/self/mountinfo", "".join(lines))
    notes = _notes()
    assert len(_mounts(fake.host(), notes)) == storage.MOUNT_LIMIT
    assert "700 file systems" in notes.unseen["mounts"]


def _lvm_over_raid(tmp_path):
    """vg-root on md0 of two disks' partitions, vg-swap on one of them, an SSD beside."""
    fake = FakeHost(tmp_path)
    block = "sys/class/block"
    for disk, rotational in (("sda", 1), ("sdb", 1), ("nvme0n1", 0)):
        fake.write(f"{block}/{disk}/queue/rotational", f"{rotational}\n")
    for part in ("sda1", "sda2", "sdb1", "nvme0n1p1"):
        fake.write(f"{block}/{part}/partition", "1\n")
    fake.write(f"{block}/md0/slaves/sda1", "").write(f"{block}/md0/slaves/sdb1", "")
    fake.write(f"{block}/dm-0/slaves/md0", "").write(f"{block}/dm-0/dm/name", "vg-root\n")
    fake.write(f"{block}/dm-1/slaves/sda2", "").write(f"{block}/dm-1/dm/name", "vg-my--swap\n")
    return fake


@pytest.mark.parametrize(
    ("path", "name", "disks", "rotational"),
    [
        ("/dev/mapper/vg-root", "dm-0", ("sda", "sdb"), True),
        ("/dev/vg/my-swap", "dm-1", ("sda",), True),
        ("/dev/dm-1", "dm-1", ("sda",), True),
        ("/dev/md0", "md0", ("sda", "sdb"), True),
        ("/dev/nvme0n1p1", "nvme0n1p1", ("nvme0n1",), False),
        ("/dev/sda", "sda", ("sda",), True),
    ],
)
def test_the_disks_below_a_device(tmp_path, path, name, disks, rotational):
    """Through the device mapper, RAID and partitions, by any of a device's names."""
    devices = Devices(_lvm_over_raid(tmp_path).host())
    assert devices.name_of(path) == name
    found = devices.facts(name)
    assert (found.disks, found.rotational) == (disks, rotational)
    assert found.answers_to(path)


def test_what_is_no_device_has_no_name(tmp_path):
    """A remote share, a file and a way out of the folder are none."""
    devices = Devices(_lvm_over_raid(tmp_path).host())
    for path in ("tmpfs", "store:/export", "/swapfile", "/dev/..", "/dev/", "/dev/../etc/passwd"):
        assert devices.name_of(path) is None


def test_only_devices_in_use_and_their_disks_are_told(tmp_path):
    """A host with a thousand disks shows those that carry a file system or swap."""
    fake = _lvm_over_raid(tmp_path)
    mounts = (MountFacts(device="/dev/mapper/vg-root", path="/", kind="xfs"),)
    swaps = (SwapDevice(name="/dev/dm-1", kind="partition", size_bytes=GIB, used_bytes=0),)
    host = fake.host()
    found = storage.read_devices(host, _notes(), mounts, swaps, Devices(host))
    assert [device.name for device in found] == ["dm-0", "dm-1", "sda", "sdb"]
    assert found[2] == BlockDevice(name="sda", disks=("sda",), rotational=True)


def test_devices_that_stand_on_each_other_end():
    """Of a tree that was made to loop each device is visited once."""
    names = [f"dm-{number}" for number in range(200)]
    files = {f"sys/class/block/{name}/slaves/{below}": b"" for name in names for below in names}
    host = RecordedHost(Recording(files=files))
    assert Devices(host).disks("dm-0") == set()
    files["sys/class/block/dm-7/slaves/sda"] = b""
    host = RecordedHost(Recording(files=files))
    assert Devices(host).disks("dm-0") == {"sda"}


def _fstab(fake, notes=None, total=None):
    host = fake.host()
    return storage.read_fstab_swaps(host, notes or _notes(), Devices(host), total)


def test_swap_of_fstab_as_proc_swaps_names_it(tmp_path):
    """By path, UUID and label; noauto is not turned on, another type is no swap."""
    fake = _lvm_over_raid(tmp_path).write(
        "etc/fstab",
        "# comment swap swap\n/dev/mapper/vg-my--swap none swap sw 0 0\n"
        "UUID=aaaa-1 none swap defaults 0 0\nLABEL=my\\040swap none swap defaults 0 0\n"
        "/swapfile none swap sw,noauto 0 0\n/other/file swap swap\n/dev/sda1 / ext4 defaults 0 1\n",
    )
    for by, name, target in (("uuid", "aaaa-1", "sdb1"), ("label", "my\\x20swap", "nvme0n1p1")):
        (tmp_path / f"dev/disk/by-{by}").mkdir(parents=True)
        os.symlink(f"../../{target}", tmp_path / f"dev/disk/by-{by}" / name)
    (tmp_path / "sys/class/block/sdb1").mkdir(exist_ok=True)
    notes = _notes()
    assert _fstab(fake, notes) == ("/dev/dm-1", "/dev/sdb1", "/dev/nvme0n1p1", "/other/file")
    assert notes.unseen == {}


def test_a_uuid_that_cannot_be_followed_stays_as_written(tmp_path):
    """Where no links were recorded, nobody can say which device that is."""
    fake, notes = FakeHost(tmp_path), _notes()
    fake.write("etc/fstab", "UUID=aaaa-1 none swap defaults 0 0\n")
    assert _fstab(fake, notes) == ("UUID=aaaa-1",)
    assert "UUID=aaaa-1" in notes.unseen["fstab_swaps"]


def test_swap_units_count_when_they_are_enabled(tmp_path):
    """A unit that nothing wants is not started."""
    fake = FakeHost(tmp_path).write("etc/fstab", "")
    fake.write("etc/systemd/system/swapfile.swap", "[Swap]\nWhat=/swapfile\n")
    assert _fstab(fake) == ()
    fake.write("etc/systemd/system/swap.target.wants/swapfile.swap", "")
    assert _fstab(fake) == ("/swapfile",)


def test_zram_of_the_generator(tmp_path):
    """Not on a host that is too large for it, not of size nought, not with a file system on it."""
    fake = FakeHost(tmp_path).write("etc/fstab", "")
    fake.write("usr/lib/systemd/zram-generator.conf", "[zram0]\nzram-size = min(ram, 8192)\n")
    assert _fstab(fake) == ("/dev/zram0",)
    fake.write("etc/systemd/zram-generator.conf.d/a.conf", "[zram0]\nhost-memory-limit = 4096\n")
    assert _fstab(fake, total=16 * GIB) == ()
    assert _fstab(fake, total=2 * GIB) == ("/dev/zram0",)
    fake.write("etc/systemd/zram-generator.conf", "[zram0]\nzram-size = 0\n")
    assert _fstab(fake) == ()


def test_no_fstab_is_unknown(tmp_path):
    """A file that is not there says nothing about swap."""
    notes = _notes()
    assert _fstab(FakeHost(tmp_path), notes) is None
    assert "etc/fstab" in notes.unseen["fstab_swaps"]


def test_an_unanswered_df_leaves_sizes_open(tmp_path):
    """A recording without `df` still tells what is mounted."""
    fake = FakeHost(tmp_path).write("proc/self/mountinfo", MOUNTS)
    fake.commands["df -P"] = CommandResult(None, b"", "df was not recorded")
    assert all(m.size_bytes is None for m in _mounts(fake.host(), _notes()))
