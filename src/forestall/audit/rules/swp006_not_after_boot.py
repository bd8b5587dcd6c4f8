"""The swap that is there now is not the swap that is there after the next boot.

Swap that was added by hand in some incident is gone after the reboot that ends the next one; swap
that /etc/fstab promises and that is not on was perhaps never there when it was needed. What is
active is compared with fstab, swap units and the zram generator. A device that fstab names by a
label nobody could resolve is not taken for a missing one, and zram, which services of their own
set up, is never asked for in fstab. Nor is all swap that returns: services such as dphys-swapfile,
a cloud's agent or rc.local turn some on, and systemd finds a swap partition on the root's disk by
its GPT type. Where one of these may be at work, or no services were read, the answer is unknown.
"""

import re

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.storage import device_of, disks_of_device, disks_of_file
from forestall.model.facts import HostFacts
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("Swap is the host's, not this container's.")

MAKES_SWAP = frozenset(("waagent.service", "walinuxagent.service", "rc-local.service"))
"""Services that turn swap on and do not have it in their name."""

_PLAIN_PARTITION = re.compile(r"/dev/(?:(?:sd|vd|xvd|hd)[a-z]+\d+|(?:nvme\d+n|mmcblk)\d+p\d+)")


def judge(host: Posture) -> Judgement:
    """Active swap against what a boot would turn on, device by device."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if facts.swaps is None or facts.fstab_swaps is None:
        field = "swaps" if facts.swaps is None else "fstab_swaps"
        return unknown(host.why_unseen(field, "Active swap or /etc/fstab could not be read") + ".")
    wanted = facts.fstab_swaps
    if not wanted and not facts.swaps:
        return PASS
    active = {swap.name for swap in facts.swaps}
    missing = [name for name in wanted if name not in active]
    extra = [one.name for one in facts.swaps if one.kind != "zram" and one.name not in wanted]
    if missing:
        missing, extra = _matched(facts, missing, extra)
    if not missing and not extra:
        return PASS
    if extra and any(_is_unresolved(facts, name) for name in missing):
        return unknown(
            f"Whether {', '.join(extra)} is what fstab calls {', '.join(missing)} is unknown.",
            "/swaps",
            "/fstab_swaps",
            remedy="compare `swapon --show` with /etc/fstab and blkid",
        )
    if extra and not missing:
        by_service = _by_service(facts)
        if by_service is not None:
            return _may_return(extra, by_service)
        by_type = [name for name in extra if _is_on_root_disk(facts, name)]
        if by_type == extra:
            why = "systemd may turn it on at boot by its GPT type, as it may lie on the root's disk"
            return _may_return(extra, why)
        extra = [name for name in extra if name not in by_type]
    return _mismatch(host, missing, extra)


def _may_return(extra: list[str], why: str) -> Judgement:
    return unknown(
        f"{', '.join(extra)} is swap now, not by fstab or a swap unit; {why}.",
        "/swaps",
        "/fstab_swaps",
        remedy="systemctl list-units --type swap, and look whether it came with the last boot "
        "(journalctl -b -g swap)",
    )


def _by_service(facts: HostFacts) -> str | None:
    """Which service may turn swap on at boot, as a clause; None where none may."""
    if facts.units is None:
        return f"which services run is not known: {facts.unseen.get('units', 'they were not read')}"
    for unit in facts.units:
        if unit.active and (unit.name in MAKES_SWAP or _names_swap(unit.name)):
            return f"{unit.name} may turn it on at boot"
    return None


def _names_swap(name: str) -> bool:
    return "swap" in name and name.endswith(".service")


def _is_on_root_disk(facts: HostFacts, name: str) -> bool:
    """Whether a device is a plain partition of the disk that holds the root file system.

    systemd-gpt-auto-generator(8) looks at no other; a partition whose disk is not told may be one.
    """
    swap = next((one for one in facts.swaps or () if one.name == name), None)
    if swap is None or swap.kind != "partition" or not _PLAIN_PARTITION.fullmatch(name):
        return False
    disks, root = disks_of_device(facts, name), disks_of_file(facts, "/")
    return disks is None or root is None or disks == root


def _mismatch(host: Posture, missing: list[str], extra: list[str]) -> Judgement:
    texts = []
    if missing and host.kubernetes:
        texts.append(
            f"{', '.join(missing)} comes back at the next boot, and a kubelet refuses to start "
            "with swap unless it is told otherwise"
        )
    elif missing:
        texts.append(f"{', '.join(missing)} should be swap since boot, and is not")
    if extra:
        texts.append(
            f"{', '.join(extra)} is swap now, and neither fstab nor a swap unit turns it on at the "
            "next boot"
        )
    remedies = []
    if missing and host.kubernetes:
        remedies.append(f"take {', '.join(missing)} out of /etc/fstab")
    elif missing:
        remedies.append("swapon -a (and journalctl -b -u '*.swap' for why it failed at boot)")
    if extra:
        remedies.append(f"a line in /etc/fstab: {extra[0]} none swap defaults 0 0")
    return fail("; ".join(texts) + ".", remedy="; ".join(remedies))


def _matched(facts: HostFacts, missing: list[str], extra: list[str]) -> tuple[list[str], list[str]]:
    """Both lists without what is one device under two names."""
    left, others = [], list(extra)
    for name in missing:
        device = device_of(facts, name)
        same = None
        if device is not None:
            same = next((one for one in others if device.answers_to(one)), None)
            if same is None and any(device.answers_to(swap.name) for swap in facts.swaps or ()):
                continue
        if same is None:
            left.append(name)
        else:
            others.remove(same)
    return left, others


def _is_unresolved(facts: HostFacts, name: str) -> bool:
    """Whether a name may be another's second name: UUID=..., /dev/disk/by-id/x, /dev/vg/lv."""
    if not name.startswith("/"):
        return True
    if device_of(facts, name) is not None or not name.startswith("/dev/"):
        return False
    return name.count("/") > 2


RULE = Rule(
    id="SWP-006",
    title="swap differs after a boot",
    severity=Severity.MEDIUM,
    reads=("/swaps", "/fstab_swaps"),
    expected="active swap is what /etc/fstab, swap units or the zram generator turn on",
    remedy="make /etc/fstab and active swap agree",
    undo="swapoff the device, or take the line out of /etc/fstab",
    cost=Cost.NONE,
    reference="swapon(8), systemd.swap(5)",
    judge=judge,
)
