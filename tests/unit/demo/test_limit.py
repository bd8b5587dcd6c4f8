"""The demo's limit."""

import os
import subprocess
import sys
from subprocess import PIPE

import pytest

from forestall.demo import limit
from forestall.units import MIB


def test_without_a_cgroup_the_limit_is_only_stated(tmp_path):
    """Where no cgroup can be made the demo still runs, and says that its limit is not real."""
    mounts = ((str(tmp_path / "absent"), "memory.max", ""),)
    with limit.cage("forestall-test", 64 * MIB, mounts) as made:
        assert not made.real


def test_a_folder_that_is_no_cgroup_is_left_as_it_was(tmp_path):
    """An ordinary folder has no limit file, and nothing stays behind in it."""
    with limit.cage("forestall-test", 64 * MIB, ((str(tmp_path), "memory.max", ""),)) as made:
        assert not made.real
    assert os.listdir(tmp_path) == []


def test_what_a_killed_demo_left_behind_is_removed(tmp_path):
    """A demo that was killed cannot clean up; the next one does, and spares those that run."""
    gone, running = "forestall-demo-99999999", f"forestall-demo-{os.getpid()}-control"
    for name in (gone, f"{gone}-control", running, "other"):
        (tmp_path / name).mkdir()
    with limit.cage("forestall-test", 64 * MIB, ((str(tmp_path), "memory.max", ""),)):
        pass
    assert sorted(os.listdir(tmp_path)) == [running, "other"]


def test_parts_of_a_limit_that_a_killed_demo_left_are_removed_too(tmp_path):
    """The service and the database each have a cgroup inside the limit they share."""
    gone = tmp_path / "forestall-demo-99999999"
    for part in ("feed-sync", "database"):
        (gone / part).mkdir(parents=True)
    with limit.cage("forestall-test", 64 * MIB, ((str(tmp_path), "memory.max", ""),)):
        pass
    assert os.listdir(tmp_path) == []


def test_a_part_lies_inside_the_limit_and_goes_with_it(tmp_path):
    """On cgroup v2 the controller is passed on first, or the part could not be contained."""
    made = limit.Cage(limit_bytes=64 * MIB, folder=str(tmp_path / "forestall-demo-7"))
    (tmp_path / "forestall-demo-7").mkdir()
    control = tmp_path / "forestall-demo-7" / "cgroup.subtree_control"
    control.write_text("")
    made.admit(4242, "database")
    assert control.read_text() == "+memory"
    part = tmp_path / "forestall-demo-7" / "database"
    assert (part / "cgroup.procs").read_text() == "4242"
    (part / "cgroup.procs").unlink()
    control.unlink()
    limit._remove(made.folder)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("cgroup", "held"),
    [
        ("/forestall-demo-7/database", True),
        ("/user.slice/forestall-demo-7", True),
        ("/forestall-demo-7-control", False),
        ("/forestall-demo-77/feed-sync", False),
        ("/", False),
        (None, False),
    ],
)
def test_who_is_under_the_limit(cgroup, held):
    """Others of the host are not watched by the demo, whatever their cgroup is called."""
    made = limit.Cage(limit_bytes=1, folder="/sys/fs/cgroup/memory/forestall-demo-7")
    assert made.holds(cgroup) is held


def test_a_stated_limit_holds_nobody_by_cgroup():
    """Without a cgroup the demo watches its two services alone."""
    assert not limit.Cage(limit_bytes=1, folder=None).holds("/")


def test_a_stated_limit_still_spares_the_host():
    """Without a cgroup a leak that nobody stops ends at twice its limit, not at the host's."""
    made = limit.Cage(limit_bytes=64 * MIB, folder=None)
    leak = "import sys; sys.stdin.read(1); x = bytearray(512 << 20)"
    with subprocess.Popen([sys.executable, "-c", leak], stdin=PIPE, stderr=PIPE) as process:
        made.admit(process.pid)
        _, said = process.communicate(b"x")
    assert said.endswith(b"MemoryError\n")
