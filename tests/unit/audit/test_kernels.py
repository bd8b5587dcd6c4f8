"""Release strings: whose kernel, which flavour, and where it stands among its own."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestall.audit.kernels import Line, kernel_of

CASES = [
    # Enterprise Linux, 5 to 10
    ("2.6.18-419.el5", "rhel", Line.EL, "", "2.6.18-419.el5"),
    ("2.6.18-419.el5PAE", "rhel", Line.EL, "pae", "2.6.18-419.el5PAE"),
    ("2.6.32-754.35.1.el6.x86_64", "rhel", Line.EL, "", "2.6.32-754.35.1.el6"),
    ("3.10.0-957.el7.x86_64", "rhel", Line.EL, "", "3.10.0-957.el7"),
    ("3.10.0-957.21.3.el7.x86_64", "centos", Line.EL, "", "3.10.0-957.21.3.el7"),
    ("3.10.0-957.el7.x86_64.debug", "rhel", Line.EL, "debug", "3.10.0-957.el7"),
    (
        "3.10.0-957.27.2.rt56.940.el7.x86_64",
        "rhel",
        Line.EL,
        "rt",
        "3.10.0-957.27.2.rt56.940.el7",
    ),
    (
        "3.10.0-957.el7.centos.plus.x86_64",
        "centos",
        Line.EL,
        "plus",
        "3.10.0-957.el7.centos.plus",
    ),
    ("4.14.0-115.7.1.el7a.aarch64", "rhel", Line.EL, "alt", "4.14.0-115.7.1.el7a"),
    ("4.18.0-372.9.1.el8.x86_64", "rocky", Line.EL, "", "4.18.0-372.9.1.el8"),
    ("4.18.0-553.el8_10.x86_64+debug", "rhel", Line.EL, "debug", "4.18.0-553.el8_10"),
    ("5.14.0-427.13.1.el9_4.aarch64+64k", "rhel", Line.EL, "64k", "5.14.0-427.13.1.el9_4"),
    ("5.14.0-427.13.1.el9_4.x86_64+rt", "rhel", Line.EL, "rt", "5.14.0-427.13.1.el9_4"),
    ("6.12.0-211.46.1.el10_2.x86_64", "almalinux", Line.EL, "", "6.12.0-211.46.1.el10_2"),
    # others' kernels on Enterprise Linux
    ("5.4.17-2136.307.3.1.el8uek.x86_64", "ol", Line.UEK, "", "5.4.17-2136.307.3.1.el8uek"),
    ("6.8.9-1.el9.elrepo.x86_64", "rhel", Line.ELREPO, "", "6.8.9-1.el9.elrepo"),
    (
        "4.18.0-477.27.1.lve.el8.x86_64",
        "cloudlinux",
        Line.CLOUDLINUX,
        "",
        "4.18.0-477.27.1.lve.el8",
    ),
    # other rpm systems
    ("4.14.336-257.562.amzn2.x86_64", "amzn", Line.AMAZON, "", "4.14.336-257.562.amzn2"),
    ("6.1.79-99.164.amzn2023.x86_64", "amzn", Line.AMAZON, "", "6.1.79-99.164.amzn2023"),
    ("6.8.9-300.fc40.x86_64", "fedora", Line.FEDORA, "", "6.8.9-300.fc40"),
    ("5.14.21-150500.55.7-default", "sles", Line.SUSE, "default", "5.14.21-150500.55.7"),
    ("5.14.21-150500.33.7-azure", "sles", Line.SUSE, "azure", "5.14.21-150500.33.7"),
    # dpkg systems: the name of an ABI, no package version
    ("6.1.0-28-amd64", "debian", Line.DEBIAN, "amd64", None),
    ("6.1.0-28-cloud-amd64", "debian", Line.DEBIAN, "cloud-amd64", None),
    ("6.1.0-28-rt-amd64", "debian", Line.DEBIAN, "rt-amd64", None),
    ("4.19.0-26-686-pae", "debian", Line.DEBIAN, "686-pae", None),
    ("6.12.57+deb13-amd64", "debian", Line.DEBIAN, "amd64", None),
    ("6.12.9+bpo-amd64", "debian", Line.DEBIAN, "amd64", None),
    ("5.10.0-0.deb10.16-amd64", "debian", Line.DEBIAN, "amd64", None),
    ("6.8.4-2-pve", "debian", Line.PROXMOX, "pve", None),
    ("6.8.0-31-generic", "ubuntu", Line.UBUNTU, "generic", None),
    ("6.8.0-1008-aws", "ubuntu", Line.UBUNTU, "aws", None),
    ("6.5.0-28-generic-64k", "ubuntu", Line.UBUNTU, "generic-64k", None),
    # the rest
    ("6.6.31-0-lts", "alpine", Line.ALPINE, "lts", None),
    ("6.6.30-1-lts", "arch", Line.ARCH, "lts", None),
    ("6.9.1-arch1-1", "arch", Line.ARCH, "", None),
    ("6.8.9-zen1-1-zen", "arch", Line.ARCH, "zen", None),
    ("6.8.9-hardened1-1-hardened", "arch", Line.ARCH, "hardened", None),
    ("6.8.0-060800-generic", "ubuntu", Line.OTHER, "generic", None),
    ("6.9.3", "debian", Line.OTHER, "", None),
    ("4.9.24-grsec", "debian", Line.OTHER, "grsec", None),
    ("5.15.153.1-microsoft-standard-WSL2", "ubuntu", Line.OTHER, "microsoft-standard-WSL", None),
]


@pytest.mark.parametrize(("release", "system", "line", "flavour", "package"), CASES)
def test_what_it_is(release, system, line, flavour, package):
    """Line, flavour, and the package version where the string holds one."""
    kernel = kernel_of(release, system)
    assert (kernel.line, kernel.flavour, kernel.package) == (line, flavour, package)


@pytest.mark.parametrize(
    "name",
    [
        "0-rescue-8a6b1f0c2d3e4f5a6b7c8d9e0f1a2b3c",
        "vmlinuz-0-rescue-8a6b1f0c2d3e4f5a6b7c8d9e0f1a2b3c",
        "initrd.img-6.1.0-28-amd64",
        "initramfs-3.10.0-957.el7.x86_64.img",
        "virtual",
        "linux-image-generic",
        "generic",
        "",
        "6." * 200,
    ],
)
def test_what_is_no_kernel_to_run(name):
    """A rescue image, an initial RAM disk, a meta-package, nonsense."""
    assert kernel_of(name, None) is None


def test_minor_releases():
    """The suffix names the minor since 8; before that only the build tells."""
    old, new = kernel_of("3.10.0-957.el7.x86_64", None), kernel_of("4.18.0-553.el8_10.x86_64", None)
    assert (old.el_major, old.el_minor, old.build, old.update) == (7, None, 957, False)
    assert (new.el_major, new.el_minor, new.build) == (8, 10, 553)
    assert kernel_of("3.10.0-957.21.3.el7.x86_64", None).update
    elrepo = kernel_of("6.8.9-1.el9.elrepo.x86_64", None)
    assert (elrepo.el_minor, elrepo.build) == (None, None)


ORDERED = [
    ("3.10.0-957.el7.x86_64", "3.10.0-957.21.3.el7.x86_64", "3.10.0-1160.119.1.el7.x86_64"),
    ("6.8.0-31-generic", "6.8.0-100-generic", "6.11.0-9-generic"),
    ("6.1.0-9-amd64", "6.1.0-28-amd64", "6.12.48+deb13-amd64", "6.12.57+deb13-amd64"),
    ("5.14.21-150500.55.7-default", "5.14.21-150500.55.52-default"),
    ("6.1.79-99.164.amzn2023.x86_64", "6.1.109-118.189.amzn2023.x86_64"),
    ("6.6.31-0-lts", "6.6.140-0-lts"),
    ("6.9.1-arch1-1", "6.9.10-arch1-1"),
    ("4.9.24-grsec", "4.9.100-grsec"),
]


@pytest.mark.parametrize("releases", ORDERED)
def test_order_within_a_flavour(releases):
    """Numbers count as numbers: 31 is before 100, also in the name of an ABI."""
    for older, newer in itertools.pairwise(releases):
        one, other = kernel_of(older, None), kernel_of(newer, None)
        assert (one.line, one.flavour) == (other.line, other.flavour)
        assert one.order < other.order


@given(st.text("0123456789.-+_elrtuk amdxpzg/\n", max_size=60))
def test_any_text_is_answered(text):
    """Whatever a host calls its kernel, there is an answer, and the same one again."""
    assert kernel_of(text, None) == kernel_of(text, None)
