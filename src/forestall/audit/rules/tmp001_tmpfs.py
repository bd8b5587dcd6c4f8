"""File systems in memory may grow to more than the host can spare.

A tmpfs holds its files in memory and swap, and the OOM killer cannot free them: nobody's process
is large, and killing all of them helps nothing. Each may grow to its size=, half of memory where
none is given. Those that systemd mounts everywhere (/run, /dev/shm, /run/user) are left out, since
they come with every host and add up to more than half by themselves; what is judged is what the
site added, and /tmp.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

HIGHEST_SHARE = 0.5
SYSTEM_PATHS = ("/run", "/dev", "/sys", "/proc", "/var/run", "/var/lock")
OF_PODS = ("/var/lib/kubelet/", "/var/lib/containers/", "/var/lib/docker/", "/var/snap/")

IN_CONTAINER = not_applicable("What a container mounts is counted at its own limit.")
NOT_READ = unknown("Mounts or the size of memory could not be read.")


def judge(host: Posture) -> Judgement:
    """The sum of what the site's own tmpfs mounts may grow to."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    total = facts.memory.mem_total_bytes
    if facts.mounts is None or not total:
        return NOT_READ
    counted = [
        (index, mount)
        for index, mount in enumerate(facts.mounts)
        if mount.kind == "tmpfs" and not _is_system(mount.path)
    ]
    if not counted:
        return PASS
    unsized = [mount.path for _, mount in counted if mount.size_bytes is None]
    size = sum(mount.size_bytes or 0 for _, mount in counted)
    if size <= HIGHEST_SHARE * total:
        if unsized:
            return unknown(f"How large {', '.join(unsized[:3])} may grow was not read.")
        return PASS
    names = ", ".join(mount.path for _, mount in counted[:3])
    return fail(
        f"File systems in memory may grow to {format_bytes(size)} of {format_bytes(total)}: "
        f"{names}{' and more' if len(counted) > 3 else ''}.",
        *(f"/mounts/{index}/size_bytes" for index, _ in counted[:8]),
        "/memory/mem_total_bytes",
    )


def _is_system(path: str) -> bool:
    return path.startswith(OF_PODS) or any(
        path == one or path.startswith(one + "/") for one in SYSTEM_PATHS
    )


RULE = Rule(
    id="TMP-001",
    title="tmpfs larger than memory can spare",
    severity=Severity.LOW,
    reads=("/mounts", "/memory/mem_total_bytes"),
    expected="the site's tmpfs mounts together at most half of memory",
    remedy="size= for each tmpfs in /etc/fstab, then mount -o remount",
    undo="the old size=, then mount -o remount",
    cost=Cost.NONE,
    reference="kernel documentation, filesystems/tmpfs.rst",
    judge=judge,
    optional=True,
)
