"""What happens when memory runs out: HostFacts -> Exhaustion, a pure function.

The order is the kernel's own (mm/oom_kill.c, out_of_memory): panic_on_oom is asked first, then
oom_kill_allocating_task, then the highest badness is taken; with no candidate left it panics.
panic_on_oom=1 spares an OOM inside a memory cgroup, a cpuset or a mempolicy; 2 does not
(Documentation/admin-guide/sysctl/vm.rst). kernel.panic is only consulted where no crash kernel
takes over.
"""

from forestall.audit import holders as held
from forestall.audit.reading import fact, of_process, sysctl, sysctl_number
from forestall.model.facts import HostFacts
from forestall.model.finding import Exhaustion, Holder, Outcome, Reason
from forestall.model.sample import CgroupSample
from forestall.units import format_bytes, format_duration

STRICT_OVERCOMMIT = 2

PROMPT_GUARDS = ("earlyoom", "nohang", "oomd")
"""Guards that act on the host as a whole by default.

systemd-oomd only touches units that asked for it (ManagedOOM...=kill), and `forestall watch`
only acts with --mode act; neither may be counted on from its presence alone.
"""


def exhaustion(facts: HostFacts) -> Exhaustion:
    """What happens to a process started where these facts were read: own limit or whole host."""
    index = tightest_limit(facts)
    if index is None or not _limit_comes_first(facts, facts.own_cgroups[index]):
        return host_exhaustion(facts)
    return cgroup_exhaustion(facts, facts.own_cgroups[index], pointer=f"/own_cgroups/{index}")


def host_exhaustion(facts: HostFacts) -> Exhaustion:
    """What happens when the whole host runs out of memory, whatever cgroup limits there are."""
    outcome = _host_outcome(facts)
    victim = None if outcome is Outcome.PANIC else _victim(facts)
    stays_down, reboot_seconds = _after_panic(facts) if outcome.takes_host_down else (None, None)
    return Exhaustion(
        outcome=outcome,
        host_outcome=outcome,
        headline=_headline(facts, outcome, victim),
        because=tuple(_host_reasons(facts, outcome, victim)),
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
    panics = sysctl_number(facts, "vm.panic_on_oom") == 2
    source = f"{cgroup.path} {_limit_file(facts)}"
    where = "This container's" if facts.container and pointer else f"The cgroup {cgroup.path}'s"
    size = format_bytes(cgroup.max_bytes)
    limit_facts = (
        (fact(facts, f"{pointer}/max_bytes", name=_limit_file(facts), source=source),)
        if pointer
        else ()
    )
    reasons = [Reason(text=f"{where} memory limit is {size}.", facts=limit_facts)]
    setting = sysctl(facts, "vm.panic_on_oom")
    if panics:
        headline = (
            f"PANIC of the whole host, not an OOM kill, at {where.lower()} limit of {size}: "
            "vm.panic_on_oom=2" + "".join(_panic_clauses(facts))
        )
        reasons.append(
            Reason(
                text="vm.panic_on_oom=2 panics even when only a cgroup's limit is reached.",
                facts=(setting,),
            )
        )
        reasons += _panic_reasons(facts)
    else:
        headline = (
            f"{where} limit of {size} is reached first: "
            "the kernel kills ONE process inside it, and the host goes on"
        )
        reasons.append(_cgroup_kill_reason(facts))
    host = host_exhaustion(facts)
    if not panics:
        reasons.append(
            Reason(text=f"If the whole host runs out: {host.headline}.", facts=(setting,))
        )
    stays_down, reboot_seconds = _after_panic(facts) if panics else (None, None)
    return Exhaustion(
        outcome=Outcome.PANIC if panics else Outcome.CGROUP_KILL,
        host_outcome=host.outcome,
        headline=headline,
        because=tuple(reasons),
        limit_bytes=cgroup.max_bytes,
        limit_source=source,
        stays_down=stays_down,
        reboot_seconds=reboot_seconds,
        dump=facts.crash_kernel_loaded if panics else None,
        victim=None if panics else _victim(facts) if facts.container and pointer else None,
        guards=host.guards,
    )


def tightest_limit(facts: HostFacts) -> int | None:
    """Index in `facts.own_cgroups` of the limit with the least left, None where there is none."""
    limited = [
        (left, index)
        for index, cgroup in enumerate(facts.own_cgroups)
        if (left := cgroup_left_bytes(cgroup)) is not None
    ]
    return min(limited)[1] if limited else None


def prompt_guards(facts: HostFacts) -> tuple[str, ...]:
    """The userspace OOM guards here that act by themselves."""
    return tuple(name for name in facts.guards or () if name in PROMPT_GUARDS)


def cgroup_left_bytes(cgroup: CgroupSample) -> int | None:
    """What is left below a cgroup's limit, its page cache counted as left; None without a limit."""
    if cgroup.max_bytes is None:
        return None
    held_bytes = (cgroup.current_bytes or 0) - (cgroup.file_bytes or 0)
    return max(0, cgroup.max_bytes - max(0, held_bytes))


def _limit_comes_first(facts: HostFacts, cgroup: CgroupSample) -> bool:
    left, host_left = cgroup_left_bytes(cgroup), facts.memory.headroom_bytes
    return left is not None and (host_left is None or left < host_left)


def _limit_file(facts: HostFacts) -> str:
    return "memory.limit_in_bytes" if facts.cgroup_version == 1 else "memory.max"


def _host_outcome(facts: HostFacts) -> Outcome:
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


def _victim(facts: HostFacts) -> Holder | None:
    """Who would be taken now; None where the task that asks is taken, or nobody can be seen."""
    if (sysctl_number(facts, "vm.oom_kill_allocating_task") or 0) != 0:
        return None
    return next((holder for holder in held.holders(facts) if holder.first_pick), None)


def _after_panic(facts: HostFacts) -> tuple[bool | None, int | None]:
    """(stays down, seconds until it reboots) after a panic; None where it cannot be told."""
    if facts.crash_kernel_loaded:
        # The crash kernel takes over; whether it reboots is kdump.conf's final_action.
        return None, None
    timeout = sysctl_number(facts, "kernel.panic")
    if timeout is None:
        return None, None
    return timeout == 0, max(0, timeout) if timeout != 0 else None


def _headline(facts: HostFacts, outcome: Outcome, victim: Holder | None) -> str:
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
                "vm.overcommit_memory=2; whoever asks next fails, the database too"
            )
        case Outcome.UNKNOWN:
            why = facts.unseen.get("sysctls") or "vm.panic_on_oom could not be read"
            return f"UNKNOWN, a panic or an OOM kill: {why}"
        case _:
            text = f"The kernel kills ONE process and the host goes on: vm.panic_on_oom={value}"
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


def _victim_clause(facts: HostFacts, victim: Holder | None) -> str:
    if (sysctl_number(facts, "vm.oom_kill_allocating_task") or 0) != 0:
        return "; whichever asks for memory next: vm.oom_kill_allocating_task=1"
    if victim is None:
        return ""
    role = ", the database" if victim.database else ""
    return f"; as things stand {victim.name} (pid {victim.pid}){role}"


def _guard_clause(facts: HostFacts) -> str:
    guards = prompt_guards(facts)
    return f"; {' and '.join(guards)} should act before that" if guards else ""


def _host_reasons(facts: HostFacts, outcome: Outcome, victim: Holder | None) -> list[Reason]:
    reasons = [_panic_setting_reason(facts)]
    if outcome.takes_host_down:
        reasons += _panic_reasons(facts)
    reasons += _swap_reasons(facts)
    reasons += _overcommit_reasons(facts)
    if outcome is not Outcome.PANIC:
        reasons += _victim_reasons(facts, victim)
    reasons += _unkillable_reasons(facts)
    if guards := prompt_guards(facts):
        text = (
            f"{' and '.join(guards)} runs here and kills a process before the kernel has to, "
            "if it is quick enough."
        )
        reasons.append(Reason(text=text, facts=(fact(facts, "/guards"),)))
    if facts.container:
        text = (
            f"This is a container ({facts.container}): the vm.* settings are the host's, "
            "and so is its fate."
        )
        reasons.append(Reason(text=text, facts=(fact(facts, "/container"),)))
    return reasons


def _panic_setting_reason(facts: HostFacts) -> Reason:
    setting = sysctl(facts, "vm.panic_on_oom")
    texts = {
        0: "vm.panic_on_oom=0: out of memory means an OOM kill, not a panic.",
        1: "vm.panic_on_oom=1: a host that runs out of memory panics. An OOM inside a cgroup's "
        "limit, a cpuset or a NUMA memory policy still kills one process.",
        2: "vm.panic_on_oom=2: any OOM panics the host, even one inside a cgroup's limit.",
    }
    number = sysctl_number(facts, "vm.panic_on_oom")
    text = "vm.panic_on_oom could not be read." if number is None else texts.get(number)
    return Reason(text=text or f"vm.panic_on_oom={setting.value} panics.", facts=(setting,))


def _panic_reasons(facts: HostFacts) -> list[Reason]:
    """What follows a panic, each as a sentence of its own."""
    setting = sysctl(facts, "kernel.panic")
    timeout = sysctl_number(facts, "kernel.panic")
    armed = fact(facts, "/crash_kernel_loaded")
    if facts.crash_kernel_loaded:
        text = (
            "kdump is armed: a crash kernel takes over, saves a dump and by default reboots; "
            f"kernel.panic={setting.value} counts only if that fails."
        )
        return [Reason(text=text, facts=(armed, setting))]
    if timeout is None:
        after = "kernel.panic could not be read, so whether the host comes back is unknown."
    elif timeout == 0:
        after = (
            "kernel.panic=0: after a panic the host stays down until a person, a watchdog or "
            "the hypervisor resets it."
        )
    elif timeout > 0:
        after = f"kernel.panic={timeout}: the host reboots {format_duration(timeout)} later."
    else:
        after = f"kernel.panic={timeout}: the host reboots at once."
    dump = (
        "Whether kdump is armed cannot be seen here."
        if facts.crash_kernel_loaded is None
        else "kdump is not armed: no dump will say what held the memory."
    )
    return [Reason(text=after, facts=(setting,)), Reason(text=dump, facts=(armed,))]


def _swap_reasons(facts: HostFacts) -> list[Reason]:
    total = facts.memory.swap_total_bytes
    if total is None:
        return []
    read = (fact(facts, "/memory/swap_total_bytes"),)
    if total == 0:
        text = (
            "There is no swap: nothing slows a leak down, and the last minutes are spent "
            "re-reading programs and data files from disk."
        )
        return [Reason(text=text, facts=read)]
    text = f"{format_bytes(total)} of swap comes first: the host slows down before it runs out."
    return [Reason(text=text, facts=read)]


def _overcommit_reasons(facts: HostFacts) -> list[Reason]:
    setting = sysctl(facts, "vm.overcommit_memory")
    number = sysctl_number(facts, "vm.overcommit_memory")
    if number == STRICT_OVERCOMMIT:
        text = (
            "vm.overcommit_memory=2: at the commit limit the kernel refuses memory (MemoryError, "
            '"Cannot allocate memory") to whoever asks next; an OOM kill is rare.'
        )
        return [Reason(text=text, facts=(setting,))]
    if number == 1:
        text = "vm.overcommit_memory=1: no request is ever refused; the first sign is the OOM."
        return [Reason(text=text, facts=(setting,))]
    return []


def _victim_reasons(facts: HostFacts, victim: Holder | None) -> list[Reason]:
    setting = sysctl(facts, "vm.oom_kill_allocating_task")
    if (sysctl_number(facts, "vm.oom_kill_allocating_task") or 0) != 0:
        text = (
            f"vm.oom_kill_allocating_task={setting.value}: the process that asks for memory at "
            "the wrong moment is killed, not the one that took it."
        )
        return [Reason(text=text, facts=(setting,))]
    reasons = []
    index = held.first_pick_index(facts)
    if victim is not None and index is not None:
        score = of_process(facts, index, "oom_score", file="oom_score")
        text = (
            "The OOM killer takes the process with the highest score: now "
            f"{victim.name} (pid {victim.pid}, score {victim.oom_score}, "
            f"{format_bytes(victim.memory_bytes)}). A leak may overtake it."
        )
        reasons.append(Reason(text=text, facts=(score,)))
    if facts.hidden_processes:
        text = "Other users' processes are hidden here (hidepid), and one of them may be taken."
        reasons.append(Reason(text=text, facts=(fact(facts, "/hidden_processes"),)))
    return reasons


def _unkillable_reasons(facts: HostFacts) -> list[Reason]:
    reasons = []
    for index in held.unkillable_large(facts):
        holder = facts.holders[index]
        text = (
            f"{holder.process.name} (pid {holder.process.key.pid}) holds "
            f"{format_bytes(held.counted_bytes(holder))} and is exempt from the OOM killer "
            "(oom_score_adj -1000): if it leaks, everything else is killed first."
        )
        adjust = of_process(facts, index, "oom_score_adjust", file="oom_score_adj")
        reasons.append(Reason(text=text, facts=(adjust,)))
    return reasons


def _cgroup_kill_reason(facts: HostFacts) -> Reason:
    setting = sysctl(facts, "vm.panic_on_oom")
    value = sysctl_number(facts, "vm.panic_on_oom")
    if value == 1:
        text = "vm.panic_on_oom=1 does not panic for a cgroup's limit; the kill stays inside."
    elif value is None:
        text = "The kill stays inside, unless the host has vm.panic_on_oom=2; it could not be read."
    else:
        text = "Reaching it kills one process inside; processes outside are not touched."
    return Reason(text=text, facts=(setting,))
