"""Why the kernel panicked where it could have killed one process."""

from forestall.audit.oom.nouns import Event
from forestall.units import format_duration

# The beginning of a panic's text, the setting behind it, and what it means.
SETTINGS = (
    (
        ("out of memory: system-wide panic_on_oom", "out of memory. panic_on_oom"),
        (
            "vm.panic_on_oom=1: when the host as a whole runs out, the kernel panics and kills "
            "nobody. With 0, the default, it would have killed one process and gone on."
        ),
    ),
    (
        ("out of memory: compulsory panic_on_oom", "out of memory. compulsory panic_on_oom"),
        (
            "vm.panic_on_oom=2: the kernel panics at every OOM, also where only a cgroup's limit, "
            "a cpuset or a memory policy was reached and the host had memory."
        ),
    ),
    (
        ("system is deadlocked on memory", "out of memory and no killable processes"),
        (
            "Nobody was left to kill: what runs is init, kernel threads, or has oom_score_adj "
            "-1000. That is no setting of panic; the kernel has no other way out."
        ),
    ),
    (
        ("hung_task: blocked tasks",),
        "kernel.hung_task_panic=1: a task did not run for longer than hung_task_timeout_secs.",
    ),
    (
        ("softlockup: hung tasks",),
        (
            "kernel.softlockup_panic=1: a processor was busy in the kernel for too long, as it "
            "is when it looks for memory to free."
        ),
    ),
    (
        ("hard lockup", "watchdog detected hard lockup"),
        "kernel.hardlockup_panic=1 or nmi_watchdog=panic: a processor took no interrupts.",
    ),
    (
        ("attempted to kill init",),
        (
            "Process 1 ended. Where the OOM killer, or a failed allocation, took what init cannot "
            "do without, the kernel has nothing left to run."
        ),
    ),
    (("rcu_sched self-detected", "rcu stall", "rcu_preempt"), "kernel.panic_on_rcu_stall=1."),
    (("fatal exception",), "kernel.panic_on_oops=1: the kernel met an error of its own."),
    (("sysrq triggered crash",), "A person or a watchdog program asked for it, by SysRq-c."),
)


def why_panicked(event: Event) -> list[str]:
    """Sentences; empty where the kernel did not panic."""
    panic = event.panic
    if panic is None:
        return []
    said = panic.why.lower()
    text = [f'The kernel\'s words: "{panic.why}".']
    for beginnings, meaning in SETTINGS:
        if said.startswith(beginnings):
            text.append(meaning)
            break
    else:
        text.append("Which setting is behind it is not known to this program.")
    if panic.waiting:
        text.append(f"Before it, {panic.waiting}, waited for memory.")
    if panic.later_seconds is not None:
        text.append(
            f"It came {format_duration(panic.later_seconds)} after the last report that memory "
            "had run out; that the one led to the other is likely, and not said by the kernel."
        )
    if event.nothing_killable and not said.startswith(("system is", "out of memory and")):
        text.append("No process could be killed.")
    return text


def by_setting(event: Event) -> str | None:
    """`vm.panic_on_oom=1` and the like, for a headline."""
    said = (event.panic.why if event.panic else "").lower()
    if said.startswith(SETTINGS[0][0]):
        return "vm.panic_on_oom=1"
    if said.startswith(SETTINGS[1][0]):
        return "vm.panic_on_oom=2"
    if said.startswith("hung_task"):
        return "kernel.hung_task_panic=1"
    if said.startswith("softlockup"):
        return "kernel.softlockup_panic=1"
    return None
