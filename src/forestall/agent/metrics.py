"""What the agent tells a scraper: bounded in number, named by one catalogue.

Names, units and help of what is read come from `sense.signals`; what the agent itself makes
(verdicts, actions, its own use) is listed here in OWN.
"""

from collections.abc import Iterable, Mapping

from forestall import __version__
from forestall.agent.exposition import Family, Labels
from forestall.agent.loop import Watch
from forestall.model.sample import ProcessSample, Sample
from forestall.model.verdict import Verdict, VerdictKind
from forestall.sense import signals

LARGEST_SHOWN = 10
SUSPECTS_SHOWN = 50
CGROUPS_SHOWN = 50

GAUGE, COUNTER = "gauge", "counter"

OWN: Mapping[str, tuple[str, str]] = {
    "forestall_process_verdict": (
        GAUGE,
        "1 for the present verdict on a process: STEADY, GROWING, LEAKING, EXHAUSTING, UNDECIDED.",
    ),
    "forestall_process_headroom_bytes": (
        GAUGE,
        "What is left below the nearest limit of a process; `limit` says whose it is.",
    ),
    "forestall_process_exhaustion_seconds": (
        GAUGE,
        "Time to exhaustion of the nearest limit; `bound` is soonest, likely or latest.",
    ),
    "forestall_process_growth_bytes_per_second": (
        GAUGE,
        "Rate at which a process grows; `bound` is low, likely or high.",
    ),
    "forestall_guard_actions_total": (COUNTER, "Actions by kind and by what came of them."),
    "forestall_guard_troubles": (GAUGE, "Processes that are in trouble now."),
    "forestall_agent_info": (GAUGE, "1, with the version and the mode of the agent."),
    "forestall_agent_rss_bytes": (GAUGE, "Resident memory of the agent itself."),
    "forestall_agent_cpu_seconds_total": (COUNTER, "Processor time of the agent itself."),
    "forestall_agent_tick_seconds": (GAUGE, "How long the last tick took."),
    "forestall_agent_ticks_total": (COUNTER, "Ticks that ended well."),
    "forestall_agent_faults_total": (COUNTER, "Ticks that failed."),
    "forestall_agent_read_faults_total": (COUNTER, "Files that could not be understood."),
    "forestall_agent_processes": (GAUGE, "Processes that are watched."),
    "forestall_agent_processes_unwatched": (GAUGE, "Processes beyond the limit, not watched."),
    "forestall_agent_journal_errors_total": (COUNTER, "Failed writes by journal."),
    "forestall_agent_events_pending": (GAUGE, "Events that wait to be written to disk."),
    "forestall_agent_events_lost_total": (COUNTER, "Events dropped because the disk failed."),
    "forestall_agent_log_lines_lost_total": (COUNTER, "Log lines that could not be written."),
}


def families(watch: Watch) -> list[Family]:
    """Everything there is to tell now. Bounded by the three limits above, whatever runs."""
    found: dict[str, Family] = {}
    if watch.sample is not None:
        _add_host(found, watch.sample)
        for process in shown(watch):
            _add_process(found, watch, process)
    _add_agent(found, watch)
    return list(found.values())


def shown(watch: Watch) -> list[ProcessSample]:
    """The suspects, gravest first, and the largest of the others."""
    assert watch.sample is not None
    verdicts, suspects = watch.judging.verdicts, watch.judging.suspects
    by_size = sorted(watch.sample.processes, key=lambda process: -process.memory_bytes)
    suspicious = [process for process in by_size if process.key in suspects]
    suspicious.sort(key=lambda process: _gravity(verdicts.get(process.key)))
    others = [process for process in by_size if process.key not in suspects]
    return suspicious[:SUSPECTS_SHOWN] + others[:LARGEST_SHOWN]


def _gravity(verdict: Verdict | None) -> int:
    order = (VerdictKind.EXHAUSTING, VerdictKind.LEAKING, VerdictKind.GROWING)
    return order.index(verdict.kind) if verdict and verdict.kind in order else len(order)


def _add_host(found: dict[str, Family], sample: Sample) -> None:
    _add_signals(found, "host", sample.host, {})
    limited = [cgroup for cgroup in sample.cgroups if cgroup.headroom_bytes is not None]
    limited.sort(key=lambda cgroup: cgroup.headroom_bytes or 0)
    for cgroup in limited[:CGROUPS_SHOWN]:
        _add_signals(found, "cgroup", cgroup, {"cgroup": cgroup.path})


def _add_signals(found: dict[str, Family], noun: str, value: object, labels: Labels) -> None:
    for signal in signals.of(noun):
        if signal.metric is not None:
            kind = COUNTER if signal.counter else GAUGE
            _add(found, (signal.metric, kind, signal.help), labels, getattr(value, signal.name))


def _add_process(found: dict[str, Family], watch: Watch, process: ProcessSample) -> None:
    labels = {"service": process.unit or process.name, "pid": str(process.key.pid)}
    _add_signals(found, "process", process, labels)
    limit = watch.judging.limit_of(process.key)
    if limit is not None:
        _own(found, "process_headroom_bytes", limit.headroom_bytes, labels, limit=limit.kind)
    verdict = watch.judging.verdicts.get(process.key)
    if verdict is None:
        return
    _own(found, "process_verdict", 1, labels, verdict=verdict.kind)
    forecast = verdict.forecast
    if forecast is None:
        return
    for bound, seconds in (
        ("soonest", forecast.exhaustion_low_seconds),
        ("likely", forecast.exhaustion_seconds),
        ("latest", forecast.exhaustion_high_seconds),
    ):
        _own(found, "process_exhaustion_seconds", seconds, labels, bound=bound)
    for bound, rate in (
        ("low", forecast.rate_low_bytes_per_second),
        ("likely", forecast.rate_bytes_per_second),
        ("high", forecast.rate_high_bytes_per_second),
    ):
        _own(found, "process_growth_bytes_per_second", rate, labels, bound=bound)


def _add_agent(found: dict[str, Family], watch: Watch) -> None:
    _own(found, "agent_info", 1, {"version": __version__, "mode": watch.config.mode})
    for (kind, state), count in sorted(watch.acting.counts.items()):
        _own(found, "guard_actions_total", count, {"kind": kind, "state": state})
    _own(found, "guard_troubles", len(watch.troubles.open()))
    if watch.budget is not None:
        _own(found, "agent_rss_bytes", watch.budget.use.rss_bytes)
        _own(found, "agent_cpu_seconds_total", watch.budget.use.cpu_seconds)
    _own(found, "agent_tick_seconds", watch.tick_seconds)
    _own(found, "agent_ticks_total", watch.tick_count)
    _own(found, "agent_faults_total", watch.fault_count)
    _own(found, "agent_read_faults_total", watch.collector.fault_count)
    if watch.sample is not None:
        _own(found, "agent_processes", len(watch.sample.processes))
    _own(found, "agent_processes_unwatched", watch.collector.overflow_count)
    for journal, count in (
        ("spool", watch.spool.error_count),
        ("series", watch.recall.error_count),
        ("ledger", watch.acting.error_count),
    ):
        _own(found, "agent_journal_errors_total", count, {"journal": journal})
    _own(found, "agent_events_pending", watch.spool.pending_count)
    _own(found, "agent_events_lost_total", watch.spool.lost_count)
    _own(found, "agent_log_lines_lost_total", watch.log.lost_count)


def _own(
    found: dict[str, Family],
    name: str,
    value: float | None,
    labels: Labels | None = None,
    **more: str,
) -> None:
    full = f"forestall_{name}"
    _add(found, (full, *OWN[full]), {**(labels or {}), **more}, value)


def _add(
    found: dict[str, Family], what: tuple[str, str, str], labels: Labels, value: float | None
) -> None:
    if value is None:
        return
    name = what[0]
    family = found.get(name)
    if family is None:
        family = found[name] = Family(*what, [])
    family.samples.append((labels, value))


def names() -> Iterable[str]:
    """Every name the agent may export."""
    return (*signals.METRICS, *OWN)
