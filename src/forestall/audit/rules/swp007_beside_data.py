"""A host that swaps writes to the disk that its database waits for.

Swap is used in bursts, in the very minutes in which the database is slow already; on the same
disk each page that goes out delays a commit, and on a rotating one it moves the heads away. On
disks of a virtual machine the rule says nothing, because two of them may be one below and one may
be many. Nor does it know of SAN volumes that share spindles.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.storage import disks_of_device, disks_of_file
from forestall.model.facts import HostFacts, SwapDevice
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("Swap is the host's, not this container's.")
NO_DATABASE = not_applicable("No host for PostgreSQL, the database whose data can be found.")
VIRTUAL = not_applicable("The disks of a virtual machine say nothing about what is below them.")
NO_SWAP = not_applicable("There is no swap on a disk.")


def judge(host: Posture) -> Judgement:
    """The whole disks under each swap device against those under each data directory."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if host.disk_swap_bytes == 0:
        return NO_SWAP
    if host.is_database_host is False or host.engine not in (None, "postgresql"):
        return NO_DATABASE
    if facts.virtualization:
        return VIRTUAL
    data = [one.data_directory for one in facts.postgres or ()]
    if facts.swaps is None or None in data or not data:
        return unknown("Where swap and PostgreSQL's data lie could not be read.")
    for number, directory in enumerate(data):
        below = disks_of_file(facts, directory or "")
        if below is None:
            return unknown(f"Which disk holds {directory} is unknown.")
        for index, swap in enumerate(facts.swaps):
            judged = _judged(facts, number, below, index, swap)
            if judged is not None:
                return judged
    return PASS


def _judged(
    facts: HostFacts, number: int, below: frozenset[str], index: int, swap: SwapDevice
) -> Judgement | None:
    """What one swap device says beside one data directory; None = nothing against it."""
    if swap.kind == "zram":
        return None
    disks = (disks_of_file if swap.kind == "file" else disks_of_device)(facts, swap.name)
    if disks is None:
        return unknown(f"Which disk holds the swap {swap.name} is unknown.")
    shared = sorted(disks & below)
    if not shared:
        return None
    turning = any(one.rotational for one in facts.block_devices or () if one.name in shared)
    what = "rotating disk" if turning else "disk"
    return fail(
        f"Swap {swap.name} is on the {what} of the database's data: {', '.join(shared)}.",
        f"/swaps/{index}/name",
        f"/postgres/{number}/data_directory",
        "/block_devices",
    )


RULE = Rule(
    id="SWP-007",
    title="swap on the database's disk",
    severity=Severity.LOW,
    reads=("/swaps", "/postgres", "/block_devices"),
    expected="swap on another disk than the database's data",
    remedy="move swap to another disk: mkswap and swapon there, a line in /etc/fstab, then swapoff "
    "the old one while memory is free",
    undo="swapon the old device, swapoff the new one",
    cost=Cost.NONE,
    reference="our advice; Oracle and PostgreSQL both ask for data on disks of its own",
    judge=judge,
)
