"""A contained service that ended at its own limit, before guard could recycle it.

Nothing is restarted then: the judged process is gone. What its restart was to bring about may be
there all the same, since the service's supervisor starts it again.
"""

from dataclasses import dataclass

from forestall.clock import Clock
from forestall.guard.actions.ending import wait_until
from forestall.guard.actions.restart import SETTLE_SECONDS, VERIFY_SHARE
from forestall.guard.live import Live, Processes
from forestall.model.action import Action
from forestall.model.sample import ProcessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Contained:
    """What was there when the service had just been contained: who served, and how many the
    kernel had killed.

    `oom_kill_count` is that of the service's cgroup; None where the kernel does not count.
    """

    old: Live
    known: frozenset[ProcessKey]
    oom_kill_count: int | None


def look(action: Action, processes: Processes) -> Contained | None:
    """The service as it is now; None where the judged process is gone already."""
    key = action.subject.process
    live = None if key is None else processes.look(key.pid)
    if live is None or live.key != key:
        return None
    return Contained(
        old=live,
        known=_serving(live, processes),
        oom_kill_count=_oom_kills(live.memory_cgroup, processes),
    )


def has_ended(action: Action, processes: Processes) -> bool:
    """Whether the judged process is gone; its pid may be another's by now."""
    key = action.subject.process
    live = None if key is None else processes.look(key.pid)
    return key is not None and (live is None or live.key != key)


def came_back(
    action: Action, before: Contained, processes: Processes, clock: Clock
) -> tuple[bool, str]:
    """Whether a new process of the service came and stayed, and what happened, in sentences."""
    subject = action.subject
    assert subject.process is not None
    how = f"Process {subject.process.pid} ended by itself before guard came to it"
    kills, counted = before.oom_kill_count, _oom_kills(before.old.memory_cgroup, processes)
    if kills is not None and counted is not None and counted > kills:
        how = f"Process {subject.process.pid} ended at the limit it was contained by, before guard"
        how += f" came to it: the kernel counted {counted - kills} out-of-memory kill in its cgroup"
        how += "s" if counted - kills > 1 else ""
    seconds = action.timeout_seconds * VERIFY_SHARE

    def fresh() -> frozenset[ProcessKey]:
        return _serving(before.old, processes) - before.known

    if not wait_until(lambda: bool(fresh()), seconds, clock):
        return False, f"{how}. No new process of {subject.service} came within {seconds:.0f} s."
    first = fresh()
    clock.sleep(SETTLE_SECONDS)
    stayed = first & fresh()
    if not stayed:
        return False, f"{how}. A new process of {subject.service} came, and ended at once."
    pid = min(key.pid for key in stayed)
    return True, f"{how}. Its supervisor started it again, as process {pid}."


def _serving(old: Live, processes: Processes) -> frozenset[ProcessKey]:
    return frozenset(live.key for live in processes.all() if old.same_service(live))


def _oom_kills(cgroup: str | None, processes: Processes) -> int | None:
    return None if cgroup is None else processes.oom_kill_count(cgroup)
