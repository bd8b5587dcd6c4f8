"""One QEMU machine, and QMP, the protocol it is spoken to in (docs/interop/qmp-spec of QEMU)."""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from drills.panic.packages import find
from forestall.errors import ForestallError
from forestall.units import MIB

PROGRAM = "qemu-system-x86_64"
START_SECONDS = 20.0
ANSWER_SECONDS = 120.0
LINE_BYTES_MAX = 1 * MIB
POLL_SECONDS = 0.1

Message = dict[str, Any]


class Qmp:
    """A conversation over a connected socket. Events that come between answers are kept."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.setblocking(False)
        self._buffer = b""
        self._events: list[Message] = []
        self.closed = False

    def greet(self) -> None:
        """Take the greeting and leave negotiation; nothing else is answered before."""
        greeting = self._next(time.monotonic() + START_SECONDS)
        if greeting is None or "QMP" not in greeting:
            raise ForestallError("QEMU's control socket does not speak QMP")
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """What QEMU returns. Raises ForestallError where it refuses or does not answer in time."""
        request: Message = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        self._send(json.dumps(request).encode() + b"\n")
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            message = self._next(deadline)
            if message is None:
                raise ForestallError(f"QEMU did not answer to {name}")
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                said = message["error"].get("desc", "no reason given")
                raise ForestallError(f"QEMU refused {name}: {said}")
            elif "return" in message:
                return message["return"]

    def events(self, seconds: float) -> list[Message]:
        """The events until now, waiting at most `seconds` for the first."""
        if not self._events and not self.closed:
            message = self._next(time.monotonic() + seconds)
            while message is not None:
                if "event" in message:
                    self._events.append(message)
                message = self._next(0.0)
        elif self.closed:
            time.sleep(seconds)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        self._connection.close()
        self.closed = True

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise ForestallError(f"QEMU's control socket: {error.strerror}") from None

    def _next(self, deadline: float) -> Message | None:
        """The next message; None when there is none by `deadline`, or QEMU is gone."""
        while b"\n" not in self._buffer:
            left = max(0.0, deadline - time.monotonic())
            if self.closed or not select.select([self._connection], [], [], left)[0]:
                return None
            try:
                data = self._connection.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return None
            self._buffer += data
            if len(self._buffer) > LINE_BYTES_MAX:
                raise ForestallError("QEMU's control socket sent a line without end")
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            raise ForestallError("QEMU's control socket sent what is not JSON") from None
        if not isinstance(message, dict):
            raise ForestallError("QEMU's control socket sent what is no message")
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the machine is made of. Paths of this host; `accelerator` is "tcg" or "kvm"."""

    kernel: str
    initrd: str
    disk: str
    console: str
    events: str
    memory_bytes: int
    accelerator: str = "tcg"


class Machine:
    """A running guest, as a context manager: whatever happens, its process is gone afterwards."""

    def __init__(self, board: Board) -> None:
        self._board = board
        # A socket's path is at most 107 bytes long, and the folder of a run may be deeper.
        self._folder = tempfile.mkdtemp(prefix="forestall-qmp-")
        self._process: subprocess.Popen[bytes] | None = None
        self.qmp: Qmp | None = None

    def __enter__(self) -> Self:
        path = os.path.join(self._folder, "qmp")
        try:
            self._process = subprocess.Popen(
                command_line(self._board, path, find(PROGRAM) or PROGRAM),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Ctrl-C is for the drill, which ends its guest itself.
                start_new_session=True,
            )
            self.qmp = Qmp(self._connect(path))
            self.qmp.greet()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.qmp is not None:
            self.qmp.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stderr is not None
            self._process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Whether the machine ended within `seconds`."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def dump(self, path: str) -> None:
        """Write the guest's memory as an ELF core, which drgn and crash read.

        Not kdump-zlib: QEMU's is flattened, and what reassembles it is not understood by drgn.
        """
        assert self.qmp is not None
        self.qmp.command("dump-guest-memory", paging=False, protocol=f"file:{path}")

    def _connect(self, path: str) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
            if not self.running:
                raise ForestallError(f"QEMU ended at once: {self._last_words()}")
            if time.monotonic() > deadline:
                raise ForestallError("QEMU did not open its control socket in time")
            time.sleep(0.05)

    def _last_words(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        said = self._process.stderr.read(4096).decode(errors="replace").strip()
        return " ".join(said.split()) or "it said nothing"


def command_line(board: Board, qmp: str, program: str = PROGRAM) -> list[str]:
    """QEMU's words. `pvpanic` and `action panic=pause` keep a panicked guest as it is."""
    # By counted instructions, one a nanosecond, the guest's clock does not depend on how busy this
    # machine is, and idle time is passed over: the same run, whether it takes 30 s here or 300.
    counted = ("-icount", "shift=0,sleep=off", "-rtc", "clock=vm")
    # A boot parameter of ours is unknown to the kernel, and would be handed to /init.
    append = "console=ttyS0 panic=0 loglevel=7 oops=panic"
    return [
        program,
        *("-machine", f"q35,accel={board.accelerator}"),
        *(counted if board.accelerator == "tcg" else ()),
        *("-m", f"{board.memory_bytes // MIB}M"),
        *("-smp", "1"),
        "-nodefaults",
        "-no-user-config",
        *("-display", "none"),
        "-no-reboot",
        *("-kernel", board.kernel),
        *("-initrd", board.initrd),
        *("-append", append),
        *("-chardev", f"file,id=console,path={_quoted(board.console)}"),
        *("-serial", "chardev:console"),
        *("-chardev", f"file,id=events,path={_quoted(board.events)}"),
        *("-serial", "chardev:events"),
        *("-drive", f"file={_quoted(board.disk)},if=none,format=raw,id=keep"),
        *("-device", "virtio-blk-pci,drive=keep"),
        *("-device", "pvpanic-pci"),
        *("-device", "vmcoreinfo"),
        *("-action", "panic=pause"),
        *("-qmp", f"unix:{_quoted(qmp)},server=on,wait=off"),
    ]


def _quoted(path: str) -> str:
    """A comma ends a value in QEMU's options; doubled it is a comma."""
    return path.replace(",", ",,")


def version() -> str:
    """QEMU's own version line, for the report."""
    ran = subprocess.run(
        [find(PROGRAM) or PROGRAM, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return next(iter(ran.stdout.splitlines()), "QEMU")
