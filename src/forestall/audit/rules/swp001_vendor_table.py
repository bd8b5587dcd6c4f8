"""Less swap than the distribution's vendor recommends for this much memory.

Swap is where the kernel puts what nobody has used for hours, and what a leak fills before anything
is killed. The table is Red Hat's, so it is applied to its family alone: Debian, Ubuntu and SUSE
publish none, and there the role (SWP-002), the time it buys (SWP-003) and its absence (SWP-005)
are judged instead. It does not hold for nodes of Kubernetes, where swap is off by design, and it
asks for no more than 4 GiB on any large host, which says little about a database.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import Judgement, Rule, not_applicable, unknown
from forestall.audit.rules.shared.crash_kernel import RED_HAT_FAMILY
from forestall.audit.rules.shared.swap import UNDO, compared, red_hat_bytes
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("Swap is the host's, not this container's.")
ON_NODE = not_applicable("A node of Kubernetes runs without swap by design.")
NO_TABLE = not_applicable("The table is Red Hat's; this distribution's vendor publishes none.")
NO_OS = unknown("Whose table applies is unknown: the distribution could not be read.")
NOT_READ = unknown("Memory or swap could not be read.")
MAYBE_NODE = unknown("No swap, and whether a kubelet wants it so could not be seen.")


def judge(host: Posture) -> Judgement:
    """Up to 2 GiB: twice the memory; up to 8 GiB: as much; above: 4 GiB. zram does not count."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if host.kubernetes:
        return ON_NODE
    if facts.os_id not in RED_HAT_FAMILY:
        return NO_OS if facts.os_id is None else NO_TABLE
    total, swap = facts.memory.mem_total_bytes, host.disk_swap_bytes
    if total is None or swap is None:
        return NOT_READ
    if swap == 0 and host.kubernetes is None and facts.guards is None:
        # No process was seen, so a kubelet would not have been either.
        return MAYBE_NODE
    wanted = red_hat_bytes(total)
    return compared(host, swap, wanted, where="on a host", why="Red Hat's table asks for {}")


RULE = Rule(
    id="SWP-001",
    title="swap below the vendor's table",
    severity=Severity.MEDIUM,
    reads=("/memory/swap_total_bytes", "/memory/mem_total_bytes", "/os_id"),
    expected="2 GiB of memory or less: twice as much swap; up to 8 GiB: as much; above: 4 GiB",
    remedy="add swap",
    undo=UNDO,
    cost=Cost.NONE,
    reference="Red Hat, Recommended system swap space (RHEL 7 to 10, without hibernation)",
    judge=judge,
)
