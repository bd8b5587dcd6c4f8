"""Which file system holds a path, and which disks lie under it."""

import pytest
from tests.fakes.facts import healthy

from forestall.audit.rules.shared.storage import (
    device_of,
    disks_of_device,
    disks_of_file,
    is_remote,
    mount_of,
)
from forestall.model.facts import BlockDevice, MountFacts


def mounted(*places):
    """A host with these (path, device) mounts."""
    return healthy(
        mounts=tuple(MountFacts(device=device, path=path, kind="xfs") for path, device in places),
        block_devices=(
            BlockDevice(name="dm-0", disks=("sda", "sdb"), aliases=("/dev/mapper/vg-root",)),
            BlockDevice(name="sdc1", disks=("sdc",)),
            BlockDevice(name="loop0"),
        ),
    )


FACTS = mounted(("/", "/dev/mapper/vg-root"), ("/var", "/dev/sdc1"), ("/variant", "/dev/loop0"))


@pytest.mark.parametrize(
    ("path", "index"),
    [("/", 0), ("/etc", 0), ("/var", 1), ("/var/lib/pgsql", 1), ("/variant/x", 2), ("/vari", 0)],
)
def test_longest_mount_holds_a_path(path, index):
    """By whole names: /variant is not in /var."""
    found = mount_of(FACTS, path)
    assert found == (None if index is None else (index, FACTS.mounts[index]))


def test_the_last_of_several_mounts_is_seen():
    """A file system mounted over another hides it."""
    assert mount_of(mounted(("/", "/dev/sda"), ("/", "/dev/sdb")), "/x")[0] == 1


def test_nothing_told_is_nothing_known():
    """No mounts, no such mount, a relative path, an unknown device, a device without disks."""
    assert mount_of(healthy(mounts=None), "/") is None
    assert mount_of(mounted(("/var", "/dev/sdc1")), "/etc") is None
    assert mount_of(FACTS, "relative") is None
    assert disks_of_file(mounted(("/", "/dev/nowhere")), "/x") is None
    assert disks_of_file(healthy(mounts=None), "/x") is None
    assert disks_of_device(FACTS, "/dev/loop0") is None


def test_disks_under_a_mirror():
    """A volume on two disks is on both, by either of its names."""
    assert disks_of_file(FACTS, "/etc/fstab") == {"sda", "sdb"}
    assert disks_of_device(FACTS, "/dev/dm-0") == {"sda", "sdb"}
    assert device_of(FACTS, "/dev/dm-0") is device_of(FACTS, "/dev/mapper/vg-root")


def test_remote():
    """NFS is another host's; XFS is this one's."""
    assert is_remote(MountFacts(device="nas:/x", path="/x", kind="nfs4"))
    assert not is_remote(MountFacts(device="/dev/sda", path="/x", kind="xfs"))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *((kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "9p")),
        ("fuse.sshfs", True),
        ("xfs", False),
        ("fuse", False),
    ],
)
def test_file_systems_of_another_host(kind, expected):
    """Their free space is not this host's, nor their disks."""
    assert is_remote(MountFacts(device="x", path="/x", kind=kind)) is expected
