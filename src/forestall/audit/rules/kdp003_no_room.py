"""The dump has no room where it is to go.

kdump writes what makedumpfile leaves over: with the usual `-d 31` the kernel's own pages, a few
percent of memory on a quiet host and a third where the kernel itself leaked; without a filter all
of memory. What does not fit is cut off or lost. The third is on the safe side for a usual host; on
one of terabytes most of memory is the database's, and what surely remains is the kernel's 64 bytes
of each page of 4 KiB (Red Hat's example of a report shows 1.7 % of 304 GiB): 2 % and 64 GiB are
asked for there. `makedumpfile --mem-usage /proc/kcore` tells this host's own number. How much room
a target on another host has cannot be seen from here.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.storage import IN_MEMORY, device_of, is_remote, mount_of
from forestall.audit.rules.shared.unseen import unseen
from forestall.model.facts import HostFacts, KdumpFacts, MountFacts
from forestall.model.finding import Cost, Severity
from forestall.units import GIB, format_bytes

FILTERED_SHARE = 0.3
PAGES_SHARE = 0.02
KERNEL_BYTES = 64 * GIB
"""What the kernel holds beside the descriptions of pages, from 229 GiB of memory on: our advice."""

DEFAULT_PATH = "/var/crash"
FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "minix")

IN_CONTAINER = not_applicable("The host dumps, not this container.")
NOT_ARMED = not_applicable("kdump is not armed, see KDP-001.")
NO_MEMORY = unknown("How much memory there is could not be read.")


def judge(host: Posture) -> Judgement:
    """Free space of the file system that takes the dump, against memory."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if facts.crash_kernel_loaded is False:
        return NOT_ARMED
    if facts.crash_kernel_loaded is None or facts.kdump is None:
        field = "crash_kernel_loaded" if facts.crash_kernel_loaded is None else "kdump"
        return unseen(host, field, "Where a dump would go")
    total = facts.memory.mem_total_bytes
    if total is None:
        return NO_MEMORY
    kdump = facts.kdump
    if kdump.target not in (None, "file", *FILE_SYSTEMS):
        return unknown(
            f"The dump goes to {kdump.target} {kdump.address or ''}".rstrip()
            + "; how much room is there cannot be seen from here.",
            "/kdump/target",
            "/kdump/address",
            remedy="look at the free space of the target, and run a test dump",
        )
    index, mount = _mount(facts, kdump) or (0, None)
    if mount is None or is_remote(mount) or mount.free_bytes is None:
        return unknown(f"How much room there is for a dump in {_place(kdump)} is unknown.")
    if mount.kind in IN_MEMORY:
        return fail(
            f"The dump goes to {_place(kdump)}, which is memory and gone after the reboot.",
            f"/mounts/{index}/kind",
            "/kdump/path",
        )
    reads = (
        f"/mounts/{index}/path",
        f"/mounts/{index}/free_bytes",
        "/memory/mem_total_bytes",
        "/kdump/filtered",
    )
    return _judged(kdump, mount.path, mount.free_bytes, total, reads)


def _judged(
    kdump: KdumpFacts, place: str, free: int, total: int, reads: tuple[str, ...]
) -> Judgement:
    """`free` bytes in `place` against memory, `total`."""
    needed = filtered_bytes(total)
    if free >= total or (kdump.filtered and free >= needed):
        return PASS
    if kdump.filtered is None and free >= needed:
        return unknown(
            f"{format_bytes(free)} is free in {place}: enough for a filtered dump, not for "
            "all of memory, and which it would be is unknown.",
            *reads,
        )
    if kdump.filtered is False:
        needed = total
    return fail(
        f"{format_bytes(free)} is free in {place} for a dump of a host with "
        f"{format_bytes(total)} of memory; it may need {format_bytes(needed)}.",
        *reads,
        expected=f"{format_bytes(needed)} free",
        remedy=None
        if kdump.filtered
        else "core_collector makedumpfile -l --message-level 7 -d 31 "
        "in /etc/kdump.conf, then kdumpctl restart; or a target elsewhere",
    )


def filtered_bytes(total: int) -> int:
    """The room that a filtered dump of a host with so much memory is given."""
    return int(min(FILTERED_SHARE * total, PAGES_SHARE * total + KERNEL_BYTES))


def _mount(facts: HostFacts, kdump: KdumpFacts) -> tuple[int, MountFacts] | None:
    """The file system that takes the dump, and its index in `facts.mounts`."""
    if kdump.target in (None, "file"):
        return mount_of(facts, kdump.path or DEFAULT_PATH)
    device = device_of(facts, kdump.address or "")
    for index, mount in enumerate(facts.mounts or ()):
        if mount.device == kdump.address or (
            device is not None and device.answers_to(mount.device)
        ):
            return index, mount
    return None


def _place(kdump: KdumpFacts) -> str:
    path = kdump.path or DEFAULT_PATH
    return path if kdump.target in (None, "file") else f"{path} on {kdump.address}"


RULE = Rule(
    id="KDP-003",
    title="no room for a dump",
    severity=Severity.MEDIUM,
    reads=("/kdump", "/mounts", "/memory/mem_total_bytes"),
    expected="free space of 30 % of memory for a filtered dump (from 229 GiB of memory on: 2 % and "
    "64 GiB), of all memory for another",
    remedy="a larger file system for dumps, or a target elsewhere (ssh or nfs in /etc/kdump.conf)",
    undo="set /etc/kdump.conf back, then kdumpctl restart",
    cost=Cost.NONE,
    reference="kdump.conf(5), makedumpfile(8); the sizes are our advice",
    judge=judge,
)
