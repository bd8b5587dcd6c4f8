"""Capture: what is kept when reading hangs, is refused, or the process goes away meanwhile."""

import dataclasses
import os
import threading

import pytest
from tests.fakes.guard import ALLOWED, Stage, state_of, verdict_of

from forestall.errors import EvidenceError
from forestall.evidence.verify import open_bundle
from forestall.guard.actions.capture import (
    FREEZE_SECONDS,
    HOLDING_FILES,
    HOST_FILES,
    PROCESS_FILES,
    CaptureHandler,
)
from forestall.guard.decision import decide
from forestall.guard.handler import Step
from forestall.guard.history import History
from forestall.units import MIB


class FakeProc:
    """Answers each file with its own name, unless it is set to hang, to be denied or absent."""

    def __init__(self):
        self.hanging = set()
        self.denied = set()
        self.absent = set()
        self.large = set()
        self.asked = []
        self.let_go = threading.Event()
        self.after_read = lambda name: None

    def read_bytes(self, relative, limit):
        name = relative.removeprefix("proc/").removeprefix("4711/")
        self.asked.append(name)
        if name in self.hanging:
            self.let_go.wait(30)
        if name in self.denied or name in self.absent:
            return None
        self.after_read(name)
        return b"x" * limit if name in self.large else f"{name} of it\n".encode()

    def was_denied(self, relative):
        return relative.removeprefix("proc/").removeprefix("4711/") in self.denied


class Recent:
    """An agent that holds nothing, or does not answer."""

    def __init__(self, wait=None):
        self._wait = wait

    def sample(self):
        if self._wait is not None:
            self._wait.wait(30)

    def facts(self):
        return None

    def series(self, subject):
        return None


class Scene:
    """A capture of one process with a timeout of one second."""

    def __init__(self, folder):
        self.stage = Stage()
        self.proc = FakeProc()
        self.folder = str(folder)
        self.recent = Recent()
        subject = self.stage.service()
        plan = decide(verdict_of(subject), state_of(), ALLOWED, History())
        self.seconds, self.freeze_seconds = 1.0, FREEZE_SECONDS
        self.step = Step(plan=plan, action=plan.actions[0])

    def capture(self):
        action = dataclasses.replace(self.step.action, timeout_seconds=self.seconds)
        self.step = dataclasses.replace(self.step, action=action)
        handler = CaptureHandler(
            self.folder,
            host=self.proc,
            processes=self.stage.processes,
            recent=self.recent,
            clock=self.stage.clock,
            freeze_seconds=self.freeze_seconds,
        )
        assert handler.precondition(self.step) is None
        try:
            done = handler.do(self.step)
        finally:
            self.proc.let_go.set()
        assert handler.verify(self.step, done) is None
        manifest = open_bundle(os.path.join(self.folder, done.evidence)).manifest
        names = {entry.name for entry in manifest.entries}
        return done, names, manifest.missing


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path / "evidence")


def test_all_that_can_be_read_is_kept(scene):
    """Every file of the list, and what the agent does not hold is named."""
    done, names, missing = scene.capture()
    expected = {f"process/{name}" for name in (*PROCESS_FILES, *HOLDING_FILES)} - {
        "process/cmdline",
        "process/environ",
    }
    expected |= {"process/cmdline.json", "process/environ.json", "verdict.json", "plan.json"}
    expected |= {f"host/{name}" for name in HOST_FILES}
    assert names == expected
    assert set(missing) == {
        f"{name}: the agent holds none" for name in ("sample.json", "series.json")
    } | {"host-facts.json: the agent holds none"}
    assert done.detail.startswith(f"Kept {len(expected)} files, ")
    assert "Missing: sample.json: the agent holds none; " in done.detail


def test_a_file_that_hangs_costs_its_share_and_no_more(scene):
    """The costliest is read last, so a hang there loses only that one; the rest is kept."""
    scene.proc.hanging = {"smaps_rollup"}
    _, names, missing = scene.capture()
    assert "process/maps" in names
    assert "host/meminfo" in names
    assert "process/smaps_rollup" not in names
    assert (
        "process/smaps_rollup: cut short, so that the service is not held up: "
        "reading proc/4711 did not end within 0.2 s" in missing
    )


def test_what_holds_the_service_up_is_cut_short_however_long_the_capture_may_take(scene):
    """The lock of its memory is not held for longer than stated, and no further read is begun."""
    assert FREEZE_SECONDS == 5.0
    scene.seconds, scene.freeze_seconds = 60.0, 0.1
    scene.proc.hanging = {"environ"}
    done, names, missing = scene.capture()
    assert {"process/status", "host/meminfo", "process/cmdline.json"} <= names
    cut = "cut short, so that the service is not held up: reading proc/4711 did not end within"
    for name in ("environ", "maps", "smaps_rollup"):
        assert f"process/{name}: {cut} 0.1 s" in missing
        assert f"process/{name}: {cut} 0.1 s" in done.detail
    assert not {"maps", "smaps_rollup"} & set(scene.proc.asked)


def test_an_agent_that_does_not_answer_costs_its_share_and_no_more(scene):
    """What the agent holds is missing then, and the process is still kept."""
    scene.recent = Recent(scene.proc.let_go)
    _, names, missing = scene.capture()
    assert "process/status" in names
    assert "sample.json: reading what the agent holds did not end within 0.2 s" in missing


def test_what_may_not_be_read_is_named_apart_from_what_is_not_there(scene):
    """Rights can be given; an old kernel stays old."""
    scene.proc.denied = {"environ"}
    scene.proc.absent = {"smaps_rollup", "pressure/memory"}
    _, names, missing = scene.capture()
    assert "process/environ.json" not in names
    assert "process/environ: no right to read it" in missing
    assert "process/smaps_rollup: this kernel does not show it" in missing
    assert "host/pressure/memory: this kernel does not show it" in missing


def test_a_file_that_was_cut_is_named(scene):
    """Two MiB of maps are read; that there was more is said."""
    scene.proc.large = {"maps"}
    _, names, missing = scene.capture()
    assert "process/maps" in names
    assert HOLDING_FILES["maps"] == 2 * MIB
    assert "process/maps: only its first 2.0 MiB were read" in missing


def test_a_pid_that_is_given_away_while_it_is_read_leaves_nothing_of_the_other(scene):
    """Evidence of a process that was not judged would mislead, and is not ours to keep."""

    def give_away(name):
        if name == "maps":
            scene.stage.processes.start(4711, "billing")

    scene.proc.after_read = give_away
    _, names, missing = scene.capture()
    assert not [name for name in names if name.startswith("process/")]
    assert "process: it ended while it was read" in missing
    assert "host/meminfo" in names


def test_a_process_that_has_ended_still_leaves_its_verdict(scene):
    """What is in memory is evidence as well."""
    scene.stage.processes.end(4711)
    _, names, missing = scene.capture()
    assert {"verdict.json", "plan.json", "host/meminfo"} <= names
    assert any(sentence.startswith("process: it had ended") for sentence in missing)


def test_a_bundle_that_changes_after_it_was_made_is_no_success(scene):
    """Verification reads it back."""
    done, _, _ = scene.capture()
    path = os.path.join(scene.folder, done.evidence, "verdict.json")
    os.chmod(path, 0o600)
    with open(path, "ab") as file:
        file.write(b" ")
    handler = CaptureHandler(
        scene.folder,
        host=scene.proc,
        processes=scene.stage.processes,
        recent=scene.recent,
        clock=scene.stage.clock,
    )
    assert "does not verify: verdict.json" in handler.verify(scene.step, done)


def test_a_folder_that_cannot_be_written_is_an_error_with_its_place(tmp_path):
    """The executor records it, and nothing is taken down."""
    (tmp_path / "evidence").write_text("a file\n")
    with pytest.raises(EvidenceError, match="evidence"):
        Scene(tmp_path / "evidence").capture()
