"""Neither swap nor a userspace guard: a leak ends without a warning.

Without swap the kernel's only way to make room is to drop the pages of programs and read them
again from disk: the host may hang for minutes before the OOM killer is called. A guard such as
earlyoom acts before that.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity


def judge(host: Posture) -> Judgement:
    """forestall watch only observes by default, so it does not count as a guard."""
    facts = host.facts
    if facts.container:
        return not_applicable("Swap and guards are the host's, not this container's.")
    if facts.memory.swap_total_bytes is None:
        return unknown("Whether there is swap could not be read.")
    if facts.memory.swap_total_bytes:
        return PASS
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
