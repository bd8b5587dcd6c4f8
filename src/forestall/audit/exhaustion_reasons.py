"""Why: the sentences behind an Exhaustion, each with the facts it stands on."""

from forestall.audit import holders as held
from forestall.audit.headroom import zram_bytes
from forestall.audit.limits import limit_file, limit_source
from forestall.audit.reading import fact, sysctl, sysctl_number
from forestall.audit.settings import STRICT_OVERCOMMIT, kills_who_asks, prompt_guards
from forestall.model.facts import HostFacts
from forestall.model.finding import Fact, Outcome, Reason
from forestall.model.sample import CgroupSample
from forestall.units import format_bytes, format_duration


def host_reasons(facts: HostFacts, outcome: Outcome, victim: int | None) -> tuple[Reason, ...]:
    """Why the whole host ends in `outcome`; `victim` is an index in `facts.holders`."""
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
        reasons.append(_container_reason(facts))
    return tuple(reasons)


def cgroup_reasons(
    facts: HostFacts,
    cgroup: CgroupSample,
    victim: int | None,
    *,
    panics: bool,
    pointer: str | None,
) -> tuple[Reason, ...]:
    """Why a cgroup's limit ends in a kill inside it, or in a panic."""
    source = limit_source(facts, cgroup)
    read = (
        (fact(facts, f"{pointer}/max_bytes", name=limit_file(facts), source=source),)
        if pointer
        else ()
    )
    limit = f"The memory limit of cgroup {cgroup.path} is {format_bytes(cgroup.max_bytes or 0)}."
    reasons = [Reason(text=limit, facts=read)]
    if panics:
        reasons += [_panic_setting_reason(facts), *_panic_reasons(facts)]
    else:
        reasons.append(_cgroup_kill_reason(facts))
    if victim is not None:
        reasons.append(_victim_reason(facts, victim, cgroup.max_bytes))
    if facts.container and pointer:
        reasons.append(_container_reason(facts))
    return tuple(reasons)


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
    read: tuple[Fact, ...] = (fact(facts, "/memory/swap_total_bytes"),)
    if total == 0:
        text = (
            "There is no swap: nothing slows a leak down, and the last minutes are spent "
            "re-reading programs and data files from disk."
        )
        return [Reason(text=text, facts=read)]
    read += (fact(facts, "/memory/swap_free_bytes"),)
    free, size = facts.memory.swap_free_bytes or 0, format_bytes(total)
    if free < total / 10:
        text = f"The {size} of swap is nearly used up: it no longer slows a leak down."
    elif zram_bytes(facts) >= total:
        text = f"The {size} of swap is kept in memory, compressed (zram): it delays the end a bit."
    else:
        text = f"{size} of swap comes first: the host slows down before it runs out."
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


def _victim_reasons(facts: HostFacts, victim: int | None) -> list[Reason]:
    setting = sysctl(facts, "vm.oom_kill_allocating_task")
    if kills_who_asks(facts):
        text = (
            f"vm.oom_kill_allocating_task={setting.value}: the process that asks for memory at "
            "the wrong moment is killed, not the one that took it."
        )
        return [Reason(text=text, facts=(setting,))]
    reasons = [] if victim is None else [_victim_reason(facts, victim)]
    if facts.hidden_processes:
        text = "Other users' processes are hidden here (hidepid), and one of them may be taken."
        reasons.append(Reason(text=text, facts=(fact(facts, "/hidden_processes"),)))
    return reasons


def _victim_reason(facts: HostFacts, index: int, total_bytes: int | None = None) -> Reason:
    victim = held.first_pick(facts, index)
    size = format_bytes(victim.memory_bytes)
    who = f"{victim.name} (pid {victim.pid}, score {victim.oom_score}, {size})"
    if held.stands_out(facts, index, total_bytes):
        text = f"The OOM killer takes the highest score: now {who}. A leak may overtake it."
    else:
        text = f"The OOM killer takes the highest score. Nobody stands out now: {who} leads."
    return Reason(text=text, facts=(fact(facts, f"/holders/{index}/oom_score"),))


def _unkillable_reasons(facts: HostFacts) -> list[Reason]:
    reasons = []
    for index in held.unkillable_large(facts):
        holder = facts.holders[index]
        text = (
            f"{holder.process.name} (pid {holder.process.key.pid}) holds "
            f"{format_bytes(held.counted_bytes(holder))} and is exempt from the OOM killer "
            "(oom_score_adj -1000): if it leaks, everything else is killed first."
        )
        adjust = fact(facts, f"/holders/{index}/oom_score_adjust")
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


def _container_reason(facts: HostFacts) -> Reason:
    text = (
        f"This is a container ({facts.container}): the vm.* settings are the host's, "
        "and so is its fate."
    )
    return Reason(text=text, facts=(fact(facts, "/container"),))
