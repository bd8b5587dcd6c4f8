"""Less swap beside a database than a database vendor asks for.

Swap does not keep memory from running out; it decides how long that takes, and whether anybody
can act in between. General tables ask for 4 GiB on any large host, which a leak fills in minutes;
the table for Oracle's databases asks for as much as memory up to 16 GiB, and its use for other
databases is our advice.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import GIB, MIB, format_bytes

ROUNDING = 0.95
"""MemTotal lacks what firmware and kernel keep, and swap lacks its header: 5 % is no shortage."""

LEAST_MEMORY_BYTES = 2 * GIB
WANTED_AT_MOST_BYTES = 16 * GIB


def judge(host: Posture) -> Judgement:
    """2 to 16 GiB of memory: as much swap; above: 16 GiB."""
    if host.facts.container:
        return not_applicable("Swap is the host's, not this container's.")
    database = host.is_database_host
    if database is False:
        return not_applicable("No database host.")
    if database is None:
        return unknown("Whether this is a database host is unknown: give it a role.")
    total, swap = host.facts.memory.mem_total_bytes, host.facts.memory.swap_total_bytes
    if total is None or swap is None:
        return unknown("Memory or swap could not be read.")
    if total < LEAST_MEMORY_BYTES:
        return not_applicable("The table begins at 2 GiB of memory.")
    wanted = min(total, WANTED_AT_MOST_BYTES)
    if swap >= ROUNDING * wanted:
        return PASS
    missing = wanted - swap
    return fail(
        f"{format_bytes(swap) if swap else 'No'} swap beside a database on a host with "
        f"{format_bytes(total)} of memory; {format_bytes(wanted)} would give time to act.",
        expected=f"at least {format_bytes(wanted)} of swap",
        remedy=f"add {format_bytes(missing)} of swap (dd if=/dev/zero of=/swapfile bs=1M "
        f"count={missing // MIB} && chmod 600 /swapfile && mkswap /swapfile && "
        "swapon /swapfile, and a line in /etc/fstab)",
    )


RULE = Rule(
    id="SWP-002",
    title="swap small for a database host",
    severity=Severity.HIGH,
    reads=("/memory/swap_total_bytes", "/memory/mem_total_bytes"),
    expected="as much swap as memory, at most 16 GiB",
    remedy="add swap",
    undo="swapoff /swapfile && rm /swapfile, and take its line out of /etc/fstab",
    cost=Cost.NONE,
    reference="Oracle's table for database hosts (2-16 GiB: as much as memory; above: 16 GiB); "
    "its use for other databases is our advice",
    judge=judge,
)
