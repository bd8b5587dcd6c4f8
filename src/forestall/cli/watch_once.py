"""`forestall watch --once`: two ticks, one table, nothing kept."""

import os
import sys

from forestall import __version__
from forestall.agent.config import AgentConfig
from forestall.agent.log import Log, one_line
from forestall.agent.loop import Watch
from forestall.agent.metrics import shown
from forestall.cli.options import print_json
from forestall.clock import SystemClock
from forestall.detect.rules import RULES
from forestall.errors import ForestallError
from forestall.model.codec import Json, encode, to_document
from forestall.model.sample import ProcessSample
from forestall.model.verdict import Limit
from forestall.sense.collector import Select
from forestall.sense.host import Host
from forestall.units import format_bytes, format_duration

BETWEEN_SECONDS = 1.0
SCHEMA = "forestall/watch-once/1"


def print_look(
    config: AgentConfig, *, given: dict[str, int], select: Select | None, folder: str, as_json: bool
) -> int:
    """Look twice and print what was seen; 0, whatever it is. ForestallError without /proc."""
    clock, host = SystemClock(), Host()
    watch = Watch(
        config,
        host=host,
        clock=clock,
        log=Log(sys.stderr, clock, journald=False),
        given=given,
        select=select,
    )
    try:
        watch.tick()
        clock.sleep(BETWEEN_SECONDS)
        watch.tick()
        if watch.sample is None or not (watch.sample.processes or select):
            raise ForestallError(
                "no process can be seen here: /proc is empty or hidden",
                help="see `forestall look` for what this user may see",
            )
        state = state_sentence(folder)
        if as_json:
            print_json(document(watch, state))
        else:
            print("\n".join(lines(watch, host.hostname, state)))
        return 0
    finally:
        watch.close()


def state_sentence(folder: str) -> str:
    """Whether a running agent could keep its state in this folder."""
    existing = folder
    while not os.path.exists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    if os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK):
        return f"none kept by one look; a running agent would keep it in {folder}"
    return f"none: {folder} cannot be written; a running agent would need --state DIR"


def lines(watch: Watch, hostname: str, state: str) -> list[str]:
    """The look for a person: the host, then suspects and the largest processes."""
    sample = watch.sample
    assert sample is not None
    host = sample.host
    headroom, total = host.headroom_bytes, host.mem_total_bytes
    limited = sum(1 for cgroup in sample.cgroups if cgroup.headroom_bytes is not None)
    what = "unknown: /proc/meminfo does not tell"
    if headroom is not None and total is not None:
        swap = host.swap_total_bytes or 0
        beside = f" and {format_bytes(swap)} of swap" if swap else ", no swap"
        what = f"{format_bytes(headroom)} of {format_bytes(total)} memory{beside}"
    limits = (
        f"{limited} cgroup{'s' if limited > 1 else ''} with a limit"
        if limited
        else ("no cgroup has a limit")
    )
    head = f"forestall {__version__} on {one_line(hostname)}: one look, two ticks"
    young = format_duration(RULES.start_seconds)
    grown = format_duration(RULES.leak_age_seconds_min)
    return [
        head,
        "",
        f"  headroom  {what}",
        f"  watched   {len(sample.processes)} processes; {limits}",
        f"  state     {one_line(state)}",
        "",
        f"  {'MEMORY':>8}  {'HEADROOM':>8}  {'LIMIT':<6}  {'VERDICT':<10}  PROCESS",
        *(f"  {row(watch, process)}" for process in shown(watch)),
        "",
        f"A verdict needs history: growth is judged on processes older than {young}, a leak is",
        f"called on those older than {grown}. `forestall watch` keeps looking and touches nothing.",
        "`forestall look` says what happens here when memory runs out.",
    ]


def row(watch: Watch, process: ProcessSample) -> str:
    """One process in one line."""
    limit = watch.judging.limit_of(process.key)
    verdict = watch.judging.verdicts.get(process.key)
    left = "?" if limit is None else format_bytes(limit.headroom_bytes)
    kind = "none" if limit is None else limit.kind.value
    unit = f" in {process.unit}" if process.unit else ""
    return (
        f"{format_bytes(process.memory_bytes):>8}  {left:>8}  {kind:<6}  "
        f"{verdict.kind.value if verdict else '-':<10}  "
        f"{one_line(process.name)} ({process.key.pid}){one_line(unit)}"
    )


def document(watch: Watch, state: str) -> Json:
    """The look as one JSON object: the sample, and limit and verdict of each process in it."""
    sample = watch.sample
    assert sample is not None
    return {
        "schema": SCHEMA,
        "state": state,
        "sample": to_document(sample),
        "processes": [
            {
                "process": encode(process.key),
                "name": process.name,
                "memory_bytes": process.memory_bytes,
                "limit": _limit(watch.judging.limit_of(process.key)),
                "verdict": to_document(watch.judging.verdicts[process.key])
                if process.key in watch.judging.verdicts
                else None,
            }
            for process in sample.processes
        ],
    }


def _limit(limit: Limit | None) -> Json:
    return None if limit is None else encode(limit)
