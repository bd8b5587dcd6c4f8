"""The demo's limit."""

import os
import subprocess
import sys
from subprocess import PIPE

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


def test_a_stated_limit_still_spares_the_host():
    """Without a cgroup a leak that nobody stops ends at twice its limit, not at the host's."""
    made = limit.Cage(limit_bytes=64 * MIB, folder=None)
    leak = "import sys; sys.stdin.read(1); x = bytearray(512 << 20)"
    with subprocess.Popen([sys.executable, "-c", leak], stdin=PIPE, stderr=PIPE) as process:
        made.admit(process.pid)
        _, said = process.communicate(b"x")
    assert said.endswith(b"MemoryError\n")
