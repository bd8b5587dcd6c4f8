"""The kernel that runs, those that could be booted, its live patches, and how it was set up."""

import re
from collections.abc import Iterator

from forestall.sense import procfs
from forestall.sense.host import NEEDS_ROOT, Host, decode
from forestall.sense.notes import Notes

CMDLINE_LIMIT_BYTES = 16 * 1024
MODULES_LIMIT_BYTES = 256 * 1024
KERNEL_LIMIT = 200
MODULE_LIMIT = 2000
PATCH_LIMIT = 100
NODE_LIMIT = 4096
COMMAND_SECONDS = 2.0

KERNELCARE = ("kcarectl", "--uname")
KSPLICE = ("uptrack-uname", "-r")
RPMS = ("rpm", "-qa")
DPKGS = ("dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package} ${Version}\\n")
DPKG_LIST = ("dpkg", "-l")

_LIVE_PATCHERS = (
    ("kernelcare", "usr/bin/kcarectl", KERNELCARE),
    ("ksplice", "usr/sbin/uptrack-uname", KSPLICE),
)

_IMAGES = ("vmlinuz-", "vmlinux-", "image-", "Image-")
_NO_KERNEL = (
    ".old",
    ".bak",
    ".hmac",
    ".gz",
    ".img",
    ".rpmnew",
    ".rpmsave",
    ".dpkg-new",
    ".dpkg-tmp",
    ".dpkg-bak",
    ".sig",
)
_RELEASE = re.compile(r"[0-9][A-Za-z0-9._+~-]{2,199}")

# A quoted value may hold spaces; a quote without its other half is a character.
_WORD = re.compile(r'(?:[^\s"]|"[^"]*"|")+')
_SECRET = re.compile("pass|pwd|secret|token|key|cred|auth", re.IGNORECASE)

# Name of the package to what `uname -r` appends to its version, release and architecture.
_RPM_KERNELS = {
    "kernel": "",
    "kernel-core": "",
    "kernel-rt": "",
    "kernel-rt-core": "",
    "kernel-lt": "",
    "kernel-ml": "",
    "kernel-lt-core": "",
    "kernel-ml-core": "",
    "kernel-uek": "",
    "kernel-uek-core": "",
    "kernel-debug": ".debug",
    "kernel-debug-core": "+debug",
}


def read_cmdline(host: Host, notes: Notes) -> str | None:
    """What the kernel was started with, without what an installer or a disk's key hid there."""
    text = host.read_text("proc/cmdline", CMDLINE_LIMIT_BYTES)
    if text is None:
        notes.why("cmdline", _why_not(host, "proc/cmdline"))
        return None
    return " ".join(map(_without_secret, _WORD.findall(text)))


def _without_secret(word: str) -> str:
    name, equals, value = word.partition("=")
    if _SECRET.search(name) and value:
        return f"{name}{equals}[redacted]"
    return re.sub(r"://[^/\s]{1,200}@", "://[redacted]@", word)


def read_modules(host: Host, notes: Notes) -> tuple[str, ...] | None:
    """The loaded modules; () too where the kernel of a host loads none."""
    data = host.read_bytes("proc/modules", MODULES_LIMIT_BYTES)
    if data is None:
        if host.complete and not host.was_denied("proc/modules"):
            return ()
        notes.why("modules", _why_not(host, "proc/modules"))
        return None
    names = [line.split(None, 1)[0] for line in decode(data).splitlines() if line.strip()]
    if len(names) > MODULE_LIMIT or len(data) >= MODULES_LIMIT_BYTES:
        notes.why("modules", f"very many modules; only the first {MODULE_LIMIT} are told")
    return tuple(name[:64] for name in names[:MODULE_LIMIT])


def read_installed(host: Host, notes: Notes) -> tuple[str, ...] | None:
    """The releases that could be booted, as `uname -r` would give them, rescue images too.

    By the images in /boot; where those name no release or cannot be listed, by the packages that
    a recording holds, else by the folders of modules.
    """
    boot = host.names("boot")
    found = sorted(set(images(boot or [])))
    if not found:
        found = sorted(set(_by_packages(host)))
        if found:
            notes.sources["/installed_kernels"] = "installed packages"
    if not found:
        found = sorted(_by_modules(host))
        if found:
            notes.sources["/installed_kernels"] = "/lib/modules"
    if not found:
        reason = "boot names no kernel" if boot is not None else _why_not(host, "boot")
        notes.why("installed_kernels", f"{reason}, and lib/modules holds none")
        return None
    if not host.lists("boot"):
        notes.why("installed_kernels", "boot was not listed whole")
    if len(found) > KERNEL_LIMIT:
        notes.why("installed_kernels", f"{len(found)} of them; {KERNEL_LIMIT} are told")
    return tuple(found[:KERNEL_LIMIT])


def images(names: list[str]) -> Iterator[str]:
    """The releases in the names of /boot: `vmlinuz-3.10.0-957.el7.x86_64`, `vmlinuz-0-rescue-...`.

    Copies, signatures and initial RAM disks are no kernels, and `vmlinuz-lts` names no release.
    """
    for name in names:
        start = next((start for start in _IMAGES if name.startswith(start)), None)
        if start is None or name.endswith(_NO_KERNEL):
            continue
        release = name[len(start) :]
        if _RELEASE.fullmatch(release):
            yield release


def _by_modules(host: Host) -> Iterator[str]:
    """A folder without the kernel's own modules was left behind by someone else's (DKMS, weak)."""
    for name in host.names("lib/modules", 1000) or ():
        if _RELEASE.fullmatch(name) and host.exists(f"lib/modules/{name}/kernel"):
            yield name


def _by_packages(host: Host) -> Iterator[str]:
    if host.live:
        # Asking the package manager takes longer than all the rest.
        return
    yield from parse_rpms(host.run_command(RPMS, COMMAND_SECONDS).stdout)
    for words in (DPKGS, DPKG_LIST):
        yield from parse_dpkgs(host.run_command(words, COMMAND_SECONDS).stdout)


def parse_rpms(data: bytes) -> Iterator[str]:
    """`rpm -qa` (a date may follow): kernel-core-4.18.0-553.el8_10.x86_64 to its release."""
    for line in decode(data).splitlines():
        if not line.startswith("kernel"):
            continue
        parts = line.split()[0].rsplit("-", 2)
        if len(parts) != 3 or parts[0] not in _RPM_KERNELS:
            continue
        release = f"{parts[1]}-{parts[2]}{_RPM_KERNELS[parts[0]]}"
        if _RELEASE.fullmatch(release):
            yield release


def parse_dpkgs(data: bytes) -> Iterator[str]:
    """Lines of status, package and version: linux-image-6.1.0-28-amd64 to its release.

    A removed package whose settings remain has another status than `ii` or, held back, `hi`.
    """
    for line in decode(data).splitlines():
        words = line.split(None, 3)
        if len(words) < 3 or words[0] not in ("ii", "hi"):
            continue
        package = words[1].partition(":")[0]
        release = package.removeprefix("linux-image-").removeprefix("unsigned-")
        if release == package or release.endswith(("-dbg", "-dbgsym")):
            continue
        if _RELEASE.fullmatch(release):
            yield release


def read_live_patches(
    host: Host, notes: Notes, running: str | None
) -> tuple[tuple[str, ...] | None, str | None]:
    """The enabled live patches, and the release that they are said to amount to."""
    found = set()
    for folder in ("sys/kernel/livepatch", "sys/kernel/kpatch", "sys/kernel/kpatch/patches"):
        for name in (host.names(folder) or ())[:PATCH_LIMIT]:
            if procfs.read_number(host, f"{folder}/{name}/enabled") == 1:
                found.add(name)
    for name in (host.names("sys/kernel/kgraft") or ())[:PATCH_LIMIT]:
        if host.is_folder(f"sys/kernel/kgraft/{name}"):
            found.add(name)
    effective = None
    for tool, program, words in _LIVE_PATCHERS:
        release = _effective(host, program, words)
        if release is not None and release != running:
            found.add(tool)
            effective = effective or release
    if not found and not host.complete and not host.is_folder("sys/kernel"):
        notes.why("livepatches", "sys/kernel cannot be read")
        return None, effective
    return tuple(sorted(name[:200] for name in found)), effective


def _effective(host: Host, program: str, words: tuple[str, ...]) -> str | None:
    """What a live patcher says its kernel amounts to; asked only where the program is there."""
    if host.live and not host.exists(program):
        return None
    answer = host.run_command(words, COMMAND_SECONDS)
    release = decode(answer.stdout[:256]).strip()
    return release if answer.exit_code == 0 and _RELEASE.fullmatch(release) else None


def read_transparent_hugepage(host: Host, notes: Notes) -> str | None:
    """The word in brackets: always, madvise or never."""
    path = "sys/kernel/mm/transparent_hugepage/enabled"
    text = host.read_text(path, 128)
    found = re.search(r"\[([a-z]{1,20})\]", text or "")
    if found is None:
        notes.why("transparent_hugepage", _why_not(host, path))
        return None
    return found[1]


def read_node_count(host: Host, notes: Notes) -> int | None:
    """How many NUMA nodes are online."""
    path = "sys/devices/system/node/online"
    text = host.read_text(path, 1024)
    found = None if text is None else parse_ranges(text)
    if found is None:
        notes.why("numa_node_count", _why_not(host, path))
    return found


def parse_ranges(text: str) -> int | None:
    """How many numbers `0-1,3` stands for; None for anything else."""
    count = 0
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part.strip())
        if match is None:
            return None
        count += int(match[2] or match[1]) - int(match[1]) + 1
    return count if 0 < count <= NODE_LIMIT else None


def read_zswap(host: Host) -> bool | None:
    """Whether a compressed cache stands before the swap devices; None: not in this kernel."""
    text = host.read_text("sys/module/zswap/parameters/enabled", 16)
    return None if text is None else text in ("Y", "1")


def _why_not(host: Host, path: str) -> str:
    if host.was_denied(path):
        return f"{path}: {NEEDS_ROOT}"
    if host.exists(path):
        return f"{path} says nothing that is understood"
    return f"{path} is not there"
