"""Contain: a limit on the suspect's cgroup alone, so that its growth ends it and not the host.

The files of the cgroup are written first: that forks nothing, and works when no memory is left.
systemd is told afterwards, where it may be (`settle`), or its next daemon-reload would undo it.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

from forestall.errors import ForestallError
from forestall.guard.containment import (
    Containment,
    ContainMethod,
    from_parameters,
    own_folder,
)
from forestall.guard.descriptors import Descriptors
from forestall.guard.handler import Done, Step
from forestall.guard.surroundings import (
    LIMIT_FILES,
    Folders,
    forbids,
    is_same,
    why_not_written,
)
from forestall.model.action import Action
from forestall.model.sample import ProcessKey
from forestall.sense.cgroup import NO_LIMIT_BYTES
from forestall.units import MIB, format_bytes

MOVE_ROUNDS = 3
"""A process may fork while its tree is moved; what it forks after the last round stays behind."""

BUSY_TRIES = 5
BUSY_ROOM_BYTES = 4 * MIB

SYSTEMCTL_SECONDS = 10.0
MOVE_CHARGES = b"3"
"""memory.move_charge_at_immigrate of v1: anonymous memory and mapped files come along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contained(Done):
    """With the cgroup that was limited, and the limits that were set; None = not set."""

    cgroup: str
    high_bytes: int | None
    max_bytes: int | None


class ContainHandler:
    """Contains by the action's parameters alone. `tell` False never runs systemctl (the last
    stage must not fork): whoever hosts this has somebody else call `settle`.
    """

    def __init__(
        self,
        folders: Folders,
        *,
        own_pids: frozenset[int] = frozenset(),
        protected: tuple[str, ...] = (),
        tell: bool = True,
    ) -> None:
        self._folders = folders
        self._host = folders.host
        self._files = Descriptors(self._host)
        self._own_pids = own_pids
        self._protected = protected
        self._tell = tell

    def arm(self, action: Action) -> None:
        """Open beforehand what `do` would write, while opening is still quick."""
        containment = from_parameters(action.parameters)
        if containment.method is not ContainMethod.OWN_CGROUP:
            folder = self._folders.folder(containment.cgroup)
            for name in LIMIT_FILES[containment.version]:
                self._files.hold(f"{folder}/{name}")

    def precondition(self, step: Step) -> str | None:
        containment = from_parameters(step.action.parameters)
        key = _process(step)
        cgroups = self._folders.cgroups
        if cgroups.version != containment.version:
            return f"There is no cgroup v{containment.version} memory controller here."
        if not is_same(self._host, key):
            return f"Process {key.pid} is not there any more as it was judged."
        cgroup, own = containment.cgroup, None
        now = cgroups.place_of(key.pid).cgroup or ""
        if containment.method is ContainMethod.OWN_CGROUP:
            own = own_folder(containment, key.pid)
            if now not in (cgroup, own):
                return f"Process {key.pid} lies in the cgroup {now} now, not in {cgroup}."
            pids = self._folders.tree(key.pid, now)
        else:
            if not f"{now}/".startswith(f"{cgroup}/"):
                return f"Process {key.pid} lies in the cgroup {now} now, not in {cgroup}."
            if cgroup.endswith(".slice"):
                return f"The cgroup {cgroup} is a slice, which holds many services."
            pids = self._folders.all_pids(cgroup)
        problem = forbids(self._host, pids, self._own_pids, self._protected)
        if problem is None:
            above = os.path.dirname(own) if own is not None else cgroup
            problem = why_not_written(
                self._folders, above, containment.version, new=own is not None
            )
        return None if problem is None else f"It cannot be contained: {problem}."

    def do(self, step: Step) -> Contained:
        containment = from_parameters(step.action.parameters)
        cgroup, held = containment.cgroup, 0
        if containment.method is ContainMethod.OWN_CGROUP:
            cgroup = own_folder(containment, _process(step).pid)
            held = self._move(containment, _process(step), cgroup)
        high = self._limit(cgroup, "memory.high", containment.high_bytes, held)
        name = LIMIT_FILES[containment.version][-1]
        hard = self._limit(cgroup, name, containment.max_bytes, held)
        words = [f"The cgroup {cgroup}"]
        if high is not None:
            words.append(f"is slowed down from {format_bytes(high)} on")
        if hard is not None:
            words.append(f"{'and ' if high is not None else ''}may hold {format_bytes(hard)}")
        detail = " ".join(words) + "."
        if self._tell:
            said = self.settle(step)
            detail += f" {said}" if said else ""
        return Contained(detail=detail, cgroup=cgroup, high_bytes=high, max_bytes=hard)

    def verify(self, step: Step, done: Done) -> str | None:
        assert isinstance(done, Contained)
        version = from_parameters(step.action.parameters).version
        key = _process(step)
        place = self._folders.cgroups.place_of(key.pid).cgroup
        if is_same(self._host, key) and not f"{place}/".startswith(f"{done.cgroup}/"):
            return f"Process {key.pid} lies in {place}, and not in {done.cgroup}."
        for name, wanted in (
            ("memory.high", done.high_bytes),
            (LIMIT_FILES[version][-1], done.max_bytes),
        ):
            if wanted is None:
                continue
            found = self._read(done.cgroup, name)
            if found is None or found > wanted:
                shown = "no limit" if found is None else format_bytes(found)
                return f"{done.cgroup} has {shown} in {name}, not {format_bytes(wanted)}."
        return None

    def undo(self, step: Step) -> str | None:
        containment = from_parameters(step.action.parameters)
        if self._folders.cgroups.version != containment.version:
            return None
        if containment.method is ContainMethod.OWN_CGROUP:
            return self._undo_own(containment, _process(step))
        said = self._put_back(containment)
        problem = self.settle(step, undone=True) if self._tell else None
        return " ".join(part for part in (said, problem) if part) or None

    def settle(self, step: Step, *, undone: bool = False) -> str | None:
        """Have systemd know the limits too, or, if `undone`, those of before.

        The sentence that says why it does not, or None.
        """
        containment = from_parameters(step.action.parameters)
        if containment.method is not ContainMethod.SYSTEMD:
            return None
        # Imported here: the last stage never runs a command.
        from forestall.guard.actions.running import run_words

        if not self._host.is_folder("run/systemd/system"):
            return "systemd does not run here, so it was not told."
        words = set_property_words(containment, undone=undone)
        ran = run_words(words, SYSTEMCTL_SECONDS, oom_score_adjust=0, listen=True)
        if ran.exit_code == 0:
            return None
        said = (ran.said or f"exit code {ran.exit_code}").rstrip(".")
        return f"systemd could not be told, so its next daemon-reload may undo it: {said}."

    def _limit(self, cgroup: str, name: str, wanted: int | None, held: int) -> int | None:
        """Set one limit, unless it is tighter already; what it is then. None = none wanted."""
        if wanted is None:
            return None
        wanted += held
        found = self._read(cgroup, name)
        if found is not None and found <= wanted:
            return found
        file = f"{self._folders.folder(cgroup)}/{name}"
        for _ in range(BUSY_TRIES):
            try:
                self._files.write(file, b"%d" % wanted)
                break
            except OSError as error:
                # v1 refuses a limit below what is held and cannot be taken back: it grew since
                # the plan was made. What it holds now is then the tightest there is.
                if error.errno not in (errno.EBUSY, errno.EINTR):
                    raise _cannot(file, error) from None
                usage = self._read(cgroup, "memory.usage_in_bytes")
                wanted = max(wanted, (usage or 0) + BUSY_ROOM_BYTES)
        else:
            raise ForestallError(
                f"{file}: the kernel set no limit in {BUSY_TRIES} attempts",
                help="the cgroup grows faster than it can be limited",
            )
        return self._read(cgroup, name)

    def _move(self, containment: Containment, key: ProcessKey, cgroup: str) -> int:
        """Move the process and its descendants to `cgroup`; what that holds then."""
        folder = self._folders.folder(cgroup)
        try:
            os.mkdir(self._host.path(folder), 0o755)
        except FileExistsError:
            pass  # A `do` that was cut short.
        except OSError as error:
            raise _cannot(folder, error) from None
        if containment.version == 1:
            self._write_if_there(f"{folder}/memory.move_charge_at_immigrate", MOVE_CHARGES)
        for _ in range(MOVE_ROUNDS):
            left = [
                pid
                for pid in self._folders.tree(key.pid, containment.cgroup)
                if pid != key.pid or self._folders.cgroups.place_of(pid).cgroup != cgroup
            ]
            if not left:
                break
            for pid in left:
                if pid == key.pid and not is_same(self._host, key):
                    raise ForestallError(f"process {pid} ended while it was moved")
                self._move_one(cgroup, pid)
        if not is_same(self._host, key):
            raise ForestallError(f"process {key.pid} ended while it was moved")
        if containment.version == 1:
            return self._read(cgroup, "memory.usage_in_bytes") or 0
        return self._read(cgroup, "memory.current") or 0

    def _move_one(self, cgroup: str, pid: int) -> None:
        file = f"{self._folders.folder(cgroup)}/cgroup.procs"
        try:
            self._files.write(file, b"%d" % pid)
        except ProcessLookupError:
            return
        except OSError as error:
            raise _cannot(file, error) from None

    def _put_back(self, containment: Containment) -> str | None:
        """Put the limits of before back, the hard one first; None where nothing is to be done."""
        version, cgroup = containment.version, containment.cgroup
        if not self._folders.exists(cgroup):
            return None
        befores = {"memory.high": containment.before_high_bytes}
        befores[LIMIT_FILES[version][-1]] = containment.before_max_bytes
        changed = False
        for name in reversed(LIMIT_FILES[version]):
            before, found = befores[name], self._read(cgroup, name)
            if found is None or (before is not None and found >= before):
                continue
            file = f"{self._folders.folder(cgroup)}/{name}"
            try:
                self._files.write(file, _word(before, version))
            except OSError as error:
                raise _cannot(file, error) from None
            changed = True
        return f"The limits of {cgroup} are as they were before." if changed else None

    def _undo_own(self, containment: Containment, key: ProcessKey) -> str | None:
        """Move everything back and remove the cgroup; without a way back, take its limits away."""
        cgroup = own_folder(containment, key.pid)
        if not self._folders.exists(cgroup):
            return None
        if not self._folders.exists(containment.cgroup):
            for name in reversed(LIMIT_FILES[containment.version]):
                file = f"{self._folders.folder(cgroup)}/{name}"
                self._write_if_there(file, _word(None, containment.version))
            return (
                f"The cgroup {containment.cgroup} is gone, so {cgroup} stays, without its limits."
            )
        for _ in range(MOVE_ROUNDS):
            for pid in self._folders.pids(cgroup):
                self._move_one(containment.cgroup, pid)
        try:
            os.rmdir(self._host.path(self._folders.folder(cgroup)))
        except OSError as error:
            raise _cannot(self._folders.folder(cgroup), error) from None
        return f"Its processes are back in {containment.cgroup}, and {cgroup} is removed."

    def _read(self, cgroup: str, name: str) -> int | None:
        """One number of a cgroup; None for no limit."""
        data = self._files.read(f"{self._folders.folder(cgroup)}/{name}")
        value = int(data) if data.isdigit() else None
        return None if value is None or value >= NO_LIMIT_BYTES else value

    def _write_if_there(self, file: str, word: bytes) -> None:
        try:
            self._files.write(file, word)
        except OSError:
            return  # Newer kernels have no such file, or no such value.


def set_property_words(containment: Containment, *, undone: bool = False) -> Sequence[str]:
    """The words that tell systemd, of those limits only that were set.

    MemoryLimit= is what every systemd with cgroup v1 knows. `--runtime`: a reboot ends it.
    """
    assert containment.unit is not None
    words = ["systemctl", "--no-ask-password", "set-property", "--runtime", "--", containment.unit]
    hard = "MemoryLimit" if containment.version == 1 else "MemoryMax"
    for name, limit, before in (
        ("MemoryHigh", containment.high_bytes, containment.before_high_bytes),
        (hard, containment.max_bytes, containment.before_max_bytes),
    ):
        if limit is not None:
            words.append(f"{name}={_infinity(before if undone else limit)}")
    return words


def _infinity(limit: int | None) -> str:
    return "infinity" if limit is None else str(limit)


def _word(limit: int | None, version: int) -> bytes:
    if limit is None:
        return b"max" if version == 2 else b"-1"
    return b"%d" % limit


def _process(step: Step) -> ProcessKey:
    key = step.action.subject.process
    if key is None:
        raise ForestallError("no process is named")
    return key


def _cannot(file: str, error: OSError) -> ForestallError:
    denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    return ForestallError(
        f"{file}: {error.strerror or error}",
        help="forestall must be root, and the cgroups writable" if denied else None,
    )
