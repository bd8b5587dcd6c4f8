"""The tick: every process's memory each second for under 1% of a core, the rest more rarely.

Tier 1, each tick: statm of every process on a kept descriptor (2 us), meminfo, vmstat, PSI.
Tier 2, each SLOW_SECONDS, spread over the ticks, and each tick for suspects: stat, status, io,
cgroup, and the memory files of the cgroups.
Tier 3, on demand only: smaps_rollup, which walks the page tables (53 ms for 4 GB).
"""

import os
import resource
from collections.abc import Callable, Iterable, Iterator

from forestall.clock import Clock
from forestall.errors import InputError
from forestall.model.sample import CgroupSample, HostSample, ProcessKey, ProcessSample, Sample
from forestall.sense import procfs, psi
from forestall.sense.cgroup import NOWHERE, Cgroups, ancestors
from forestall.sense.host import Host
from forestall.sense.procfs import ProcessStat

SLOW_SECONDS = 10.0
PASSED_OVER_SECONDS = 60.0
PROCESS_LIMIT = 20_000
CGROUP_LIMIT = 1_000
SUSPECT_LIMIT = 64
DESCRIPTOR_RESERVE = 64
UNKEPT_PER_TICK = 500
STATM_LIMIT_BYTES = 128

Select = Callable[[str, int, str | None], bool]
"""Whether to watch the process of this name, pid and cgroup path."""


class _Watched:
    """One process between two ticks.

    `statm` are the bytes that `sample` was made from; `slow` is what stat and statm said when
    the slow tier last looked.
    """

    __slots__ = ("descriptor", "key", "place", "sample", "slow", "slow_at", "statm")

    def __init__(self, key: ProcessKey, descriptor: int | None) -> None:
        self.key = key
        self.descriptor = descriptor
        self.statm = b""
        self.slow: tuple[ProcessStat, bytes] | None = None
        self.sample: ProcessSample | None = None
        self.slow_at = 0.0
        self.place = NOWHERE


class Collector:
    """Reads a host once per `tick`. Close it, or use it as a context manager.

    `select` restricts it to the processes it says yes to. Put a ProcessKey into `suspects` to
    have that process's slower files read each tick; the key of a process that ended is taken
    out again. `fault_count` and `last_fault` tell of files that could not be understood: what
    they speak of is left out of the sample, and nothing is raised.
    """

    def __init__(
        self,
        host: Host,
        clock: Clock,
        *,
        select: Select | None = None,
        slow_seconds: float = SLOW_SECONDS,
        process_limit: int = PROCESS_LIMIT,
        descriptor_limit: int | None = None,
    ) -> None:
        self._host = host
        self._clock = clock
        self._select = select
        self._slow_seconds = slow_seconds
        self._process_limit = process_limit
        self._descriptor_limit = (
            _descriptors_to_spare() if descriptor_limit is None else descriptor_limit
        )
        self.boot_id = procfs.read_boot_id(host) or ""
        self.suspects: set[ProcessKey] = set()
        self.fault_count = 0
        self.last_fault: str | None = None
        self.overflow_count = 0
        self._kept = 0
        self._turn = 0
        self._last_pid = b""
        self._listed_at = 0.0
        self._moved = True
        self._watched: dict[int, _Watched] = {}
        self._passed_over: dict[int, float] = {}
        self._groups: dict[str, CgroupSample] = {}
        self._group_at: dict[str, float] = {}
        self._cgroups = Cgroups(host)

    def __enter__(self) -> "Collector":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back every kept descriptor."""
        for pid in list(self._watched):
            self._drop(pid)

    def tick(self) -> Sample:
        """One sample of now. Processes that ended are left out; nothing is carried on for them."""
        monotonic = self._clock.monotonic()
        at = self._clock.now()
        if self._may_have_changed(monotonic):
            self._follow(self._host.pids(), monotonic)
        self._read_sizes()
        self._read_slowly(monotonic)
        processes = tuple(
            watched.sample
            for watched in self._watched.values()
            if watched.sample is not None and watched.sample.rss_bytes
        )
        return Sample(
            at=at,
            monotonic=monotonic,
            boot_id=self.boot_id,
            host=self._read_host(),
            cgroups=self._read_cgroups(monotonic),
            processes=processes,
        )

    def rollup(self, key: ProcessKey) -> procfs.Rollup | None:
        """What a process shares and what it alone holds; None if it ended or may not be asked.

        Costs about 13 ms per GB of the process, so never each tick.
        """
        before = procfs.read_key(self._host, key.pid, self.boot_id)
        found = procfs.read_rollup(self._host, key.pid)
        after = procfs.read_key(self._host, key.pid, self.boot_id)
        return found if before == after == key else None

    def _may_have_changed(self, monotonic: float) -> bool:
        """Whether /proc must be listed: a pid was given out since, or the last time is long ago.

        The kernel prints the last pid it gave out at the end of loadavg; listing a thousand
        processes costs as much as reading the memory of five hundred.
        """
        data = self._host.read_record("proc/loadavg", 128)
        last_pid = data.split()[-1] if data else b""
        if last_pid == self._last_pid != b"" and monotonic < self._listed_at + self._slow_seconds:
            return False
        self._last_pid = last_pid
        return True

    def _follow(self, pids: list[int], monotonic: float) -> None:
        """Forget who is gone, meet who is new."""
        self._listed_at = monotonic
        present = set(pids)
        for pid in self._watched.keys() - present:
            self._drop(pid)
        for pid in self._passed_over.keys() - present:
            del self._passed_over[pid]
        self.overflow_count = 0
        for pid in pids:
            if pid in self._watched or self._passed_over.get(pid, 0.0) > monotonic:
                continue
            if len(self._watched) >= self._process_limit:
                self.overflow_count += 1
                continue
            self._meet(pid, monotonic)

    def _meet(self, pid: int, monotonic: float) -> None:
        """Begin to watch a process, unless it is a kernel thread or not selected.

        The descriptor comes first: it stays with the process it was opened for, so if it can
        still be read after `stat` was, both speak of the same process and not of a reused pid.
        """
        descriptor = self._host.open(f"proc/{pid}/statm")
        if descriptor is None:
            return
        watched = None
        try:
            stat = procfs.read_stat(self._host, pid)
            if stat is not None and self._is_wanted(stat, monotonic):
                statm = os.pread(descriptor, STATM_LIMIT_BYTES, 0)
                if statm:
                    met = _Watched(procfs.key_of(stat, self.boot_id), None)
                    self._slow(met, stat, statm)
                    watched = met
        except OSError:
            # ESRCH: ended between the two reads.
            pass
        except InputError as error:
            self._fault(error)
        if watched is None or self._kept >= self._descriptor_limit:
            os.close(descriptor)
        else:
            watched.descriptor = descriptor
            self._kept += 1
        if watched is not None:
            # The pid's last digits spread the slow reads of what was met at once over the ticks.
            watched.slow_at = monotonic + self._slow_seconds * (1 + pid % 10) / 10
            self._watched[pid] = watched

    def _is_wanted(self, stat: ProcessStat, monotonic: float) -> bool:
        if stat.kernel_thread:
            self._passed_over[stat.pid] = monotonic + PASSED_OVER_SECONDS
            return False
        if self._select is None:
            return True
        if self._select(stat.name, stat.pid, self._cgroups.place_of(stat.pid).cgroup):
            return True
        # Asked again later: a process gets its name and its cgroup after it was forked.
        self._passed_over[stat.pid] = monotonic + self._slow_seconds
        return False

    def _read_sizes(self) -> None:
        """Tier 1. A process whose statm did not change keeps its sample object."""
        page_bytes = self._host.page_bytes
        pread = os.pread
        gone = []
        for pid, watched in self._watched.items():
            descriptor = watched.descriptor
            if descriptor is None:
                continue
            try:
                statm = pread(descriptor, STATM_LIMIT_BYTES, 0)
                if statm == watched.statm:
                    continue
                if not statm:
                    raise ProcessLookupError
                watched.sample = _resized(watched, statm, page_bytes)
            except OSError:
                # ESRCH: a descriptor of /proc never passes on to another process of that pid.
                gone.append(pid)
                continue
            except InputError as error:
                self._fault(error)
                gone.append(pid)
                continue
            watched.statm = statm
        for pid in gone:
            self._drop(pid)
        self._read_unkept()

    def _read_unkept(self) -> None:
        """The processes beyond the descriptor limit, UNKEPT_PER_TICK of them in turn.

        Nothing but the start time tells whether the pid is still theirs, so `stat` is read too.
        """
        unkept = [watched for watched in self._watched.values() if watched.descriptor is None]
        if not unkept:
            return
        start = self._turn % len(unkept)
        chosen = (unkept[start:] + unkept[:start])[:UNKEPT_PER_TICK]
        self._turn = start + len(chosen)
        for watched in chosen:
            pid = watched.key.pid
            try:
                stat = procfs.read_stat(self._host, pid)
                statm = self._host.read_bytes(f"proc/{pid}/statm", STATM_LIMIT_BYTES)
                if stat is None or not statm or stat.start_ticks != watched.key.start_ticks:
                    self._drop(pid)
                elif statm != watched.statm:
                    watched.sample = _resized(watched, statm, self._host.page_bytes)
                    watched.statm = statm
            except InputError as error:
                self._fault(error)
                self._drop(pid)

    def _read_slowly(self, monotonic: float) -> None:
        """Tier 2 for the processes whose turn it is, and for suspects."""
        if self.suspects:
            self.suspects.intersection_update(one.key for one in self._watched.values())
        suspects = sorted(self.suspects, key=_pid_of)[:SUSPECT_LIMIT]
        due = {self._watched[key.pid] for key in suspects}
        due.update(watched for watched in self._watched.values() if watched.slow_at <= monotonic)
        for watched in due:
            pid = watched.key.pid
            try:
                stat = procfs.read_stat(self._host, pid)
                if stat is None or stat.start_ticks != watched.key.start_ticks:
                    self._drop(pid)
                    continue
                self._slow(watched, stat, watched.statm)
            except InputError as error:
                self._fault(error)
                self._drop(pid)
                continue
            if watched.slow_at <= monotonic:
                watched.slow_at = monotonic + self._slow_seconds

    def _slow(self, watched: _Watched, stat: ProcessStat, statm: bytes) -> None:
        pid = stat.pid
        place = self._cgroups.place_of(pid)
        if watched.slow == (stat, statm) and place == watched.place:
            # It neither ran, faulted nor lost a page since the last look: status and io would
            # say the same, and most processes of a host are idle.
            return
        watched.slow = (stat, statm)
        if place != watched.place:
            watched.place = place
            self._moved = True
        sample = procfs.process_sample(
            watched.key,
            stat,
            procfs.parse_statm(statm, self._host.page_bytes, f"proc/{pid}/statm"),
            procfs.read_status(self._host, pid),
            procfs.read_io(self._host, pid),
            place,
            self._host.ticks_per_second,
        )
        watched.statm = statm
        watched.sample = sample

    def _read_host(self) -> HostSample:
        try:
            return procfs.host_sample(
                procfs.read_meminfo(self._host),
                procfs.read_vmstat(self._host),
                psi.read_pressure(self._host),
            )
        except InputError as error:
            self._fault(error)
            return HostSample()

    def _read_cgroups(self, monotonic: float) -> tuple[CgroupSample, ...]:
        """Every cgroup that a watched process lies in, and what these lie in."""
        if self._moved:
            self._moved = False
            self._plan_groups(monotonic)
        watched = (self._watched.get(key.pid) for key in self.suspects)
        urgent = set(_with_ancestors(one.place.cgroup for one in watched if one is not None))
        for path, due_at in self._group_at.items():
            if due_at > monotonic and path not in urgent:
                continue
            if due_at <= monotonic:
                self._group_at[path] = monotonic + self._slow_seconds
            try:
                found = self._cgroups.read(path)
            except InputError as error:
                self._fault(error)
                found = None
            if found is None:
                self._groups.pop(path, None)
            else:
                self._groups[path] = found
        return tuple(self._groups.values())

    def _plan_groups(self, monotonic: float) -> None:
        """Which cgroups are read when; only needed after a process came, went or moved."""
        paths = {watched.place.cgroup for watched in self._watched.values()}
        wanted = sorted(set(_with_ancestors(paths)))[:CGROUP_LIMIT]
        before = self._group_at
        self._group_at = {path: before.get(path, monotonic) for path in wanted}
        for path in self._groups.keys() - self._group_at.keys():
            del self._groups[path]

    def _drop(self, pid: int) -> None:
        watched = self._watched.pop(pid)
        self._moved = True
        if watched.descriptor is not None:
            os.close(watched.descriptor)
            self._kept -= 1

    def _fault(self, error: InputError) -> None:
        self.fault_count += 1
        self.last_fault = error.message


def _resized(watched: _Watched, statm: bytes, page_bytes: int) -> ProcessSample:
    """The last sample with the sizes of `statm`; the fields of the slow tier stay as they are."""
    old = watched.sample
    assert old is not None
    rss_bytes, anon_bytes = procfs.parse_statm(statm, page_bytes, f"proc/{old.key.pid}/statm")
    return ProcessSample(
        key=old.key,
        name=old.name,
        rss_bytes=rss_bytes,
        anon_bytes=anon_bytes,
        swap_bytes=old.swap_bytes,
        cgroup=old.cgroup,
        unit=old.unit,
        uid=old.uid,
        cpu_seconds=old.cpu_seconds,
        thread_count=old.thread_count,
        read_bytes=old.read_bytes,
        written_bytes=old.written_bytes,
    )


def _with_ancestors(paths: Iterable[str | None]) -> Iterator[str]:
    for path in paths:
        if path is not None:
            yield from ancestors(path)


def _pid_of(key: ProcessKey) -> int:
    return key.pid


def _descriptors_to_spare() -> int:
    """How many descriptors may be kept: the soft RLIMIT_NOFILE less a reserve for all else."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return PROCESS_LIMIT
    return max(0, soft - DESCRIPTOR_RESERVE)
