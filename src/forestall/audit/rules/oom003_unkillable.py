"""Large processes that may not be killed make everything else die for them.

oom_score_adj -1000 exempts a process altogether. If it leaks, the kernel kills the rest of the
host one by one, and where nothing killable is left it panics even with vm.panic_on_oom=0. A
database's main process is left alone here as long as its sessions can be killed, because
PostgreSQL's own documentation exempts it; but where all that is exempt leaves less than a quarter
of the memory to be killed for, nobody's documentation helps. -999 is hardly better, and any value
is as bad at which the database is killed first whatever such a process leaks; what a kubelet sets
on its node is left alone. Where processes are hidden, or a large one's value was not seen, nothing
is passed.
"""

from forestall.audit.holders import (
    counted_bytes,
    hardly_killable,
    is_database,
    nothing_killable,
    spared_for_database,
    unkillable_large,
    unseen_large,
)
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

KILLABLE_SHARE = 0.25
"""Of the memory, what must be left to processes that can be killed once it runs out."""

READ_MOST = 3


def judge(host: Posture) -> Judgement:
    """Large = 5 % of the host's memory."""
    facts = host.facts
    if facts.container:
        return not_applicable("The OOM killer is the host's, not this container's.")
    total = facts.memory.mem_total_bytes
    if not facts.holders or not total:
        return unknown("Which processes hold memory could not be seen.")
    found = unkillable_large(facts)
    if not found:
        return _spared(host)
    databases = {index for index in found if is_database(facts, facts.holders[index])}
    exempt = _exempt_bytes(host, found, databases)
    last = 1 - exempt / total < KILLABLE_SHARE or nothing_killable(facts)
    if not last and len(databases) == len(found):
        return _spared(host)
    shown = found if last else tuple(index for index in found if index not in databases)
    size = exempt if last else sum(counted_bytes(facts.holders[index]) for index in shown)
    largest = facts.holders[max(shown, key=lambda i: counted_bytes(facts.holders[i]))].process
    more = ", ..." if len(shown) > 1 else ""
    what = (
        "once memory is gone there is nobody worth killing, and the kernel panics"
        if last
        else "if one of them leaks, the rest dies first"
    )
    return fail(
        f"{format_bytes(size)} is held by processes the kernel may not kill ({largest.name}, "
        f"pid {largest.key.pid}{more}): {what}.",
        *(f"/holders/{index}/oom_score_adjust" for index in shown[:READ_MOST]),
        severity=Severity.CRITICAL if last else None,
    )


def _spared(host: Posture) -> Judgement:
    """What is left to say where no process is exempt altogether that should not be."""
    facts = host.facts
    why = unseen_large(facts)
    found = () if host.kubernetes else spared_for_database(facts)
    if found and host.database is not None:
        name = host.database.process.name
        largest = facts.holders[found[0]]
        return fail(
            f"{largest.process.name} (pid {largest.process.key.pid}) holds "
            f"{format_bytes(counted_bytes(largest))} at oom_score_adj {largest.oom_score_adjust}: "
            f"whatever it leaks, {name} is killed before it.",
            *(f"/holders/{index}/oom_score_adjust" for index in found[:READ_MOST]),
            f"/databases/{host.main_database}/oom_score_adjust",
            expected=f"an oom_score_adj on it at which {name} is not the first to go",
            remedy=f"raise it (OOMScoreAdjust= of its unit), or lower that of {name}",
            undo="set OOMScoreAdjust= back to what it was",
        )
    hardly = () if host.kubernetes else hardly_killable(facts)
    if hardly:
        one = facts.holders[hardly[0]]
        share = -(one.oom_score_adjust or 0) / 10
        return fail(
            f"{one.process.name} (pid {one.process.key.pid}) holds "
            f"{format_bytes(counted_bytes(one))} at oom_score_adj {one.oom_score_adjust}, as good "
            f"as exempt: the rest dies first until it holds {share:.1f} % of memory and swap.",
            *(f"/holders/{index}/oom_score_adjust" for index in hardly[:READ_MOST]),
            severity=Severity.MEDIUM,
            remedy="use -900 or more (OOMScoreAdjust= of its unit)",
            undo=f"set OOMScoreAdjust={one.oom_score_adjust} again",
        )
    if why is not None:
        return unknown(f"Which processes the OOM killer may take is not known: {why}.")
    return PASS


def _exempt_bytes(host: Posture, found: tuple[int, ...], databases: set[int]) -> int:
    """What the exempt processes hold; a database's share most of it, so the largest counts.

    What systemd accounts to a unit holds its page cache too, and would make more of it.
    """
    held = {index: counted_bytes(host.facts.holders[index]) for index in found}
    others = sum(size for index, size in held.items() if index not in databases)
    return others + max((held[index] for index in databases), default=0)


RULE = Rule(
    id="OOM-003",
    title="large processes exempt from the OOM killer",
    severity=Severity.HIGH,
    reads=("/holders",),
    expected="oom_score_adj of -900 or more on large processes, and the database not the first",
    remedy="use -900 instead of -1000, unless killing it is worse than a panic",
    undo="set OOMScoreAdjust=-1000 again",
    cost=Cost.RESTART,
    reference="kernel documentation, filesystems/proc.rst",
    judge=judge,
)
