"""Memory limits of the cgroups above this process: which is the nearest, and what it leaves."""

from forestall.model.facts import HostFacts
from forestall.model.sample import CgroupSample


def tightest_limit(facts: HostFacts) -> int | None:
    """Index in `facts.own_cgroups` of the limit with the least left, None where there is none."""
    limited = [
        (left, index)
        for index, cgroup in enumerate(facts.own_cgroups)
        if (left := cgroup.headroom_bytes) is not None
    ]
    return min(limited)[1] if limited else None


def limit_comes_first(facts: HostFacts, cgroup: CgroupSample) -> bool:
    """Whether `cgroup` has less left than the whole host."""
    left, host_left = cgroup.headroom_bytes, facts.memory.headroom_bytes
    return left is not None and (host_left is None or left < host_left)


def limit_source(facts: HostFacts, cgroup: CgroupSample) -> str:
    """Where a person finds the limit: the cgroup and the file in it."""
    return f"{cgroup.path} {limit_file(facts)}"


def limit_file(facts: HostFacts) -> str:
    """The name of the file, by the cgroup version in use."""
    return "memory.limit_in_bytes" if facts.cgroup_version == 1 else "memory.max"
