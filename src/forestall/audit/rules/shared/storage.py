"""Which file system holds a path and which disks lie under it, from facts alone."""

from forestall.model.facts import BlockDevice, HostFacts, MountFacts

IN_MEMORY = frozenset(("tmpfs", "ramfs", "devtmpfs"))
REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.sshfs", "9p"))


def mount_of(facts: HostFacts, path: str) -> tuple[int, MountFacts] | None:
    """The file system that holds `path`, and its index in `facts.mounts`; None = none is told.

    Of several mounts on the same place the last one is seen.
    """
    best, best_length = None, -1
    for index, mount in enumerate(facts.mounts or ()):
        root = mount.path.rstrip("/")
        inside = path == mount.path or path.startswith(root + "/")
        if inside and len(root) >= best_length:
            best, best_length = (index, mount), len(root)
    return best


def device_of(facts: HostFacts, path: str) -> BlockDevice | None:
    """The block device at a path such as /dev/dm-1 or /dev/mapper/vg-swap."""
    for device in facts.block_devices or ():
        if device.answers_to(path):
            return device
    return None


def disks_of_file(facts: HostFacts, path: str) -> frozenset[str] | None:
    """The whole disks under the file system that holds `path`; None where they are not told."""
    found = mount_of(facts, path)
    return None if found is None else disks_of_device(facts, found[1].device)


def disks_of_device(facts: HostFacts, path: str) -> frozenset[str] | None:
    """The whole disks under a block device; None where they are not told."""
    device = device_of(facts, path)
    return frozenset(device.disks) if device is not None and device.disks else None


def is_remote(mount: MountFacts) -> bool:
    """Whether the file system is another host's."""
    return mount.kind in REMOTE
