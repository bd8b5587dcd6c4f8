"""What stands behind a host: paid maintenance, a hardening profile, a cluster it is a node of."""

import json
import re
from collections.abc import Iterable, Iterator

from forestall.sense.host import NEEDS_ROOT, Host, decode
from forestall.sense.notes import Notes

REPOSITORY_LIMIT_BYTES = 512 * 1024
STATUS_LIMIT_BYTES = 256 * 1024
FILE_LIMIT = 100

EXTENSIONS = ("els", "e4s", "aus", "tus", "eus")
"""Red Hat's by their part of a repository's name, the longest first."""

KUBELETS = ("kubelet", "k3s-server", "k3s-agent", "kubelite", "rke2")

_PROFILE_FILES = (
    "root/anaconda-ks.cfg",
    "root/original-ks.cfg",
    "etc/foreman_scap_client/config.yaml",
)

_PROFILE = re.compile(rb"content_profile_([A-Za-z0-9_.-]{1,100})")
_ADDON_PROFILE = re.compile(rb"^\s*profile\s*=\s*[\"']?([A-Za-z0-9_.-]{1,100})", re.MULTILINE)


def read_extended_support(host: Host, notes: Notes) -> str | None:
    """The paid extension of maintenance that the host itself shows; None where there is no sign.

    `els`, `e4s`, `aus`, `tus` or `eus` of RHEL, `tuxcare-els`, `esm-infra` of Ubuntu Pro, `ltss`
    of SLES, `elts` of Debian.
    """
    sections = list(_enabled_repositories(host))
    for extension in EXTENSIONS:
        if any(f"-{extension}-" in f"{name}-" for name in sections if name.startswith("rhel-")):
            return extension
    if any(
        re.match(r"(centos|oraclelinux|almalinux|rhel)\d[\d.]*-?els", name) for name in sections
    ):
        return "tuxcare-els"
    if _has_esm(host.read_bytes("var/lib/ubuntu-advantage/status.json", STATUS_LIMIT_BYTES)):
        return "esm-infra"
    if any(
        "LTSS" in name and name.endswith(".prod") for name in host.names("etc/products.d") or ()
    ):
        return "ltss"
    if any(_apt_elts(host)):
        return "elts"
    if not host.complete:
        notes.why("extended_support", "not all that would show one was recorded")
    return None


def _enabled_repositories(host: Host) -> Iterator[str]:
    folder = "etc/yum.repos.d"
    for name in sorted(host.names(folder) or ())[:FILE_LIMIT]:
        if name.endswith(".repo"):
            data = host.read_bytes(f"{folder}/{name}", REPOSITORY_LIMIT_BYTES)
            yield from enabled_repositories(data or b"")


def enabled_repositories(data: bytes) -> Iterator[str]:
    """The sections of a .repo file that are enabled; yum takes one that says nothing as such."""
    section, enabled = None, True
    for raw in decode(data).splitlines():
        line = raw.strip()
        if line.startswith("["):
            if section and enabled:
                yield section
            section, enabled = line.strip("[]")[:200], True
        elif line.partition("=")[0].strip() == "enabled":
            enabled = line.partition("=")[2].strip().lower() in ("1", "yes", "true", "on")
    if section and enabled:
        yield section


def _has_esm(data: bytes | None) -> bool:
    try:
        services = json.loads(data or b"{}").get("services")
        return any(
            service.get("name") == "esm-infra" and service.get("status") == "enabled"
            for service in services or ()
        )
    except (ValueError, AttributeError, TypeError, RecursionError):
        return False


def _apt_elts(host: Host) -> Iterator[bool]:
    folder = "etc/apt/sources.list.d"
    names = sorted(host.names(folder) or ())[:FILE_LIMIT]
    for path in ("etc/apt/sources.list", *(f"{folder}/{name}" for name in names)):
        for line in (host.read_bytes(path) or b"").splitlines():
            yield b"extended-lts" in line and not line.lstrip().startswith(b"#")


def read_baseline(host: Host, notes: Notes) -> str | None:
    """The profile of the SCAP Security Guide that the host was installed or is scanned with.

    Its own short name (`stig`, `cis_server_l1`, `ospp`), from the installer's record or from
    Foreman's scanner. A login banner proves nothing.
    """
    denied = []
    for path in _PROFILE_FILES:
        data = host.read_bytes(path)
        if data is None and host.was_denied(path):
            denied.append(path)
        found = profile_of(data or b"")
        if found is not None:
            notes.sources["/baseline"] = f"/{path}"
            return found
    if not denied and host.was_denied("root"):
        denied.append("root")
    if denied:
        notes.why("baseline", f"{denied[0]}: {NEEDS_ROOT}")
    elif not host.complete and not all(host.exists(path) for path in _PROFILE_FILES):
        notes.why("baseline", "not all that would name one was recorded")
    return None


def profile_of(data: bytes) -> str | None:
    """The profile named by its identifier, or by the installer's OpenSCAP add-on."""
    found = _PROFILE.search(data)
    if found is None:
        addon = re.search(rb"%addon\s+\S*oscap(.*?)(?:%end|\Z)", data, re.DOTALL)
        found = _ADDON_PROFILE.search(addon[1]) if addon else None
    return decode(found[1]).lower() if found else None


def read_kubernetes(
    host: Host, notes: Notes, names: Iterable[str], *, whole: bool, container: str | None
) -> bool | None:
    """Whether a kubelet runs here, or this is inside a pod that one started."""
    if container == "kubernetes" or any(name in KUBELETS for name in names):
        return True
    if whole:
        return False
    if host.exists("var/lib/kubelet"):
        return True
    notes.why("kubernetes", "not all processes are seen, and a kubelet may be among the others")
    return None
