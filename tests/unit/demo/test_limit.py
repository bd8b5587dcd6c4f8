"""The demo's limit."""

import os

from forestall.demo import limit
from forestall.units import MIB


def test_without_a_cgroup_the_limit_is_only_stated(tmp_path):
    """Where no cgroup can be made the demo still runs, and says that its limit is not real."""
    mounts = ((str(tmp_path / "absent"), "memory.max", ""),)
    with limit.cage("forestall-test", 64 * MIB, mounts) as made:
        assert not made.real
        made.admit(os.getpid())


def test_a_folder_that_is_no_cgroup_is_left_as_it_was(tmp_path):
    """An ordinary folder has no limit file, and nothing stays behind in it."""
    with limit.cage("forestall-test", 64 * MIB, ((str(tmp_path), "memory.max", ""),)) as made:
        assert not made.real
    assert os.listdir(tmp_path) == []
