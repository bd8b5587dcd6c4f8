"""File systems with their room, the disks below them, and the swap that a boot would turn on."""

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from forestall.model.facts import BlockDevice, MountFacts, SwapDevice
from forestall.sense import cgroup, configured, procfs
from forestall.sense.cgroup import Mount
from forestall.sense.host import Host, decode
from forestall.sense.notes import Notes
from forestall.units import KIB, MIB

MOUNT_LIMIT = 512
DEVICE_LIMIT = 256
VISIT_LIMIT = 4096
"""Steps from device to device below it, of all devices together: a recorded tree may loop."""
FSTAB_LIMIT = 1000
COMMAND_SECONDS = 2.0

SPACE = ("df", "-P", "-k")

PSEUDO_KINDS = frozenset(
    [
        "autofs",
        "binder",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "efivarfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "proc",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    ]
)
"""These hold no bytes of anybody's."""

LOCAL_KINDS = frozenset(
    [
        "bcachefs",
        "btrfs",
        "devtmpfs",
        "erofs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "iso9660",
        "jfs",
        "msdos",
        "nilfs2",
        "ntfs",
        "ntfs3",
        "overlay",
        "ramfs",
        "reiserfs",
        "squashfs",
        "tmpfs",
        "udf",
        "vfat",
        "xfs",
        "zfs",
    ]
)
"""These answer for their size without asking another machine, or a program, that may be gone."""

_BY = {
    "UUID": "by-uuid",
    "LABEL": "by-label",
    "PARTUUID": "by-partuuid",
    "PARTLABEL": "by-partlabel",
}


def mount_facts(host: Host, notes: Notes, mounts: Iterable[Mount]) -> tuple[MountFacts, ...]:
    """The file systems that can be seen, the last mounted of each place; at most MOUNT_LIMIT."""
    visible = {mount.point: mount for mount in mounts}
    kept = [mount for mount in visible.values() if _is_told(mount)]
    if len(kept) > MOUNT_LIMIT:
        notes.why("mounts", f"{len(kept)} file systems; only the first {MOUNT_LIMIT} are told")
        kept = kept[:MOUNT_LIMIT]
    sizes = _sizes(host, kept, visible)
    return tuple(
        MountFacts(
            device=mount.device,
            path=mount.point,
            kind=mount.kind,
            options=(*mount.flags, *sorted(mount.options - set(mount.flags))),
            size_bytes=sizes[mount.point][0] if mount.point in sizes else None,
            free_bytes=sizes[mount.point][1] if mount.point in sizes else None,
        )
        for mount in kept
    )


def _is_told(mount: Mount) -> bool:
    """A container's own root is told, the roots of containers that run here are not."""
    return mount.kind not in PSEUDO_KINDS and (mount.kind != "overlay" or mount.point == "/")


def _sizes(
    host: Host, kept: Sequence[Mount], visible: dict[str, Mount]
) -> dict[str, tuple[int, int]]:
    """(size, free) by place of the file systems that can be asked without waiting for others."""
    if not host.live:
        return parse_space(host.run_command(SPACE, COMMAND_SECONDS).stdout)
    found = {}
    remote = {point for point, mount in visible.items() if _is_remote(mount)}
    for mount in kept:
        # Even the way to a local file system leads through the ones above it.
        if mount.kind in LOCAL_KINDS and remote.isdisjoint(cgroup.ancestors(mount.point)):
            space = host.space(mount.point)
            if space is not None:
                found[mount.point] = space
    return found


def _is_remote(mount: Mount) -> bool:
    return mount.kind not in LOCAL_KINDS and mount.kind not in PSEUDO_KINDS - {"autofs"}


def parse_space(data: bytes) -> dict[str, tuple[int, int]]:
    """`df -P -k`: (size, free) in bytes by place. A line that is no file system is passed over.

    A device or a place may hold spaces, so the numbers are looked for from the percentage.
    """
    found = {}
    for line in decode(data).splitlines():
        before, percent, place = line.partition("% ")
        words = before.split()
        if not percent or len(words) < 5:
            continue
        try:
            size, free = procfs.whole_number(words[-4]), procfs.whole_number(words[-2])
        except ValueError:
            continue
        found[place.strip()] = (size * KIB, max(0, free) * KIB)
    return found


class Devices:
    """The block devices of one host by any of their names, asked for once each."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._mapped: dict[str, str] | None = None
        self._known: dict[str, str | None] = {}
        self._disks: dict[str, set[str]] = {}
        self._visits = 0

    def name_of(self, path: str, number: str = "") -> str | None:
        """`/dev/mapper/vg-swap` -> `dm-1`: its name in /sys/class/block; None if it is none."""
        if path not in self._known:
            self._known[path] = self._find(path, number)
        return self._known[path]

    def _find(self, path: str, number: str) -> str | None:
        if not path.startswith("/dev/"):
            return None
        rest = path[len("/dev/") :].replace("//", "/")
        # The kernel writes the `/` of cciss/c0d0 as `!`.
        plain = rest.replace("/", "!")
        if self._is_device(plain):
            return plain
        target = self._host.link("dev/" + rest)
        if target is not None and self._is_device(posixpath.basename(target)):
            return posixpath.basename(target)
        mapped = rest.removeprefix("mapper/")
        if "/" in mapped:
            # /dev/GROUP/VOLUME is /dev/mapper/GROUP-VOLUME, with a `-` of a name doubled.
            mapped = "-".join(part.replace("-", "--") for part in mapped.split("/"))
        if mapped in self.mapped():
            return self.mapped()[mapped]
        if number:
            target = self._host.link(f"sys/dev/block/{number}")
            if target is not None and self._is_device(posixpath.basename(target)):
                return posixpath.basename(target)
        return None

    def _is_device(self, name: str) -> bool:
        if not name or "/" in name or name in (".", ".."):
            return False
        where = f"sys/class/block/{name}"
        return self._host.exists(where) or self._host.link(where) is not None

    def mapped(self) -> dict[str, str]:
        """The device mapper's own names: `vg-swap` -> `dm-1`."""
        if self._mapped is None:
            self._mapped = {}
            for name in self._host.names("sys/class/block") or ():
                if name.startswith("dm-") and len(self._mapped) < DEVICE_LIMIT:
                    told = self._host.read_text(f"sys/class/block/{name}/dm/name", 256)
                    if told:
                        self._mapped[told] = name
        return self._mapped

    def disks(self, name: str) -> set[str]:
        """The whole disks below the device `name`, itself if it is one."""
        if name not in self._disks:
            self._disks[name] = self._find_disks(name)
        return self._disks[name]

    def _find_disks(self, name: str) -> set[str]:
        found: set[str] = set()
        known = {name}
        left = [name]
        while left and self._visits < VISIT_LIMIT:
            self._visits += 1
            device = left.pop()
            below = self._host.names(f"sys/class/block/{device}/slaves", DEVICE_LIMIT) or []
            disk = None if below else self._disk_of_partition(device)
            if not below and disk is None:
                found.add(device)
            left += [one for one in [*below, *([disk] if disk else [])] if one not in known]
            known.update(left)
        return found

    def _disk_of_partition(self, name: str) -> str | None:
        """The disk that the partition `name` is a part of; None for what is no partition."""
        if not self._host.exists(f"sys/class/block/{name}/partition"):
            return None
        # .../block/sda/sda1: the folder of a partition lies in its disk's.
        target = self._host.link(f"sys/class/block/{name}") or ""
        disk = posixpath.basename(posixpath.dirname(target))
        if disk and self._is_device(disk):
            return disk
        disk = name.rstrip("0123456789")
        if disk[-2:-1].isdigit() and disk.endswith("p"):
            disk = disk[:-1]
        return disk if disk != name and self._is_device(disk) else None

    def facts(self, name: str) -> BlockDevice:
        """One device. Whether it rotates is its disks' answer where it has none of its own."""
        disks = tuple(sorted(self.disks(name)))
        told = {self._rotational(disk) for disk in disks or (name,)}
        mapper = [f"/dev/mapper/{told}" for told, dm in self.mapped().items() if dm == name]
        aliases = {path for path, known in self._known.items() if known == name} | set(mapper)
        return BlockDevice(
            name=name,
            disks=disks,
            rotational=True if True in told else (None if None in told else False),
            aliases=tuple(sorted(aliases - {f"/dev/{name}"})),
        )

    def _rotational(self, name: str) -> bool | None:
        number = procfs.read_number(self._host, f"sys/class/block/{name}/queue/rotational")
        return None if number is None else number != 0


def read_devices(
    host: Host,
    notes: Notes,
    mounts: Iterable[MountFacts] | None,
    swaps: Iterable[SwapDevice] | None,
    devices: Devices,
) -> tuple[BlockDevice, ...] | None:
    """The block devices that carry a file system or swap, and the disks below them."""
    if host.names("sys/class/block", 1) is None:
        notes.why("block_devices", "sys/class/block cannot be read")
        return None
    paths = dict.fromkeys(
        [*(mount.device for mount in mounts or ()), *(swap.name for swap in swaps or ())]
    )
    used = [name for path in paths if (name := devices.name_of(path)) is not None]
    names = dict.fromkeys(used)
    for name in used:
        if len(names) > DEVICE_LIMIT:
            notes.why("block_devices", f"more than {DEVICE_LIMIT} block devices are in use")
            break
        names.update(dict.fromkeys(devices.disks(name)))
    return tuple(devices.facts(name) for name in sorted(names)[:DEVICE_LIMIT])


def read_fstab_swaps(
    host: Host, notes: Notes, devices: Devices, mem_total_bytes: int | None
) -> tuple[str, ...] | None:
    """What a boot would swap to: /etc/fstab, the swap units of the site, the zram generator.

    A device is told as proc/swaps does (`/dev/dm-1`); one that cannot be found stays as written.
    """
    data = host.read_bytes("etc/fstab")
    if data is None:
        denied = host.was_denied("etc/fstab")
        notes.why("fstab_swaps", "etc/fstab " + ("needs root" if denied else "is not there"))
        return None
    written = [*parse_fstab_swaps(data), *_units(host)]
    found = [_resolved(host, notes, devices, spec) for spec in written]
    found += [f"/dev/{name}" for name in _zram(host, notes, mem_total_bytes)]
    return tuple(dict.fromkeys(found))


def parse_fstab_swaps(data: bytes) -> Iterator[str]:
    """The first word of each line of fstab(5) of type swap, unless it is `noauto`."""
    for line in decode(data).splitlines()[:FSTAB_LIMIT]:
        words = line.split()
        if len(words) < 3 or words[0].startswith("#") or words[2] != "swap":
            continue
        if len(words) < 4 or "noauto" not in words[3].split(","):
            yield words[0].replace("\\040", " ").strip('"')


def _units(host: Host) -> Iterator[str]:
    """What= of the enabled *.swap units below /etc/systemd/system."""
    folder = "etc/systemd/system"
    names = host.names(folder) or []
    wanted = {
        name
        for target in names
        if target.endswith((".wants", ".requires"))
        for name in host.names(f"{folder}/{target}", FSTAB_LIMIT) or ()
        if name.endswith(".swap")
    }
    for name in sorted(wanted)[:FSTAB_LIMIT]:
        settings = configured.parse(host.read_bytes(f"{folder}/{name}") or b"")
        what = settings.get("Swap.What")
        if what:
            yield what


def _resolved(host: Host, notes: Notes, devices: Devices, spec: str) -> str:
    tag, equals, value = spec.partition("=")
    path = spec
    if equals and tag in _BY:
        value = value.strip('"')
        link = f"dev/disk/{_BY[tag]}/{_escaped(value)}"
        target = host.link(link)
        if target is None:
            if host.names("dev/disk", 1) is None:
                notes.why("fstab_swaps", f"{spec}: dev/disk does not say which device that is")
            return spec
        path = "/dev/" + posixpath.basename(target)
    name = devices.name_of(path)
    return path if name is None else f"/dev/{name}"


def _escaped(label: str) -> str:
    """udev writes a space of a label as \\x20."""
    return label.replace("\\040", " ").replace(" ", "\\x20").replace("/", "\\x2f")


def _zram(host: Host, notes: Notes, mem_total_bytes: int | None) -> Iterator[str]:
    """The devices of zram-generator.conf, but for those that this host is too large for."""
    settings = configured.read(host, notes, "fstab_swaps", "zram-generator.conf")
    if settings is None:
        return
    for section in dict.fromkeys(key.partition(".")[0] for key in settings):
        if not section.startswith("zram") or settings.get(f"{section}.zram-size") == "0":
            continue
        limit = settings.get(f"{section}.host-memory-limit", "none")
        too_large = limit.isascii() and limit.isdigit() and len(limit) < 10
        if too_large and mem_total_bytes is not None and mem_total_bytes > int(limit) * MIB:
            continue
        if settings.get(f"{section}.mount-point"):
            # Not swap, but a file system.
            continue
        yield section
