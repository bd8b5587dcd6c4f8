"""What a process runs into first: a given limit, its cgroups', or the host's own memory."""

from collections.abc import Mapping

from forestall.model.sample import CgroupSample, ProcessSample, Sample
from forestall.model.verdict import Limit, LimitKind
from forestall.sense.cgroup import binding


class Limits:
    """The limits of one sample. Each cgroup's is looked for once, however many lie in it.

    `given` are limits in bytes by where they were given, which a person's word names.
    """

    def __init__(self, sample: Sample, cgroup_file: str) -> None:
        self._sample = sample
        self._cgroup_file = cgroup_file
        self._host = _host_limit(sample)
        self._by_cgroup: dict[str, Limit | None] = {}

    def nearest(self, process: ProcessSample, given: Mapping[str, int]) -> Limit | None:
        """The limit with the least headroom for this process; None where none is known."""
        found = [self._host, self._of_cgroup(process.cgroup)]
        found += [
            Limit(
                kind=LimitKind.GIVEN,
                limit_bytes=limit_bytes,
                headroom_bytes=max(0, limit_bytes - process.memory_bytes),
                source=source,
            )
            for source, limit_bytes in given.items()
        ]
        known = [limit for limit in found if limit is not None]
        return min(known, key=lambda limit: limit.headroom_bytes, default=None)

    def _of_cgroup(self, path: str | None) -> Limit | None:
        if path is None:
            return None
        if path not in self._by_cgroup:
            tightest = binding(path, self._sample.cgroups)
            self._by_cgroup[path] = _cgroup_limit(tightest, self._cgroup_file)
        return self._by_cgroup[path]


def cgroup_file(version: int | None) -> str:
    """The file in which a cgroup of this version keeps its limit."""
    return "memory.limit_in_bytes" if version == 1 else "memory.max"


def _host_limit(sample: Sample) -> Limit | None:
    host = sample.host
    if host.mem_total_bytes is None or host.headroom_bytes is None:
        return None
    swap_bytes = host.swap_total_bytes or 0
    return Limit(
        kind=LimitKind.HOST,
        limit_bytes=host.mem_total_bytes + swap_bytes,
        headroom_bytes=host.headroom_bytes,
        source="MemAvailable plus free swap" if swap_bytes else "MemAvailable; there is no swap",
    )


def _cgroup_limit(cgroup: CgroupSample | None, file: str) -> Limit | None:
    if cgroup is None or cgroup.max_bytes is None or cgroup.headroom_bytes is None:
        return None
    return Limit(
        kind=LimitKind.CGROUP,
        limit_bytes=cgroup.max_bytes,
        headroom_bytes=cgroup.headroom_bytes,
        source=f"{cgroup.path} {file}",
    )
