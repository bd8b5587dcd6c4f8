"""Contain on made-up trees of cgroup v2: what is written, what is refused, what is put back."""

import dataclasses

import pytest
from tests.fakes.guard import verdict_of
from tests.fakes.host import FakeHost

from forestall.errors import ForestallError
from forestall.guard.actions.contain import ContainHandler, set_property_words
from forestall.guard.containment import Containment, ContainMethod, containment_of, to_parameters
from forestall.guard.handler import Step
from forestall.guard.surroundings import Folders, look
from forestall.model.action import Action, ActionKind, Mode, Plan
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Subject
from forestall.units import GIB, MIB

CGROUP = "/system.slice/feed-sync.service"
FOLDER = f"sys/fs/cgroup{CGROUP}"
PID = 4711


class Scene:
    """A service of 400 MiB in its cgroup, on a host with 1 GiB left."""

    def __init__(self, folder, version=2):
        self.fake = FakeHost(folder, cgroup_version=version)
        self.base = "sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/memory"
        self.fake.process(PID, "feed-sync", cgroup=CGROUP)
        self.fake.cgroup(CGROUP, current=400 * MIB, file=100 * MIB)
        self.put("cgroup.procs", f"{PID}\n")
        self.host = self.fake.host()
        self.folders = Folders(self.host)
        self.key = ProcessKey(boot_id="b", pid=PID, start_ticks=100 * PID)

    def put(self, name, text, cgroup=CGROUP):
        self.fake.write(f"{self.base}{cgroup}/{name}", text)

    def get(self, name, cgroup=CGROUP):
        return (self.fake.folder / f"{self.base}{cgroup}/{name}").read_text().split("\n")[0]

    def look(self, **parameters):
        return look(self.folders, self.key, headroom_bytes=1 * GIB, **parameters)

    def step(self, containment=None, **parameters):
        containment = containment or containment_of(self.look())
        assert isinstance(containment, Containment), containment
        subject = Subject(host="db1", name="feed-sync", process=self.key)
        action = Action(
            id="1-contain",
            kind=ActionKind.CONTAIN,
            subject=subject,
            timeout_seconds=5.0,
            parameters={**to_parameters(containment), **parameters},
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

    def handler(self, **parameters):
        return ContainHandler(self.folders, **parameters)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_both_limits_are_written_and_read_back(scene):
    """The throttle and the hard limit; undo puts `none` back, and a second undo nothing."""
    step, handler = scene.step(), scene.handler()
    handler.arm(step.action)
    assert handler.precondition(step) is None
    done = handler.do(step)
    assert handler.verify(step, done) is None
    assert (scene.get("memory.high"), scene.get("memory.max")) == (
        str(400 * MIB),
        str(528 * MIB),
    )
    assert done.detail == (
        f"The cgroup {CGROUP} is slowed down from 400 MiB on and may hold 528 MiB."
    )
    assert "as they were before" in handler.undo(step)
    assert (scene.get("memory.high"), scene.get("memory.max")) == ("max", "max")
    assert handler.undo(step) is None


def test_an_earlier_limit_comes_back(scene):
    """What is put back is what the plan says was there, not the lack of a limit."""
    scene.fake.cgroup(CGROUP, current=400 * MIB, maximum=4 * GIB, high=3 * GIB)
    step, handler = scene.step(), scene.handler()
    handler.do(step)
    handler.undo(step)
    assert (scene.get("memory.high"), scene.get("memory.max")) == (str(3 * GIB), str(4 * GIB))


def test_a_limit_that_an_owner_set_tighter_meanwhile_stays(scene):
    """Between the plan and its do, somebody was faster and stricter."""
    step, handler = scene.step(), scene.handler()
    scene.put("memory.max", f"{450 * MIB}\n")
    done = handler.do(step)
    assert scene.get("memory.max") == str(450 * MIB)
    assert handler.verify(step, done) is None


def test_a_limit_that_is_gone_again_is_seen(scene):
    """systemd's daemon-reload, or another agent, may write the same files."""
    step, handler = scene.step(), scene.handler()
    done = handler.do(step)
    scene.put("memory.max", "max\n")
    assert handler.verify(step, done) == f"{CGROUP} has no limit in memory.max, not 528 MiB."


def test_only_the_throttle_is_set_under_panic_on_oom_2(scene):
    """The hard limit is left as it is, by do and by undo."""
    scene.fake.sysctl("vm.panic_on_oom", 2)
    step, handler = scene.step(), scene.handler()
    done = handler.do(step)
    assert scene.get("memory.max") == "max"
    assert scene.get("memory.high") == str(400 * MIB)
    assert handler.verify(step, done) is None


def test_another_process_of_the_same_pid_is_refused(scene):
    """Its start time is what makes a process itself."""
    step, handler = scene.step(), scene.handler()
    scene.fake.process(PID, "billing", cgroup=CGROUP, start_ticks=1)
    assert "not there any more as it was judged" in handler.precondition(step)


def test_a_process_that_moved_is_refused(scene):
    """A limit on the cgroup it left would hit others."""
    step, handler = scene.step(), scene.handler()
    scene.fake.cgroup("/system.slice/feed-sync.service-2")
    scene.fake.process(PID, "feed-sync", cgroup="/system.slice/feed-sync.service-2")
    assert f"not in {CGROUP}" in handler.precondition(step)


@pytest.mark.parametrize("name", ["postgres", "sshd", "systemd"])
def test_a_protected_neighbour_is_never_contained(scene, name):
    """Also one in a cgroup below; by the planning look and by the handler's own."""
    step = scene.step()
    scene.fake.process(4712, name, cgroup=f"{CGROUP}/below")
    scene.fake.cgroup(f"{CGROUP}/below")
    scene.put("cgroup.procs", "4712\n", cgroup=f"{CGROUP}/below")
    assert f"{name}, process 4712, would be contained" in scene.handler().precondition(step)
    assert "is protected" in containment_of(scene.look())


def test_forestall_and_what_an_owner_names_are_protected_too(scene):
    """By pid, and by the owner's patterns."""
    own = frozenset({PID})
    step = scene.step()
    assert "forestall itself" in scene.handler(own_pids=own).precondition(step)
    assert "forestall itself" in containment_of(scene.look(own_pids=own))
    assert "is protected" in scene.handler(protected=("feed-*",)).precondition(step)


def test_a_cgroup_without_the_controller_is_refused(scene):
    """The files are not there, so nothing can be set."""
    step = scene.step()
    scene.fake.remove(f"{FOLDER}/memory.high")
    assert "is not controlled" in scene.handler().precondition(step)
    assert "is not controlled" in containment_of(scene.look())


def test_a_host_of_the_other_version_is_refused_and_has_nothing_to_undo(scene):
    """A plan of before a reboot into the other hierarchy."""
    step = scene.step()
    other = dataclasses.replace(step.action, parameters={**step.action.parameters, "version": "1"})
    step = dataclasses.replace(step, action=other)
    assert "no cgroup v1 memory controller" in scene.handler().precondition(step)
    assert scene.handler().undo(step) is None


def test_a_cgroup_that_is_gone_has_nothing_to_undo(scene):
    """The service ended, and its limits with it."""
    step = scene.step()
    scene.fake.remove(FOLDER)
    assert scene.handler().undo(step) is None
    with pytest.raises(ForestallError, match="No such file"):
        scene.handler().do(step)


def test_a_held_file_of_a_cgroup_that_was_made_anew_is_opened_again(scene):
    """A service that is restarted gets a new cgroup of the same name."""
    step, handler = scene.step(), scene.handler()
    handler.arm(step.action)
    assert handler.verify(step, handler.do(step)) is None


def test_without_the_controller_enabled_no_own_cgroup_is_promised(scene):
    """A v2 cgroup can only be made where its parent hands the controller on."""
    shared = "/apps/shared"
    for pid, name in ((PID, "feed-sync"), (4712, "other")):
        scene.fake.process(pid, name, cgroup=shared)
    scene.fake.cgroup(shared)
    scene.put("cgroup.procs", f"{PID}\n4712\n", cgroup=shared)
    assert "not enabled for new cgroups in /apps" in containment_of(scene.look())
    scene.put("cgroup.subtree_control", "cpu memory\n", cgroup="/apps")
    found = containment_of(scene.look())
    assert (found.method, found.cgroup) == (ContainMethod.OWN_CGROUP, shared)


def test_v1_is_limited_by_its_one_file(tmp_path):
    """No throttle there; `-1` is its word for no limit."""
    scene = Scene(tmp_path, version=1)
    step, handler = scene.step(), scene.handler()
    done = handler.do(step)
    assert scene.get("memory.limit_in_bytes") == str(528 * MIB)
    assert handler.verify(step, done) is None
    handler.undo(step)
    assert scene.get("memory.limit_in_bytes") == "-1"


def test_systemd_is_told_only_of_what_was_set():
    """A limit that is not touched must not be lifted by telling of the others."""
    containment = Containment(
        method=ContainMethod.SYSTEMD,
        unit="feed-sync.service",
        cgroup=CGROUP,
        version=2,
        high_bytes=4096,
        max_bytes=8192,
        before_max_bytes=16384,
    )
    start = ["systemctl", "--no-ask-password", "set-property", "--runtime", "--"]
    start.append("feed-sync.service")
    assert set_property_words(containment) == [*start, "MemoryHigh=4096", "MemoryMax=8192"]
    assert set_property_words(containment, undone=True) == [
        *start,
        "MemoryHigh=infinity",
        "MemoryMax=16384",
    ]
    high_only = dataclasses.replace(containment, max_bytes=None)
    assert set_property_words(high_only) == [*start, "MemoryHigh=4096"]
    old = dataclasses.replace(containment, version=1, high_bytes=None)
    assert set_property_words(old) == [*start, "MemoryLimit=8192"]


def test_systemd_that_does_not_run_is_said(scene):
    """The limit is in force; that systemd does not know of it is in the outcome."""
    step = scene.step(method="systemd", unit="feed-sync.service")
    done = scene.handler().do(step)
    assert done.detail.endswith("systemd does not run here, so it was not told.")
    assert "systemd" not in scene.handler(tell=False).do(step).detail
