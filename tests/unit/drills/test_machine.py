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
from drills.machine.meminfo import meminfo

from forestall.sense.procfs import parse_meminfo

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
    stat = (
        "shmem 3\nactive_file 1\ninactive_file 2\n"
        "total_shmem 7\ntotal_active_file 100\ntotal_inactive_file 20\n"
    )
    assert parse_cache(stat) == (120, 7)


def test_cache_of_version_2():
    """There all lines are hierarchical."""
    assert parse_cache("anon 5\nactive_file 7\ninactive_file 8\nshmem 4\n") == (15, 4)


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


HOST = """\
MemTotal:       24684084 kB
MemFree:        20000000 kB
MemAvailable:   23000000 kB
Buffers:          123456 kB
Cached:          1234567 kB
Active(anon):       1000 kB
Shmem:            200000 kB
SwapTotal:       4000000 kB
SwapFree:        4000000 kB
HugePages_Total:       0
"""
MIB = 1 << 20


def test_meminfo_tells_of_the_machine_alone():
    """Size, what is free and what can be taken back are the machine's; there is no swap."""
    told = parse_meminfo(
        meminfo(
            HOST,
            Memory(
                limit_bytes=448 * MIB,
                used_bytes=300 * MIB,
                cache_bytes=50 * MIB,
                shared_bytes=32 * MIB,
            ),
        ).encode()
    )
    assert told["MemTotal"] == 448 * MIB
    assert told["MemFree"] == 148 * MIB
    assert told["Cached"] == 82 * MIB
    assert told["SwapTotal"] == told["SwapFree"] == told["Buffers"] == 0
    assert told["HugePages_Total"] == 0


def test_shared_memory_is_not_available():
    """What a database shares among its processes is in the cache, and nobody can take it back."""
    full = Memory(limit_bytes=448 * MIB, used_bytes=447 * MIB, cache_bytes=0, shared_bytes=32 * MIB)
    assert parse_meminfo(meminfo(HOST, full).encode())["MemAvailable"] == MIB


@pytest.mark.parametrize("used", [0, 1, 300 * MIB, 448 * MIB])
def test_meminfo_is_always_as_long(used):
    """A reader meets the old file or the new one, because each is written over the other."""
    small = Memory(limit_bytes=448 * MIB, used_bytes=used, cache_bytes=0)
    first = meminfo(HOST, Memory(limit_bytes=448 * MIB, used_bytes=9 * MIB, cache_bytes=0))
    assert len(meminfo(HOST, small)) == len(first)
