"""The one door to a host: bounded reads below roots that a test or a recorded tree replaces."""

import os
import stat
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from subprocess import Popen

FILE_LIMIT_BYTES = 64 * 1024
"""Enough for every file that has a line per fact; files with a line per mount state their own."""

DENIED_LIMIT = 256
LIST_LIMIT = 65_536
COMMAND_OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024

NEEDS_ROOT = "permission denied: needs root"


class CommandResult(NamedTuple):
    """What a command answered. `exit_code` is None where it did not end by itself: `problem`."""

    exit_code: int | None
    stdout: bytes
    problem: str | None = None


RunCommand = Callable[[Sequence[str], float], CommandResult]
"""Runs a list of words with a timeout in seconds; never raises for what the command does."""


class Host:
    """A host's files and commands.

    Paths are relative to the root folder: `proc/1/stat`, `sys/fs/cgroup`, `etc/os-release`,
    `run/systemd/system`. The first part picks the replaceable root; every other path lies
    below `root`. A host that is not this one has no commands unless `run_command` is given.
    `origin` says how it is reached, `collected_at` when it was recorded (None = it is asked now).
    `complete` = what is not there is not on the host either; of half a recording nobody can say.
    """

    origin = "local"
    collected_at: float | None = None
    complete = True

    def __init__(
        self,
        proc: str = "/proc",
        sys: str = "/sys",
        etc: str = "/etc",
        run: str = "/run",
        *,
        root: str = "/",
        run_command: RunCommand | None = None,
        hostname: str | None = None,
        machine: str | None = None,
        effective_uid: int | None = None,
        page_bytes: int | None = None,
        ticks_per_second: int | None = None,
    ) -> None:
        self._roots = {"proc": proc, "sys": sys, "etc": etc, "run": run}
        self._root = root
        self.live = proc == "/proc"
        if run_command is None:
            run_command = run_bounded if self.live else _no_commands
        self.run_command = run_command
        self._hostname = hostname
        if self.live:
            machine = machine or os.uname().machine
            effective_uid = os.geteuid() if effective_uid is None else effective_uid
        self.machine = machine
        self.effective_uid = effective_uid
        self.page_bytes = page_bytes or (os.sysconf("SC_PAGE_SIZE") if self.live else 4096)
        self.ticks_per_second = ticks_per_second or (os.sysconf("SC_CLK_TCK") if self.live else 100)
        self._denied: dict[str, None] = {}

    @classmethod
    def from_tree(cls, tree: str, *, run_command: RunCommand | None = None) -> Self:
        """The host whose files were recorded below the folder `tree` (proc/, sys/, etc/, run/)."""
        return cls(
            *(os.path.join(tree, part) for part in ("proc", "sys", "etc", "run")),
            root=tree,
            run_command=run_command,
        )

    @property
    def hostname(self) -> str:
        """The name given, else the kernel's, else `localhost`."""
        if self._hostname is None:
            data = self.read_bytes("proc/sys/kernel/hostname", 256)
            self._hostname = decode(data or b"").strip() or "localhost"
        return self._hostname

    def path(self, relative: str) -> str:
        """Where `relative` really lies."""
        first, _, rest = relative.partition("/")
        base = self._roots.get(first)
        if base is None:
            return os.path.join(self._root, relative)
        return f"{base}/{rest}" if rest else base

    def read_bytes(self, relative: str, limit: int = FILE_LIMIT_BYTES) -> bytes | None:
        """At most the first `limit` bytes; None where there is nothing to read, or no right to.

        `was_denied(relative)` tells the second from the first.
        """
        descriptor = self.open(relative)
        if descriptor is None:
            return None
        try:
            return _read_up_to(descriptor, limit)
        except PermissionError:
            # Some files of /proc open for everybody and refuse the read.
            self._deny(relative)
            return None
        except OSError:
            # Gone between two calls (ESRCH), or a kernel that has the file but not the feature.
            return None
        finally:
            os.close(descriptor)

    def read_record(self, relative: str, limit: int = 4096) -> bytes | None:
        """`read_bytes` in a single read, for a file the kernel prints in one piece.

        That is each small file of one process; a second read, only to meet the end, would cost
        as much again.
        """
        descriptor = self.open(relative)
        if descriptor is None:
            return None
        try:
            return os.read(descriptor, limit)
        except PermissionError:
            self._deny(relative)
            return None
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def read_text(self, relative: str, limit: int = FILE_LIMIT_BYTES) -> str | None:
        """`read_bytes` as valid Unicode, without surrounding white space."""
        data = self.read_bytes(relative, limit)
        return None if data is None else decode(data).strip()

    def open(self, relative: str) -> int | None:
        """A descriptor to read from, which the caller closes; None as for `read_bytes`."""
        try:
            # O_NONBLOCK: a named pipe in a recorded tree must not stop the reader for ever.
            descriptor = os.open(
                self.path(relative), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
            )
        except PermissionError:
            self._deny(relative)
            return None
        except (OSError, ValueError):
            return None
        self._denied.pop(relative, None)
        return descriptor

    def exists(self, relative: str) -> bool:
        """Whether there is something of this name, readable or not."""
        try:
            os.stat(self.path(relative))
        except (OSError, ValueError):
            return False
        return True

    def is_folder(self, relative: str) -> bool:
        """Whether there is a folder of this name."""
        try:
            return stat.S_ISDIR(os.stat(self.path(relative)).st_mode)
        except (OSError, ValueError):
            return False

    def link(self, relative: str) -> str | None:
        """What a symbolic link says; None where there is none or it may not be asked."""
        try:
            return os.readlink(self.path(relative))
        except (OSError, ValueError):
            return None

    def names(self, relative: str, limit: int = LIST_LIMIT) -> list[str] | None:
        """At most `limit` names in a folder, in the kernel's order; None as for `read_bytes`."""
        try:
            return os.listdir(self.path(relative))[:limit]
        except PermissionError:
            self._deny(relative)
            return None
        except (OSError, ValueError):
            return None

    def space(self, path: str) -> tuple[int, int] | None:
        """(size, free for everybody) in bytes of the file system that `path` lies in, asked now.

        None on a recorded host. It waits as long as the file system does: never ask a remote one.
        """
        if not self.live:
            return None
        try:
            found = os.statvfs(self.path(path.lstrip("/")))
        except (OSError, ValueError):
            return None
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    def pids(self) -> list[int]:
        """The processes to be seen in /proc now, in the kernel's order."""
        names = self.names("proc") or ()
        return [int(name) for name in names if name.isdecimal() and len(name) <= 10]

    def lists(self, relative: str) -> bool:
        """Whether what the folder `relative` does not hold here is not on the host either."""
        return self.complete and not self.was_denied(relative)

    def was_denied(self, relative: str) -> bool:
        """Whether the last attempt to read `relative` failed for lack of rights."""
        return relative in self._denied

    def _deny(self, relative: str) -> None:
        if len(self._denied) >= DENIED_LIMIT:
            del self._denied[next(iter(self._denied))]
        self._denied[relative] = None


def decode(data: bytes) -> str:
    """Text that is always valid Unicode: a byte that is not UTF-8 becomes `\\xNN`."""
    return data.decode("utf-8", "backslashreplace")


def run_bounded(
    words: Sequence[str], timeout_seconds: float, limit: int = COMMAND_OUTPUT_LIMIT_BYTES
) -> CommandResult:
    """Run a command without a shell and without input; at most `limit` bytes of its output.

    A command that overruns the time or the size is killed, and `problem` says so.
    """
    # Imported here, because the agent's loop never runs a command and should not pay for it.
    import subprocess

    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "SYSTEMD_COLORS": "0",
        "SYSTEMD_PAGER": "",
    }
    try:
        child = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError as error:
        return CommandResult(None, b"", f"{words[0]}: {error.strerror}")
    output, problem = finish(child, child.stdout, timeout_seconds, limit)
    if problem is not None:
        return CommandResult(None, output, f"{words[0]} {problem}")
    return CommandResult(child.returncode, output)


def finish(
    child: "Popen[bytes]", pipe: IO[bytes] | None, timeout_seconds: float, limit: int
) -> tuple[bytes, str | None]:
    """Wait for a child's end: at most `limit` bytes of its `pipe`, and a problem in words, or None.

    A child that overruns the time or the size is killed; others that hold the pipe are not waited
    for.
    """
    import subprocess
    import time

    deadline = time.monotonic() + timeout_seconds
    output, problem = b"", None
    with child:
        if pipe is not None:
            output, problem = _collect(pipe.fileno(), deadline, limit)
        if problem is None:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                problem = "did not end in time"
        if problem is not None:
            child.kill()
    return output, problem


def _collect(descriptor: int, deadline: float, limit: int) -> tuple[bytes, str | None]:
    """Read until the end, the deadline (monotonic seconds) or `limit` bytes."""
    import select
    import time

    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    chunks: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"".join(chunks), "did not answer in time"
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            return b"".join(chunks), None
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            return b"".join(chunks)[:limit], f"answered more than {limit} bytes"


def _no_commands(words: Sequence[str], timeout_seconds: float) -> CommandResult:
    return CommandResult(None, b"", f"{words[0]} cannot be asked on a recorded host")


def _read_up_to(descriptor: int, limit: int) -> bytes:
    """/proc answers in pieces of about a page, so one read is not the file."""
    first = os.read(descriptor, limit)
    if not first:
        return first
    chunks = [first]
    size = len(first)
    while size < limit:
        chunk = os.read(descriptor, limit - size)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)
