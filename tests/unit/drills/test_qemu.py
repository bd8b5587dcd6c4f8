"""The control protocol, spoken with a counterpart that answers as QEMU does, and does not."""

import json
import socket
import threading

import pytest
from drills.panic.qemu import LINE_BYTES_MAX, Board, Qmp, command_line

from forestall.errors import ForestallError

GREETING = {"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}


class Counterpart:
    """Sends the greeting, then for each command it gets the next of `answers`, as raw lines."""

    def __init__(self, *answers: bytes, greeting: bytes | None = None) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.asked: list[dict] = []
        self._answers = answers
        self._greeting = json.dumps(GREETING).encode() + b"\n" if greeting is None else greeting
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        self.theirs.sendall(self._greeting)
        lines = self.theirs.makefile("rb")
        for answer in self._answers:
            line = lines.readline()
            if not line:
                return
            self.asked.append(json.loads(line))
            self.theirs.sendall(answer)
        self.theirs.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        self._thread.join(10)
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def speak():
    counterparts: list[Counterpart] = []

    def speak(*answers: bytes, greeting: bytes | None = None) -> tuple[Qmp, Counterpart]:
        counterparts.append(Counterpart(*answers, greeting=greeting))
        return Qmp(counterparts[-1].ours), counterparts[-1]

    yield speak
    for one in counterparts:
        one.end()


def test_an_event_between_command_and_answer_is_kept(speak):
    """A guest that panics while QEMU answers has panicked all the same."""
    event = b'{"event": "GUEST_PANICKED", "data": {"action": "pause"}}\r\n'
    qmp, other = speak(b'{"return": {}}\r\n', event + b'{"return": {"ok": 1}}\r\n')
    qmp.greet()
    assert qmp.command("dump-guest-memory", paging=False) == {"ok": 1}
    assert [each["event"] for each in qmp.events(0.0)] == ["GUEST_PANICKED"]
    assert qmp.events(0.0) == []
    assert other.asked[1] == {"execute": "dump-guest-memory", "arguments": {"paging": False}}


def test_a_refusal_is_an_error_with_qemus_reason(speak):
    """`dump-guest-memory` onto a full disk must not pass for a kept core."""
    qmp, _ = speak(b'{"return": {}}\n', b'{"error": {"class": "E", "desc": "no space"}}\n')
    qmp.greet()
    with pytest.raises(ForestallError, match="no space"):
        qmp.command("dump-guest-memory")


def test_a_qemu_that_goes_away_is_seen(speak):
    """The end of the socket ends the wait, and is no event."""
    qmp, _ = speak(b'{"return": {}}\n')
    qmp.greet()
    assert qmp.events(5.0) == []
    assert qmp.closed
    with pytest.raises(ForestallError):
        qmp.command("quit")


@pytest.mark.parametrize("greeting", [b"SSH-2.0\n", b"[1]\n", b'{"hello": 1}\n'])
def test_what_is_not_qmp_is_refused(speak, greeting):
    """Another program on that socket is said to be one."""
    qmp, _ = speak(greeting=greeting)
    with pytest.raises(ForestallError):
        qmp.greet()


def test_a_line_without_end_is_bounded(speak):
    """No counterpart can fill our memory."""
    qmp, _ = speak(b'{"return": {}}\n', b"x" * (LINE_BYTES_MAX + 70_000))
    qmp.greet()
    with pytest.raises(ForestallError, match="without end"):
        qmp.command("query-status")


def test_a_comma_in_a_path_is_no_option_of_qemus():
    """A folder named `a,readonly=on` must not change the machine."""
    board = Board(
        kernel="/k", initrd="/i", disk="/a,b/disk", console="/c", events="/e", memory_bytes=2**29
    )
    words = command_line(board, "/tmp/q")
    assert "file=/a,,b/disk,if=none,format=raw,id=keep" in words
    assert words[words.index("-m") + 1] == "512M"
    assert "q35,accel=tcg" in words
    assert "panic=pause" in words
