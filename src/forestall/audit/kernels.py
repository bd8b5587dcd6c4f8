"""`uname -r` -> what kernel that is: whose package, which flavour, and where it stands in its line.

Two kernels are compared within one line (who builds it) and one flavour (default, debug, rt, 64k,
aws, ...) only, and as packages: the numbers of kernel.org say nothing once fixes are carried
back. Debian's and Ubuntu's `uname -r` is the name of an ABI and not the package version; within
one flavour it still sorts, numerically.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from forestall.audit.versions import CACHED, Key, dpkg_key, rpm_key


class Line(StrEnum):
    """Who builds a kernel; OTHER is kernel.org's own, or somebody's who is not known here."""

    EL = "Enterprise Linux"
    UEK = "Oracle's UEK"
    ELREPO = "ELRepo"
    CLOUDLINUX = "CloudLinux"
    AMAZON = "Amazon Linux"
    FEDORA = "Fedora"
    SUSE = "SUSE"
    DEBIAN = "Debian"
    UBUNTU = "Ubuntu"
    PROXMOX = "Proxmox"
    ALPINE = "Alpine"
    ARCH = "Arch"
    OTHER = "another maker"


HOMES: dict[str, frozenset[Line]] = {
    "rhel": frozenset({Line.EL}),
    "centos": frozenset({Line.EL}),
    "almalinux": frozenset({Line.EL}),
    "rocky": frozenset({Line.EL}),
    "scientific": frozenset({Line.EL}),
    "ol": frozenset({Line.EL}),
    "cloudlinux": frozenset({Line.EL, Line.CLOUDLINUX}),
    "amzn": frozenset({Line.AMAZON}),
    "fedora": frozenset({Line.FEDORA}),
    "sles": frozenset({Line.SUSE}),
    "sles_sap": frozenset({Line.SUSE}),
    "opensuse-leap": frozenset({Line.SUSE}),
    "debian": frozenset({Line.DEBIAN, Line.PROXMOX}),
    "ubuntu": frozenset({Line.UBUNTU}),
    "alpine": frozenset({Line.ALPINE}),
    "arch": frozenset({Line.ARCH}),
}
"""Whose kernels a system (ID of os-release) comes with."""

EL_SYSTEMS = frozenset(name for name, lines in HOMES.items() if Line.EL in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One kernel by its release string.

    `package` is the package's version and release where the string holds it, without architecture
    and flavour; `order` sorts kernels of the same `line` and `flavour` ("" = the default one).
    `el_major` and `el_minor` are those of the suffix `elX_Y`, the minor None where it has none;
    `base` and `build` are `3.10.0` and 957 of `3.10.0-957.21.3.el7`. `update` = it carries fixes
    made after that minor release came out (957.21.3, not 957).
    """

    release: str
    line: Line
    flavour: str
    order: Key
    package: str | None = None
    base: str | None = None
    el_major: int | None = None
    el_minor: int | None = None
    build: int | None = None
    update: bool = False


_EL = re.compile(
    r"(?P<base>\d+\.\d+\.\d+)-(?P<build>\d+)(?P<more>[\w.]*?)\.el(?P<major>\d+)(?:_(?P<minor>\d+))?"
    r"(?P<tail>[\w.]*?)"
    r"(?:\.(?:x86_64|x86_64_v2|aarch64|ppc64|ppc64le|s390|s390x|riscv64|i[3-6]86))?"
    r"(?:[.+](?P<flavour>debug|kdump|rt|64k|zfcpdump|uki|rt-debug|64k-debug|rt-64k|rt-64k-debug))?"
)
_FEDORA_OR_AMAZON = re.compile(
    r"(?P<package>\d+(?:\.\d+)+-[\d.]+\.(?P<who>fc|amzn)\d+)(?:\.\w+?)?(?:\+(?P<flavour>[\w-]+))?"
)
_DEBIAN_NEW = re.compile(
    r"(?P<abi>\d+\.\d+\.\d+(?:\+deb\d+u?\d*|\+bpo\d*)+)-(?P<flavour>[a-z0-9-]+)"
)
_DEBIAN_SID = re.compile(r"(?P<abi>\d+\.\d+(?:\.\d+)?(?:~rc\d+)?)-(?P<flavour>[a-z0-9-]+)")
_ABI = re.compile(
    r"(?P<abi>\d+\.\d+(?:\.\d+)?-(?P<number>[\d.]+(?:\.bpo|\.deb\d+)?[\d.]*))-"
    r"(?P<flavour>[A-Za-z][\w-]*|\d+[a-z][\w-]*|686(?:-[a-z-]+)?)"
)
_ARCH = re.compile(
    r"(?P<version>\d+\.\d+(?:\.\d+)?-(?:arch|zen|hardened)\d+-\d+)(?:-(?P<flavour>\w+))?"
)
_ANY = re.compile(r"(?P<version>\d+\.\d+(?:\.\d+)*)(?P<rest>.*)")

_DEBIAN_ARCHITECTURE = re.compile(
    r"(?:(?:cloud|rt|grsec|xen|vserver|openvz)-)*"
    r"(?:amd64|arm64|686|686-pae|armmp|armmp-lpae|powerpc64le|s390x|riscv64|686-bigmem)"
    r"(?:-16k)?"
)
_SUSE_FLAVOURS = frozenset(
    {"default", "azure", "rt", "rt_debug", "64kb", "pae", "xen", "kdump", "desktop", "preempt"}
    | {"debug", "trace", "bigsmp", "ec2", "vanilla"}
)
_MAINLINE_DIGITS = 6
"""Ubuntu's builds of kernel.org's kernels are numbered 060800, its own 31."""

_LONGEST = 200


@lru_cache(CACHED)
def kernel_of(release: str, system: str | None) -> Kernel | None:
    """The kernel of a release string on a system (ID of os-release).

    None for what is no kernel that one runs: a rescue image, an initial RAM disk, a meta-package.
    """
    release = release.removeprefix("vmlinuz-").removeprefix("linux-image-")
    if len(release) > _LONGEST or not release[:1].isdigit():
        return None
    return (
        _enterprise(release)
        or _fedora_or_amazon(release)
        or _debian_new(release, system)
        or _by_abi(release, system)
        or _arch(release)
        or _other(release)
    )


_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_BUILD = re.compile(r"\d+(?:\.\d+)+-\d+(?:\.\d+)*")


def keys(release: str, other: str, system: str | None) -> tuple[Key, Key] | None:
    """What sorts a host's release and another one that a person wrote; None = no order.

    `other` is a whole release, which has an order with those of its maker and flavour alone; only a
    version (4.18), which is kernel.org's and everybody's; or version and build (3.10.0-1160), as
    Enterprise Linux numbers its default kernels.
    """
    mine = kernel_of(release, system)
    theirs = kernel_of(other, system)
    if mine is None or theirs is None:
        return None
    if _NUMBERS.fullmatch(other):
        head = _NUMBERS.match(release)
        assert head is not None, "a kernel's release begins with a number"
        return rpm_key(_without_zeros(head[0])), rpm_key(_without_zeros(other))
    if _BUILD.fullmatch(other):
        if mine.line is not Line.EL or mine.flavour or mine.package is None:
            return None
        return rpm_key(mine.package.partition(".el")[0]), rpm_key(other)
    same = mine.line is theirs.line is not Line.OTHER and mine.flavour == theirs.flavour
    return (mine.order, theirs.order) if same else None


def _without_zeros(version: str) -> str:
    """5.4 is 5.4.0."""
    return re.sub(r"(?:\.0+)+$", "", version)


def is_of_wsl(release: str | None) -> bool:
    """Whether it is Microsoft's kernel for the Windows Subsystem for Linux."""
    return release is not None and "-microsoft" in release.lower()


def _enterprise(release: str) -> Kernel | None:
    match = _EL.fullmatch(release)
    if match is None:
        return None
    base, build, more, tail = match["base"], match["build"], match["more"], match["tail"]
    suffix = f".el{match['major']}" + (f"_{match['minor']}" if match["minor"] else "")
    line = Line.EL
    if tail.startswith("uek"):
        line = Line.UEK
    elif "elrepo" in tail:
        line = Line.ELREPO
    elif "lve" in more:
        line = Line.CLOUDLINUX
    own = line is Line.EL
    package = f"{base}-{build}{more}{suffix}{tail}"
    return Kernel(
        release=release,
        line=line,
        flavour=_el_flavour(more, tail, match["flavour"]),
        order=rpm_key(package),
        package=package,
        base=base,
        el_major=int(match["major"]),
        el_minor=int(match["minor"]) if match["minor"] and own else None,
        build=int(build) if own else None,
        update=own and more[1:2].isdigit(),
    )


def _el_flavour(more: str, tail: str, named: str | None) -> str:
    """`+rt` and `.debug` say it; older ones have it inside: `.rt56.`, `.el5PAE`, `.el7a`."""
    words = [named] if named else []
    if re.search(r"\.rt\d", more) and "rt" not in words:
        words.insert(0, "rt")
    if tail == "a":
        words.append("alt")
    elif ".plus" in tail:
        words.append("plus")
    elif tail in ("PAE", "xen", "debug"):
        words.append(tail.lower())
    return "-".join(words)


def _fedora_or_amazon(release: str) -> Kernel | None:
    match = _FEDORA_OR_AMAZON.fullmatch(release)
    if match is None:
        return None
    return Kernel(
        release=release,
        line=Line.AMAZON if match["who"] == "amzn" else Line.FEDORA,
        flavour=match["flavour"] or "",
        order=rpm_key(match["package"]),
        package=match["package"],
    )


def _debian_new(release: str, system: str | None) -> Kernel | None:
    """`6.12.57+deb13-amd64`: since Debian 13 the ABI has a name of its own for each upload.

    In testing and unstable it is the version alone, which elsewhere is anybody's: `6.12.9-amd64`.
    """
    match = _DEBIAN_NEW.fullmatch(release)
    if match is None:
        match = _DEBIAN_SID.fullmatch(release) if system == "debian" else None
        if match is None or not _DEBIAN_ARCHITECTURE.fullmatch(match["flavour"]):
            return None
    flavour, order = match["flavour"], dpkg_key(match["abi"])
    return Kernel(release=release, line=Line.DEBIAN, flavour=flavour, order=order)


def _by_abi(release: str, system: str | None) -> Kernel | None:
    """`6.8.0-31-generic`: version, ABI and flavour, as most of the others name theirs."""
    match = _ABI.fullmatch(release)
    if match is None:
        return None
    flavour, number = match["flavour"], match["number"]
    line = _line_of(flavour, number, system)
    return Kernel(
        release=release,
        line=line,
        flavour=flavour,
        order=rpm_key(match["abi"]) if line is Line.SUSE else dpkg_key(match["abi"]),
        package=match["abi"] if line is Line.SUSE else None,
    )


def _line_of(flavour: str, number: str, system: str | None) -> Line:
    if len(number) >= _MAINLINE_DIGITS and number.isdigit():
        return Line.OTHER
    if flavour == "pve":
        return Line.PROXMOX
    if _DEBIAN_ARCHITECTURE.fullmatch(flavour):
        return Line.DEBIAN
    if system in ("alpine", "arch"):
        return Line.ALPINE if system == "alpine" else Line.ARCH
    if flavour in _SUSE_FLAVOURS and system != "ubuntu":
        return Line.SUSE
    if system == "ubuntu" or re.match(r"generic|lowlatency", flavour):
        return Line.UBUNTU if number.isdigit() else Line.OTHER
    return Line.OTHER


def _arch(release: str) -> Kernel | None:
    match = _ARCH.fullmatch(release)
    if match is None:
        return None
    order, flavour = rpm_key(match["version"]), match["flavour"] or ""
    return Kernel(release=release, line=Line.ARCH, flavour=flavour, order=order)


def _other(release: str) -> Kernel | None:
    """kernel.org's own or somebody's build: `6.9.3`, `4.9.24-grsec`, `5.15.153-microsoft-WSL2`."""
    match = _ANY.fullmatch(release)
    if match is None:
        return None
    words = re.sub(r"[\d.]+", "", match["rest"]).strip("-+_.")
    return Kernel(release=release, line=Line.OTHER, flavour=words, order=rpm_key(release))
