"""What happens when memory runs out: HostFacts -> Exhaustion, a pure function.

The order is the kernel's own (mm/oom_kill.c, out_of_memory): panic_on_oom is asked first, then
oom_kill_allocating_task, then the highest badness is taken; with no candidate left it panics.
panic_on_oom=1 spares an OOM inside a memory cgroup, a cpuset or a mempolicy; 2 does not
(Documentation/admin-guide/sysctl/vm.rst). kernel.panic is only consulted where no crash kernel
takes over.
"""

from forestall.audit import holders as held
from forestall.audit.exhaustion_reasons import cgroup_reasons, host_reasons
from forestall.audit.limits import limit_comes_first, limit_source, tightest_limit
from forestall.audit.reading import sysctl_number
from forestall.audit.settings import STRICT_OVERCOMMIT, kills_who_asks, prompt_guards
from forestall.model.facts import HostFacts
from forestall.model.finding import Exhaustion, Outcome
from forestall.model.sample import CgroupSample
from forestall.units import format_bytes, format_duration


def exhaustion(facts: HostFacts) -> Exhaustion:
    """What happens to a process started where these facts were read: own limit or whole host."""
    index = tightest_limit(facts)
    if index is None or not limit_comes_first(facts, facts.own_cgroups[index]):
        return host_exhaustion(facts)
    return cgroup_exhaustion(facts, facts.own_cgroups[index], pointer=f"/own_cgroups/{index}")


def host_exhaustion(facts: HostFacts) -> Exhaustion:
    """What happens when the whole host runs out of memory, whatever cgroup limits there are."""
    outcome = host_outcome(facts)
    index = None if outcome is Outcome.PANIC else _victim_index(facts)
    victim = None if index is None else held.first_pick(facts, index)
    stays_down, reboot_seconds = _after_panic(facts) if outcome.takes_host_down else (None, None)
    headline = _headline(facts, outcome, index)
    return Exhaustion(
        outcome=outcome,
        host_outcome=outcome,
        headline=headline,
        host_headline=headline,
        because=host_reasons(facts, outcome, index),
        stays_down=stays_down,
        reboot_seconds=reboot_seconds,
        dump=facts.crash_kernel_loaded if outcome.takes_host_down else None,
        victim=victim,
        guards=prompt_guards(facts),
    )


def cgroup_exhaustion(
    facts: HostFacts, cgroup: CgroupSample, *, pointer: str | None = None
) -> Exhaustion:
    """What happens when `cgroup` reaches its memory limit.

    `pointer` is where the cgroup lies in the HostFacts document, if it lies there.
    """
    assert cgroup.max_bytes is not None, "a cgroup without a limit cannot reach it"
    host = host_exhaustion(facts)
    panics = sysctl_number(facts, "vm.panic_on_oom") == 2
    stays_down, reboot_seconds = _after_panic(facts) if panics else (None, None)
    index = None if panics else held.first_pick_index(facts, within=cgroup.path)
    victim = None if index is None else held.first_pick(facts, index)
    return Exhaustion(
        outcome=Outcome.PANIC if panics else Outcome.CGROUP_KILL,
        host_outcome=host.outcome,
        headline=_cgroup_headline(facts, cgroup, index, panics=panics, own=pointer is not None),
        host_headline=host.headline,
        because=cgroup_reasons(facts, cgroup, index, panics=panics, pointer=pointer),
        limit_bytes=cgroup.max_bytes,
        limit_source=limit_source(facts, cgroup),
        stays_down=stays_down,
        reboot_seconds=reboot_seconds,
        dump=facts.crash_kernel_loaded if panics else None,
        victim=victim,
        guards=host.guards,
    )


def host_outcome(facts: HostFacts) -> Outcome:
    """What exhaustion of the whole host ends in, without the words for it."""
    panic_on_oom = sysctl_number(facts, "vm.panic_on_oom")
    if panic_on_oom is None:
        return Outcome.UNKNOWN
    if panic_on_oom >= 1:
        return Outcome.PANIC
    if sysctl_number(facts, "vm.overcommit_memory") == STRICT_OVERCOMMIT:
        return Outcome.ALLOCATION_FAILS
    if held.nothing_killable(facts):
        return Outcome.PANIC_NOTHING_KILLABLE
    return Outcome.KILL


def _victim_index(facts: HostFacts) -> int | None:
    """Who would be taken now; None where the task that asks is taken, or nobody can be seen."""
    return None if kills_who_asks(facts) else held.first_pick_index(facts)


def _after_panic(facts: HostFacts) -> tuple[bool | None, int | None]:
    """(stays down, seconds until it reboots) after a panic; None where it cannot be told."""
    if facts.crash_kernel_loaded:
        # The crash kernel takes over; whether it reboots is kdump.conf's final_action.
        return None, None
    timeout = sysctl_number(facts, "kernel.panic")
    if timeout is None:
        return None, None
    return timeout == 0, max(0, timeout) if timeout != 0 else None


def _headline(facts: HostFacts, outcome: Outcome, victim: int | None) -> str:
    value = facts.sysctls.get("vm.panic_on_oom")
    match outcome:
        case Outcome.PANIC:
            text = f"PANIC, not an OOM kill: vm.panic_on_oom={value}"
            return text + "".join(_panic_clauses(facts)) + _guard_clause(facts)
        case Outcome.PANIC_NOTHING_KILLABLE:
            text = "PANIC once nothing is left to kill: every large process has oom_score_adj -1000"
            return text + "".join(_panic_clauses(facts)) + _guard_clause(facts)
        case Outcome.ALLOCATION_FAILS:
            return (
                "Programs are refused memory before anything is killed: "
                "vm.overcommit_memory=2; whoever asks next is refused, whether it leaks or not"
            )
        case Outcome.UNKNOWN:
            why = facts.unseen.get("sysctls") or "vm.panic_on_oom could not be read"
            return f"UNKNOWN, a panic or an OOM kill: {why}"
        case _:
            text = f"The kernel kills ONE process and the host goes on: vm.panic_on_oom={value}"
            if kills_who_asks(facts):
                text += "; whichever asks for memory next: vm.oom_kill_allocating_task=1"
            return text + _victim_clause(facts, victim) + _guard_clause(facts)


def _panic_clauses(facts: HostFacts) -> list[str]:
    """What follows a panic, as clauses of a headline."""
    timeout = sysctl_number(facts, "kernel.panic")
    if facts.crash_kernel_loaded:
        return ["; kdump is armed: it saves a dump and then reboots, unless kdump.conf differs"]
    if timeout is None:
        clauses = ["; whether it comes back is unknown: kernel.panic could not be read"]
    elif timeout == 0:
        clauses = ["; and it stays down: kernel.panic=0"]
    elif timeout > 0:
        clauses = [f"; it reboots after {format_duration(timeout)}: kernel.panic={timeout}"]
    else:
        clauses = [f"; it reboots at once: kernel.panic={timeout}"]
    if facts.crash_kernel_loaded is None:
        return [*clauses, "; whether a dump is kept is unknown"]
    return [*clauses, "; no dump: kdump not armed"]


def _victim_clause(facts: HostFacts, index: int | None, total_bytes: int | None = None) -> str:
    if index is None:
        return ""
    if not held.stands_out(facts, index, total_bytes):
        return "; whichever holds most by then"
    victim = held.first_pick(facts, index)
    role = ", the database" if victim.database else ""
    return f"; as things stand {victim.name} (pid {victim.pid}){role}"


def _guard_clause(facts: HostFacts) -> str:
    guards = prompt_guards(facts)
    return f"; {' and '.join(guards)} should act before that" if guards else ""


def _cgroup_headline(
    facts: HostFacts, cgroup: CgroupSample, victim: int | None, *, panics: bool, own: bool
) -> str:
    size = format_bytes(cgroup.max_bytes or 0)
    contained = own and facts.container is not None
    limit = f"limit of {size} on cgroup {cgroup.path}"
    if panics:
        where = f"this container's limit of {size}" if contained else f"the {limit}"
        clauses = "".join(_panic_clauses(facts))
        return f"PANIC of the whole host at {where}, not an OOM kill: vm.panic_on_oom=2{clauses}"
    if contained:
        text = (
            f"This container's limit of {size} is reached first: "
            "the kernel kills ONE process inside it, and the host goes on"
        )
    else:
        text = f"At the {limit} the kernel kills ONE process inside it, and the host goes on"
    return text + _victim_clause(facts, victim, cgroup.max_bytes)
