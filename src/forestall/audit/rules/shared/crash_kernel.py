"""How much memory a crash kernel needs, and what `crashkernel=` asks the kernel to set aside.

The tables are Red Hat's minimum for kdump, by major version, architecture and memory; see "Memory
requirements for kdump" in its kernel guides. They are minima for a local or plain network target:
many disks, a large initramfs or an encrypted root need more, which only a test shows.
"""

from forestall.units import GIB, MIB, TIB

RED_HAT_FAMILY = frozenset(
    ("rhel", "centos", "rocky", "almalinux", "ol", "scientific", "eurolinux", "cloudlinux")
)
"""The os-release ids whose kernels, kdump and advice are Red Hat's."""

Steps = tuple[tuple[int, int], ...]
"""(from this much memory on, at least so much reserved), both in bytes, ascending."""

_UP_TO_64 = ((1 * GIB, 192 * MIB), (4 * GIB, 256 * MIB), (64 * GIB, 512 * MIB))
_POWER = (
    (2 * GIB, 384 * MIB),
    (4 * GIB, 512 * MIB),
    (16 * GIB, 1 * GIB),
    (64 * GIB, 2 * GIB),
    (128 * GIB, 4 * GIB),
)
_ARM = ((1 * GIB, 256 * MIB), (4 * GIB, 320 * MIB), (64 * GIB, 576 * MIB))
_ARM_LARGE_PAGES = ((1 * GIB, 356 * MIB), (4 * GIB, 420 * MIB), (64 * GIB, 676 * MIB))

TABLES: dict[tuple[int, str], Steps] = {
    (7, "x86_64"): ((2 * GIB, 160 * MIB),),
    (7, "aarch64"): ((2 * GIB, 512 * MIB),),
    (7, "ppc64le"): _POWER,
    (7, "ppc64"): _POWER,
    (7, "s390x"): ((4 * GIB, 160 * MIB),),
    (8, "x86_64"): _UP_TO_64,
    (8, "aarch64"): ((2 * GIB, 480 * MIB),),
    (8, "ppc64le"): _POWER,
    (8, "s390x"): _UP_TO_64,
    (9, "x86_64"): _UP_TO_64,
    (9, "aarch64"): _ARM,
    (9, "ppc64le"): _POWER,
    (9, "s390x"): _UP_TO_64,
    (10, "x86_64"): ((2 * GIB, 256 * MIB), (64 * GIB, 512 * MIB)),
    (10, "aarch64"): _ARM,
    (10, "ppc64le"): _POWER,
    (10, "s390x"): _UP_TO_64,
}
"""By (major version, machine). RHEL 7's x86 and s390x add 64 MiB for each TiB, see `needed`."""

LARGE_PAGE_BYTES = 65536
PER_TIB_BYTES = 64 * MIB
_UNITS = {"k": 1024, "m": MIB, "g": GIB, "t": TIB}


def needed_bytes(major: int, machine: str, memory_bytes: int, page_bytes: int = 4096) -> int | None:
    """Red Hat's minimum; None where its table says nothing of this host.

    MemTotal is a little below the memory that the installer's table means, so that a host just
    above a step is judged by the step below it, never the other way round.
    """
    steps = TABLES.get((major, machine))
    if machine == "aarch64" and major >= 9 and page_bytes == LARGE_PAGE_BYTES:
        steps = _ARM_LARGE_PAGES
    if steps is None or memory_bytes < steps[0][0]:
        return None
    least = max(size for start, size in steps if memory_bytes >= start)
    if major == 7 and machine in ("x86_64", "s390x"):
        least += memory_bytes * PER_TIB_BYTES // TIB
    return least


def options(cmdline: str) -> list[str]:
    """The values of `crashkernel=` on a kernel command line, in its order."""
    return [word.partition("=")[2] for word in cmdline.split() if word.startswith("crashkernel=")]


def reserved_bytes(value: str, memory_bytes: int) -> int | None:
    """What one `crashkernel=` value sets aside on a host of this size; None: it cannot be told.

    `256M`, `256M@16M`, `512M,high`, `1G-4G:192M,4G-64G:256M,64G-:512M`: the kernel's syntax
    (Documentation/admin-guide/kdump/kdump.rst). 0 = no range covers this host. `auto` leaves it to
    the kernel, and so to /sys/kernel/kexec_crash_size.
    """
    text = value.partition("@")[0]
    if ":" not in text:
        return _size(text.partition(",")[0])
    for part in text.split(","):
        span, colon, size = part.partition(":")
        start_text, dash, end_text = span.partition("-")
        start, end = _size(start_text), _size(end_text) if end_text else None
        if not colon or not dash or start is None or (end_text and end is None):
            return None
        if memory_bytes >= start and (end is None or memory_bytes < end):
            return _size(size)
    return 0


def _size(text: str) -> int | None:
    unit = _UNITS.get(text[-1:].lower(), 1)
    digits = text[:-1] if unit > 1 else text
    # A kernel command line is at most some kilobytes; a number of 19 digits is already nonsense.
    return (
        int(digits) * unit if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
    )
