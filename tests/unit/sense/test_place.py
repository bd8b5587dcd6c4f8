"""Containers and virtual machines by their signs."""

import pytest
from tests.fakes.host import FakeHost

from forestall.sense.notes import Notes
from forestall.sense.place import container, virtualization

EXT4 = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
OVERLAY = "1 0 0:9 / / rw - overlay overlay rw\n"


def test_a_plain_host_shows_no_sign(tmp_path):
    """Nothing found is None for both."""
    host = FakeHost(tmp_path).process(1, "systemd").host()
    assert container(host, Notes({}, {})) is None
    assert virtualization(host, Notes({}, {})) is None


@pytest.mark.parametrize(
    ("path", "content", "name"),
    [
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("proc/1/environ", b"PATH=/bin\0container=lxc\0", "lxc"),
        ("proc/1/cgroup", "0::/lxc.payload.web/init.scope\n", "lxc"),
        ("proc/1/cgroup", "4:memory:/docker/3f1c\n", "docker"),
        ("proc/1/cgroup", "0::/machine.slice/libpod-3f1c.scope\n", "podman"),
        ("proc/1/cgroup", "4:memory:/kubepods/burstable/pod1/3f1c\n", "kubernetes"),
        ("run/.containerenv", "", "podman"),
        (".dockerenv", "", "docker"),
        ("run/secrets/kubernetes.io/token", "x", "kubernetes"),
        ("proc/vz/version", "x", "openvz"),
    ],
)
def test_each_manager_leaves_its_sign(tmp_path, path, content, name):
    """One sign is enough to name the container's kind."""
    assert container(FakeHost(tmp_path).write(path, content).host(), Notes({}, {})) == name


def test_the_host_of_containers_is_no_container(tmp_path):
    """docker.service and a container's scope elsewhere do not make the host one."""
    fake = FakeHost(tmp_path).write("proc/1/cgroup", "0::/system.slice/docker.service\n")
    assert container(fake.host(), Notes({}, {})) is None


def test_a_machine_made_from_an_image_is_no_container(tmp_path):
    """Kernel threads below a disk's root outweigh the file that the image brought along."""
    fake = FakeHost(tmp_path).write(".dockerenv", "").write("proc/self/mountinfo", EXT4)
    assert container(fake.host(), Notes({}, {})) == "docker"
    fake.write("proc/2/comm", "kthreadd\n")
    assert container(fake.host(), Notes({}, {})) is None
    fake.write("proc/self/mountinfo", OVERLAY)
    assert container(fake.host(), Notes({}, {})) == "docker"


def test_the_first_pid_namespace_is_known_by_its_number(tmp_path):
    """Where hidepid hides the kernel threads, the own namespace still tells."""
    fake = FakeHost(tmp_path).write(".dockerenv", "").write("proc/self/mountinfo", EXT4)
    namespaces = tmp_path / "proc/self/ns"
    namespaces.mkdir()
    (namespaces / "pid").symlink_to("pid:[4026532177]")
    assert container(fake.host(), Notes({}, {})) == "docker"
    (namespaces / "pid").unlink()
    (namespaces / "pid").symlink_to("pid:[4026531836]")
    assert container(fake.host(), Notes({}, {})) is None


@pytest.mark.parametrize(
    ("vendor", "product", "name"),
    [
        ("QEMU", "Standard PC", "qemu"),
        ("VMware, Inc.", "VMware7,1", "vmware"),
        ("Microsoft Corporation", "Virtual Machine", "hyper-v"),
        ("Microsoft Corporation", "Surface Book", None),
        ("Amazon EC2", "m5.large", "amazon ec2"),
        ("Amazon EC2", "m5.metal", None),
        ("Dell Inc.", "PowerEdge", None),
        ("Red Hat", "KVM", "kvm"),
    ],
)
def test_a_virtual_machine_is_told_by_its_firmware(tmp_path, vendor, product, name):
    """The vendor names the hypervisor; real machines of the same vendor are not virtual."""
    fake = FakeHost(tmp_path)
    fake.write("sys/class/dmi/id/sys_vendor", vendor + "\n")
    fake.write("sys/class/dmi/id/product_name", product + "\n")
    assert virtualization(fake.host(), Notes({}, {})) == name


def test_without_firmware_the_processor_tells(tmp_path):
    """The hypervisor flag says that there is one, not which."""
    fake = FakeHost(tmp_path).write("proc/cpuinfo", "flags\t: fpu hypervisor sse\n")
    assert virtualization(fake.host(), Notes({}, {})) == "unknown hypervisor"
    fake.write("proc/cpuinfo", "model name\t: hypervisor 9000\nflags\t: fpu sse\n")
    assert virtualization(fake.host(), Notes({}, {})) is None


def test_wsl_is_told_by_its_kernel(tmp_path):
    """Its release names Microsoft."""
    fake = FakeHost(tmp_path).sysctl("kernel.osrelease", "5.15.153.1-microsoft-standard-WSL2")
    assert virtualization(fake.host(), Notes({}, {})) == "wsl"
