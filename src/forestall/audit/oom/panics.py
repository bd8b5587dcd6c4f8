"""Why the kernel panicked where it could have killed one process."""

from typing import NamedTuple

from forestall.audit.oom.nouns import Event
from forestall.units import format_duration

NOBODY_LEFT = ("system is deadlocked on memory", "out of memory and no killable processes")


class Cause(NamedTuple):
    """How a panic's text begins, the setting behind it for a headline, and what it means."""

    beginnings: tuple[str, ...]
    setting: str | None
    meaning: str


CAUSES = (
    Cause(
        ("out of memory: system-wide panic_on_oom", "out of memory. panic_on_oom"),
        "vm.panic_on_oom=1",
        "vm.panic_on_oom=1: when the host as a whole runs out, the kernel panics and kills "
        "nobody. With 0, the default, it would have killed one process and gone on.",
    ),
    Cause(
        ("out of memory: compulsory panic_on_oom", "out of memory. compulsory panic_on_oom"),
        "vm.panic_on_oom=2",
        "vm.panic_on_oom=2: the kernel panics at every OOM, also where only a cgroup's limit, "
        "a cpuset or a memory policy was reached and the host had memory.",
    ),
    Cause(
        NOBODY_LEFT,
        None,
        "Nobody was left to kill: what runs is init, kernel threads, or has oom_score_adj "
        "-1000. That is no setting of panic; the kernel has no other way out.",
    ),
    Cause(
        ("hung_task: blocked tasks",),
        "kernel.hung_task_panic=1",
        "kernel.hung_task_panic=1: a task did not run for longer than hung_task_timeout_secs.",
    ),
    Cause(
        ("softlockup: hung tasks",),
        "kernel.softlockup_panic=1",
        "kernel.softlockup_panic=1: a processor was busy in the kernel for too long, as it "
        "is when it looks for memory to free.",
    ),
    Cause(
        ("hard lockup", "watchdog detected hard lockup"),
        None,
        "kernel.hardlockup_panic=1 or nmi_watchdog=panic: a processor took no interrupts.",
    ),
    Cause(
        ("attempted to kill init",),
        None,
        "Process 1 ended. Where the OOM killer, or a failed allocation, took what init cannot "
        "do without, the kernel has nothing left to run.",
    ),
    Cause(
        ("rcu_sched self-detected", "rcu stall", "rcu_preempt"),
        None,
        "kernel.panic_on_rcu_stall=1.",
    ),
    Cause(
        ("fatal exception",), None, "kernel.panic_on_oops=1: the kernel met an error of its own."
    ),
    Cause(
        ("sysrq triggered crash",), None, "A person or a watchdog program asked for it, by SysRq-c."
    ),
)


def why_panicked(event: Event) -> list[str]:
    """Sentences; empty where the kernel did not panic."""
    panic = event.panic
    if panic is None:
        return []
    text = [f'The kernel\'s words: "{panic.why}".']
    cause = _cause(event)
    text.append(
        cause.meaning if cause else "Which setting is behind it is not known to this program."
    )
    if panic.waiting:
        text.append(f"Before it, {panic.waiting}, waited for memory.")
    if panic.later_seconds is not None:
        text.append(
            f"It came {format_duration(panic.later_seconds)} after the last report that memory "
            "had run out; that the one led to the other is likely, and not said by the kernel."
        )
    if event.nothing_killable and not (cause and cause.beginnings is NOBODY_LEFT):
        text.append("No process could be killed.")
    return text


def by_setting(event: Event) -> str | None:
    """`vm.panic_on_oom=1` and the like, for a headline."""
    cause = _cause(event)
    return cause.setting if cause else None


def _cause(event: Event) -> Cause | None:
    said = event.panic.why.lower() if event.panic else ""
    return next((cause for cause in CAUSES if said.startswith(cause.beginnings)), None)
