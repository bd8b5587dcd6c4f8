"""The executor's own look before it touches a process: policy may be wrong, or outdated."""

from collections.abc import Iterable
from dataclasses import dataclass

from forestall.errors import InputError
from forestall.guard import protect
from forestall.guard.live import Live, Processes
from forestall.guard.recipe import Method, from_parameters
from forestall.model.action import Action, ActionKind, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """Who may be touched: as the processes are now, with the owner's further names and units."""

    processes: Processes
    own_pids: frozenset[int]
    protected: tuple[str, ...] = ()

    def why_not(self, plan: Plan, action: Action) -> str | None:
        """The sentence that forbids touching the action's process, or None."""
        key = action.subject.process
        if action.subject != plan.subject:
            return f"The plan judged {plan.subject.service}, not {action.subject.service}."
        if plan.refusals:
            return f"The plan itself refuses: {plan.refusals[0]}"
        if key is None:
            return f"The verdict on {action.subject.service} names no process."
        by_pid = protect.protected_by_pid(key.pid, self.own_pids)
        if by_pid is not None:
            return by_pid
        live = self.processes.look(key.pid)
        if live is None:
            return f"Process {key.pid} has ended by itself."
        if live.key != key:
            return (
                f"Process {key.pid} is another one now, {live.name}: it started at tick "
                f"{live.key.start_ticks}, and the judged one at tick {key.start_ticks}."
            )
        named = (action.subject.name, action.subject.service, *live.names)
        return (
            self._untouchable(live, named)
            or self._unit_forbids(action, live)
            or self._cgroup_forbids(action, live)
        )

    def _untouchable(self, live: Live, names: Iterable[str]) -> str | None:
        if live.kernel_thread:
            return f"Protected: process {live.key.pid} is a thread of the kernel."
        return protect.protected_by_name(names, self.protected) or protect.protected_by_unit(
            live.unit, self.protected
        )

    def _unit_forbids(self, action: Action, live: Live) -> str | None:
        """A unit is restarted as a whole, so every process in it must be one that may be."""
        if action.kind is not ActionKind.RESTART:
            return None
        try:
            recipe = from_parameters(action.parameters)
        except InputError as error:
            return error.message
        if recipe.method is not Method.SYSTEMD:
            return None
        if live.unit != recipe.unit or live.user_unit:
            place = "a user's own unit" if live.user_unit else f"the unit {live.unit}"
            return f"Process {live.key.pid} runs in {place}, not in the system's {recipe.unit}."
        shared = protect.shared_unit(recipe.unit)
        if shared is not None:
            return shared
        for other in self.processes.all():
            if other.unit == recipe.unit and not other.user_unit:
                forbidden = protect.protected_by_pid(
                    other.key.pid, self.own_pids
                ) or self._untouchable(other, other.names)
                if forbidden is not None:
                    return f"{forbidden} It runs in {recipe.unit} too."
        return None

    def _cgroup_forbids(self, action: Action, live: Live) -> str | None:
        """A cgroup is limited as a whole, so every process in it must be one that may be."""
        if action.kind is not ActionKind.CONTAIN:
            return None
        # Loaded by the plan that brought the action.
        from forestall.guard.containment import ContainMethod
        from forestall.guard.containment import from_parameters as contained_by

        try:
            containment = contained_by(action.parameters)
        except InputError as error:
            return error.message
        if containment.method is ContainMethod.OWN_CGROUP:
            return None
        forbidden = protect.protected_cgroup(containment.cgroup)
        if forbidden is not None:
            return forbidden
        if not _lies_in(live, containment.cgroup):
            place = live.memory_cgroup or "no cgroup that is known"
            return f"Process {live.key.pid} lies in {place} now, not in {containment.cgroup}."
        for other in self.processes.inside(containment.cgroup):
            forbidden = protect.protected_by_pid(other.key.pid, self.own_pids) or self._untouchable(
                other, other.names
            )
            if forbidden is not None:
                return f"{forbidden} It lies in {containment.cgroup} too."
        return None


def _lies_in(live: Live, cgroup: str) -> bool:
    return f"{live.memory_cgroup or ''}/".startswith(f"{cgroup}/")
