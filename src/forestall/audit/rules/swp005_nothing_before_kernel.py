"""Neither swap nor a userspace guard: a leak ends without a warning.

Without swap the kernel's only way to make room is to drop the pages of programs and read them
again from disk: the host may hang for minutes before the OOM killer is called. A guard such as
earlyoom acts before that, and so does a kubelet, which evicts pods while memory is still left.
Running without swap is a choice many make for databases, and a sound one, with a guard.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("Swap and guards are the host's, not this container's.")
ON_NODE = not_applicable("A kubelet evicts pods before the node's memory is gone.")
NO_SWAP_READ = unknown("Whether there is swap could not be read.")


def judge(host: Posture) -> Judgement:
    """forestall watch only observes by default, so it does not count as a guard."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    swap = facts.memory.swap_total_bytes
    if swap is None:
        return NO_SWAP_READ
    if swap:
        return PASS
    if host.kubernetes:
        return ON_NODE
    if facts.guards is None:
        return unknown(
            "No swap, and whether a userspace OOM guard runs could not be seen.",
            remedy="run forestall look as root",
        )
    if any(guard != "forestall" for guard in facts.guards):
        return PASS
    return fail(
        "No swap and no userspace OOM guard: before the end the host may hang for minutes, "
        "re-reading its programs from disk."
    )


RULE = Rule(
    id="SWP-005",
    title="neither swap nor an OOM guard",
    severity=Severity.HIGH,
    reads=("/memory/swap_total_bytes", "/guards"),
    expected="swap, or a guard such as earlyoom",
    remedy="install a guard (apt install earlyoom, or dnf install earlyoom), or add swap",
    undo="remove the guard's package, or swapoff",
    cost=Cost.NONE,
    reference="earlyoom and systemd-oomd documentation",
    judge=judge,
)
