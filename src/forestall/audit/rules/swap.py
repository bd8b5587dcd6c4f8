"""SWP, OVC and MEM: how much slack there is, and what its end looks like."""

from forestall.audit.headroom import headroom
from forestall.audit.holders import LARGE_SHARE, database_bytes, main_database
from forestall.audit.reading import fact, sysctl, sysctl_number
from forestall.audit.settings import STRICT_OVERCOMMIT
from forestall.model.facts import HostFacts
from forestall.model.finding import Finding, FindingState, Severity
from forestall.units import GIB, MIB, format_bytes

ROUNDING = 0.95
"""MemTotal lacks what firmware and kernel keep, and swap lacks its header: 5 % is no shortage."""

NEARLY_FULL = 0.9
LOW_SHARE = 0.1
COMMIT_SHARE = 0.9


def swap_below_database_table(facts: HostFacts) -> Finding | None:
    """SWP-002: less swap beside a database than its vendor asks for."""
    total, swap = facts.memory.mem_total_bytes, facts.memory.swap_total_bytes
    index = main_database(facts)
    if index is None or facts.container or total is None or swap is None or total < 2 * GIB:
        return None
    if database_bytes(facts, (facts.databases or ())[index]) < LARGE_SHARE * total:
        # A small database on a laptop does not make it a database host.
        return None
    wanted = min(total, 16 * GIB)
    if swap >= ROUNDING * wanted:
        return None
    missing = wanted - swap
    return Finding(
        rule="SWP-002",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.HIGH,
        text=f"{format_bytes(swap) if swap else 'No'} swap beside a database on a host with "
        f"{format_bytes(total)} of memory; {format_bytes(wanted)} would give time to act.",
        observed=(
            fact(facts, "/memory/swap_total_bytes"),
            fact(facts, "/memory/mem_total_bytes"),
        ),
        expected=f"at least {format_bytes(wanted)} of swap",
        remedy=f"add {format_bytes(missing)} of swap (dd if=/dev/zero of=/swapfile bs=1M "
        f"count={missing // MIB} && chmod 600 /swapfile && mkswap /swapfile && "
        "swapon /swapfile, and a line in /etc/fstab)",
        reference="Oracle's table for database hosts (2-16 GiB: as much as memory; above: 16 GiB); "
        "its use for other databases is our advice",
    )


def swap_nearly_full(facts: HostFacts) -> Finding | None:
    """SWP-004: the slack is used up already."""
    total, free = facts.memory.swap_total_bytes, facts.memory.swap_free_bytes
    if not total or free is None or free > (1 - NEARLY_FULL) * total:
        return None
    return Finding(
        rule="SWP-004",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.HIGH,
        text=f"Swap is nearly full: {format_bytes(free)} of {format_bytes(total)} free.",
        observed=(
            fact(facts, "/memory/swap_free_bytes"),
            fact(facts, "/memory/swap_total_bytes"),
        ),
        expected="less than 90 % of swap used",
        remedy="find who grew: forestall watch; more swap only buys time",
        reference="systemd-oomd's default, SwapUsedLimit=90%",
    )


def nothing_before_the_kernel(facts: HostFacts) -> Finding | None:
    """SWP-005: neither swap nor a userspace guard, so a leak ends without a warning."""
    if facts.memory.swap_total_bytes != 0 or facts.container:
        return None
    if [guard for guard in facts.guards or () if guard != "forestall"]:
        return None
    seen = facts.guards is not None
    text = (
        "No swap and no userspace OOM guard: before the end the host may hang for minutes, "
        "re-reading its programs from disk."
        if seen
        else "No swap, and whether a userspace OOM guard runs could not be seen."
    )
    return Finding(
        rule="SWP-005",
        host=facts.hostname,
        state=FindingState.FAIL if seen else FindingState.UNKNOWN,
        severity=Severity.HIGH,
        text=text,
        observed=(fact(facts, "/memory/swap_total_bytes"), fact(facts, "/guards")),
        expected="swap, or a guard such as earlyoom",
        remedy="install a guard (apt install earlyoom, or dnf install earlyoom), or add swap"
        if seen
        else "run forestall look as root",
        reference="earlyoom and systemd-oomd documentation",
    )


def commit_limit_near(facts: HostFacts) -> Finding | None:
    """OVC-002: with strict overcommit the limit is near, and programs are about to be refused."""
    limit, committed = facts.commit_limit_bytes, facts.committed_bytes
    strict = sysctl_number(facts, "vm.overcommit_memory") == STRICT_OVERCOMMIT
    if not strict or not limit or committed is None:
        return None
    if committed < COMMIT_SHARE * limit:
        return None
    return Finding(
        rule="OVC-002",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.HIGH,
        text=f"Programs are about to be refused memory: {format_bytes(committed)} of "
        f"{format_bytes(limit)} is promised (vm.overcommit_memory=2).",
        observed=(
            sysctl(facts, "vm.overcommit_memory"),
            fact(facts, "/committed_bytes"),
            fact(facts, "/commit_limit_bytes"),
        ),
        expected="Committed_AS below 90 % of CommitLimit",
        remedy="raise vm.overcommit_ratio or add swap, after a look at who promised it to itself",
        reference="PostgreSQL documentation, Linux memory overcommit",
    )


def always_overcommit(facts: HostFacts) -> Finding | None:
    """OVC-003: nothing is ever refused."""
    if sysctl_number(facts, "vm.overcommit_memory") != 1:
        return None
    names = {database.process.name for database in facts.databases or ()}
    if names & {"redis-server", "valkey-server"}:
        # Their authors ask for it, because saving to disk forks the whole process.
        return None
    return Finding(
        rule="OVC-003",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.LOW,
        text="No request for memory is ever refused (vm.overcommit_memory=1), however absurd.",
        observed=(sysctl(facts, "vm.overcommit_memory"),),
        expected="vm.overcommit_memory=0, or 2 on a host for PostgreSQL alone",
        remedy="sysctl -w vm.overcommit_memory=0, unless a program here asks for 1",
        reference="kernel documentation, mm/overcommit-accounting.rst",
    )


def little_left(facts: HostFacts) -> Finding | None:
    """MEM-001: this is not about tonight, but about now."""
    room = headroom(facts)
    if room.left_bytes is None or not room.total_bytes:
        return None
    if room.left_bytes >= LOW_SHARE * room.total_bytes:
        return None
    return Finding(
        rule="MEM-001",
        host=facts.hostname,
        state=FindingState.FAIL,
        severity=Severity.CRITICAL,
        text=f"Memory is nearly gone now: {room.text}",
        observed=room.facts,
        expected="at least 10 % left",
        remedy="look at the largest holders above; forestall watch says who grows, and how fast",
        reference="earlyoom's default: act below 10 % of memory and 10 % of swap",
    )


RULES = (
    swap_below_database_table,
    swap_nearly_full,
    nothing_before_the_kernel,
    commit_limit_near,
    always_overcommit,
)
