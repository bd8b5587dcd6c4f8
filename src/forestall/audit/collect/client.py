"""One ssh client at work: a child process, what it has said so far, and its end."""

import contextlib
import os
import signal
import subprocess

from forestall.audit.collect.destination import Destination
from forestall.audit.collect.options import SshOptions, command_line

READ_BYTES = 256 * 1024
STDERR_LIMIT_BYTES = 16 * 1024
END_SECONDS = 1.0
"""What ssh is given to end by itself once the answer has."""


class Client:
    """The ssh client for one host. Both its pipes are read without waiting."""

    def __init__(
        self, to: Destination, options: SshOptions, script: int, attempt: int, now: float
    ) -> None:
        """Starts it. `script` is a descriptor whose file it reads, `now` monotonic seconds.

        Raises OSError where this machine can start no more.
        """
        self.to = to
        self.attempt = attempt
        self.started = now
        self.deadline = now + options.deadline_seconds
        self.problem: str | None = None
        self._limit = options.output_limit_bytes
        self._answer = bytearray()
        self._said = bytearray()
        self._closed_at: float | None = None
        # Opened anew, for a position of its own in the one script that all hosts are sent.
        stdin = os.open(f"/proc/self/fd/{script}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._child = subprocess.Popen(
                command_line(to, options),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A group of its own, with its ProxyCommand: both end together.
                start_new_session=True,
            )
        finally:
            os.close(stdin)
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._pipes = {
            self._child.stdout.fileno(): self._answer,
            self._child.stderr.fileno(): self._said,
        }
        self._stdout = self._child.stdout.fileno()
        for pipe in self._pipes:
            os.set_blocking(pipe, False)

    @property
    def pipes(self) -> tuple[int, ...]:
        """The descriptors that may still say something."""
        return tuple(self._pipes)

    @property
    def answer(self) -> bytes:
        return bytes(self._answer)

    @property
    def size(self) -> int:
        """Bytes of the answer so far."""
        return len(self._answer)

    @property
    def said(self) -> str:
        """What came on standard error."""
        return self._said.decode("utf-8", "backslashreplace")

    @property
    def exit_code(self) -> int | None:
        return self._child.returncode

    def read(self, pipe: int, now: float) -> bool:
        """Take what there is; False once this pipe has ended."""
        kept = self._pipes[pipe]
        try:
            chunk = os.read(pipe, READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            chunk = b""
        if not chunk:
            del self._pipes[pipe]
            if pipe == self._stdout:
                self._closed_at = now
            return False
        if pipe == self._stdout:
            kept += chunk
            if len(kept) > self._limit:
                self.problem = f"it said more than {self._limit} bytes, and was cut off"
        else:
            kept += chunk[: STDERR_LIMIT_BYTES - len(kept)]
        return True

    def ended(self, now: float) -> bool:
        """Whether there is nothing more to come, or no more time for it."""
        if self.problem is not None:
            return True
        if self._child.poll() is not None:
            return True
        if self._closed_at is not None and now >= self._closed_at + END_SECONDS:
            return True
        if now >= self.deadline:
            seconds = self.deadline - self.started
            self.problem = f"no whole answer within {seconds:.0f} seconds"
            return True
        return False

    def drain(self, now: float) -> None:
        """What is still in the pipes of an ended client."""
        for pipe in self.pipes:
            before = -1
            size = len(self._pipes[pipe])
            while before != size and self.problem is None and self.read(pipe, now):
                before, size = size, len(self._pipes[pipe])

    def close(self) -> None:
        """End it, whatever it does, and everything it started; returns without waiting for long."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        for stream in (self._child.stdout, self._child.stderr):
            assert stream is not None
            stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(5)
