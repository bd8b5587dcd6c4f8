"""The swap that is there now is not the swap that is there after the next boot.

Swap that was added by hand in some incident is gone after the reboot that ends the next one; swap
that /etc/fstab promises and that is not on was perhaps never there when it was needed. What is
active is compared with fstab, swap units and the zram generator. A device that fstab names by a
label nobody could resolve is not taken for a missing one, and zram, which services of their own
set up, is never asked for in fstab. systemd also finds a swap partition by its GPT type, without
fstab, on disks that it booted from.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.storage import device_of
from forestall.model.facts import HostFacts
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("Swap is the host's, not this container's.")


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
    return _mismatch(host, missing, extra)


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
        texts.append(f"{', '.join(extra)} is swap now, and nothing turns it on at the next boot")
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
