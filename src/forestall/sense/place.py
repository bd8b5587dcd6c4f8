"""Whether this is a container or a virtual machine, from the signs that each of them leaves."""

import re

from forestall.errors import InputError
from forestall.sense import cgroup, procfs
from forestall.sense.host import Host
from forestall.sense.notes import Notes

_CGROUP_SIGNS = (
    ("kubepods", "kubernetes"),
    ("libpod", "podman"),
    ("docker", "docker"),
    ("crio", "cri-o"),
    ("containerd", "containerd"),
    ("lxc", "lxc"),
    ("garden", "garden"),
)

_VENDORS = (
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("Amazon EC2", "amazon ec2"),
    ("Google", "google compute engine"),
    ("DigitalOcean", "digitalocean"),
    ("OpenStack", "openstack"),
    ("Hetzner", "hetzner cloud"),
    ("Nutanix", "nutanix"),
    ("Red Hat", "kvm"),
)

FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h, a number that is part of its ABI."""

_MARKS = {"run/.containerenv": "podman", ".dockerenv": "docker"}

_OVERLAYS = ("overlay", "aufs", "fuse-overlayfs", "vfs")


def container(host: Host, notes: Notes) -> str | None:
    """What kind of container this is, by its usual name; None where there is no sign of one.

    A virtual machine made from a container's image keeps the image's /.dockerenv; a container
    that shares the host's processes is in the first pid namespace. So it takes both, that
    namespace and a root that is no image's overlay, to call this a machine against such a sign;
    and half a recording without any sign and without its root can be either.
    """
    if host.exists("run/secrets/kubernetes.io"):
        return "kubernetes"
    told = host.read_text("run/systemd/container", 256) or _told_to_init(host)
    by_cgroup = _by_cgroup(host)
    if by_cgroup == "kubernetes":
        return by_cgroup
    if told:
        return told
    if host.exists("proc/vz") and not host.exists("proc/bc"):
        return "openvz"
    first, image = _is_first_namespace(host), _is_an_image(host)
    if first and image is False:
        return None
    file = next((path for path in _MARKS if host.exists(path)), None)
    if file is None and by_cgroup is None:
        machine = image is False or (host.complete and (first or image is None))
        if not machine:
            notes.why("container", "nothing here tells a container's root from a machine's")
        return None
    if file is not None and None in (first, image) and not image and first is not False:
        notes.why("container", f"{file} is there, and a machine made from an image has it too")
        return None
    return _MARKS[file] if file is not None else by_cgroup


def _told_to_init(host: Host) -> str | None:
    """The `container=` that a container's manager gives to its first process; needs root."""
    for word in procfs.read_environ(host, 1) or ():
        name, _, value = word.partition("=")
        if name == "container" and value:
            return value
    return None


def is_contained(host: Host, pid: int) -> bool:
    """Whether the cgroup of a process is one that a container's manager made."""
    return _by_cgroup(host, pid) is not None


def _by_cgroup(host: Host, pid: int = 1) -> str | None:
    """The name of a container's manager in the cgroup path of a process, the first if not said."""
    try:
        paths = procfs.read_cgroup(host, pid)
    except InputError:
        return None
    parts = {
        part
        for path in paths.values()
        for part in path.lower().split("/")
        # A service that runs containers (docker.service) is not inside one.
        if not part.endswith(".service")
    }
    for sign, name in _CGROUP_SIGNS:
        if any(part.startswith(sign) for part in parts):
            return name
    return None


def _is_first_namespace(host: Host) -> bool | None:
    """Whether this is the first pid namespace; None where half a recording does not tell.

    It is known by its number, or by the kernel threads that only it shows.
    """
    told = host.link("proc/self/ns/pid")
    second = host.read_text("proc/2/comm", 64)
    if told == FIRST_PID_NAMESPACE or second == "kthreadd":
        return True
    return None if told is None and second is None and not host.complete else False


def _is_an_image(host: Host) -> bool | None:
    """Whether the root is the overlay of a container's image; None where no mount tells."""
    kinds = [mount.kind for mount in cgroup.read_mounts(host) or () if mount.point == "/"]
    return kinds[-1] in _OVERLAYS if kinds else None


def virtualization(host: Host, notes: Notes) -> str | None:
    """What kind of virtual machine this is; None where there is no sign of one.

    That is an answer only where the processor says so too: not every maker of virtual machines
    is known by name.
    """
    release = (host.read_text("proc/sys/kernel/osrelease", 256) or "").lower()
    if "microsoft" in release:
        return "wsl"
    vendor = host.read_text("sys/class/dmi/id/sys_vendor", 256) or ""
    product = host.read_text("sys/class/dmi/id/product_name", 256) or ""
    if product.endswith(".metal"):
        return None
    if vendor == "Microsoft Corporation" and product == "Virtual Machine":
        return "hyper-v"
    for sign, name in _VENDORS:
        if sign in vendor or sign in product:
            return name
    hypervisor = host.read_text("sys/hypervisor/type", 64)
    if hypervisor:
        return hypervisor
    # A machine without firmware tables still says that its processor is not the real one.
    flags = [
        line.split()
        for line in (host.read_bytes("proc/cpuinfo") or b"").splitlines()
        if line.startswith(b"flags")
    ]
    if any(b"hypervisor" in words for words in flags):
        return "unknown hypervisor"
    if not flags and not host.complete:
        notes.why("virtualization", "neither the processor's flags nor a known maker were recorded")
    return None


_OLD_SYSTEMS = (
    ("Red Hat Enterprise Linux", "rhel"),
    ("CentOS", "centos"),
    ("Oracle Linux", "ol"),
    ("Scientific Linux", "scientific"),
    ("Fedora", "fedora"),
    ("SUSE Linux Enterprise", "sles"),
    ("Amazon Linux", "amzn"),
)


def old_release(line: str) -> dict[str, str]:
    """`CentOS release 6.10 (Final)` in the words of os-release(5)."""
    found = {"PRETTY_NAME": line}
    system = next((name for start, name in _OLD_SYSTEMS if line.startswith(start)), None)
    version = re.search(r"(?:release|Server) ([0-9]{1,4}(?:\.[0-9]{1,6})*)", line)
    if system:
        found["ID"] = system
    if version:
        found["VERSION_ID"] = version[1]
    return found
