"""Whether this is a container or a virtual machine, from the signs that each of them leaves."""

import re

from forestall.errors import InputError
from forestall.sense import cgroup, procfs
from forestall.sense.host import Host

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

_OVERLAYS = ("overlay", "aufs", "fuse-overlayfs", "vfs")


def container(host: Host) -> str | None:
    """What kind of container this is, by its usual name; None where there is no sign of one."""
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
    if _is_whole_machine(host):
        return None
    if host.exists("run/.containerenv"):
        return "podman"
    if host.exists(".dockerenv"):
        return "docker"
    return by_cgroup


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


def _is_whole_machine(host: Host) -> bool:
    """Whether this is the first pid namespace, below a root that is no image's overlay.

    A virtual machine made from a container's image keeps the image's /.dockerenv; a container
    that shares the host's processes is in the first namespace. Only both together tell. The
    namespace is known by its number, or by the kernel threads that only it shows.
    """
    first_namespace = (
        host.link("proc/self/ns/pid") == FIRST_PID_NAMESPACE
        or host.read_text("proc/2/comm", 64) == "kthreadd"
    )
    if not first_namespace:
        return False
    kinds = [mount.kind for mount in cgroup.read_mounts(host) or () if mount.point == "/"]
    return bool(kinds) and kinds[-1] not in _OVERLAYS


def virtualization(host: Host) -> str | None:
    """What kind of virtual machine this is; None where there is no sign of one."""
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
    for line in (host.read_bytes("proc/cpuinfo") or b"").splitlines():
        if line.startswith(b"flags") and b"hypervisor" in line.split():
            return "unknown hypervisor"
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
