"""What the small machine reads of the kernel's files, on made-up ones."""

from pathlib import Path

import pytest
from drills.machine import NoMachineError
from drills.machine.cgroup import (
    Memory,
    find_mounts,
    leftovers,
    parse_cache,
    parse_ooms,
)
from drills.machine.lxcfs import is_mounted

V1 = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"


def test_version_1_where_it_has_the_memory_controller():
    """On a hybrid host the memory controller is version 1's, and so is the freezer."""
    found = find_mounts(V1, lambda point: "cpu io")
    assert (found.version, found.memory) == (1, Path("/sys/fs/cgroup/memory"))
    assert found.freezer == Path("/sys/fs/cgroup/freezer")
    assert len(found.all) == 2


def test_version_2():
    """One hierarchy, that has the controller, holds all."""
    found = find_mounts(V2, lambda point: "cpu memory pids")
    assert (found.version, found.all) == (2, (Path("/sys/fs/cgroup"),))


@pytest.mark.parametrize("mounts", ["", V2, "cgroup /c/memory cgroup rw,memory 0 0\n"])
def test_no_memory_controller_is_said(mounts):
    """Without a controller or without a freezer there is no machine, and the reason is told."""
    with pytest.raises(NoMachineError, match="no memory controller"):
        find_mounts(mounts, lambda point: "cpu")


def test_cache_of_version_1_counts_the_groups_inside():
    """The hierarchical lines are meant: what is in groups of the machine is the machine's."""
    stat = "active_file 1\ninactive_file 2\ntotal_active_file 100\ntotal_inactive_file 20\n"
    assert parse_cache(stat) == 120


def test_cache_of_version_2():
    """There all lines are hierarchical."""
    assert parse_cache("anon 5\nactive_file 7\ninactive_file 8\n") == 15


def test_available_counts_the_cache():
    """What can be taken back is available, as in /proc/meminfo; never less than nothing."""
    assert Memory(limit_bytes=100, used_bytes=90, cache_bytes=30).available_bytes == 40
    assert Memory(limit_bytes=100, used_bytes=110, cache_bytes=0).available_bytes == 0


def test_the_count_of_ooms():
    """`oom`, not `oom_kill` nor `oom_group_kill`."""
    assert parse_ooms("low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n") == 2
    assert parse_ooms("") == 0


def test_only_what_dead_drills_left_is_swept():
    """A group of a living drill, and any other group, is not touched."""
    names = ["forestall-drill-10-db-1", "forestall-drill-11-db-1", "forestall-demo-10", "user"]
    assert leftovers(names, lambda pid: pid == 11) == ["forestall-drill-10-db-1"]


def test_a_mount_is_found_by_its_whole_path():
    """A folder below a mount, or one whose name only begins alike, is not mounted."""
    mounts = "lxcfs /tmp/a/lxcfs fuse.lxcfs rw 0 0\n"
    assert is_mounted(Path("/tmp/a/lxcfs"), mounts)
    assert not is_mounted(Path("/tmp/a/lxcf"), mounts)
    assert not is_mounted(Path("/tmp/a"), mounts)
