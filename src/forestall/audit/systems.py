"""Which product of the life-cycle table a system is, by its os-release or its older name line."""

import re
from dataclasses import dataclass
from functools import lru_cache

from forestall.audit.versions import CACHED

PRODUCTS = {
    "almalinux": ("almalinux", ""),
    "alpine": ("alpine-linux", ""),
    "amzn": ("amazon-linux", ""),
    "azurelinux": ("azure-linux", ""),
    "centos": ("centos", ""),
    "cloudlinux": ("cloudlinux", "Extended Lifecycle Support"),
    "debian": ("debian", ""),
    "fedora": ("fedora", ""),
    "mariner": ("azure-linux", ""),
    "nixos": ("nixos", ""),
    "ol": ("oracle-linux", "Extended Support"),
    "opensuse-leap": ("opensuse", ""),
    "rhel": ("rhel", "ELS"),
    "rocky": ("rocky-linux", ""),
    "scientific": ("scientific-linux", ""),
    "sles": ("sles", "LTSS"),
    "sles_sap": ("sles", "LTSS"),
    "ubuntu": ("ubuntu", "Ubuntu Pro"),
}
"""ID of os-release -> product of endoflife.date, and what its paid extension is called."""

ROLLING = frozenset(
    {
        "arch",
        "archarm",
        "cachyos",
        "endeavouros",
        "gentoo",
        "manjaro",
        "opensuse-tumbleweed",
        "void",
    }
)

WITH_A_CLUSTER = frozenset({"rhcos"})
"""Systems that are a part of a cluster's version, and are brought up to date with it alone."""

KERNEL_OF_A_CLUSTER = (
    "The kernel of Red Hat CoreOS follows its cluster's version: whether that is still supported "
    "is told by OpenShift's life cycle, not by a table here."
)

_NAMES = (
    ("Red Hat Enterprise Linux", "rhel"),
    ("CentOS", "centos"),
    ("Oracle Linux", "ol"),
    ("AlmaLinux", "almalinux"),
    ("Rocky Linux", "rocky"),
    ("Scientific Linux", "scientific"),
    ("CloudLinux", "cloudlinux"),
    ("Fedora", "fedora"),
)
"""How /etc/redhat-release begins; Enterprise Linux 5 and 6 have no os-release."""

_RELEASE = re.compile(r"release (\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system as the tables know it; `product` is None where they do not know it."""

    id: str | None
    version: str | None
    product: str | None
    extension: str
    rolling: bool
    stream: bool


@lru_cache(CACHED)
def system_of(os_id: str | None, version: str | None, name: str | None) -> System:
    """ID, VERSION_ID and PRETTY_NAME of os-release, or the line of /etc/redhat-release as name."""
    if os_id is None and name is not None:
        os_id = next((one for begin, one in _NAMES if name.startswith(begin)), None)
        found = _RELEASE.search(name)
        version = version or (found[1] if found else None)
    stream = os_id == "centos" and "Stream" in (name or "")
    product, extension = PRODUCTS.get(os_id or "", (None, ""))
    return System(
        id=os_id,
        version=version,
        product="centos-stream" if stream else product,
        extension=extension,
        # testing and unstable have no VERSION_ID.
        rolling=os_id in ROLLING or _is_testing(os_id, version, name),
        stream=stream,
    )


def _is_testing(os_id: str | None, version: str | None, name: str | None) -> bool:
    """Debian testing or unstable by its name; a release whose version was not read has a number."""
    if os_id != "debian" or version is not None:
        return False
    return name is not None and not any(letter.isdigit() for letter in name)
