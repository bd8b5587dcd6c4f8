"""What becomes of a core dump on this host: HostFacts -> why none of a process would be left."""

from forestall.model.facts import HostFacts, UnitFacts
from forestall.units import GIB, format_bytes

PATTERN = "kernel.core_pattern"
THROWN_AWAY = ("|/bin/false", "|/bin/true", "|/usr/bin/false", "|/usr/bin/true", "/dev/null")
"""What hardening baselines write there, so that no core is kept."""

DEFAULT_SIZE_BYTES, OLD_DEFAULT_SIZE_BYTES = 32 * GIB, 2 * GIB
NEEDS_LARGE_DEFAULT = 251
"""systemd raised ProcessSizeMax= and ExternalSizeMax= from 2G to 32G in this version."""


def lost_everywhere(facts: HostFacts) -> tuple[str, tuple[str, ...]] | None:
    """Why no process leaves a core here, and what says so; None where one may."""
    pattern = facts.sysctls.get(PATTERN)
    if pattern is None:
        return None
    place = f"/sysctls/{PATTERN}"
    words = pattern.split()
    program = words[0] if words else ""
    if not program and facts.sysctls.get("kernel.core_uses_pid", "0") == "0":
        return f"{PATTERN} is empty", (place,)
    if program in THROWN_AWAY or program.startswith("/dev/null"):
        return f"{PATTERN}={program} throws them away", (place,)
    if uses_systemd(pattern) and facts.coredump is not None:
        if facts.coredump.storage == "none":
            return "systemd-coredump keeps none (Storage=none)", (place, "/coredump/storage")
        if facts.coredump.process_size_max_bytes == 0:
            size = "/coredump/process_size_max_bytes"
            return "systemd-coredump keeps none (ProcessSizeMax=0)", (place, size)
    return None


def lost_for(facts: HostFacts, unit: UnitFacts, held_bytes: int) -> tuple[str, str] | None:
    """Why a process of `unit` that holds this much leaves no whole core, and what says so.

    The kernel gives a pipe the core whatever LimitCORE= says, but systemd-coredump keeps to it.
    """
    pattern = facts.sysctls.get(PATTERN, "")
    if unit.cores_allowed is False and (not pattern.startswith("|") or uses_systemd(pattern)):
        return "its limit on the size of cores is 0 (LimitCORE=)", "cores_allowed"
    most = _kept_bytes(facts) if uses_systemd(pattern) else None
    if most is not None and held_bytes > most:
        held = format_bytes(held_bytes)
        return f"{held} held, and systemd-coredump cuts at {format_bytes(most)}", "main_pid"
    return None


def may_be_cut(facts: HostFacts, held_bytes: int) -> bool:
    """Whether systemd-coredump's settings would decide, and were not read."""
    if not uses_systemd(facts.sysctls.get(PATTERN, "")) or _kept_bytes(facts) is not None:
        return False
    return facts.coredump is None or held_bytes > OLD_DEFAULT_SIZE_BYTES


def uses_systemd(pattern: str) -> bool:
    """Whether systemd-coredump takes the cores."""
    return pattern.startswith("|") and "systemd-coredump" in pattern.split()[0]


def _kept_bytes(facts: HostFacts) -> int | None:
    """The largest core that systemd-coredump keeps whole; None where its files were not read."""
    if facts.coredump is None:
        return None
    default = DEFAULT_SIZE_BYTES
    if facts.systemd_version is None:
        return None
    if facts.systemd_version < NEEDS_LARGE_DEFAULT:
        default = OLD_DEFAULT_SIZE_BYTES
    sizes = (facts.coredump.process_size_max_bytes, facts.coredump.external_size_max_bytes)
    return max(default if size is None else size for size in sizes)
