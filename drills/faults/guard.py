"""A guard of its own process, to be killed: guard's real executor, ledger, lease and switchover.

    python drills/faults/guard.py act CONFIG STATE PID LEADER CANDIDATE PEER_URL
    python drills/faults/guard.py recover CONFIG STATE

`act` carries out a plan that moves the primary away from a process that is said to leak, and prints
its outcomes. `recover` is what an agent does at its next start: it closes what was left half done.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import uuid

from forestall.agent.around import Around
from forestall.agent.config import read_config
from forestall.clock import SystemClock
from forestall.guard.executor import Executor
from forestall.guard.fleet import FleetLease
from forestall.guard.ledger import LEDGER_NAME, Ledger
from forestall.guard.live import HostProcesses, own_pids
from forestall.guard.recheck import Recheck
from forestall.guard.wire.etcd import Etcd
from forestall.model.action import Action, ActionKind, Mode, Outcome, Plan
from forestall.model.verdict import Subject, Verdict, VerdictKind
from forestall.sense.host import Host
from forestall.units import MIB

LEASE_SECONDS = 11
"""As short as may be: the lease of a guard that was killed is in the way of the next one."""
SETTLE_SECONDS = 60.0
SWITCHOVER_SECONDS = 40.0


def main(words: list[str]) -> int:
    """Act or recover; prints one JSON object a line for each outcome."""
    config, state = read_config(words[1]), words[2]
    clock, host = SystemClock(), Host()
    assert config.fleet is not None
    etcd = config.fleet.etcd
    around = Around(config, hostname=socket.gethostname(), host_clock=clock, lag_bytes_max=16 * MIB)
    switchover = around.switchover()
    assert switchover is not None
    lease = FleetLease(
        lambda: Etcd(etcd),
        scope=config.fleet.scope,
        host=f"guard-{os.getpid()}",
        clock=clock,
        lease_seconds=LEASE_SECONDS,
    )
    processes = HostProcesses(host)
    with Ledger(os.path.join(state, LEDGER_NAME)) as ledger:
        executor = Executor(
            {ActionKind.SWITCHOVER: switchover},
            ledger=ledger,
            recheck=Recheck(processes=processes, own_pids=own_pids(host)),
            clock=clock,
            lease=lease,
        )
        if words[0] == "act":
            live = processes.look(int(words[3]))
            assert live is not None, "the process that is said to leak is gone"
            subject = Subject(host=socket.gethostname(), name="feed-sync", process=live.key)
            _print(executor.execute(_plan(subject, words[4], words[5], words[6])))
        else:
            _print(executor.recover())
            until = time.monotonic() + SETTLE_SECONDS
            while executor.owing and time.monotonic() < until:
                time.sleep(1.0)
                _print(executor.settle())
            return 1 if executor.owing else 0
    return 0


def _plan(subject: Subject, leader: str, candidate: str, peer_url: str) -> Plan:
    parameters = {
        "scope": "orders",
        "leader": leader,
        "candidate": candidate,
        "peer_url": peer_url,
        "via": "pgbouncer",
        "pause_timeout_seconds": "5",
    }
    now = time.time()
    return Plan(
        id=uuid.uuid4().hex,
        at=now,
        mode=Mode.ACT,
        verdict=Verdict(
            subject=subject,
            kind=VerdictKind.EXHAUSTING,
            at=now,
            memory_bytes=256 * MIB,
            reasons=("It is a drill.",),
        ),
        actions=(
            Action(
                id="1-switchover",
                kind=ActionKind.SWITCHOVER,
                subject=subject,
                timeout_seconds=SWITCHOVER_SECONDS,
                parameters=parameters,
            ),
        ),
        because=("It is a drill.",),
        incident=uuid.uuid4().hex,
    )


def _print(outcomes: tuple[Outcome, ...]) -> None:
    for outcome in outcomes:
        said = {"state": outcome.state.value, "detail": outcome.detail}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
