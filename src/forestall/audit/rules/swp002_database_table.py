"""Less swap beside a database than a database vendor asks for.

Swap does not keep memory from running out; it decides how long that takes, and whether anybody
can act in between. General tables ask for 4 GiB on any large host, which a leak fills in minutes;
the table for Oracle's databases asks for as much as memory up to 16 GiB, and its use for other
databases is our advice. It does not hold where the database is one of many pods of a node of
Kubernetes, and swap on zram is not counted: it is memory itself.
"""

from forestall.audit.headroom import ROUNDING
from forestall.audit.posture import Posture
from forestall.audit.rule import Judgement, Rule, not_applicable, unknown
from forestall.audit.rules.shared.swap import (
    DATABASE_FROM_BYTES,
    UNDO,
    compared,
    database_bytes,
)
from forestall.model.finding import Cost, Severity

IN_CONTAINER = not_applicable("Swap is the host's, not this container's.")
ON_NODE = not_applicable("A node of Kubernetes runs without swap by design.")
NO_DATABASE = not_applicable("No database host.")
TOO_SMALL = not_applicable("The table begins at 2 GiB of memory.")
NO_ROLE = unknown("Whether this is a database host is unknown: give it a role.")
NOT_READ = unknown("Memory or swap could not be read.")


def judge(host: Posture) -> Judgement:
    """2 to 16 GiB of memory: as much swap; above: 16 GiB."""
    if host.facts.container:
        return IN_CONTAINER
    database = host.is_database_host
    if database is False:
        return NO_DATABASE
    if host.kubernetes:
        return ON_NODE
    if database is None:
        return NO_ROLE
    total, swap = host.facts.memory.mem_total_bytes, host.disk_swap_bytes
    if total is None or swap is None:
        return NOT_READ
    if total < DATABASE_FROM_BYTES * ROUNDING:
        return TOO_SMALL
    wanted = database_bytes(total)
    why = "{} would give time to act"
    return compared(host, swap, wanted, where="beside a database on a host", why=why)


RULE = Rule(
    id="SWP-002",
    title="swap small for a database host",
    severity=Severity.HIGH,
    reads=("/memory/swap_total_bytes", "/memory/mem_total_bytes"),
    expected="as much swap as memory, at most 16 GiB",
    remedy="add swap",
    undo=UNDO,
    cost=Cost.NONE,
    reference="Oracle's table for database hosts (2-16 GiB: as much as memory; above: 16 GiB); "
    "its use for other databases is our advice",
    judge=judge,
)
