"""Guard's own processes for real: started, asked, killed, fed with garbage, and left alone."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.guard import verdict_of

from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.guard import channel as channels
from forestall.guard.actions.stop import StopHandler
from forestall.guard.channel import Channel, ClosedError
from forestall.guard.database import DatabaseAccess
from forestall.guard.handler import Done, Step
from forestall.guard.hosted import Child, HostedHandler
from forestall.guard.last.roles import Role, Setup
from forestall.guard.live import HostProcesses
from forestall.model.action import Action, ActionKind, Mode, Plan
from forestall.model.codec import encode
from forestall.model.verdict import Subject
from forestall.sense import procfs
from forestall.sense.host import Host
from forestall.units import MIB

LOCKED_BYTES_MAX = 32 * MIB
ANSWER_SECONDS = 20.0


class Scene:
    """Processes of guard that are ended with the test, and what they had to say."""

    def __init__(self, folder):
        self.said = []
        self.clock = FakeClock()
        self.children = []
        self.setup = Setup(own_pids=(os.getpid(),), evidence=str(folder / "evidence"))

    def child(self, role, clock=None):
        child = Child(role, self.setup, clock=clock or SystemClock(), say=self.said.append)
        self.children.append(child)
        assert child.start()
        return child

    def status(self, child):
        return child.call("status", {}, ANSWER_SECONDS)


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    for child in made.children:
        child.close()


@contextlib.contextmanager
def service(code="import time; time.sleep(60)"):
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)


def step_for(pid, kind, seconds=8.0, parameters=None):
    subject = Subject(host="db1", name="feed-sync", process=procfs.read_key(Host(), pid))
    action = Action(
        id=f"1-{kind.value}",
        kind=kind,
        subject=subject,
        timeout_seconds=seconds,
        parameters=parameters or {},
    )
    plan = Plan(
        id="plan-1",
        at=0.0,
        mode=Mode.ACT,
        verdict=verdict_of(subject),
        actions=(action,),
        because=(),
    )
    return Step(plan=plan, action=action)


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in ("Z", "X")
    except FileNotFoundError:
        return True


def await_end(pid, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not ended(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def local():
    raise AssertionError("the process runs, so nothing is done here")


def test_the_last_stage_is_small_and_protected_by_its_name(scene):
    """At most 32 MiB are resident and locked, where this user may lock any."""
    child = scene.child(Role.LAST)
    status = scene.status(child)
    assert status["rss_bytes"] <= LOCKED_BYTES_MAX
    assert status["locked_bytes"] <= LOCKED_BYTES_MAX
    ready = next(sentence for sentence in scene.said if "is ready" in sentence)
    assert status["locked_bytes"] > 0 or "could not be locked" in ready
    with open(f"/proc/{child.pid}/comm", encoding="ascii") as file:
        assert file.read() == "forestall\n"


def test_nothing_is_imported_when_it_acts(scene):
    """A module read from a disk in thrash would take seconds: all are there at the start."""
    last, helper = scene.child(Role.LAST), scene.child(Role.HELPER)
    before = [scene.status(child)["modules"] for child in (last, helper)]
    with service() as one:
        contain = step_for(
            one.pid,
            ActionKind.CONTAIN,
            parameters={
                "method": "cgroup",
                "cgroup": "/forestall-test-not-there",
                "version": "2",
                "high_bytes": "4096",
                "max_bytes": "8192",
                "before_high_bytes": "max",
                "before_max_bytes": "max",
            },
        )
        hosted = HostedHandler(last, local)
        assert hosted.precondition(contain) is not None
        with pytest.raises(ForestallError):
            hosted.do(contain)
        capture = step_for(one.pid, ActionKind.CAPTURE)
        kept = HostedHandler(helper, local, carry=lambda step: {"sample": None})
        assert kept.verify(capture, kept.do(capture)) is None
        stop = step_for(one.pid, ActionKind.STOP)
        stopper = HostedHandler(helper, local)
        assert stopper.precondition(stop) is None
        assert stopper.verify(stop, stopper.do(stop)) is None
        assert one.wait(10) == -signal.SIGTERM
    assert [scene.status(child)["modules"] for child in (last, helper)] == before


def test_a_process_that_was_killed_is_said_and_started_again(scene):
    """Meanwhile the agent acts by itself; the new process comes after a pause, and works."""
    child = scene.child(Role.HELPER, scene.clock)
    first = scene.status(child)["pid"]
    os.kill(first, signal.SIGKILL)
    await_end(first)
    stop = StopHandler(processes=HostProcesses(Host()), clock=SystemClock())
    handler = HostedHandler(child, lambda: stop)
    with service() as one:
        step = step_for(one.pid, ActionKind.STOP)
        assert handler.verify(step, handler.do(step)) is None
        assert one.wait(10) == -signal.SIGTERM
    assert any(f"{first} is lost: it ended" in sentence for sentence in scene.said)
    child.tend()
    assert not child.alive, "it is not started again at once"
    scene.clock.sleep(5.0)
    child.tend()
    assert scene.status(child)["pid"] != first
    assert child.start_count == 2


def test_one_that_ends_again_and_again_is_started_ever_more_seldom(scene):
    """A process that cannot live must not cost the host more with each second."""
    child = scene.child(Role.HELPER, scene.clock)
    starts = []
    for second in range(200):
        if child.pid is not None:
            starts.append(second)
            os.kill(child.pid, signal.SIGKILL)
            await_end(child.pid)
        child.tend()
        scene.clock.sleep(1.0)
    assert len(starts) <= 7
    assert starts[-1] - starts[-2] > 4 * (starts[1] - starts[0])


def test_a_handler_that_hangs_is_ended_so_that_it_cannot_act_later(scene):
    """A signal that comes after FAILED was recorded would be no part of the record."""
    child = scene.child(Role.HELPER)
    pid = scene.status(child)["pid"]
    os.kill(pid, signal.SIGSTOP)
    with service() as one:
        step = step_for(one.pid, ActionKind.STOP, seconds=0.2)
        with pytest.raises(ForestallError, match=r"did not answer within 1\.2 s"):
            HostedHandler(child, local).do(step)
        await_end(pid)
        assert one.poll() is None
    assert not child.alive
    child.tend()
    assert not os.path.exists(f"/proc/{pid}"), "it is reaped, and leaves no zombie"


def test_what_was_done_by_an_earlier_process_is_not_verified_by_its_successor(scene):
    """What verify needs went with it, which is said rather than guessed."""
    child = scene.child(Role.HELPER, scene.clock)
    with service() as one:
        handler = HostedHandler(child, local)
        step = step_for(one.pid, ActionKind.STOP)
        done = handler.do(step)
        os.kill(child.pid, signal.SIGKILL)
        await_end(child.pid)
        assert not child.alive
        scene.clock.sleep(60)
        child.tend()
        with pytest.raises(ForestallError, match="started afresh since"):
            handler.verify(step, done)


def test_a_fault_in_an_action_is_an_error_and_not_the_end(scene):
    """A request that is none, a step without a process, an unknown kind: each is answered."""
    child = scene.child(Role.HELPER)
    with service() as one:
        step = step_for(one.pid, ActionKind.STOP)
        subject = dataclasses.replace(step.action.subject, process=None)
        action = dataclasses.replace(step.action, subject=subject)
        for call, body, words in (
            ("do", {"step": encode(dataclasses.replace(step, action=action))}, "it broke"),
            ("do", {"step": {"plan": 1}}, "missing field|expected"),
            ("do", {"step": encode(step_for(one.pid, ActionKind.NOTIFY))}, "has no notify"),
            ("fly", {"step": encode(step)}, "no such request"),
        ):
            with pytest.raises(ForestallError, match=words):
                child.call(call, body, ANSWER_SECONDS)
    assert scene.status(child)["pid"] == child.pid


def test_its_processes_end_with_the_agent_however_that_ends():
    """SIGKILL of the agent leaves nothing behind: the end of the socket is the end of them."""
    code = (
        "import os, time\n"
        "from forestall.clock import SystemClock\n"
        "from forestall.guard.hosted import Child\n"
        "from forestall.guard.last.roles import Role, Setup\n"
        "setup = Setup(own_pids=(os.getpid(),))\n"
        "children = [Child(r, setup, clock=SystemClock(), say=lambda said: None) for r in Role]\n"
        "[child.start() for child in children]\n"
        "[child.call('status', {}, 20.0) for child in children]\n"
        "print(*(child.pid for child in children), flush=True)\n"
        "time.sleep(60)\n"
    )
    agent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with agent:
        pids = [int(word) for word in agent.stdout.readline().split()]
        assert len(pids) == 2
        # What systemd or a terminal sends to all of them ends none half-way through an action.
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        time.sleep(0.3)
        assert not any(ended(pid) for pid in pids)
        agent.kill()
    for pid in pids:
        await_end(pid)


@pytest.mark.parametrize("garbage", [b"no JSON\n", b"[1, 2]\n", b'{"call": 1}\n', b"\xff\xfe\n"])
def test_garbage_is_answered_with_an_error(garbage):
    """A damaged line costs that line; the process goes on."""
    own, its = socket.socketpair()
    words = [sys.executable, "-P", "-m", "forestall.guard.last", "helper", str(its.fileno())]
    with subprocess.Popen(words, pass_fds=[its.fileno()]) as process:
        its.close()
        channel = Channel(own)
        channel.send(encode(Setup(own_pids=(1,))), 5.0)
        assert channel.receive(ANSWER_SECONDS)["id"] == 0
        own.sendall(garbage)
        assert channel.receive(ANSWER_SECONDS)["error"]
        channel.send({"id": 7, "call": "status"}, 5.0)
        assert channel.receive(ANSWER_SECONDS)["answer"]["pid"] == process.pid
        channel.close()
        assert process.wait(10) == 0


def test_garbage_from_the_process_is_not_believed(scene, monkeypatch):
    """Too long a line, or one that is no answer, costs the process, and is said."""
    for line in (b"x" * 4096, b"no JSON\n", b"[]\n"):
        child = scene.child(Role.LAST)
        own, its = socket.socketpair()
        child._channel.close()
        child._channel = Channel(own)
        monkeypatch.setattr(channels, "LINE_BYTES_MAX", 1024)
        its.sendall(line)
        with pytest.raises(ForestallError, match="process is lost"):
            child.call("status", {}, 5.0)
        assert not child.alive
        monkeypatch.undo()
        its.close()


def test_a_closed_channel_says_so():
    """Both ends learn of the other one's end by an error of its own kind."""
    own, its = socket.socketpair()
    its.close()
    with pytest.raises(ClosedError):
        Channel(own).receive(1.0)
    own.close()


def test_what_moves_traffic_is_connected_to_beforehand_and_said_once_when_it_is_lost(scene):
    """A proxy that answers is silent; one that is gone is said, and again when it is back."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    access = DatabaseAccess(scope="inventory", peers=(f"http://127.0.0.1:{port}",))
    scene.setup = dataclasses.replace(scene.setup, database=encode(access))
    child = scene.child(Role.LAST)
    said = child.call("connect", {}, ANSWER_SECONDS)
    assert str(port) in said
    # The first attempt, which the agent asks for at its start, loads all that any will need.
    before = scene.status(child)["modules"]
    assert child.call("connect", {}, ANSWER_SECONDS) is None
    with socket.create_server(("127.0.0.1", port)):
        assert "is reached again" in child.call("connect", {}, ANSWER_SECONDS)
        assert child.call("connect", {}, ANSWER_SECONDS) is None
    assert scene.status(child)["modules"] == before


def test_without_its_process_the_agent_acts_by_itself(scene):
    """precondition, do, verify and undo all fall back, and the local handler is made once."""
    made = []

    class Local:
        def precondition(self, step):
            return None

        def do(self, step):
            return Done(detail="Done here.")

        def verify(self, step, done):
            return None if done.detail == "Done here." else "Another's."

        def undo(self, step):
            return "Undone here."

    def make():
        made.append(Local())
        return made[-1]

    child = Child(Role.LAST, scene.setup, clock=scene.clock, say=scene.said.append)
    handler = HostedHandler(child, make)
    with service() as one:
        step = step_for(one.pid, ActionKind.CONTAIN)
        handler.arm(step.action)
        assert handler.precondition(step) is None
        assert handler.verify(step, handler.do(step)) is None
        assert handler.undo(step) == "Undone here."
    assert len(made) == 1
