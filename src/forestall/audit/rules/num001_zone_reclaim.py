"""The kernel throws away cached files of a node rather than use the next node's memory.

With vm.zone_reclaim_mode set, a processor whose own node is full reclaims there before it asks the
other: a database on two sockets loses its page cache, or swaps, with half of the memory free. The
kernel leaves it off since 3.16 (2014), and the vendors of databases ask for that. It has its use
for many small programs that are each bound to one node, which a database is not.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

SETTING = "vm.zone_reclaim_mode"

IN_CONTAINER = not_applicable("The setting is the host's, not this container's.")
NO_DATABASE = not_applicable("No database host.")
ONE_NODE = not_applicable("All of the memory is on one node.")
NO_ROLE = unknown("Whether this is a database host is unknown: give it a role.")


def judge(host: Posture) -> Judgement:
    """Any bit set; a host with one node has nothing to prefer."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    value = host.number(SETTING)
    if value == 0:
        return PASS
    if facts.numa_node_count == 1:
        return ONE_NODE
    if host.is_database_host is False:
        return NO_DATABASE
    if host.is_database_host is None:
        return NO_ROLE
    if value is None:
        return unknown(f"{SETTING} could not be read.")
    if facts.numa_node_count is None:
        return unknown(f"{SETTING}={value}, and how many memory nodes there are is unknown.")
    return fail(
        f"With {facts.numa_node_count} memory nodes the database loses cache on one while the "
        f"other has memory free ({SETTING}={value}).",
        undo=f"sysctl -w {SETTING}={value}, and take the line out of /etc/sysctl.d/",
    )


RULE = Rule(
    id="NUM-001",
    title="zone reclaim beside a database",
    severity=Severity.MEDIUM,
    reads=(f"/sysctls/{SETTING}", "/numa_node_count"),
    expected=f"{SETTING}=0",
    remedy=f"sysctl -w {SETTING}=0, and keep it in /etc/sysctl.d/",
    undo=f"sysctl -w {SETTING}=1, and take the line out of /etc/sysctl.d/",
    cost=Cost.NONE,
    reference="kernel documentation, admin-guide/sysctl/vm.rst; MongoDB production notes",
    judge=judge,
)
