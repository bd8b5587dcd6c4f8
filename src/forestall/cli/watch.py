"""Watch this host: read, judge, journal, and act only if you say so.

examples:
  forestall watch --once                  one look at this host; needs no rights and no folder
  forestall watch                         observe: journal what guard would have done, and when
  forestall watch --mode act --config /etc/forestall/forestall.toml
                                          restart the services that the file allows, before the
                                          kernel kills or panics
  forestall watch --pid 4711 --limit 2G   one process against a limit of your own
  curl -s http://127.0.0.1:9188/metrics   what a running agent tells Prometheus

Without --mode the agent observes: it touches nothing. `forestall guard ledger` shows what it
would have done; allow acting when you agree with it. Stop it with Ctrl-C or SIGTERM.
"""

import argparse
import os
import signal
import sys
from dataclasses import replace

from forestall.agent.budget import (
    RSS_BYTES_MAX,
    Budget,
    OverBudgetError,
    settle,
    shield_from_oom_killer,
)
from forestall.agent.config import AgentConfig, check_interval, find_config, read_config
from forestall.agent.exposition import CONTENT_TYPE, render
from forestall.agent.log import Log, is_journal
from forestall.agent.loop import Watch
from forestall.agent.metrics import families
from forestall.agent.server import TEXT, Answer, Server, parse_address
from forestall.agent.state import StateFolder
from forestall.agent.waiting import Waiting
from forestall.cli.options import add_json, add_state, state_folder
from forestall.clock import SystemClock
from forestall.errors import UsageError
from forestall.guard.policy import policy_from
from forestall.model.action import Mode
from forestall.sense.collector import Select
from forestall.sense.host import Host
from forestall.units import parse_bytes

OVER_BUDGET_EXIT = 3
PIDS_MAX = 256


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `forestall watch`; each overrides what the configuration file says."""
    parser.add_argument(
        "--mode",
        choices=[mode.value for mode in Mode],
        help="observe (default): journal only; advise: and notify; act: do it, where allowed",
    )
    parser.add_argument("--once", action="store_true", help="print one look and end")
    add_state(parser)
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="TOML (default: /etc/forestall/forestall.toml where there is one)",
    )
    parser.add_argument(
        "--interval", metavar="SECONDS", type=float, help="between two ticks (default: 1)"
    )
    listen = parser.add_mutually_exclusive_group()
    listen.add_argument(
        "--listen", metavar="ADDRESS:PORT", help="for /metrics (default: 127.0.0.1:9188)"
    )
    listen.add_argument("--no-listen", action="store_true", help="do not listen at all")
    parser.add_argument(
        "--listen-anywhere",
        action="store_true",
        help="allow an address that other hosts can reach; there is no authentication",
    )
    parser.add_argument(
        "--limit", metavar="BYTES", help="a limit for each watched process, for example 512M"
    )
    parser.add_argument(
        "--pid", metavar="PID", type=int, nargs="+", help="watch only these processes"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """0 after --once or a stop that was asked for; 3 when the agent had to end itself."""
    config = configuration(args)
    given = {"--limit": parse_bytes(args.limit)} if args.limit else {}
    if args.once:
        from forestall.cli.watch_once import print_look

        return print_look(
            config,
            given=given,
            select=_select(args.pid),
            folder=state_folder(args.state or config.state),
            as_json=args.json,
        )
    if args.json:
        raise UsageError("--json is for --once", help="a running agent tells /metrics")
    return _watch(config, given, _select(args.pid), state_folder(args.state or config.state))


def configuration(args: argparse.Namespace) -> AgentConfig:
    """The file, with the options in place of what it says. Raises UsageError."""
    path = find_config(args.config)
    config = AgentConfig() if path is None else read_config(path)
    if args.mode is not None:
        config = replace(config, mode=Mode(args.mode))
    if args.interval is not None:
        try:
            config = replace(config, interval_seconds=check_interval(args.interval))
        except ValueError as error:
            raise UsageError(f"--interval: {error}") from None
    if args.no_listen:
        config = replace(config, listen=None)
    elif args.listen is not None:
        config = replace(config, listen=args.listen)
    return replace(config, listen_anywhere=config.listen_anywhere or args.listen_anywhere)


def _select(pids: list[int] | None) -> Select | None:
    if pids is None:
        return None
    if len(pids) > PIDS_MAX:
        raise UsageError(f"at most {PIDS_MAX} processes can be named, not {len(pids)}")
    missing = [pid for pid in pids if pid <= 0 or not os.path.isdir(f"/proc/{pid}")]
    if missing:
        raise UsageError(
            f"no process {missing[0]}", help="`pgrep -f NAME` finds the number of a process"
        )
    wanted = frozenset(pids)
    return lambda name, pid, cgroup: pid in wanted


def _watch(config: AgentConfig, given: dict[str, int], select: Select | None, folder: str) -> int:
    clock = SystemClock()
    log = Log(sys.stderr, clock, journald=is_journal(sys.stderr, os.environ.get("JOURNAL_STREAM")))
    policy = policy_from(config.policy)
    address = (
        parse_address(config.listen, anywhere=config.listen_anywhere) if config.listen else None
    )
    waiting = Waiting()
    server: Server | None = None

    def after_tick(*_: object) -> None:
        if server is not None:
            server.drop_slow()
        if waiting.stopped:
            watch.stop()

    def pause(seconds: float) -> None:
        waiting.wait(seconds)
        if waiting.stopped:
            watch.stop()

    with StateFolder(folder):
        watch = Watch(
            config,
            host=Host(),
            clock=clock,
            log=log,
            state=folder,
            policy=policy,
            given=given,
            select=select,
            pause=pause,
            budget=Budget(clock, rss_bytes_max=config.rss_bytes_max or RSS_BYTES_MAX),
            on_tick=after_tick,
        )
        try:
            waiting.stop_on(signal.SIGTERM, signal.SIGINT)
            if address is not None:
                server = Server(waiting, *address, lambda path: respond(watch, path))
            log.info(shield_from_oom_killer())
            watch.start()
            log.info(
                f"watching in {config.mode} mode, every {config.interval_seconds:g} s, "
                f"state in {folder}, "
                + (f"metrics on port {server.port}" if server else "no listener")
            )
            # The first tick makes what stays: a judge and a ring for every process.
            watch.tick_safely()
            settle()
            if config.mode is Mode.ACT:
                log.info(_locked())
            watch.run()
            log.info(f"asked to stop by {waiting.stopped_by}; ended after {watch.tick_count} ticks")
            return 0
        except OverBudgetError as error:
            log.error(str(error))
            return OVER_BUDGET_EXIT
        finally:
            watch.close()
            if server is not None:
                server.close()
            waiting.close()


def _locked() -> str:
    """Keep the agent in memory as a whole: in a thrash it must still decide and record."""
    # Imported here: only a watch that may act needs it.
    from forestall.guard.last.memory import lock, prefer

    said = (lock(populate=True) or "the memory of the agent is locked", prefer())
    return "; ".join(sentence for sentence in said if sentence is not None)


def respond(watch: Watch, path: str) -> Answer | None:
    """/metrics and /healthz; nothing else is there."""
    if path == "/metrics":
        return Answer(CONTENT_TYPE, render(families(watch)))
    if path == "/healthz":
        if watch.failing:
            return Answer(TEXT, b"the last tick failed\n", "503 Service Unavailable")
        return Answer(TEXT, b"ok\n")
    return None
