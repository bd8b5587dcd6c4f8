from forestall.agent.limits import Limits, cgroup_file
from forestall.model.sample import CgroupSample, HostSample, ProcessKey, ProcessSample, Sample
from forestall.model.verdict import LimitKind

MIB = 1024 * 1024


def sample(available=1000 * MIB, cgroups=(), **host) -> Sample:
    memory = HostSample(mem_total_bytes=4000 * MIB, mem_available_bytes=available, **host)
    return Sample(at=0.0, monotonic=0.0, boot_id="b", host=memory, cgroups=cgroups)


def process(cgroup=None, memory=100 * MIB) -> ProcessSample:
    key = ProcessKey(boot_id="b", pid=1, start_ticks=1)
    return ProcessSample(key=key, name="p", rss_bytes=memory, cgroup=cgroup)


def group(path, maximum, current, file=0) -> CgroupSample:
    return CgroupSample(path=path, max_bytes=maximum, current_bytes=current, file_bytes=file)


def test_the_host_is_the_limit_where_there_is_no_other():
    """MemAvailable plus free swap, of memory plus swap; the source says whether there is swap."""
    limit = Limits(sample(), "memory.max").nearest(process("/a"), {})
    assert limit is not None
    assert (limit.kind, limit.limit_bytes, limit.headroom_bytes) == (
        LimitKind.HOST,
        4000 * MIB,
        1000 * MIB,
    )
    assert "no swap" in limit.source
    swapping = sample(swap_total_bytes=500 * MIB, swap_free_bytes=200 * MIB)
    limit = Limits(swapping, "memory.max").nearest(process(), {})
    assert limit is not None
    assert (limit.limit_bytes, limit.headroom_bytes) == (4500 * MIB, 1200 * MIB)


def test_the_nearest_of_all_limits_counts_not_the_smallest():
    """A parent's larger limit that is nearly full binds before the process's own smaller one."""
    cgroups = (group("/a", 900 * MIB, 850 * MIB), group("/a/b", 300 * MIB, 100 * MIB))
    limit = Limits(sample(cgroups=cgroups), "memory.max").nearest(process("/a/b"), {})
    assert limit is not None
    assert (limit.kind, limit.source) == (LimitKind.CGROUP, "/a memory.max")
    assert (limit.limit_bytes, limit.headroom_bytes) == (900 * MIB, 50 * MIB)


def test_a_cgroup_of_others_is_no_limit():
    """Only the process's own cgroup and those above it bind it."""
    cgroups = (group("/other", 10 * MIB, 9 * MIB), group("/ab", 10 * MIB, 9 * MIB))
    limit = Limits(sample(cgroups=cgroups), "memory.max").nearest(process("/a"), {})
    assert limit is not None
    assert limit.kind is LimitKind.HOST


def test_a_given_limit_counts_from_what_the_process_holds():
    """A given limit is the process's own; beyond it the headroom is 0, never negative."""
    limits = Limits(sample(), "memory.max")
    limit = limits.nearest(process(memory=100 * MIB), {"--limit": 512 * MIB})
    assert limit is not None
    assert (limit.kind, limit.headroom_bytes, limit.source) == (
        LimitKind.GIVEN,
        412 * MIB,
        "--limit",
    )
    over = limits.nearest(process(memory=600 * MIB), {"--limit": 512 * MIB})
    assert over is not None
    assert over.headroom_bytes == 0


def test_a_host_that_cannot_tell_has_no_limit():
    """No MemAvailable: None, not a limit of zero."""
    assert Limits(sample(available=None), "memory.max").nearest(process(), {}) is None


def test_the_source_names_the_file_of_the_version():
    """A person looks for the limit where it is."""
    assert cgroup_file(1) == "memory.limit_in_bytes"
    assert cgroup_file(2) == "memory.max"
