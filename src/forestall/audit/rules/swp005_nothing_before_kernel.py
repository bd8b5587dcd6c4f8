"""Neither swap nor a userspace guard: a leak ends without a warning.

Without swap the kernel's only way to make room is to drop the pages of programs and read them
again from disk: the host may hang for minutes before the OOM killer is called. A guard such as
earlyoom acts before that, and so does a kubelet, which evicts pods while memory is still left.
Swap must be large enough to give time, and outside memory: 64 MiB, or zram alone, delay the end
only a little. systemd-oomd touches only units that ask for it, so that alone decides nothing.
Running without swap is a choice many make for databases, and a sound one, with a guard.
"""

from dataclasses import replace

from forestall.audit.headroom import too_little_swap
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.settings import OOMD_ALONE, prompt_guards
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

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
    little = too_little_swap(facts)
    kind_read = facts.swaps is not None or not swap
    if little is None and kind_read:
        return PASS
    if host.kubernetes:
        return ON_NODE
    if prompt_guards(facts):
        return PASS
    if little is None:
        return unknown(
            "Whether swap is zram, which delays the end only a little, was not read.",
            remedy="swapon --show",
        )
    judged = _without_swap(host, swap, little)
    return replace(judged, severity=Severity.MEDIUM) if host.has_zram else judged


def _without_swap(host: Posture, swap: int, little: str) -> Judgement:
    """Neither swap that gives time nor a guard that acts by itself; `little` says why of swap."""
    facts = host.facts
    what = f"{format_bytes(swap)} of swap ({little})" if swap else "No swap"
    if facts.guards is None:
        return unknown(
            f"{what}, and whether a userspace OOM guard runs could not be seen.",
            remedy="run forestall look as root",
        )
    if "systemd-oomd" in facts.guards:
        return unknown(f"{what}, and {OOMD_ALONE}.", *RULE.reads, remedy="oomctl")
    if facts.hidden_processes:
        return unknown(
            f"{what}; no userspace OOM guard is seen, but other users' processes are hidden.",
            remedy="run forestall look as root",
        )
    return fail(
        f"{what} and no userspace OOM guard: before the end the host may hang for minutes, "
        "re-reading its programs from disk.",
        *RULE.reads,
        *(["/swaps"] if swap else []),
    )


RULE = Rule(
    id="SWP-005",
    title="neither swap nor an OOM guard",
    severity=Severity.HIGH,
    reads=("/memory/swap_total_bytes", "/guards"),
    expected="swap on disk (1 GiB, or 5 % of memory), or a guard such as earlyoom",
    remedy="install a guard (apt install earlyoom, or dnf install earlyoom), or add swap",
    undo="remove the guard's package, or swapoff",
    cost=Cost.NONE,
    reference="earlyoom and systemd-oomd documentation; the sizes are our advice",
    judge=judge,
)
