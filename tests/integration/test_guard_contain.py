"""Contain on the real memory controller of this host: limits set, held to, and put back."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import time

import pytest
from tests.fakes.guard import FakeLedger, verdict_of

from forestall.clock import SystemClock
from forestall.guard.actions.contain import ContainHandler
from forestall.guard.actions.restart import RestartHandler
from forestall.guard.containment import (
    Containment,
    ContainMethod,
    containment_of,
    own_folder,
    to_parameters,
)
from forestall.guard.executor import Executor
from forestall.guard.handler import Done, Step
from forestall.guard.live import HostProcesses
from forestall.guard.recheck import Recheck
from forestall.guard.surroundings import Folders, look
from forestall.model.action import Action, ActionKind, Mode, Plan
from forestall.model.verdict import Subject
from forestall.sense import procfs
from forestall.sense.host import Host
from forestall.units import GIB, MIB

HOST = Host()
FOLDERS = Folders(HOST)
VERSION = FOLDERS.cgroups.version
HARD = "memory.limit_in_bytes" if VERSION == 1 else "memory.max"
USAGE = "memory.usage_in_bytes" if VERSION == 1 else "memory.current"
PROCS = "cgroup.procs"


def _root():
    """A cgroup of this test's own, or None where none can be made."""
    if VERSION is None:
        return None
    try:
        name = f"/forestall-test-{os.getpid()}"
        os.mkdir("/" + FOLDERS.folder(name))
    except OSError:
        return None
    os.rmdir("/" + FOLDERS.folder(name))
    return name


pytestmark = pytest.mark.skipif(_root() is None, reason="no memory cgroup can be made here")

SERVICE = """
import sys
kept = [b"x" * (1 << 20) for _ in range(16)]
if len(sys.argv) > 1 and sys.argv[1] == "family":
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
print("ready", flush=True)
for line in sys.stdin:
    kept.append(b"y" * (int(line) << 20))
    print(len(kept), flush=True)
"""


class Service:
    """A process that grows when it is told to, in a cgroup of the test's."""

    def __init__(self, cgroup, *words):
        self.child = subprocess.Popen(
            [sys.executable, "-c", SERVICE, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.child.pid
        self.other = int(self.child.stdout.readline()) if words else None
        assert self.child.stdout.readline() == "ready\n"
        if cgroup is not None:
            for pid in filter(None, (self.pid, self.other)):
                put(cgroup, PROCS, pid)

    def grow(self, mebibytes):
        """Whether it outlived growing by that much."""
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write(f"{mebibytes}\n")
            self.child.stdin.flush()
        return self.child.stdout.readline() != ""

    def end(self):
        for pid in filter(None, (self.other, self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.child.wait(10)
        self.child.stdin.close()
        self.child.stdout.close()


def put(cgroup, name, value):
    with open(f"/{FOLDERS.folder(cgroup)}/{name}", "w", encoding="ascii") as file:
        file.write(f"{value}\n")


def get(cgroup, name):
    with open(f"/{FOLDERS.folder(cgroup)}/{name}", encoding="ascii") as file:
        return file.read().strip()


@pytest.fixture
def cgroup():
    name = f"/forestall-test-{os.getpid()}"
    os.mkdir("/" + FOLDERS.folder(name))
    yield name
    deadline = time.monotonic() + 10
    while True:
        try:
            os.rmdir("/" + FOLDERS.folder(name))
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture
def services():
    with contextlib.ExitStack() as stack:

        def start(cgroup, *words):
            service = Service(cgroup, *words)
            stack.callback(service.end)
            return service

        yield start


def step_of(containment, pid):
    key = procfs.read_key(HOST, pid)
    subject = Subject(host="db1", name="feed-sync", process=key)
    action = Action(
        id="1-contain",
        kind=ActionKind.CONTAIN,
        subject=subject,
        timeout_seconds=5.0,
        parameters=to_parameters(containment),
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


def containment_for(pid, headroom=1 * GIB):
    return containment_of(look(FOLDERS, procfs.read_key(HOST, pid), headroom_bytes=headroom))


def test_a_service_in_its_own_cgroup_is_limited_and_let_go_again(cgroup, services):
    """The limit lies above what it holds now, is read back, and undo puts `none` back; twice."""
    service = services(cgroup)
    containment = containment_for(service.pid)
    assert isinstance(containment, Containment), containment
    assert containment.method is ContainMethod.CGROUP
    assert containment.cgroup == cgroup
    before = get(cgroup, HARD)
    handler, step = ContainHandler(FOLDERS), step_of(containment, service.pid)
    handler.arm(step.action)
    assert handler.precondition(step) is None
    done = handler.do(step)
    assert handler.verify(step, done) is None
    assert int(get(cgroup, HARD)) == containment.max_bytes
    assert service.grow(1)
    assert handler.undo(step) == f"The limits of {cgroup} are as they were before."
    assert get(cgroup, HARD) == before
    assert handler.undo(step) is None


def test_undo_without_a_do_changes_nothing(cgroup, services):
    """A plan that died before its first action is undone too: nothing was set, nothing is."""
    service = services(cgroup)
    put(cgroup, HARD, 512 * MIB)
    step = step_of(containment_for(service.pid, headroom=GIB), service.pid)
    assert ContainHandler(FOLDERS).undo(step) is None
    assert int(get(cgroup, HARD)) == 512 * MIB


def test_a_leak_dies_of_its_own_limit_and_leaves_the_host_alone(cgroup, services):
    """What grows beyond the limit is killed by the kernel, and nothing outside of the cgroup is."""
    service, bystander = services(cgroup), services(None)
    containment = containment_for(service.pid, headroom=32 * MIB)
    handler, step = ContainHandler(FOLDERS), step_of(containment, service.pid)
    handler.do(step)
    assert not service.grow(64)
    assert service.child.wait(10) == -9
    assert bystander.grow(1)


def test_a_limit_below_what_is_held_by_now_is_set_as_tight_as_the_kernel_allows(cgroup, services):
    """It grew since the plan was made: v1 answers EBUSY, and what it holds now is the limit."""
    service = services(cgroup)
    containment = containment_for(service.pid, headroom=32 * MIB)
    if VERSION == 2:
        pytest.skip("cgroup v2 kills down to the limit instead of refusing it")
    assert service.grow(64)
    handler, step = ContainHandler(FOLDERS), step_of(containment, service.pid)
    done = handler.do(step)
    assert done.max_bytes > containment.max_bytes
    assert handler.verify(step, done) is None
    assert int(get(cgroup, USAGE)) <= done.max_bytes <= int(get(cgroup, USAGE)) + 16 * MIB


def test_a_process_that_shares_its_cgroup_gets_one_of_its_own_with_its_children(cgroup, services):
    """The tree of the suspect is moved and limited, the neighbour is not; undo takes all back."""
    service, neighbour = services(cgroup, "family"), services(cgroup)
    containment = containment_for(service.pid)
    assert containment.method is ContainMethod.OWN_CGROUP
    own = own_folder(containment, service.pid)
    handler, step = ContainHandler(FOLDERS), step_of(containment, service.pid)
    assert handler.precondition(step) is None
    done = handler.do(step)
    assert handler.verify(step, done) is None
    assert set(get(own, PROCS).split()) == {str(service.pid), str(service.other)}
    assert get(cgroup, PROCS).split() == [str(neighbour.pid)]
    assert containment.max_bytes <= int(get(own, HARD)) <= containment.max_bytes + 64 * MIB
    # A `do` that is repeated finds everything done.
    assert handler.verify(step, handler.do(step)) is None
    assert "is removed" in handler.undo(step)
    assert set(get(cgroup, PROCS).split()) == {
        str(pid) for pid in (service.pid, service.other, neighbour.pid)
    }
    assert not FOLDERS.exists(own)
    assert handler.undo(step) is None


def test_a_reused_pid_is_not_moved(cgroup, services):
    """The process of this pid started at another time: neither precondition nor do touch it."""
    service, _ = services(cgroup), services(cgroup)
    containment = containment_for(service.pid)
    step = step_of(containment, service.pid)
    key = procfs.read_key(HOST, service.pid)
    service.end()
    other = services(cgroup)
    wrong = step_of(containment, other.pid)
    subject = dataclasses.replace(
        wrong.action.subject, process=dataclasses.replace(key, pid=other.pid)
    )
    step = dataclasses.replace(wrong, action=dataclasses.replace(wrong.action, subject=subject))
    handler = ContainHandler(FOLDERS)
    assert "not there any more as it was judged" in handler.precondition(step)
    with pytest.raises(Exception, match="ended while it was moved"):
        handler.do(step)
    assert str(other.pid) in get(cgroup, PROCS).split()
    handler.undo(step)


class During:
    """An action that is only what it does to the world; noted when it was done."""

    def __init__(self, deed=lambda: None):
        self.deed = deed

    def precondition(self, step):
        return None

    def do(self, step):
        self.deed()
        return Done(detail="It was done.", evidence="e" * 64)

    def verify(self, step, done):
        return None

    def undo(self, step):
        return None


def test_a_service_that_ends_at_its_limit_before_its_restart_is_seen_through(cgroup, services):
    """The kernel ends it and its supervisor starts it under the same limit, in which it fits;
    nothing is restarted, what happened is recorded, and the limit is as it was before."""
    service = services(cgroup)
    before = get(cgroup, HARD)
    containment = dataclasses.replace(
        containment_for(service.pid), max_bytes=40 * MIB // 4096 * 4096, high_bytes=None
    )
    contain = step_of(containment, service.pid)
    came = []

    def leak_on():
        assert not service.grow(64)
        service.child.wait(10)
        assert int(get(cgroup, HARD)) == 40 * MIB
        came.append(services(cgroup))

    kinds = (ActionKind.CAPTURE, ActionKind.RESTART, ActionKind.NOTIFY)
    more = [
        dataclasses.replace(
            contain.action,
            id=f"{number}-{kind.value}",
            kind=kind,
            timeout_seconds=20.0,
            parameters={"method": "signal", "grace_seconds": "1"},
        )
        for number, kind in enumerate(kinds, 2)
    ]
    plan = dataclasses.replace(contain.plan, actions=(contain.action, *more))
    processes, clock = HostProcesses(HOST), SystemClock()
    executor = Executor(
        {
            ActionKind.CONTAIN: ContainHandler(FOLDERS, tell=False),
            ActionKind.CAPTURE: During(leak_on),
            ActionKind.RESTART: RestartHandler(host=HOST, processes=processes, clock=clock),
            ActionKind.NOTIFY: During(),
        },
        ledger=FakeLedger(),
        recheck=Recheck(processes=processes, own_pids=frozenset()),
        clock=clock,
    )
    outcomes = executor.execute(plan)
    said = [f"{o.action_id} {o.state.value}" for o in outcomes]
    assert said == [
        "1-contain done",
        "2-capture done",
        "3-restart done",
        "1-contain-undo undone",
        "4-notify done",
    ], outcomes
    assert outcomes[2].detail.startswith(f"Process {service.pid} ended at the limit")
    assert outcomes[2].detail.endswith(f"started it again, as process {came[0].pid}.")
    assert get(cgroup, HARD) == before
