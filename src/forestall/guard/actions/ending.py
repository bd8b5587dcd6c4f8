"""Ending one process, and no other: SIGTERM, a grace, SIGKILL, each sent to the judged process."""

import errno
import os
import signal
from collections.abc import Callable
from contextlib import closing

from forestall.clock import Clock
from forestall.errors import ForestallError
from forestall.guard.live import Processes
from forestall.model.sample import ProcessKey
from forestall.units import format_duration

POLL_SECONDS = 0.05

PidfdOpen = Callable[[int], int]

PIDFD_OPEN: PidfdOpen | None = (
    getattr(os, "pidfd_open", None) if hasattr(signal, "pidfd_send_signal") else None
)
"""None where this Python was built without it."""


class Target:
    """The judged process, held so that a signal cannot reach another one.

    With a pidfd the process is first held and then compared, so its pid cannot be given away
    in between. Without one (Linux before 5.3) the comparison comes right before the signal.
    Raises ForestallError when the pid is gone or belongs to another process.
    """

    def __init__(self, key: ProcessKey, processes: Processes, pidfd_open: PidfdOpen | None) -> None:
        self._key = key
        self._processes = processes
        self._pidfd: int | None = None
        if pidfd_open is not None:
            self._pidfd = self._hold(pidfd_open)
        if not self.alive():
            self.close()
            raise ForestallError(f"process {key.pid} is not there any more as it was judged")

    def alive(self) -> bool:
        """Whether the judged process still runs; one that waits to be reaped does not."""
        live = self._processes.look(self._key.pid)
        return live is not None and live.key == self._key

    def send(self, number: signal.Signals) -> None:
        """Send one signal, or none if it has ended. Raises ForestallError without the right to."""
        try:
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)
            elif self.alive():
                os.kill(self._key.pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            raise ForestallError(
                f"no right to send {number.name} to process {self._key.pid}",
                help="run forestall as root, or as the user of the service",
            ) from None

    def close(self) -> None:
        """Let go of the process."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _hold(self, pidfd_open: PidfdOpen) -> int | None:
        try:
            return pidfd_open(self._key.pid)
        except ProcessLookupError:
            raise ForestallError(f"process {self._key.pid} has ended") from None
        except OSError as error:
            # The function is there, the kernel's call is not, or a sandbox forbids it.
            if error.errno in (errno.ENOSYS, errno.EPERM, errno.EINVAL):
                return None
            raise


def end_process(
    key: ProcessKey,
    *,
    processes: Processes,
    clock: Clock,
    grace_seconds: float,
    timeout_seconds: float,
    pidfd_open: PidfdOpen | None = PIDFD_OPEN,
) -> str:
    """End the process of `key`; the sentence that says how, and how long it took.

    Raises ForestallError when it is another process, when there is no right to, or when it
    outlives SIGKILL for the rest of `timeout_seconds` (a process in uninterruptible sleep).
    """
    started = clock.monotonic()
    with closing(Target(key, processes, pidfd_open)) as target:
        for number, seconds in (
            (signal.SIGTERM, grace_seconds),
            (signal.SIGKILL, timeout_seconds - grace_seconds),
        ):
            target.send(number)
            if wait_until(lambda: not target.alive(), seconds, clock):
                took = format_duration(clock.monotonic() - started)
                after = "" if number is signal.SIGTERM else ", having ignored SIGTERM"
                return f"Process {key.pid} ended by {number.name} after {took}{after}."
    raise ForestallError(
        f"process {key.pid} is still there {format_duration(timeout_seconds)} after SIGTERM, "
        f"and after SIGKILL",
        help="it waits in the kernel, usually for a disk or network file system",
    )


def wait_until(held: Callable[[], bool], seconds: float, clock: Clock) -> bool:
    """Whether `held` became true within `seconds`, looking every 50 ms."""
    deadline = clock.monotonic() + seconds
    while not held():
        left = deadline - clock.monotonic()
        if left <= 0:
            return False
        clock.sleep(min(POLL_SECONDS, left))
    return True
